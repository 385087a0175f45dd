"""The instance level: perplexity ranked within a step."""

import pytest
import torch
from made_up import sampled, values

from analysis.effects import Effect
from analysis.instance_level import (
    draw_fifths,
    fifths_by_perplexity,
    has_signal,
    i1_perplexity,
)
from analysis.stages import Stages


def test_perplexity_is_ranked_within_a_step_among_some_rollouts():
    perplexity = [3.0, 1.0, 2.0, 5.0, 4.0, *(20.0 - i for i in range(10)), 9.0, 7.0, 0.1]
    found = sampled([1] * 5 + [2] * 10 + [3] * 3, perplexity=perplexity)
    some = torch.tensor([True] * 17 + [False])
    expected = [2, 0, 1, 4, 3, *(4, 4, 3, 3, 2, 2, 1, 1, 0, 0), 2, 0, -1]
    assert fifths_by_perplexity(found, some).tolist() == expected


def test_a_signal_is_in_groups_with_right_and_wrong_rollouts():
    right = [True, True, False, False, True, False]
    found = sampled([1] * 4 + [2] * 2, right=right, group=[0, 0, 1, 1, 2, 2])
    assert has_signal(found).tolist() == [False] * 4 + [True] * 2


def test_the_most_changed_tokens_by_perplexity_beside_the_control():
    # In either step five rollouts of 100 tokens, of rising perplexity, of one question, and one of
    # another question, which teaches nothing however much it is changed.
    moved, control = torch.linspace(0, 0.001, 1200), torch.linspace(0, 0.001, 1200)
    moved[:20] = torch.linspace(0.5, 0.6, 20)
    moved[1000:1005] = torch.linspace(0.1, 0.2, 5)  # step 2: in its fifth rollout
    moved[500:600] = moved[1100:] = 0.9
    control[100:105] = 0.5  # of step 1 one in five of the second fifth, so none of the ends
    columns = {"lengths": [100] * 12, "perplexity": [1.0, 2, 3, 4, 5, 0] * 2}
    columns |= {
        "right": [True, True, True, False, False, True] * 2,
        "group": [0] * 5 + [1] + [2] * 5 + [3],
    }
    found = sampled([1] * 6 + [2] * 6, moved=moved, control_moved=control, **columns)
    finding = i1_perplexity(Stages(1, 2), found)
    # Of 500 tokens a step 5 are a hundredth, and one more at the bound.
    found = values(finding)
    for stage, low, high in (("rising stage", 6, 0), ("plateau", 0, 6), ("whole run", 3, 3)):
        label = f"{stage}: most changed among the tokens of {{}} perplexity (%)"
        assert (found[label.format("lowest")], found[label.format("highest")]) == (low, high)
    assert found["whole run: lowest less highest fifth"] == 0
    # The control: of step 1 its five and the one at the bound, the last; of step 2 the last six.
    assert found["whole run: lowest less highest fifth, control"] == pytest.approx(-(1 + 6) / 2)
    assert found["whole run: lowest less highest fifth, less the control's"] == pytest.approx(3.5)
    assert [effect.above for effect in finding.effects] == [None] * 14 + [0]
    finding = i1_perplexity(Stages(1, 2), sampled([1, 2], moved=torch.ones(2)))
    assert finding.verdict()[0] == "not enough data"  # no question has both


def test_the_fifths_of_each_stage_are_drawn():
    from matplotlib.figure import Figure

    shares = {
        (name, whose): [Effect("", first + i, 0.0, 19.0) for i in range(5)]
        for name, whose, first in (
            *(("plateau", "", 1.0), ("plateau", ", control", 11.0)),
            *(("whole run", "", 7.0), ("whole run", ", control", 7.0)),
        )
    }
    draw_fifths(figure := Figure(), shares)
    bars = figure.axes[0].patches
    drawn = [(round(bar.get_x() + bar.get_width() / 2, 6), bar.get_height()) for bar in bars]
    assert drawn == [(0.2, 1), (1.2, 2), (2.2, 3), (3.2, 4), (4.2, 5)]
    marks = next(x for x in figure.axes[0].containers if x.get_label() == "control")
    assert list(marks.lines[0].get_ydata()) == [11, 12, 13, 14, 15]
    assert list(figure.axes[0].lines[-1].get_ydata()) == [1, 1]  # what all tokens have, in percent
