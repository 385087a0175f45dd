"""X1: does training solve more questions, or the same ones more often?

The claim is of arXiv 2508.07534. How it is judged is ours: accuracy has a ceiling, and Pass@n is near
it from the start, so that any rise gains more of Pass@1 than of Pass@n. So the questions solved after
training are compared with those that an equal rise of all questions' log-odds would have solved.
"""

import math
from functools import partial

import torch
from torch.distributions import Binomial
from torch.nn.functional import one_hot

from analysis.effects import Effect, Finding
from analysis.figures import mark_plateau, smooth
from analysis.stages import Stages
from eval import ratio
from record import Run

RISES = torch.linspace(-12, 12, 241, dtype=torch.double)  # of log-odds, looked at for the equal one
FEW = 10  # questions that can tell; below, the note says so


def x1_exploration(run: Run, stages: Stages) -> Finding:
    """Pass@n on the same held-out questions before and after training, and after an equal rise.

    A rise that differs among questions may solve fewer, whatever makes it differ: that hard questions
    rise less, and that some rise less by chance, are not told apart.
    """
    finding = Finding(
        "X1",
        "Training sharpens more than it explores: accuracy rises, and fewer questions become "
        "solved at all in n tries than if the log-odds of all had risen alike (after arXiv 2508.07534).",
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
    finding.notes = [f"{before['questions']} held-out questions, {n} rollouts of each."]
    if "right" not in before or "right" not in after:
        finding.missing = "summary.json does not tell the questions apart: a newer run is needed"
    elif len(before["right"]) != len(after["right"]):
        finding.missing = "the held-out questions have changed in between: a new run is needed"
    elif n == 1:
        finding.missing = "Pass@1 is all there is of one rollout: needed: --eval_samples 8"
    else:
        add_equal_rise(finding, torch.tensor([before["right"], after["right"]]), n)
    finding.draw = partial(draw_exploration, run=run, stages=stages)
    return finding


# ------------------------------------------------------------- what an equal rise would solve


def add_equal_rise(finding: Finding, right: torch.Tensor, n: int) -> None:
    """The effects that are judged: the gain of Pass@1, and what more an equal rise would have solved.

    right: (2, questions), how many of n rollouts are right before and after. Measured and predicted
    gain are uncertain apart: how many questions are newly solved, and lost, by `exact_share`, the
    rise by a bootstrap over questions. The interval of a difference of such is put together by MOVER
    (Zou and Donner 2008).
    """
    questions, both = right.shape[1], right.sum(0)
    finding.effects.append(Effect("... before and after", int((both == 0).sum())))
    finding.add("gain of Pass@1", ratio, (right[1] - right[0]) / n, torch.ones(questions), above=0)
    solved = (right > 0).double()
    finding.add(f"gain of Pass@{n}", ratio, solved[1] - solved[0], torch.ones(questions))
    sums = (*one_hot(both, 2 * n + 1).T, right[1])
    finding.add("equal rise (log-odds)", lambda *sums: equal_rise(*sums)[0], *sums)
    label = f"gain of Pass@{n} by an equal rise"
    equal = finding.add(label, lambda *sums: equal_rise(*sums)[1], *sums)
    # None right of 2 n is unsolved before and after, more than n right is solved: the rest can tell.
    told = int(((both > 0) & (both <= n)).sum())
    new, lost = (int((solved[i] > solved[1 - i]).sum()) for i in (1, 0))
    shares = [(x / questions, exact_share(x, told, questions)) for x in (new, lost)]
    (more, (more_low, more_high)), (less, (less_low, less_high)) = shares
    value = equal.value - (more - less)
    below = math.hypot(equal.value - equal.low, more_high - more, less - less_low)
    above = math.hypot(equal.high - equal.value, more - more_low, less_high - less)
    label = f"gain of Pass@{n} by an equal rise less that measured"
    finding.effects.append(Effect(label, value, value - below, value + above, above=0))
    finding.notes.append(
        f"{told} questions have 1 to {n} right rollouts before and after together and can tell: an "
        f"equal rise would have solved {equal.value * questions:.1f} more of them after than before; "
        f"{new} were newly solved and {lost} lost. All others are solved, or unsolved, at both ends."
    )
    if told < FEW:
        finding.notes[-1] += f" At a ceiling of Pass@{n}, harder questions would tell more."


def equal_rise(*sums: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The rise of all questions' log-odds, and the gain of Pass@n that is expected of it.

    sums: (draws,) each: how many questions have 0, 1, ... 2 n right rollouts before and after
    together, and how many rollouts are right after. (draws,) each of the rise by which as many are
    right after, and of the gain. How many are right before and after together is a sufficient
    statistic for a question's own log-odds (Andersen 1970): nothing is assumed of these, and the
    rise is the conditional maximum likelihood estimate. Beyond the ends of RISES it is such an end;
    NaN where every rise would do.

    >>> counts = [torch.tensor([x]).double() for x in (0, 4, 0)]  # 4 questions, n = 1
    >>> rise, gain = equal_rise(*counts, torch.tensor([3.0]).double())
    >>> f"{rise.exp().item():.2f} {gain.item():.2f}"
    '3.00 0.50'
    """
    counts, after = torch.stack(sums[:-1], -1), sums[-1]
    n = counts.shape[-1] // 2
    table = splits(n, RISES)
    right = counts @ (table @ torch.arange(n + 1).double()).T
    # Newly solved is a question all of whose right rollouts are after, lost is one with none after.
    gain = table[:, : n + 1].diagonal(dim1=1, dim2=2) - table[:, : n + 1, 0]
    gain = counts[:, : n + 1] @ gain.T / counts.sum(-1, keepdim=True)
    at = torch.searchsorted(right, after[:, None].contiguous()).clamp(1, len(RISES) - 1)

    def between(values):
        return values.gather(-1, at - 1)[:, 0], values.gather(-1, at)[:, 0]

    low, high = between(right)
    along = ((after - low) / (high - low)).clamp(0, 1)
    return tuple(torch.lerp(*between(x), along) for x in (RISES.expand_as(right), gain))


def splits(n: int, rise: torch.Tensor) -> torch.Tensor:
    """(..., 2 n + 1, n + 1): of how many right rollouts before and after together how many are after.

    Fisher's noncentral hypergeometric distribution, exp(rise) its odds ratio: entry (t, j) is
    proportional to C(n, j) C(n, t - j) exp(rise j). rise: (...).

    >>> splits(2, torch.tensor(0.0))[2]  # both right rollouts of 4 are after in one case of six
    tensor([0.1667, 0.6667, 0.1667], dtype=torch.float64)
    """
    after = torch.arange(n + 1).double()
    before = torch.arange(2 * n + 1)[:, None] - after
    ways = sum(-torch.lgamma(1 + x) - torch.lgamma(1 + n - x) for x in (after, before.clamp(0, n)))
    possible = (before >= 0) & (before <= n)
    weights = ways + rise[..., None, None] * after
    return weights.masked_fill(~possible, -math.inf).softmax(-1)


def exact_share(some: int, of: int, every: int) -> tuple[float, float]:
    """The 95 % interval of a count by Clopper and Pearson (1934), as a share of `every`.

    `of` of them may count. NaN where none may.

    >>> "[{:.3f}, {:.3f}]".format(*exact_share(1, 20, every=20))
    '[0.001, 0.249]'
    """
    if not of:
        return math.nan, math.nan

    def end(counts, target):
        """The share at which so many, or a further one of `counts`, come out in `target` of cases."""
        low, high = 0.0, 1.0
        for _ in range(40):
            share = torch.tensor((low + high) / 2).double()
            rare = Binomial(of, share).log_prob(counts.double()).exp().sum() < target
            low, high = (share.item(), high) if rare else (low, share.item())
        return low

    lowest = end(torch.arange(some, of + 1), 0.025) if some else 0.0
    highest = end(torch.arange(some + 1, of + 1), 0.975) if some < of else 1.0
    return lowest * of / every, highest * of / every


# ------------------------------------------------------------------------------- its figure


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
