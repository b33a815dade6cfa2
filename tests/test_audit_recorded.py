"""The audit of recorded networks against the record of chapter 6's attacks: two batteries, one worst case."""

import pytest
import torch

import snnpaper
from snnpaper import ledger, zoo
from snnpaper.nets import data

NETWORKS = ("cifar10-sew18-w16-max-s0-eb79827ad1", "cifar10-sew18-w16-avg-s0-47644b762c")


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_the_audit_s_worst_case_is_the_recorded_one(name, cifar10_root):
    recorded = ledger.read("attacks", name)["results"]
    battery = next(b for b in recorded["batteries"] if b["space"] == "pixel" and 0 < 255 * b["eps"] < 1.5)
    images, (_, coded) = data.load("cifar10")["test"].first(recorded["n"]), zoo.load(name)
    r = snnpaper.audit(coded, images.x, images.y, battery["eps"])
    clean, robust = (torch.as_tensor(ledger.unpack(battery[k], recorded["n"])) for k in ("clean", "robust"))
    assert r["clean"]["correct"] == int(clean.sum())
    assert abs(r["robust"]["correct"] - int(robust.sum())) <= 0.005 * recorded["n"], str(r)
