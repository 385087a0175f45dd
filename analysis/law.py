"""Is accuracy paid for with entropy? The law R = b - a exp(H), and a rival without entropy.

    law      R = b - a exp(H)                                                  arXiv 2505.22617
    sigmoid  R = start + (ceiling - start) / (1 + (middle / step)^exponent)    arXiv 2510.13786

R is accuracy on held-out questions, H the entropy of the policy evaluated: the mean over rollouts
of their mean token entropy, in nats, of groups that are neither all right nor all wrong
(`entropy_law` of metrics.jsonl). Both laws are fitted to a whole run, and to its first EARLY share
to predict the rest. Which batches tell H, the intervals and the verdicts are ours; the second paper
has compute for steps.
"""

import itertools
import math
from functools import partial
from statistics import fmean
from typing import NamedTuple

import torch

from analysis.figures import GREEN, ORANGE, no_matplotlib, save
from eval import middle_95
from options import InputError
from record import Run

EARLY = 0.15  # the share of the steps that predicts the rest, as in arXiv 2505.22617
REACH = 5  # batches on either side of an evaluation whose entropy is averaged; from here on ours
ENOUGH = 3  # evaluations of a fit: any two lie on a line
GOOD_R2 = 0.9  # a law holds over a run where R rises and R^2 is at least this
GOOD_RMSE = 0.5  # it predicts a run where its RMSE is at most this times that of an R that stays
WHOLE, FIRST = "whole run", f"first {EARLY:.0%}"

# ------------------------------------------------------------------------------------ the fits


class Law(NamedTuple):
    """R = b - a exp(H). a, b and the ceiling, R at H = 0, as (value, low, high); R^2."""

    a: tuple[float, float, float]
    b: tuple[float, float, float]
    ceiling: tuple[float, float, float]
    r2: float

    def predict(self, entropies):
        """(n,) H in nats -> (n,) R."""
        return self.b[0] - self.a[0] * entropies.exp()


class Sigmoid(NamedTuple):
    """R = start + (ceiling - start) / (1 + (middle / step)^exponent); R^2."""

    start: float
    ceiling: float
    middle: float
    exponent: float
    r2: float

    def predict(self, steps):
        """(n,) steps -> (n,) R."""
        shape = torch.sigmoid(self.exponent * (steps.log() - math.log(self.middle)))
        return self.start + (self.ceiling - self.start) * shape


def fit_law(entropies, accuracies, draws=1000, seed=0) -> Law:
    """Least squares of R on exp(H) (arXiv 2505.22617). (n,) nats, (n,) shares of 1 -> Law.

    Intervals are the middle 95 % of fits to as many points drawn with replacement (ours; from a
    generator of its own): they tell of the scatter within this run, not of other seeds, and below
    some 10 points they are too narrow. Not `eval.bootstrap`, which draws questions or steps of
    sums: here a draw is a fit of its own, and one point drawn n times has none. Raises ValueError
    for fewer than ENOUGH different H.

    >>> entropies = torch.tensor([0.1, 0.2, 0.4, 0.8])
    >>> [round(value, 4) for value in fit_law(entropies, 1.2 - 0.3 * entropies.exp()).ceiling]
    [0.9, 0.9, 0.9]
    """
    if (different := len(entropies.unique())) < ENOUGH:
        raise ValueError(f"evaluations at different H: {different}, needed: {ENOUGH}")
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(len(entropies), (draws, len(entropies)), generator=generator)
    rows = torch.cat([torch.arange(len(entropies))[None], rows])  # first the points themselves
    u, r = entropies.double().exp()[rows], accuracies.double()[rows]  # (1 + draws, n)
    off = u - u.mean(1, keepdim=True)
    a = -(off * r).sum(1) / off.square().sum(1)
    b = r.mean(1) + a * u.mean(1)
    on_a_line = u.amax(1) > u.amin(1)  # one point drawn n times is not

    def estimate(values):
        return (values[0].item(), *middle_95(values[on_a_line]))

    return Law(estimate(a), estimate(b), estimate(b - a), r_squared(b[0] - a[0] * u[0], r[0]))


