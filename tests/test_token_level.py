"""S5, S6 and T1 on numbers that can be worked out by hand; whole runs are in test_analyze.py."""

import math

import pytest
import torch
from made_up import sampled, values

from analysis.effects import Effect
from analysis.stages import Stages
from analysis.token_level import (
    draw_changes,
    draw_kinds,
    draw_position,
    s5_what_updates_change,
    s6_kinds_of_tokens,
    t1_position,
)
from analysis.words import FORMAL, KINDS, LOGIC, META, REST


def updated(**columns):
    """100 tokens of a right and 100 of a wrong rollout in step 2, and as many in step 1, probed.

    In either step one token of each moves much: up by 0.3 and down by 0.2. In the control they move by
    0.1, the wrong way.
    """
    moved, control, entropy, gradient = (torch.full((400,), x) for x in (0.01, 0.01, 0.1, 0.2))
    moved[[5, 105, 205, 305]] = torch.tensor([0.3, -0.2, 0.3, -0.2])
    control[[5, 105, 205, 305]] = torch.tensor([-0.1, 0.1, -0.1, 0.1])
    entropy[[205, 305]], gradient[[205, 305]] = torch.tensor([2.0, 1.0]), torch.tensor([0.9, 0.7])
    found = {"moved": moved, "entropy": entropy, "gradient": gradient} | columns
    found = {"control_moved": control} | found
    return sampled([1, 1, 2, 2], right=[True, False] * 2, lengths=[100] * 4, **found)


def test_what_updates_change_less_what_the_control_does():
    # All sizes differ: the token at the bound of the most changed is among them, and any like it.
    moved = torch.linspace(0, 0.01, 400)
    moved[[5, 105, 205, 305]] = torch.tensor([0.3, -0.2, 0.3, -0.2])
    moved[[399]] = 0.04  # the third of the most changed of the plateau
    finding = s5_what_updates_change(Stages(1, 2), updated(moved=moved))
    mean = (moved[200:].abs().sum() / 200).item()
    excess = {
        "entropy (nats)": 3.1 / 3 - (3.0 + 198 * 0.1) / 200,
        "gradient": 1.8 / 3 - (1.6 + 198 * 0.2) / 200,
    }
    # Of the control all tokens are at the bound, for all but two move by 0.01.
    of_control = {"entropy (nats)": 0.0, "gradient": 0.0}
    concentrated = "share of all change that is in the most changed (%)"
    expected = {
        "tokens that hardly change (%)": (99.0, 99.0),
        concentrated: (100 * 0.54 / mean / 200, 100.0),
        "gain of p of the most changed, right rollouts": (0.3, (99 * 0.01 - 0.1) / 100),
        "fall of p of the most changed, wrong rollouts": (0.16 / 2, -(99 * 0.01 + 0.1) / 100),
    } | {
        f"{name} of the most changed less that of all": (excess[name], of_control[name])
        for name in excess
    }
    found = {k.removeprefix("plateau: "): v for k, v in values(finding).items()}
    assert len(found) == len(values(finding)) == 18
    for label, (ours, control) in expected.items():
        assert found[label] == pytest.approx(ours, rel=1e-5), label
        assert found[f"{label}, control"] == pytest.approx(control, abs=1e-6), label
        assert found[f"{label}, less the control's"] == pytest.approx(ours - control, rel=1e-4)
    judged = [e.label for e in finding.effects if e.above == 0]
    assert len(judged) == 5 and all("less the control's" in label for label in judged)
    only_rising = s5_what_updates_change(Stages(None, 2), updated())
    assert len(only_rising.effects) == 18 and "no plateau" in only_rising.missing
    assert {e.label.partition(":")[0] for e in only_rising.effects} == {"rising stage"}


def test_without_a_control_nothing_is_judged():
    found = updated(control_moved=torch.full((400,), math.nan))
    for finding in (s5_what_updates_change, s6_kinds_of_tokens):
        assert "--probe_control" in finding(Stages(1, 2), found).missing


