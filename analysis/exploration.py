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
from eval import bootstrap, pass_at_k, ratio
from record import Run

RISES = torch.linspace(-12, 12, 241, dtype=torch.double)  # of log-odds, looked at for the equal one


def x1_exploration(run: Run, stages: Stages) -> Finding:
    """Pass@n on the same held-out questions before and after training, and after an equal rise.

    A rise that differs among questions solves fewer than an equal one, whatever makes it differ: that
    hard questions rise less, and that some rise more than others by chance, are not told apart.
    """
    finding = Finding(
        "X1",
        "Training sharpens more than it explores: accuracy rises, and fewer questions are solved at "
        "all in n tries than if the log-odds of all had risen alike (after arXiv 2508.07534).",
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
    curve = None
    if "right" not in before or "right" not in after:
        finding.missing = "summary.json does not tell the questions apart: a newer run is needed"
    elif n == 1:
        finding.missing = "Pass@1 is all there is of one rollout: needed: --eval_samples 8"
    else:
        right = torch.tensor([before["right"], after["right"]])
        curve = add_equal_rise(finding, right, n)
    finding.draw = partial(draw_exploration, run=run, stages=stages, equal=curve)
    return finding


# ------------------------------------------------------------- what an equal rise would solve


def add_equal_rise(finding: Finding, right: torch.Tensor, n: int) -> list[float]:
    """The effects that are judged; Pass@1 ... Pass@n after an equal rise.

    right: (2, questions), how many of n rollouts are right before and after. Measured and predicted
    are uncertain apart: how many questions stay unsolved by `exact_share`, the rise by a bootstrap
    over questions. The interval of their difference is put together by MOVER (Zou and Donner 2008).
    """
    questions, both = right.shape[1], right.sum(0)
    finding.effects.append(Effect("... before and after", int((both == 0).sum())))
    finding.add("gain of Pass@1", ratio, (right[1] - right[0]) / n, torch.ones(questions), above=0)
    sums = (*one_hot(both, 2 * n + 1).T, right[1])
    rise = finding.add("equal rise (log-odds)", lambda *sums: equal_rise(*sums)[0], *sums)
    name = f"Pass@{n} after an equal rise"
    finding.add(name, lambda *sums: 1 - equal_rise(*sums)[1], *sums)
    # More than n right of 2 n are solved after any rise, none right after none: the rest can tell.
    told = right[1][(both > 0) & (both <= n)]
    share, part = int((told == 0).sum()) / questions, len(told) / questions
    low, high = (part * end for end in exact_share(int((told == 0).sum()), len(told)))
    equal, fewest, most = bootstrap(
        lambda *sums: equal_rise(*sums)[1] - sums[0] / sum(sums[:-1]), *sums
    )
    less = share - equal
    ends = (
        less - math.hypot(share - low, most - equal),
        less + math.hypot(high - share, equal - fewest),
    )
    label = f"Pass@{n} after an equal rise less Pass@{n} after"
    finding.effects.append(Effect(label, less, *ends, above=0))
    finding.notes.append(
        f"{len(told)} questions have 1 to {n} right rollouts before and after together; an equal rise "
        f"leaves {equal * questions:.1f} of them unsolved, and {share * questions:.0f} are. The others "
        "are solved after any rise, or after none that is known."
    )
    if equal * questions < 1:
        finding.notes[-1] += (
            " Since that is less than one, the verdict rests on what training unlearnt; harder "
            "questions would tell more."
        )
    shares = one_hot(both, 2 * n + 1).double().mean(0) @ splits(n, torch.tensor(rise.value))
    passed = [[pass_at_k(n, right, k) for right in range(n + 1)] for k in range(1, n + 1)]
    return (torch.tensor(passed).double() @ shares).tolist()


def equal_rise(*sums: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The rise of all questions' log-odds, and the share of questions unsolved after it.

    sums: (draws,) each: how many questions have 0, 1, ... 2 n right rollouts before and after
    together, and how many rollouts are right after. (draws,) each of the rise by which as many are
    right after, and of the share. How many are right before and after together is a sufficient
    statistic for a question's own log-odds (Andersen 1970): nothing is assumed of these, and the
    rise is the conditional maximum likelihood estimate. Beyond the ends of RISES it is such an end;
    NaN where every rise would do.

    >>> counts = [torch.tensor([x]).double() for x in (0, 4, 0)]  # 4 questions, n = 1
    >>> rise, unsolved = equal_rise(*counts, torch.tensor([3.0]).double())
    >>> f"{rise.exp().item():.2f} {unsolved.item():.2f}"
    '3.00 0.25'
    """
    counts, after = torch.stack(sums[:-1], -1), sums[-1]
    n = counts.shape[-1] // 2
    table = splits(n, RISES)
    right = counts @ (table @ torch.arange(n + 1).double()).T
    unsolved = counts @ table[..., 0].T / counts.sum(-1, keepdim=True)
    at = torch.searchsorted(right, after[:, None].contiguous()).clamp(1, len(RISES) - 1)

    def between(values):
        return values.gather(-1, at - 1)[:, 0], values.gather(-1, at)[:, 0]

    low, high = between(right)
    along = ((after - low) / (high - low)).clamp(0, 1)
    return tuple(torch.lerp(*between(x), along) for x in (RISES.expand_as(right), unsolved))


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


def exact_share(some: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share by Clopper and Pearson (1934); NaN where it is of nothing.

    >>> "[{:.3f}, {:.3f}]".format(*exact_share(1, 20))
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
    return lowest, end(torch.arange(some + 1, of + 1), 0.975) if some < of else 1.0


# ------------------------------------------------------------------------------- its figure


def draw_exploration(figure, run: Run, stages: Stages, equal: list[float] | None) -> None:
    """Pass@k over k before and after, and the branching factor over the steps.

    equal: Pass@1 ... Pass@n after an equal rise.
    """
    before, after = run.summary["before"], run.summary["after"]
    tries = range(1, before["samples"] + 1)
    axes, beside = figure.subplots(1, 2)
    for found, colour, label in ((before, "darkgray", "before"), (after, "black", "after")):
        values = [found["pass"][str(k)] for k in tries]
        mean, low, high = ([value[x] for value in values] for x in ("mean", "low", "high"))
        axes.fill_between(tries, low, high, color=colour, alpha=0.25, linewidth=0)
        axes.plot(tries, mean, "o-", markersize=3, color=colour, label=label)
    if equal:
        axes.plot(tries, equal, ":", color="black", label="after an equal rise")
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