def fit_sigmoid(steps, accuracies) -> Sigmoid:
    """Least squares of R on a sigmoid in log steps (arXiv 2510.13786, with steps for compute).

    (n,), (n,) shares of 1 -> Sigmoid. It starts at the R of step 0, which comes first. Its ceiling
    is in closed form and kept within [0, 1]; middle and exponent are the best of a grid that closes
    in. Raises ValueError without a step 0, and for fewer than ENOUGH later ones.

    >>> steps = torch.tensor([0.0, 10, 20, 40, 80])
    >>> found = fit_sigmoid(steps, Sigmoid(0.4, 0.9, 30, 1.5, r2=1).predict(steps))
    >>> [round(value, 3) for value in found]
    [0.4, 0.9, 30.0, 1.5, 1.0]
    """
    if len(steps) <= ENOUGH or steps[0] != 0:
        raise ValueError(f"needed: that of step 0 (in summary.json) and {ENOUGH} later ones")
    steps, accuracies = steps.double(), accuracies.double()
    start, rise, log_steps = accuracies[0], accuracies[1:] - accuracies[0], steps[1:].log()
    low = torch.tensor([0.0, math.log(0.1)])  # of log middle and log exponent
    high = torch.tensor([math.log(10 * steps[-1]), math.log(10)])
    for _ in range(8):
        sides = (torch.linspace(*ends, 41, dtype=torch.double) for ends in zip(low, high))
        grid = torch.cartesian_prod(*sides)
        shape = torch.sigmoid(grid[:, 1:].exp() * (log_steps - grid[:, :1]))  # (1681, n - 1)
        height = ((shape @ rise) / shape.square().sum(1)).clamp(-start, 1 - start)
        best = (height[:, None] * shape - rise).square().sum(1).argmin()
        two_cells = (high - low) / 20
        low, high = grid[best] - two_cells, grid[best] + two_cells
    ceiling, predicted = start + height[best], start + height[best] * shape[best]
    r2 = r_squared(torch.cat([accuracies[:1], predicted]), accuracies)
    return Sigmoid(start.item(), ceiling.item(), *grid[best].exp().tolist(), r2)


def r_squared(predicted, measured) -> float:
    """1 - the error's squares over those of the mean; 0 where nothing varies."""
    spread = (measured - measured.mean()).square().sum()
    return (1 - (predicted - measured).square().sum() / spread).item() if spread else 0.0


# --------------------------------------------------------------------- what they are fitted to


def curves_of(run: Run) -> tuple[dict, dict]:
    """({step: H or None}, {step: R}) of a run.

    R is accuracy on held-out questions after a step. That of step 0, before training, is in
    summary.json, which is there once a run has ended.
    """
    entropies = {line["step"]: line["entropy_law"] for line in run.lines}
    accuracies = {line["step"]: line["eval_accuracy"] for line in run.lines}
    if run.summary:
        accuracies[0] = run.summary["before"]["acc"]["mean"]
        accuracies[run.summary["steps"]] = run.summary["after"]["acc"]["mean"]
    return entropies, {s: r for s, r in accuracies.items() if r is not None}


