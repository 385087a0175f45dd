"""The instance level of arXiv 2508.02260: which rollouts an update changes most. I1."""

from functools import partial

import torch

from analysis.effects import Effect, Finding, difference
from analysis.figures import STAGE_COLOURS, bars, mark_control
from analysis.sampled import MOST, Sampled, most_changed, probed
from analysis.stages import Stages
from eval import bootstrap, ratio

FIFTHS = 5
HOW = f"The most changed are {MOST:.0%} of the tokens of a step; perplexity is ranked within it."


def i1_perplexity(stages: Stages, sampled: Sampled | None) -> Finding:
    """The share of the most changed tokens in each fifth of a step's rollouts by perplexity."""
    finding = Finding(
        "I1",
        "The largest updates are in rollouts of low perplexity, by more than any updates are.",
        "steps",
        notes=[f"Of rollouts to questions with both right and wrong ones. {HOW}"],
    )
    parts, finding.missing = probed(stages, sampled)
    if not parts:
        return finding
    signal = has_signal(sampled)
    fifth, shares = fifths_by_perplexity(sampled, signal)[sampled.row], {}
    parts["whole run"] = torch.stack(list(parts.values())).any(0)
    for name, tokens in parts.items():
        tokens, columns = tokens & signal[sampled.row], []
        for whose, moved in (("", sampled.moved), (", control", sampled.control_moved)):
            most = 100.0 * most_changed(sampled, tokens, moved)
            sums = [sampled.sums(tokens & (fifth == i), most) for i in range(FIFTHS)]
            shares[name, whose] = [Effect("", *bootstrap(ratio, *pair)) for pair in sums]
            columns.append([*sums[0], *sums[-1]])
            for i, label in ((0, "lowest"), (-1, "highest")):
                label = f"{name}: most changed among the tokens of {label} perplexity (%){whose}"
                finding.effects.append(shares[name, whose][i]._replace(label=label))
    label = "whole run: lowest less highest fifth"  # its columns are the last
    finding.add_beside_control(label, difference, *columns, above=0)
    finding.draw = partial(draw_fifths, shares=shares)
    return finding


def has_signal(sampled: Sampled) -> torch.Tensor:
    """Which rollouts are to questions that have both right and wrong ones in their step: (R,) bool."""
    right, of = sampled.right, sampled.group
    blank = torch.zeros(2, int(of.max()) + 1, dtype=torch.long)
    counts = blank.index_add_(1, of, torch.stack([right, ~right]).long())
    return (counts > 0).all(0)[of]


def fifths_by_perplexity(sampled: Sampled, rollouts) -> torch.Tensor:
    """In which fifth of its step's rollouts a rollout is, 0 the lowest perplexity: (R,); -1 in none.

    rollouts: (R,) bool, those that are ranked.
    """
    fifth = torch.full_like(sampled.step, -1)
    for step in sampled.step.unique():
        rows = (rollouts & (sampled.step == step)).nonzero().flatten()
        ranked = rows[sampled.perplexity[rows].argsort(stable=True)]
        fifth[ranked] = torch.arange(len(rows)) * FIFTHS // max(len(rows), 1)
    return fifth


def draw_fifths(figure, shares: dict[tuple[str, str], list[Effect]]) -> None:
    """Bars over the fifths for each stage, marks at the control's, and the share that all tokens have.

    shares: {(stage, "" or ", control"): of each fifth}.
    """
    axes = figure.subplots()
    for name, shift in zip(STAGE_COLOURS, (-0.2, 0.2), strict=True):
        if (name, "") in shares:
            at = [i + shift for i in range(FIFTHS)]
            bars(axes, at, shares[name, ""], STAGE_COLOURS[name], width=0.4, label=name)
            mark_control(axes, at, shares[name, ", control"])
    axes.axhline(100 * MOST, color="black", linewidth=0.6, linestyle=":")
    axes.set_xticks(range(FIFTHS), ["lowest", "2", "3", "4", "highest"])
    axes.set_xlabel("fifth of the rollouts of a step, by perplexity")
    axes.set_ylabel(f"tokens among the\nmost changed {MOST:.0%} (%)")
    axes.legend()
