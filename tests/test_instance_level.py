"""The instance level: perplexity ranked within a step."""

import torch
from made_up import sampled, values

from analysis.effects import Effect
from analysis.instance_level import (
    draw_fifths,
    fifths_by_perplexity,
    i1_perplexity,
)
from analysis.stages import Stages


def test_perplexity_is_ranked_within_a_step():
    perplexity = [3.0, 1.0, 2.0, 5.0, 4.0, *(20.0 - i for i in range(10)), 9.0, 7.0]
    found = sampled([1] * 5 + [2] * 10 + [3] * 2, perplexity=perplexity)
    expected = [2, 0, 1, 4, 3, *(4, 4, 3, 3, 2, 2, 1, 1, 0, 0), 2, 0]
    assert fifths_by_perplexity(found).tolist() == expected


def test_the_most_changed_tokens_by_perplexity():
    # In either step five rollouts of 100 tokens, of rising perplexity. Step 1 has the larger
    # changes, in its first rollout; of the whole run all 10 most changed and one at the bound.
    moved = torch.linspace(0, 0.001, 1000)
    moved[:20] = torch.linspace(0.5, 0.6, 20)
    moved[900:905] = torch.linspace(0.1, 0.2, 5)  # step 2: in its last rollout
    columns = {"lengths": [100] * 10, "perplexity": [1.0, 2, 3, 4, 5] * 2, "moved": moved}
    finding = i1_perplexity(Stages(1, 2), sampled([1] * 5 + [2] * 5, **columns))
    assert values(finding) == {
        "rising stage: most changed among the tokens of lowest perplexity (%)": 6.0,
        "rising stage: most changed among the tokens of highest perplexity (%)": 0,
        "plateau: most changed among the tokens of lowest perplexity (%)": 0,
        "plateau: most changed among the tokens of highest perplexity (%)": 6.0,
        "whole run: most changed among the tokens of lowest perplexity (%)": 11 / 2,
        "whole run: most changed among the tokens of highest perplexity (%)": 0,
        "whole run: lowest less highest fifth": 11 / 2,
    }
    assert [effect.above for effect in finding.effects] == [None] * 6 + [0]


def test_the_fifths_of_each_stage_are_drawn():
    from matplotlib.figure import Figure

    shares = {
        name: [Effect("", first + i, 0.0, 9.0) for i in range(5)]
        for name, first in (("plateau", 1.0), ("whole run", 7.0))
    }
    draw_fifths(figure := Figure(), shares)
    bars = figure.axes[0].patches
    drawn = [(round(bar.get_x() + bar.get_width() / 2, 6), bar.get_height()) for bar in bars]
    assert drawn == [(0.2, 1), (1.2, 2), (2.2, 3), (3.2, 4), (4.2, 5)]
    assert list(figure.axes[0].lines[-1].get_ydata()) == [1, 1]  # what all tokens have, in percent
