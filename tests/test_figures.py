"""How figures look and where they are saved."""

import math
import sys

import pytest
import torch
from made_up import line

from analysis.effects import Effect
from analysis.figures import (
    RIGHT,
    WRONG,
    bars,
    draw_training,
    drawable,
    mark_plateau,
    no_matplotlib,
    save,
    smooth,
)
from analysis.stages import Stages


def test_a_figure_is_saved_in_the_one_style_and_closed(tmp_path):
    import matplotlib.pyplot as plt

    def draw(figure):
        axes = figure.subplots()
        axes.plot([1, 2], [3, 4], label="a curve")
        assert axes.xaxis.get_gridlines()[0].get_visible()
        assert not axes.legend().get_frame_on() and not axes.spines["top"].get_visible()

    save(tmp_path / "report" / "one.png", draw, (4, 2))
    height, width, _ = plt.imread(tmp_path / "report" / "one.png").shape
    assert (width, height) == (4 * 150, 2 * 150)
    assert not plt.get_fignums() and plt.rcParams["axes.spines.top"]


def test_without_matplotlib_it_is_named(monkeypatch):
    assert no_matplotlib() == ""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert no_matplotlib() == "matplotlib is not installed (pip install matplotlib)"


def test_a_running_mean_is_over_a_tenth_of_the_curve():
    found = smooth(torch.arange(100.0) ** 2)
    assert found[50].item() == pytest.approx(sum(i**2 for i in range(45, 56)) / 11)
    assert found[0].item() == pytest.approx(sum(i**2 for i in range(6)) / 6)
    assert smooth(torch.tensor([1.0, 2.0, 6.0])).tolist() == [1.5, 3.0, 4.0]
    assert smooth(torch.tensor([])).tolist() == []
    assert smooth(torch.tensor([math.nan, math.nan, math.nan, 1.0]))[:2].isnan().all()


def test_letters_that_the_font_has_stay():
    assert drawable("é ≤ 所\x04") == "é ≤ U+6240U+0004"


def test_bars_and_the_plateau():
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    bars(axes, [0, 2], [Effect("", 1.0, 0.5, 3.0), Effect("", -1.0, -2.0, 0.0)], "black")
    assert [bar.get_height() for bar in axes.patches] == [1, -1]
    ends = axes.collections[0].get_segments()  # of the intervals
    assert [segment[:, 1].tolist() for segment in ends] == [[0.5, 3.0], [-2.0, 0.0]]
    mark_plateau(axes, Stages(None, 9))
    assert not axes.texts
    mark_plateau(axes, Stages(5, 9))
    assert axes.texts[0].get_text() == "plateau" and axes.lines[-1].get_xdata() == [5, 5]


def test_a_run_is_drawn_over_its_steps():
    from matplotlib.figure import Figure

    lines = []
    for step in range(1, 5):
        entropies = {
            "entropy": 0.1 * step,
            "entropy_correct": 0.2 * step,
            "entropy_wrong": 0.3 * step,
        }
        lines.append(line(step) | entropies | {"reward": 0.5 + step})
    lines[1] |= {"eval_accuracy": 0.7, "entropy_wrong": None}
    draw_training(figure := Figure(), lines, before=0.4)
    (_, reward, accuracy), below = figure.axes[0].lines, figure.axes[1].lines
    assert reward.get_ydata().tolist() == [2.0, 2.5, 3.5, 4.0]
    assert (list(accuracy.get_xdata()), list(accuracy.get_ydata())) == ([0, 2], [0.4, 0.7])
    drawn = {each.get_label(): each for each in below}
    assert drawn["all rollouts"].get_ydata().tolist() == pytest.approx([0.15, 0.2, 0.3, 0.35])
    assert drawn["right"].get_ydata().tolist() == pytest.approx([0.3, 0.4, 0.6, 0.7])
    assert drawn["wrong"].get_ydata().tolist() == pytest.approx([0.3, 0.6, 1.05, 1.05])
    assert (drawn["right"].get_color(), drawn["wrong"].get_color()) == (RIGHT, WRONG)
