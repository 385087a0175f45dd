"""S1 on numbers that can be worked out by hand; whole runs are in test_analyze.py."""

import pytest
import torch
from made_up import line, write_run

from analysis.stages import Knee, Stages, find_knee, stages_of
from analysis.two_stages import draw_stages, refitted, s1_two_stages, speeds
from record import read_run


def test_speeds_are_per_hundred_steps_and_the_knee_is_a_step_of_the_run():
    knee = Knee(30, 99.0, (-0.002, 0.004), (-0.0005, 0.001), [], [])
    found = speeds(knee, list(range(11, 111)))
    assert found == {
        "last step of the rising stage": 40.0,
        "accuracy per 100 steps, rising stage": pytest.approx(0.4),
        "accuracy per 100 steps, plateau": pytest.approx(0.1),
        "accuracy per 100 steps, rising less plateau": pytest.approx(0.3),
        "entropy per 100 steps, rising stage (nats)": pytest.approx(-0.2),
        "entropy per 100 steps, plateau (nats)": pytest.approx(-0.05),
        "fall of entropy per 100 steps, rising less plateau": pytest.approx(0.15),
    }


def test_the_stages_of_a_run_that_does_not_begin_at_step_1():
    knee, stages = stages_of([line(s) | {"step": s + 10} for s in range(1, 121)])
    assert stages.knee == knee.step + 10 == pytest.approx(60, abs=6) and stages.last == 130
    assert stages_of([]) == (None, Stages(None, 0))
    inside = stages.of(torch.tensor([1, stages.knee, stages.knee + 1]))
    assert inside["rising stage"].tolist() == [True, True, False]
    assert inside["plateau"].tolist() == [False, False, True]


def test_intervals_of_the_knee_are_as_wide_as_the_scatter_about_the_fit():
    risen = [min(step, 50) / 50 for step in range(1, 121)]
    generator = torch.Generator().manual_seed(0)
    widths = {}
    for size in (0.0, 0.01, 0.03):
        noise = size * torch.randn(2, 120, generator=generator)
        entropy = [0.4 - 0.2 * x + e for x, e in zip(risen, noise[0].tolist())]
        accuracy = [0.3 + 0.3 * x + e for x, e in zip(risen, noise[1].tolist())]
        found = [k.rising[1] for k in refitted(find_knee(entropy, accuracy), accuracy, entropy)]
        assert len(found) == 200 and min(found) - 1e-6 <= 0.3 / 50 <= max(found) + 1e-6
        widths[size] = max(found) - min(found)
    assert widths[0.0] < 1e-3 * widths[0.01] and widths[0.01] < 0.5 * widths[0.03]


def test_too_few_steps_for_a_knee_are_told(tmp_path):
    for steps, missing in ((60, "no knee in 60 steps; needed: 100 or more"), (120, "")):
        run = read_run(
            write_run(tmp_path / str(steps), [line(1) | {"step": s} for s in range(steps)])
        )
        assert s1_two_stages(run, *stages_of(run.lines)).missing == missing


def test_both_curves_and_their_fits_are_drawn():
    from matplotlib.figure import Figure

    curves = {"accuracy": [0.1, 0.2, 0.3], "entropy": [0.6, 0.5, 0.4]}
    knee = Knee(2, 99.0, (-0.1, 0.1), (0.0, 0.0), [0.61, 0.51, 0.41], [0.11, 0.21, 0.31])
    draw_stages(figure := Figure(), [4, 5, 6], curves, knee, Stages(5, 6))
    for axes, drawn in zip(figure.axes, curves.values(), strict=True):
        each, fit, plateau = axes.lines
        assert list(each.get_xdata()) == [4, 5, 6] and list(each.get_ydata()) == drawn
        assert fit.get_ydata() == pytest.approx([x + 0.01 for x in drawn])
        assert list(plateau.get_xdata()) == [5, 5]
