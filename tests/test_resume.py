"""What was killed at any moment and started again ends as if nothing had happened (see lives.py)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import lives
import pytest

pytestmark = pytest.mark.slow


def lived(what: str, folder: Path) -> dict:
    env = os.environ | {"SNNPAPER_HOME": str(folder), "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run([sys.executable, lives.__file__, what], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_training_killed_twenty_times_ends_bit_for_bit_as_an_undisturbed_one(tmp_path):
    found = lived("train", tmp_path)
    assert found["same"] and sum(found["kills"].values()) == lives.KILLS
    assert {"step", "file half written", "file not in its place"} <= found["kills"].keys(), found
    assert found["left"] == [f"{lives.RUN.course.name}.pt"]  # the checkpoint; no half-written file


@pytest.mark.parametrize("kind", sorted(lives.SMALL))
def test_a_measurement_killed_at_random_makes_the_same_record(kind, tmp_path):
    found = lived(kind, tmp_path)
    assert found["same"] and found["left"] == [], found
    assert sum(found["kills"].values()) >= 1, found
