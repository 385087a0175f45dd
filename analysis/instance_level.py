"""The instance level of arXiv 2508.02260: what training changes of which rollout. I1, X1.

    I1  the largest updates are in rollouts of low perplexity   from rollouts of probe steps
    X1  training sharpens more than it explores                 from the two evaluations

The claim of X1 is of arXiv 2508.07534; that it is told by Pass@1 against Pass@n is ours.
"""

from functools import partial

import torch

from analysis.effects import Effect, Finding, difference
from analysis.figures import STAGE_COLOURS, bars, mark_plateau, smooth
from analysis.sampled import MOST, NO_PROBES, NO_ROLLOUTS, Sampled, probed
from analysis.stages import Stages
from eval import bootstrap, ratio
from record import Run

FIFTHS = 5

# --------------------------------------------------------------------------- I1: perplexity


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


# -------------------------------------------------------------------------- X1: exploration


def x1_exploration(run: Run, stages: Stages) -> Finding:
    """Pass@1 against Pass@n on the same held-out questions before and after training."""
    finding = Finding(
        "X1",
        "Training sharpens more than it explores: accuracy rises, while questions solved at all in "
        "k tries hardly become more (arXiv 2508.07534).",
    )
    before, after = (run.summary.get(name) for name in ("before", "after"))
    if not before or not after:
        finding.missing = "the run has not ended: its last evaluation is needed"
        return finding
    n = before["samples"]
    for k in dict.fromkeys((1, n)):
        for name, found in (("before", before), ("after", after)):
            value = found["pass"][str(k)]
            interval = (value["mean"], value["low"], value["high"])
            finding.effects.append(Effect(f"Pass@{k} {name}", *interval))
    for name, found in (("before", before), ("after", after)):
        finding.effects.append(Effect(f"unsolved in {n} rollouts {name}", found["unsolved"]))
    if "right" in before and "right" in after:
        # How many of a question's n rollouts are right, before and after: (2, questions).
        right = torch.tensor([before["right"], after["right"]]).double()
        ones = torch.ones_like(right[0])
        finding.effects.append(Effect("... before and after", int((right == 0).all(0).sum())))
        one, solved = (right[1] - right[0]) / n, (right[1] > 0).double() - (right[0] > 0).double()
        finding.add("gain of Pass@1", ratio, one, ones, above=0)
        finding.add(f"gain of Pass@{n}", ratio, solved, ones)
        finding.add(f"gain of Pass@1 less that of Pass@{n}", ratio, one - solved, ones, above=0)
    else:
        finding.missing = "summary.json does not tell the questions apart: a newer run is needed"
    finding.notes = [f"{before['questions']} held-out questions, {n} rollouts of each."]
    finding.draw = partial(draw_exploration, run=run, stages=stages)
    return finding


def draw_exploration(figure, run: Run, stages: Stages) -> None:
    """Pass@k over k before and after, and the branching factor over the steps."""
    before, after = run.summary["before"], run.summary["after"]
    tries = range(1, before["samples"] + 1)
    axes, beside = figure.subplots(1, 2)
    for found, colour, label in ((before, "darkgray", "before"), (after, "black", "after")):
        values = [found["pass"][str(k)] for k in tries]
        mean, low, high = ([value[x] for value in values] for x in ("mean", "low", "high"))
        axes.fill_between(tries, low, high, color=colour, alpha=0.25, linewidth=0)
        axes.plot(tries, mean, "o-", markersize=3, color=colour, label=label)
    axes.set(xlabel="k, tries", ylabel="Pass@k, held-out questions")
    axes.set_ylim(top=1.01)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(title="training", loc="lower right")
    steps = [line["step"] for line in run.lines]
    values = torch.tensor([line["branching_factor"] for line in run.lines])
    beside.plot(steps, values, color="silver", linewidth=0.8)
    beside.plot(steps, smooth(values), color="black")
    mark_plateau(beside, stages)
    beside.set(xlabel="training step", ylabel="branching factor (tokens)")
