"""S1 on curves whose stages are known; how often it errs is in worlds_stages.py."""

import re

import pytest
import torch
from worlds_stages import SHAPES, lines, moving, rise, through

from analysis.effects import Finding
from analysis.stages import Stages, stages_of, two_lines
from analysis.two_stages import (
    MARGIN,
    REPETITIONS,
    bend_of,
    draw_stages,
    judge,
    power,
    redrawn,
    s1_two_stages,
    share,
)
from record import Run


def s1(shape, seed=0, noise=0.2, later=0):
    """S1 of one made-up run, with its steps moved."""
    made = [line | {"step": line["step"] + later} for line in lines(shape, seed, noise)]
    return s1_two_stages(Run(None, {}, made, {}), *stages_of(made))


def effect(finding, label):
    return next(e for e in finding.effects if e.label.startswith(label))


def test_two_sharp_stages_hold_and_their_numbers_are_told_in_the_run_s_own_steps():
    shape = moving(through((0, 0), (60, 1), (300, 1.2)))
    finding = s1(shape, noise=0.05, later=10)
    assert finding.verdict() == ("holds here", "")
    for label in ("last step of the rising stage", "accuracy: its knee", "entropy: its knee"):
        found = effect(finding, label)
        assert found.low <= 70 <= found.high and found.value == pytest.approx(70, abs=2)
    for name, change, before in (("accuracy", 0.22, 100 / 60), ("entropy", -0.105, 100 / 60)):
        found = effect(finding, f"{name} per 100 steps, before it")
        assert found.low <= change * before <= found.high
        assert found.value == pytest.approx(change * before, rel=0.03)
        found = effect(finding, f"{name} per 100 steps, after it")
        assert found.value == pytest.approx(change * 20 / 240, rel=0.1)
        found = effect(finding, f"{name}: % of its change")
        assert found.value == pytest.approx(100 / 1.2, abs=1) and found.above == 80
    apart = effect(finding, "steps from the knee of entropy")
    assert apart.low <= 0 <= apart.high


def test_a_share_is_of_the_whole_way_and_in_the_claim_s_direction():
    step = torch.arange(1, 121, dtype=torch.double)
    rises = step.clamp(max=61) * 0.01 + 0.005 * (step - 61).clamp(min=0)  # 0.6 and then 0.295
    turns = step.clamp(max=61) * 0.01 - 0.005 * (step - 61).clamp(min=0)
    fit = two_lines(torch.stack([rises, turns]))
    assert share(fit, 1).tolist() == pytest.approx([100 * 0.6 / 0.895] * 2)
    assert share(fit, -1).tolist() == pytest.approx([-100 * 0.6 / 0.895] * 2)


@pytest.mark.parametrize(
    "shape, against",
    [
        (moving(rise(40)), "a smooth decay"),
        (SHAPES["straight lines"], "a straight line"),
        (SHAPES["an S: flat, 150 to 230, level"], "three lines"),
    ],
)
def test_a_rival_that_fits_better_refutes_and_is_named(shape, against):
    finding = s1(shape)
    verdict, why = finding.verdict()
    assert verdict == "does not hold here" and f"entropy: two lines against {against}" in why
    said = [note for note in finding.notes if note.startswith("Three stages")]
    assert len(said) == (2 if against == "three lines" else 0)
    smooth = any("A smooth decay describes entropy better" in note for note in finding.notes)
    assert smooth == (against == "a smooth decay")


def test_three_stages_are_told_in_words():
    finding = s1(SHAPES["an S: flat, 150 to 230, level"], noise=0.02, later=1000)
    said = next(note for note in finding.notes if "Three stages: accuracy" in note)
    found = re.search(r"up to step (\d+), \+0.2[78] per 100 steps up to step (\d+), ", said)
    assert [int(step) for step in found.groups()] == pytest.approx([1150, 1230], abs=4)


def test_a_fall_of_entropy_that_is_undone_is_no_plateau():
    finding = s1(SHAPES["a rise of entropy after its fall, 0.41, 0.18, 0.45"])
    verdict, why = finding.verdict()
    assert verdict == "does not hold here" and "entropy: % of its change by its knee" in why
    assert effect(finding, "entropy: % of").value == pytest.approx(100 * 0.23 / 0.5, abs=3)
    assert "No plateau: entropy turns back, by +0.1 per 100 steps." in finding.notes


