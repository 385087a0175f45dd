"""X1: does training solve more questions, or the same ones more often?

The claim is of arXiv 2508.07534; that it is told by Pass@1 against Pass@n is ours.
"""

from functools import partial

import torch

from analysis.effects import Effect, Finding
from analysis.figures import mark_plateau, smooth
from analysis.stages import Stages
from eval import ratio
from record import Run


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
