"""Chapter 2's measurements: right on a network that is smooth, and consistent on a spiking one."""

import math

import pytest
import torch

from snnpaper import ledger
from snnpaper import measure as registry
from snnpaper.config import Run
from snnpaper.measure import networks, stem
from snnpaper.measure import theory as measure
from snnpaper.nets import data
from snnpaper.nets.coded import CodedNet
from snnpaper.nets.data import Images
from snnpaper.report.theory import figures, tables
from snnpaper.theory import bounds

RUN = Run.make("demo", width=4, T=4)
DIGITS = data.load("digits")["test"].first(4)


class Smooth(torch.nn.Module):
    """A linear read-out of the coded tensor: no step anywhere, so the linear prediction must hold."""

    def __init__(self):
        super().__init__()
        g = torch.Generator().manual_seed(0)
        self.weight = 0.005 * torch.randn(3, RUN.T * 3 * 32 * 32, generator=g)

    def forward(self, spikes):
        return spikes.transpose(0, 1).flatten(1) @ self.weight.T


def spiking(pool: str):
    """A network of RUN whose BatchNorm has seen the images, in eval mode."""
    coded = CodedNet.of(RUN.but(pool=pool)).train()
    with torch.no_grad():
        for _ in range(3):
            coded(DIGITS.x)
    return coded.eval()


@pytest.mark.parametrize("space", ["spike, free", "spike"])
def test_a_smooth_network_obeys_the_linear_prediction(space, monkeypatch):
    monkeypatch.setattr(measure, "EPS", (1e-3,))
    monkeypatch.setattr(measure, "DRAWS", 64)
    images = Images(DIGITS.x, torch.tensor([0, 1, 2, 0]))
    found = measure.rhos(CodedNet(Smooth(), RUN.coding, RUN.T, 3), images, space, torch.Generator().manual_seed(1))
    assert torch.allclose(found["adv"], found["adv linear"], rtol=0.05)
    assert bool(((found["rand"] - found["rand linear"]).abs() < 5 * found["error"]).all())
    assert bool((found["l0"] == RUN.T * 3 * 32 * 32).all()) and bool((found["effective"] <= found["l0"]).all())


def test_a_spiking_network_is_piecewise_constant_and_its_image_is_quantised(monkeypatch):
    monkeypatch.setattr(measure, "EPS", (1e-6, 1e-3, 8 / 255))
    monkeypatch.setattr(measure, "DRAWS", 4)
    found = measure.rhos(spiking("max"), DIGITS, "pixel", torch.Generator().manual_seed(1))
    still = [i for i, eps in enumerate(measure.EPS) if eps < 1 / 510]
    assert len(still) == 2 and bool((found["adv"][still] == 0).all()) and bool((found["rand"][still] == 0).all())
    assert bool((found["adv linear"] > 0).all())  # the gradient says otherwise
    assert bool((found["adv"] >= found["rand"]).all())  # the worst of all moves tried is no less than the mean of some


def test_a_refutation_is_drawn_again_before_it_counts(monkeypatch):
    class Rare(torch.nn.Module):  # p jumps from 1/2 to 1 for one move in 200: sixteen draws miss it
        def forward(self, spikes):
            first = spikes.transpose(0, 1).flatten(1)[:, :1]
            jump = 40 * (first.detach() > 0.0995).float() + 1e-3 * first
            return torch.cat([jump, torch.zeros(len(first), 1)], 1)

    monkeypatch.setattr(measure, "EPS", (0.1,))
    images = Images(torch.zeros_like(DIGITS.x), torch.zeros(4, dtype=torch.long))
    rand = {}
    for recheck in (measure.DRAWS, 4096):
        monkeypatch.setattr(measure, "RECHECK", recheck)
        found = measure.rhos(CodedNet(Rare(), RUN.coding, RUN.T, 2), images, "spike", torch.Generator().manual_seed(2))
        assert bool((found["l0"] == 1).all()) and torch.allclose(found["adv"], torch.tensor(0.25).double())
        rand[recheck] = found["rand"][0]
    missed = rand[measure.DRAWS] < 1e-6
    assert bool(missed.any())
    assert torch.allclose(rand[4096][missed], torch.tensor(0.25 / 200).double(), rtol=0.5)


def test_summary_counts_what_the_bounds_forbid():
    row = torch.tensor([[0.0, 1.0, 1.0, 2.0, 90.0]]).double()
    found = {
        "p": row[0], "l0": torch.full((5,), 10.0).double(), "effective": torch.ones(5).double(),
        "adv": row, "rand": torch.tensor([[0.0, 0.0, 0.5, 0.1, 1.0]]).double(), "error": torch.zeros(1, 5).double(),
        "adv linear": torch.full((1, 5), 3.0).double(), "rand linear": torch.ones(1, 5).double(),
    }  # fmt: skip
    shares = {k: v[0] for k, v in measure.summary(found)["shares"].items()}
    assert shares == {"both zero": 0.2, "only rand zero": 0.2, "refuted": 0.2, "beyond linear": 0.4, "below 3": 0.2}
    assert measure.summary(found)["ratio"][0][1] == 20  # the middle of 2, 20, 90: two images have no ratio
    found["rand"] = torch.tensor([[0.0, 0.0, 0.0, 0.1, 1.0]]).double()
    assert measure.summary(found)["ratio"] == [None]