def test_a_refutal_does_not_count_where_a_knee_would_not_have_been_found():
    made = lines(moving(rise(40)), 0, 0.2)
    curves = {name: torch.tensor([[x[name] for x in made]]).double() for name in made[0]}
    steps = list(range(1, 301))
    bends = [bend_of(name, curves[name], steps) for name in ("accuracy", "entropy")]
    for rate, verdict in ((0.9, "does not hold here"), (0.5, "not enough data")):
        finding = Finding("S1", "")
        judge(finding, [b._replace(found=dict.fromkeys(b.found, rate)) for b in bends])
        assert finding.verdict()[0] == verdict
    assert "50%" in finding.missing
    one = bends[0]._replace(found=dict.fromkeys(bends[0].found, 0.0)), bends[1]
    judge(finding := Finding("S1", ""), one)
    assert finding.verdict()[0] == "does not hold here"  # by entropy alone


def test_a_planted_knee_is_found_in_little_noise_and_not_in_much():
    curve = moving(rise(40)).accuracy[None]
    fit, generator = two_lines(curve), torch.Generator().manual_seed(0)
    for size, least, most in ((1e-4, 1, 1), (0.06, 0.2, 0.95), (1.0, 0, 0.1)):
        noise = size * torch.randn(1, 300, generator=generator, dtype=torch.double)
        found = power(curve, fit._replace(left=noise), 1, generator)
        assert least <= found["a smooth decay"] <= most
        assert size == 0.06 or (found["a plateau that is not level"] > 0.5) == (size < 0.06)


def test_errors_are_redrawn_in_blocks():
    left = torch.arange(125, dtype=torch.double)[None]
    drawn = redrawn(left, torch.Generator().manual_seed(0)) / (125 / 121) ** 0.5
    assert drawn.shape == (REPETITIONS, 125)
    blocks = drawn.view(REPETITIONS, 25, 5)
    assert torch.allclose((blocks - blocks[..., :1]) % 125, torch.arange(5.0).double(), atol=1e-9)
    assert drawn.mean().item() == pytest.approx(62, abs=2)


def test_evidence_has_its_margin_for_an_interval():
    finding = s1(moving(rise(40)))
    for name in ("accuracy", "entropy"):
        found = effect(finding, f"{name}: two lines against")
        assert found.high - found.value == pytest.approx(MARGIN) == found.value - found.low


def test_too_few_steps_are_told():
    for count in (0, 1, 3, 60, 99):
        run = Run(None, {}, lines(moving(rise(9)), 0)[:count], {})
        finding = s1_two_stages(run, *stages_of(run.lines))
        assert finding.missing == f"only {count} steps; needed: 100 or more"
        assert bool(finding.draw) == bool(count)


def test_both_curves_their_fits_and_the_intervals_of_their_knees_are_drawn():
    from matplotlib.figure import Figure

    made = lines(SHAPES["a knee at 60, then level"], 0, 0.2)
    steps = list(range(11, 311))
    curves = [[x[name] for x in made] for name in ("accuracy", "entropy")]
    bends = [
        bend_of(name, torch.tensor([curve]).double(), steps)
        for name, curve in zip(("accuracy", "entropy"), curves, strict=True)
    ]
    draw_stages(figure := Figure(), steps, curves, bends, Stages(70, 310))
    for axes, curve, bend in zip(figure.axes, curves, bends, strict=True):
        each, plateau, two, decay = axes.lines
        assert list(each.get_xdata()) == steps and list(each.get_ydata()) == curve
        assert list(plateau.get_xdata()) == [70, 70]
        assert list(two.get_ydata()) == bend.lines and list(decay.get_ydata()) == bend.decay
        (band,) = axes.patches
        assert band.get_x() == bend.knee[1]
        assert band.get_x() + band.get_width() == bend.knee[2]
    draw_stages(figure := Figure(), steps[:2], [x[:2] for x in curves], [], Stages(None, 12))
    assert [len(axes.lines) for axes in figure.axes] == [1, 1]
