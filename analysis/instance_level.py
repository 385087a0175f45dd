"""The instance level of arXiv 2508.02260: which rollouts an update changes most. I1."""

from functools import partial

import torch

from analysis.effects import Effect, Finding, difference
from analysis.figures import STAGE_COLOURS, bars
from analysis.sampled import MOST, NO_PROBES, NO_ROLLOUTS, Sampled, probed
from analysis.stages import Stages
from eval import bootstrap, ratio

FIFTHS = 5


def i1_perplexity(stages: Stages, sampled: Sampled | None) -> Finding:
    """The share of the most changed tokens in each fifth of a step's rollouts by perplexity."""
    finding = Finding("I1", "The largest updates are in rollouts of low perplexity.")
    parts = probed(stages, sampled)
    if not parts:
        finding.missing = NO_PROBES if sampled else NO_ROLLOUTS
        return finding
    parts["whole run"] = probed(Stages(None, stages.last), sampled)["rising stage"]
    fifth, shares = fifths_by_perplexity(sampled)[sampled.row], {}
    for name, (tokens, most) in parts.items():
        sums = [sampled.sums(tokens & (fifth == i), 100.0 * most) for i in range(FIFTHS)]
        shares[name] = [Effect("", *bootstrap(ratio, *pair)) for pair in sums]
        for i, label in ((0, "lowest"), (-1, "highest")):
            label = f"{name}: most changed among the tokens of {label} perplexity (%)"
            finding.effects.append(shares[name][i]._replace(label=label))
    label = "whole run: lowest less highest fifth"  # its sums are the last
    finding.add(label, difference, *sums[0], *sums[-1], above=0)
    finding.notes = [f"The most changed tokens are {MOST:.0%}; perplexity is ranked within a step."]
    finding.draw = partial(draw_fifths, shares=shares)
    return finding


def fifths_by_perplexity(sampled: Sampled) -> torch.Tensor:
    """In which fifth of its step's rollouts a rollout is, 0 the lowest perplexity: (R,)."""
    fifth = torch.zeros(len(sampled.step), dtype=torch.long)
    for step in sampled.step.unique():
        rows = (sampled.step == step).nonzero().flatten()
        ranked = rows[sampled.perplexity[rows].argsort(stable=True)]
        fifth[ranked] = torch.arange(len(rows)) * FIFTHS // len(rows)
    return fifth


def draw_fifths(figure, shares: dict[str, list[Effect]]) -> None:
    """Bars over the fifths for each stage, and the share that all tokens have."""
    axes = figure.subplots()
    for name, shift in zip(STAGE_COLOURS, (-0.2, 0.2), strict=True):
        if name in shares:
            at = [i + shift for i in range(FIFTHS)]
            bars(axes, at, shares[name], STAGE_COLOURS[name], width=0.4, label=name)
    axes.axhline(100 * MOST, color="black", linewidth=0.6, linestyle=":")
    axes.set_xticks(range(FIFTHS), ["lowest", "2", "3", "4", "highest"])
    axes.set_xlabel("fifth of the rollouts of a step, by perplexity")
    axes.set_ylabel(f"tokens among the\nmost changed {MOST:.0%} (%)")
    axes.legend()