@pytest.mark.parametrize("pool", ["max", "avg"])
def test_theorems_hold_in_the_stem(pool):
    found = stem.measure_stem(spiking(pool), DIGITS, batch_size=2)
    assert max(v[2] for k, v in found.items() if k.startswith("residual")) < 1e-12
    assert len([k for k in found if k.startswith("residual")]) == 6
    for place in ("spikes", "bn1 out", "conv1 out", "input"):
        assert all(
            m <= p + 1e-12 for m, p in zip(found[f"density, {place}"], found[f"predicted, {place}"], strict=True)
        )
    assert found["density, spikes"][2] <= 0.25 if pool == "max" else found["density, spikes"][0] == 1
    assert found["density, conv1 out, train mode"][0] > 0.99
    assert found["rows violated"] == [0, 0, 0] and found["entries cancelled"] == [0, 0, 0]
    assert found["density, input"][1] <= found["count bound over d"][1]
    assert len(found["norm, input"]) == len(DIGITS)
    windows = [found[f"windows {k}"][1] for k in ("silent", "with one spike", "tied")]
    assert windows[1] + windows[2] == pytest.approx(1, abs=1e-4) and windows[0] <= windows[2]


def test_rows_of_the_stem_equal_the_unrolled_bound():
    coded = spiking("max").double()
    values, gradients = stem.capture(coded, DIGITS.first(1))
    rows = stem._rows(stem.transposes(coded.net, values), values, gradients)
    W, ties = bounds.unroll(coded.net.conv1.weight.detach(), 32, 32, 2, 3)
    s, delta = values["input"].flatten(2), gradients["conv1 out"].flatten(2)
    left, right = bounds.rows_44(W, s, delta, connected=ties >= 0)
    inputs = (ties >= 0).sum(1)
    assert float((left / inputs).mean()) == pytest.approx(float(rows["row left"]))
    assert float((right / inputs).mean()) == pytest.approx(float(rows["row right"]))


def test_a_stem_that_was_not_derived_is_refused():
    for change in ({"neuron": "ReLU"}, {"alpha": 4.0}, {"pool": "avg", "count_include_pad": False}):
        with pytest.raises(ValueError, match="alpha = 2"):
            stem.measure_stem(CodedNet.of(RUN.but(**change)), DIGITS)


def test_log_odds_is_the_probability_s():
    logits, y = torch.tensor([[1.0, -2.0, 0.5], [40.0, 0.0, 0.0]]).double(), torch.tensor([2, 0])
    p = logits.softmax(1).gather(1, y[:, None])[:, 0]
    assert torch.allclose(stem.log_odds(logits, y).sigmoid(), p)


def test_record_is_written_and_drawn(tmp_path, monkeypatch):
    run, coded = RUN, spiking("max")
    monkeypatch.setattr(measure, "EPS", (1e-4, 8 / 255))
    monkeypatch.setattr(measure, "DRAWS", 2)
    monkeypatch.setitem(networks.NETWORKS, "trained", lambda run, device: coded)
    monkeypatch.setenv("SNNPAPER_HOME", str(tmp_path))
    assert registry.make("theory", run, images=4)
    (record,) = ledger.records("theory")
    assert record["results"]["n"] == 4 and record["provenance"]["data_sha256"] == DIGITS.sha256
    spaces = {name: name for name in measure.SPACES}
    assert len(figures.rhos([record], spaces).axes) == 9
    lines = figures.vacuity({"dense": 1.0, "half": 0.5, "tenth": 0.1}, [record]).axes[0].get_lines()
    x, y = lines[1].get_data()
    assert x * y == pytest.approx(0.5)  # T r gamma = kappa on the boundary
    dots = [line for line in figures.stem_density([record]).axes[0].get_lines() if line.get_marker() == "o"]
    assert [line.get_ydata()[0] for line in dots] == [
        100 * record["results"]["stem"][f"density, {p}"][1] for p in figures.STEPS_BACK
    ]
    row = tables.ratios(record, "spike", 8 / 255)
    assert row["network"] == "max, width 4, seed 0" and row["3 L0"] <= 3 * RUN.T * 3 * 32 * 32
    middle = record["results"]["spike"]["ratio"][1]
    assert row["measured ratio"] == middle[1] if middle else math.isnan(row["measured ratio"])
    assert tables.densities(record)["input (%)"] == 100 * record["results"]["stem"]["density, input"][1]
    assert tables.rows_of_44(record)["left"] <= tables.rows_of_44(record)["right, own"]
    cloud = figures.shared_norms([record]).axes[0].get_lines()[0].get_data()
    assert cloud[0] == pytest.approx(cloud[1], rel=1e-4) and len(cloud[0]) == 4


def test_cloud_shows_both_bounds():
    lines = figures.ratio_cloud([1, 10], [3.0, 20.0], [3.0, 19.0]).axes[0].get_lines()
    assert [list(line.get_ydata()) for line in lines[:2]] == [[3, 30], [3, 3]]
    assert math.isclose(lines[2].get_ydata()[1], 19)