def test_the_strength_of_updates_by_kind():
    kind = torch.full((400,), REST)
    kind[200:240], kind[240:280], kind[280:309] = FORMAL, LOGIC, META
    moved = torch.zeros(400)
    moved[200:240], moved[240:280:2], moved[280:309] = 0.02, -0.03, 0.5  # the last are too few
    moved[309:] = math.nan  # and the rest was not probed
    control = torch.where(moved.isnan(), moved, 0.04)
    control[200:240] = 0.01
    found = updated(kind=kind, moved=moved, control_moved=control)
    finding = s6_kinds_of_tokens(Stages(1, 2), found)
    mean, of_control = (40 * 0.02 + 20 * 0.03 + 29 * 0.5) / 109, (40 * 0.01 + 69 * 0.04) / 109
    lead = "plateau: formal reasoning less the strongest other kind"
    ours, theirs = 0.005 / mean, -0.03 / of_control
    expected = {
        "rising stage: semantic support, 200 tokens": 0,
        "rising stage: semantic support, 200 tokens, control": 1,
        "plateau: formal reasoning, 40 tokens": 0.02 / mean,
        "plateau: logical structure, 40 tokens": 0.015 / mean,
        "plateau: formal reasoning, 40 tokens, control": 0.01 / of_control,
        "plateau: logical structure, 40 tokens, control": 0.04 / of_control,
        lead: ours,
        f"{lead}, control": theirs,
        f"{lead}, less the control's": ours - theirs,
    }
    assert values(finding) == pytest.approx(expected, rel=1e-5)
    assert [e.above for e in finding.effects] == [None] * 8 + [0]
    kind[200:240] = META
    finding = s6_kinds_of_tokens(Stages(1, 2), updated(kind=kind, moved=moved))
    assert finding.missing == "needed: 30 probed tokens of formal reasoning and of another kind"


def test_entropy_by_position():
    position, entropy = (torch.arange(10) + 0.5).repeat(2) / 10, torch.arange(20.0)
    found = sampled(
        [1, 1], right=[True, False], lengths=[10, 10], position=position, entropy=entropy
    )
    finding = t1_position(Stages(None, 1), found)
    assert list(values(finding).values()) == pytest.approx([5, 9.5, 14, -4.5, 4.5])

    from matplotlib.figure import Figure

    draw_position(figure := Figure(), found)
    wrong, right = (each.get_ydata() for each in figure.axes[0].lines)
    assert [float(x) for x in right[1::2]] == list(range(10))
    assert [float(x) for x in wrong[1::2]] == list(range(10, 20))


def test_how_many_tokens_change_more_is_drawn():
    from matplotlib.figure import Figure

    moved = torch.linspace(0.002, 0.01, 400)
    moved[[5, 105, 205, 305]] = torch.tensor([0.3, -0.2, 0.3, -0.2])
    found = updated(moved=moved)
    draw_changes(figure := Figure(), found, {"plateau": found.step[found.row] == 2})
    curve, control, *_ = figure.axes[0].lines

    def above(curve, bound):
        each = dict(zip(curve.get_xdata().tolist(), curve.get_ydata().tolist(), strict=True))
        return each[min(each, key=lambda x: abs(x - bound))]

    shares = {0.001: 100, 0.05: 1, 0.25: 0.5, 0.5: 0}
    assert [above(curve, x) for x in shares] == pytest.approx(list(shares.values()))
    assert [above(control, x) for x in (0.05, 0.25)] == pytest.approx([1, 0])

    def medians(axes):
        return [each.get_ydata()[0] for each in axes.lines if each.get_color() == "white"]

    # Boxes: all tokens, the most changed, with one at the bound, those of the control (all, since all
    # but two move alike); of right rollouts the most changed and the control's, and so of wrong ones.
    assert medians(figure.axes[1]) == pytest.approx([0.1, 1.0, 0.1])
    assert medians(figure.axes[2]) == pytest.approx([0.3, 0.01, (0.01 - 0.2) / 2, 0.01])


def test_the_strength_of_updates_is_drawn_by_kind():
    from matplotlib.figure import Figure

    shown = {("rising stage", FORMAL, ""): Effect("", 1.0, 0.5, 2.0)}
    shown |= {("plateau", k, ""): Effect("", 2.0 + k, 1.0, 9.0) for k in (FORMAL, REST)}
    shown |= {(name, k, ", control"): e._replace(value=1.5) for (name, k, _), e in shown.items()}
    draw_kinds(figure := Figure(), shown, ["rising stage", "plateau"])
    (axes,) = figure.axes
    drawn = [
        (round(bar.get_x() + bar.get_width() / 2, 6), bar.get_height()) for bar in axes.patches
    ]
    assert drawn == [(-0.2, 1), (0.2, 2), (3.2, 5)]
    marks = [each for each in axes.lines if each.get_marker() == "D"]
    assert [x for each in marks for x in each.get_xdata()] == pytest.approx([-0.2, 0.2, 3.2])
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == [KINDS[0], *(f"{k}\n(too few)" for k in KINDS[1:3]), KINDS[3]]
    named = [label.get_text() for label in axes.get_legend().get_texts()]
    assert sorted(named) == ["control", "plateau", "rising stage"]
