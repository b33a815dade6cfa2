"""What the figures of chapters 4 and 5 draw is what they are given."""

import numpy as np
import pandas as pd
import pytest
import seaborn as sns
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from seaborn.utils import relative_luminance

from snnpaper.attacks.standard import EVAL, TRAIN
from snnpaper.config import Run
from snnpaper.nets import pools
from snnpaper.report import plots, tables
from snnpaper.report.comparison import figures as comparison
from snnpaper.report.trail import figures as trail


def drawn(ax, label):
    """y values of the error bar or line with this label."""
    (found,) = [h for h, name in zip(*ax.get_legend_handles_labels(), strict=True) if name == label]
    line = found.lines[0] if hasattr(found, "lines") else found
    return list(line.get_ydata())


def test_backward_pass_draws_percent_in_the_given_order():
    rows = [
        {"pool": p, "state": "trained", "mode": m, "place": place, "mean": value, "half": 0.01}
        for p in ("max", "avg") for m in ("eval", "train") for place, value in (("input", 1.0), ("sn1", 0.25))
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    figure = trail.backward_pass({"0": frame, "norm": frame}, ["sn1", "input"])
    share, _, norm, _ = figure.axes
    assert drawn(share, "max, trained") == [25.0, 100.0] and drawn(norm, "avg, trained") == [0.25, 1.0]
    assert norm.get_yscale() == "log" and share.get_title() == "eval mode"
    assert [t.get_text() for t in norm.get_xticklabels()] == ["pool in", "input"]


def test_ablation_marks_what_is_untrained_and_skips_what_is_missing():
    rows = pd.DataFrame([
        {"setting": "a", "pool": "max", "state": "untrained", "seeds": 3, "sn1_mean": 0.2, "sn1_half": 0.01},
        {"setting": "a", "pool": "max", "state": "trained", "seeds": 1, "sn1_mean": 0.3, "sn1_half": np.nan},
        {"setting": "b", "pool": "avg", "state": "trained", "seeds": 0, "sn1_mean": np.nan, "sn1_half": np.nan},
    ])  # fmt: skip
    (ax,) = trail.ablation(rows, ["sn1"]).axes
    marks = [c.lines[0] for c in ax.containers]
    assert [m.get_xdata()[0] for m in marks] == [20.0, 30.0]
    assert [m.get_markerfacecolor() == "white" for m in marks] == [True, False]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b"]


def test_ties_stack_to_the_whole():
    kinds = {"n": {"silent": 0.5, "one spike": 0.3, "several spikes": 0.2}}
    left, right = trail.ties(kinds, {"n": {"x": 0.25, "y": 0.5, "z": 0.1}}).axes
    assert [p.get_width() for p in left.patches] == [50.0, 30.0, 20.0]
    assert left.patches[-1].get_x() + left.patches[-1].get_width() == pytest.approx(100)
    assert [drawn(right, k) for k in "xyz"] == [[0], [0], [0]]


def test_trail_shows_the_mean_of_each_map():
    maps = {"max": {"input share": np.full((2, 4, 4), 0.5), "layer1.0 share": np.ones((2, 4, 4)),
                    "maxpool share": np.ones((2, 4, 4))}}  # fmt: skip
    figure = trail.trail(maps, ["layer1.0", "maxpool", "input"])
    labels = [ax.get_xlabel() for ax in figure.axes[:3]]
    assert labels == ["block out\n100 %", "pool out\n100 %", "input\n50 %"]
    assert len(figure.artists) == 3  # two steps and the skip


def test_heatmaps_scale_each_map_to_itself():
    images = np.zeros((2, 4, 4, 3), np.uint8)
    figure = trail.heatmaps(images, {"n": np.stack([np.eye(4), 7 * np.eye(4)])}, ["cat", "ship"])
    assert [ax.images[0].get_clim() for ax in figure.axes[1::2]] == [(0, 1), (0, 7)]


def test_differences_keep_threat_models_apart_and_mark_single_seeds():
    head = tables.cell(Run.make("cpu"))
    base = head | {"n": 100, "eps": 8, "runs": []}
    rows = [
        base | {"space": "clean", "protocol": EVAL, "method": "clean", "seeds": 3, "difference": 0.01, "half": 0.02}
    ]
    for space, protocol, seeds in (("spike", TRAIN, 3), ("spike", EVAL, 3), ("pixel", EVAL, 1)):
        what = {"space": space, "protocol": protocol, "method": "pgd"}
        rows.append(base | what | {"seeds": seeds, "difference": 0.04, "half": 0.01})
    axes = comparison.differences(pd.DataFrame(rows)).axes
    assert [len(ax.containers) for ax in axes] == [2, 2, 2]
    assert all("CIFAR-10, SEW-ResNet-18, width 16" in ax.texts[0].get_text() for ax in axes)
    attacked = [ax.containers[1].lines[0] for ax in axes]
    assert [m.get_xdata()[0] for m in attacked] == [4.0, 4.0, 4.0]
    assert [m.get_markerfacecolor() == "white" for m in attacked] == [False, False, True]


def test_depth_and_defences_draw_what_is_recorded():
    frame = pd.DataFrame(
        {"depth": [34, 18], "pool": "max", "what": "clean", "accuracy": [0.4, 0.5], "low": 0.3, "high": 0.6}
    )
    (ax,) = comparison.depth(frame).axes
    assert drawn(ax, "max pooling") == [50.0, 40.0]
    reported = pd.DataFrame(
        {"dataset": "cifar10", "adversarial": [True, False], "clean": [90.0, 80.0], "pgd": [20.0, 1.0]}
    )
    ours = pd.DataFrame({"dataset": ["cifar10"], "pool": ["avg"], "clean": [50.0], "pgd": [5.0]})
    (ax,) = comparison.defences(reported, ours).axes
    assert drawn(ax, "reported, adversarially trained") == [20.0]
    assert drawn(ax, "measured here, average pooling") == [5.0]


def contrast_on_white(colour):
    """WCAG's contrast ratio of a colour with white."""
    linear = [v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in to_rgb(colour)]
    return 1.05 / (np.dot([0.2126, 0.7152, 0.0722], linear) + 0.05)


def test_marks_stand_out_from_the_ground():
    assert contrast_on_white("white") == pytest.approx(1) and contrast_on_white("black") == pytest.approx(21)
    for colour in [*plots.COLOURS, *(entry.colour for entry in pools.TABLE.values() if entry.colour)]:
        assert contrast_on_white(colour) >= 3, colour


def test_numbers_in_a_heat_map_can_be_read():
    ax = Figure().subplots()
    sns.heatmap(np.linspace(0, 1, 30).reshape(5, 6), ax=ax, annot=True, cmap="Blues")
    plots.readable(ax)
    inks = {text.get_color() for text in ax.texts}
    cells = [relative_luminance(c) for c in ax.collections[0].get_facecolors()]
    levels = [relative_luminance(text.get_color()) for text in ax.texts]
    contrast = [(max(a, b) + 0.05) / (min(a, b) + 0.05) for a, b in zip(cells, levels, strict=True)]
    assert inks == {"black", "white"} and min(contrast) > 4.5  # WCAG's AA