def law_points(entropies: dict, accuracies: dict) -> torch.Tensor:
    """What the laws are fitted to, (3, n): steps of the evaluations, rising, and their H and R.

    entropies, accuracies: as of `curves_of`. The policy evaluated after step s samples the batch of
    step s + 1. One batch is noisy, so H is the mean over the REACH batches up to s and the REACH
    after it, fewer where evaluations are so close that batches would count twice (ours). At either
    end of the given steps only one side is there. An evaluation without any has no point.

    >>> law_points({1: 0.5, 2: None, 3: 0.3, 4: 0.1}, {0: 0.5, 4: 0.8, 2: 0.7})[:, 1].tolist()
    [2.0, 0.3, 0.7]
    """
    steps, points = sorted(accuracies), []
    reach = max(1, min([2 * REACH, *(b - a for a, b in itertools.pairwise(steps))]) // 2)
    for step in steps:
        near = [entropies.get(s) for s in range(step - reach + 1, step + reach + 1)]
        near = [entropy for entropy in near if entropy is not None]
        if near:
            points.append((step, fmean(near), accuracies[step]))
    return torch.tensor(points, dtype=torch.double).view(-1, 3).T


# ----------------------------------------------------------------------------- what they say


def law_report(run: Run) -> None:
    """Print what both laws say of a run, and draw report/law.png. Raises InputError and OSError."""
    entropies, accuracies = curves_of(run)
    total = max(entropies, default=0)
    cut = round(EARLY * total)
    whole = law_points(entropies, accuracies)
    early = law_points(*({s: x for s, x in d.items() if s <= cut} for d in (entropies, accuracies)))
    later = whole[:, whole[0] > cut]
    if not whole.numel():
        raise InputError(
            f"{run.folder} has no evaluation yet: wait, or train with a lower --eval_every"
        )
    print(
        f"{run.folder}: {total} steps, {len(whole[0])} evaluations, {len(early[0])} in the first "
        f"{cut}\n\n"
        "law      R = b - a exp(H); predicts later R from later H\n"
        "sigmoid  R = start + (ceiling - start) / (1 + (middle / step)^exponent); from steps\n"
    )
    fits = compare_laws(whole, early, later)
    print(
        "\nA fit of the whole run holds where R rises with it (law: a's interval is above 0) and\n"
        f"r2 is at least {GOOD_R2}. One of the {FIRST} holds where its RMSE at the later\n"
        f"evaluations is at most {GOOD_RMSE} times that of an R that stays as it was."
    )
    if len(early[0]) <= ENOUGH:
        remedy = f"--eval_every {max(1, cut // ENOUGH)}, and 20 steps or more"
        print(f"Both fits of the {FIRST} need more evaluations: {remedy}.")
    if (temperature := run.config["temperature"]) != 1:
        print(f"H is at the sampling temperature {temperature}; the law is stated for 1.")
    path = run.folder / "report" / "law.png"
    if missing := no_matplotlib():
        print(f"\nfigure: none, since {missing}")
    else:
        save(path, partial(draw_laws, points=whole, cut=cut, fits=fits), (9, 3.8))
        print(f"\nfigure: {path}")


def compare_laws(whole, early, later) -> dict:
    """Fit both laws to all points and to the early ones, print how they do. -> {(law, part): fit}.

    Points as of `law_points`. From an early fit the law predicts the later R from their H, and the
    sigmoid from their steps; the error they must beat is that of an R that stays as it was.
    """

    def rmse(predicted):
        return (predicted - later[2]).square().mean().sqrt().item()

    def row(*cells):
        print("{:8}  {:10}  {:15}  {:10}  {}".format(*cells).rstrip())

    row("", "fitted to", "verdict", "later RMSE", "fit [95 % interval]")
    stays = rmse(early[2, -1]) if early.numel() else math.nan
    fits = {}
    for name, fit, x in (("law", fit_law, 1), ("sigmoid", fit_sigmoid, 0)):
        for part, points in ((WHOLE, whole), (FIRST, early)):
            try:
                if part == FIRST and not later.numel():
                    raise ValueError("no later evaluation is there to be predicted")
                found = fits[name, part] = fit(points[x], points[2])
            except ValueError as reason:
                row(name, part, "not enough data", "", str(reason))
                continue
            if part == FIRST:
                error = rmse(found.predict(later[x]))
                holds, error = error <= GOOD_RMSE * stays, f"{error:.3f}"
            else:
                rises = found.a[1] > 0 if name == "law" else found.ceiling > found.start
                holds, error = rises and found.r2 >= GOOD_R2, ""
            row(name, part, "holds" if holds else "does not hold", error, in_words(found))
    row("R stays", FIRST, "", f"{stays:.3f}", "")
    return fits


def in_words(fit: Law | Sigmoid) -> str:
    """
    >>> in_words(Law((0.5, 0.4, 0.6), (1.4, 1.3, 1.5), (0.9, 0.8, 1.0), 0.95))
    'a 0.5 [0.4, 0.6]  b 1.4 [1.3, 1.5]  ceiling 0.9 [0.8, 1]  r2 0.95'
    """
    return "  ".join(
        "{} {:.3g} [{:.3g}, {:.3g}]".format(field, *value)
        if isinstance(value, tuple)
        else f"{field} {value:.3g}"
        for field, value in fit._asdict().items()
    )


def draw_laws(figure, points, cut: int, fits: dict) -> None:
    """R against exp(H) and over the steps. points: of `law_points`, early ones up to step cut."""
    steps, entropies, accuracies = points
    every_step, every_h = torch.arange(steps[-1] + 1), torch.linspace(0, entropies.max(), 50)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, x in ((left, entropies.exp()), (right, steps)):
        axes.plot(x, accuracies, "o", color="silver", markersize=4, label="later evaluations")
        first = steps <= cut
        axes.plot(x[first], accuracies[first], "o", color="black", markersize=4, label=FIRST)
    for part, dashes in ((WHOLE, "-"), (FIRST, "--")):
        if law := fits.get(("law", part)):
            how = {"linestyle": dashes, "color": ORANGE, "label": f"law, {part}"}
            left.plot(every_h.exp(), law.predict(every_h), **how)
            right.plot(steps, law.predict(entropies), **how)
        if sigmoid := fits.get(("sigmoid", part)):
            how = {"linestyle": dashes, "color": GREEN, "label": f"sigmoid, {part}"}
            right.plot(every_step, sigmoid.predict(every_step), **how)
    left.set(xlabel="exp(H)", ylabel="R, accuracy on held-out questions")
    right.set_xlabel("training step")
    handles_and_labels = right.get_legend_handles_labels()  # those of the left are among them
    figure.legend(*handles_and_labels, loc="outside upper center", ncols=3)
