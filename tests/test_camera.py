"""The simulated camera conserves what it must: stillness, contrast, polarity, time; and its files are readable."""

import numpy as np
import pytest
import torch
from spikingjelly.datasets.cifar10_dvs import _load_origin_data

from snnpaper.nets.camera import STEP_US, Camera, film, path, report, views
from snnpaper.nets.events import read_aedat
from snnpaper.nets.recordings import write_simulated

FEW = Camera(loops=2)


def image(low: int, high: int) -> torch.Tensor:
    """A grey image [1,3,32,32] with a bright square in the middle."""
    x = torch.full((1, 3, 32, 32), low, dtype=torch.uint8)
    x[..., 10:22, 10:22] = high
    return x


def count(x: torch.Tensor, camera: Camera = FEW) -> int:
    return len(next(film(x, camera)))


def test_the_path_is_closed_and_of_the_published_shape():
    places = path()
    assert len(places) == 40 and places[::10] == [(0, 0), (10, -10), (20, 0), (10, 10)]
    steps = np.diff([*places, places[0]], axis=0)
    assert (np.abs(steps) == 1).all()  # a screen pixel on each axis in STEP_US: 200 a second
    assert 6 * len(places) * STEP_US == 1_200_000


def test_a_still_image_gives_no_events():
    assert count(image(100, 100)) == 0  # nothing to see move
    logs = views(image(50, 200), 0.05)[0, :1].numpy()  # something to see, and no move
    assert len(report(np.repeat(logs, 40, 0), FEW.thresholds().numpy(), 2)) == 0


def test_polarities_swap_under_inversion_of_the_log_intensity():
    logs, thresholds = views(image(50, 200), 0.05)[0].numpy(), FEW.thresholds().numpy()
    a, b = report(logs, thresholds, 1), report(-logs, thresholds, 1)
    assert len(a) and np.array_equal(a.p, 1 - b.p)
    assert all(np.array_equal(getattr(a, k), getattr(b, k)) for k in "txy")


def test_an_inverted_image_has_the_opposite_polarity_at_each_edge():
    a, b = (next(film(x, FEW)) for x in (image(50, 205), image(205, 50)))

    def early(e, polarity: int) -> set:
        """Pixels that report the polarity on the first diagonal's first half."""
        there = (e.t < 5 * STEP_US) & (e.p == polarity)
        return set(zip(e.x[there].tolist(), e.y[there].tolist(), strict=True))

    a_on, b_on, b_off = early(a, 1), early(b, 1), early(b, 0)
    assert len(a_on & b_off) > 0.5 * len(a_on) > 0  # in the dark a step of grey is more of a step in logarithm
    assert len(a_on & b_on) < 0.05 * len(a_on)


def test_counts_grow_with_contrast_and_with_loops_and_fall_with_the_threshold():
    assert 0 < count(image(100, 140)) < count(image(80, 180)) < count(image(40, 240))
    loops = [count(image(50, 200), Camera(loops=n)) for n in (1, 2, 3)]
    assert loops[0] > 0 and abs(loops[2] - 2 * loops[1] + loops[0]) <= 0.02 * loops[0]  # each loop adds the same
    assert loops[1] > 1.7 * loops[0]
    assert count(image(50, 200), Camera(threshold=0.4)) < 0.7 * count(image(50, 200), Camera(threshold=0.2))


def test_time_is_monotone_both_polarities_come_and_the_seed_decides():
    (a,), (again,), (other,) = (list(film(image(50, 200), Camera(loops=1, seed=s))) for s in (0, 0, 1))
    assert (np.diff(a.t) >= 0).all() and 0 <= a.t[0] and a.t[-1] <= 40 * STEP_US
    assert 0.4 < a.p.mean() < 0.6  # a closed path ends as it began
    assert all(np.array_equal(getattr(a, k), getattr(again, k)) for k in "txyp")
    assert len(a) != len(other) or not np.array_equal(a.t, other.t)


def test_the_crossings_are_those_of_a_ramp():
    """One pixel that brightens by 1.0 in one step, threshold 0.3: three events, at 0.3, 0.6 and 0.9 of the step."""
    logs = np.array([0.0, 1.0], np.float32).reshape(2, 1, 1)
    events = report(logs, np.full((1, 1), 0.3, np.float32), 1)
    rise = events.p == 1
    assert events.t[rise] == pytest.approx([1500, 3000, 4500], abs=1)
    assert events.t[~rise] == pytest.approx([STEP_US * (1 + x) for x in (0.4, 0.7, 1.0)], abs=1)


def test_simulated_recordings_are_files_that_spikingjelly_reads(tmp_path):
    x = torch.cat([image(50, 200), image(200, 50), image(0, 90)])
    files = write_simulated(tmp_path, x, [3, 0, 3])
    assert [str(f.relative_to(tmp_path)) for f in files] == [
        "cat/simulated_cat_0.aedat", "airplane/simulated_airplane_0.aedat", "cat/simulated_cat_1.aedat"]  # fmt: skip
    for file, events in zip(files, film(x, Camera()), strict=True):
        theirs, ours = _load_origin_data(file), read_aedat(file)
        assert len(events) > 1000
        assert all(np.array_equal(theirs[k], getattr(events, k)) for k in "txyp")
        assert all(np.array_equal(getattr(ours, k), getattr(events, k)) for k in "txyp")
