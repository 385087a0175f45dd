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
    s5_what_an_update_changes,
    s6_kinds_of_tokens,
    t1_position,
)
from analysis.words import FORMAL, KINDS, LOGIC, META, REST


def updated(**columns):
    """100 probed tokens of a right and 100 of a wrong rollout in step 2, and as many in step 1.

    In either step one token of each moves much: up by 0.3 and down by 0.2.
    """
    moved, entropy, gradient = (torch.full((400,), x) for x in (0.01, 0.1, 0.2))
    moved[[5, 105, 205, 305]] = torch.tensor([0.3, -0.2, 0.3, -0.2])
    entropy[[205, 305]], gradient[[205, 305]] = torch.tensor([2.0, 1.0]), torch.tensor([0.9, 0.7])
    found = {"moved": moved, "entropy": entropy, "gradient": gradient} | columns
    return sampled([1, 1, 2, 2], right=[True, False] * 2, lengths=[100] * 4, **found)


def test_what_an_update_changes():
    # All sizes differ: the token at the bound of the most changed is among them, and any like it.
    moved = torch.linspace(0, 0.01, 400)
    moved[[5, 105, 205, 305]] = torch.tensor([0.3, -0.2, 0.3, -0.2])
    moved[[399]] = 0.04  # the third of the most changed of the plateau
    finding = s5_what_an_update_changes(Stages(1, 2), updated(moved=moved))
    found = {k.removeprefix("plateau: "): v for k, v in values(finding).items() if "plateau" in k}
    assert found == {
        "tokens whose p changes by less than 0.05 (%)": pytest.approx(99.0),
        "entropy (nats) of the most changed less that of all": pytest.approx(
            3.1 / 3 - (3.0 + 198 * 0.1) / 200
        ),
        "gradient of the most changed less that of all": pytest.approx(
            1.8 / 3 - (1.6 + 198 * 0.2) / 200
        ),
        "gain of p of the most changed, right rollouts": pytest.approx(0.3),
        "fall of p of the most changed, wrong rollouts": pytest.approx((0.2 - 0.04) / 2),
    }
    bounds = [effect.above for effect in finding.effects]
    assert bounds == [None] * 5 + [99, 0, 0, 0, 0]
    only_rising = s5_what_an_update_changes(Stages(None, 2), updated())
    assert len(only_rising.effects) == 5 and "no plateau" in only_rising.missing


def test_the_strength_of_updates_by_kind():
    kind = torch.full((400,), REST)
    kind[200:240], kind[240:280], kind[280:309] = FORMAL, LOGIC, META
    moved = torch.zeros(400)
    moved[200:240], moved[240:280:2], moved[280:309] = 0.02, -0.03, 0.5  # the last are too few
    moved[309:] = math.nan  # and the rest was not probed
    finding = s6_kinds_of_tokens(Stages(1, 2), updated(kind=kind, moved=moved))
    assert values(finding) == {
        "rising stage: semantic support, 200 tokens (points)": 0,
        "plateau: formal reasoning, 40 tokens (points)": pytest.approx(2.0),
        "plateau: logical structure, 40 tokens (points)": pytest.approx(1.5),
        "plateau: formal reasoning less the strongest other kind": pytest.approx(0.5),
    }
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

    found = updated()
    parts = {"plateau": (found.step[found.row] == 2, found.moved.abs() > 0.1)}
    draw_changes(figure := Figure(), found, parts)
    curve = figure.axes[0].lines[0]
    above = dict(zip(curve.get_xdata().tolist(), curve.get_ydata().tolist(), strict=True))
    shares = [(0.001, 100), (0.05, 1), (0.25, 0.5), (0.5, 0)]
    for bound, share in shares:
        assert above[min(above, key=lambda x: abs(x - bound))] == pytest.approx(share)
    # Boxes: all of the right, the most changed of them, and so of the wrong.
    medians = [each.get_ydata()[0] for each in figure.axes[2].lines if each.get_color() == "white"]
    assert medians == pytest.approx([0.01, 0.3, 0.01, -0.2])


def test_the_strength_of_updates_is_drawn_by_kind():
    from matplotlib.figure import Figure

    shown = {("rising stage", FORMAL): Effect("", 1.0, 0.5, 2.0)}
    shown |= {("plateau", k): Effect("", 2.0 + k, 1.0, 9.0) for k in (FORMAL, REST)}
    draw_kinds(figure := Figure(), shown, ["rising stage", "plateau"])
    (axes,) = figure.axes
    drawn = [
        (round(bar.get_x() + bar.get_width() / 2, 6), bar.get_height()) for bar in axes.patches
    ]
    assert drawn == [(-0.2, 1), (0.2, 2), (3.2, 5)]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == [KINDS[0], *(f"{k}\n(too few)" for k in KINDS[1:3]), KINDS[3]]
    assert [label.get_text() for label in axes.get_legend().get_texts()] == [
        "rising stage",
        "plateau",
    ]
