"""The law of entropy and its rivals: fits, how sure they are, and what of a run they are fitted to.

    law      R = b - a exp(H)                                                 arXiv 2505.22617
    curve    R = b + a f(step / scale), f and scale the best of a few         ours
    sigmoid  R = start + (ceiling - start) / (1 + (middle / step)^exponent)   arXiv 2510.13786

R is an accuracy, H an entropy in nats. What is judged by them is in law.py.
"""

import itertools
import math
from typing import NamedTuple

import torch

from analysis.effects import HALF, t_quantile
from record import Run

ENOUGH = 5  # evaluations of a fit: of fewer without one, or redrawn, nearly any lie on a line
BLOCKS = 6  # of evaluations in a row, the units of intervals: errors of neighbours are alike
REACH = 5  # batches on either side of an evaluation whose entropy is averaged
SHAPES = {  # in time, of x = step / scale: slowing down, levelling off, a knee, two take-offs
    "log(1 + x)": torch.log1p,
    "1 - exp(-x)": lambda x: 1 - (-x).exp(),
    "min(x, 1)": lambda x: x.clamp(max=1),
    "x^2 / (1 + x^2)": lambda x: x.square() / (1 + x.square()),
    "x^4 / (1 + x^4)": lambda x: x.pow(4) / (1 + x.pow(4)),
}
SCALES = [2 ** (-k / 2) for k in range(2, 13)]  # as shares of the run: from 1/64 to 1/2


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


class Curve(NamedTuple):
    """A shape in time, of SHAPES, and its scale in steps."""

    shape: str
    scale: float

    def at(self, steps):
        """(n,) steps -> (n,) f."""
        return SHAPES[self.shape](steps / self.scale)


def fit_line(x, r, weights=None, least=-math.inf):
    """Weighted least squares of R = b + a x with an a of at least `least`. -> a, b, (m, 1) each.

    x: (n,) or (m, n); r: (n,); weights: (m, n) or none. Where x does not vary a is 0.

    >>> a, b = fit_line(torch.tensor([1.0, 2, 4]), torch.tensor([3.0, 5, 9]))
    >>> round(a.item(), 6), round(b.item(), 6)
    (2.0, 1.0)
    """
    weights = torch.ones(1, len(r)) if weights is None else weights
    x, r, weights = x.double(), r.double(), weights.double()
    weights = weights / weights.sum(1, keepdim=True)
    middle, mean = ((weights * values).sum(1, keepdim=True) for values in (x, r))
    spread = (weights * (x - middle).square()).sum(1, keepdim=True)
    a = (weights * (x - middle) * r).sum(1, keepdim=True) / spread.clamp(min=1e-18)
    a = torch.where(spread > 1e-18, a, 0).clamp(min=least)
    return a, mean - a * middle


def fit_law(entropies, accuracies) -> Law:
    """Least squares of R on exp(H) (arXiv 2505.22617). (n,) nats, (n,) shares of 1 -> Law.

    Intervals are `jackknife` over blocks of evaluations: they tell of the scatter within this run,
    not of other seeds. Raises ValueError for fewer than ENOUGH different H.

    >>> entropies = torch.tensor([0.1, 0.2, 0.4, 0.6, 0.8])
    >>> [round(value, 4) for value in fit_law(entropies, 1.2 - 0.3 * entropies.exp()).ceiling]
    [0.9, 0.9, 0.9]
    """
    if (different := len(entropies.unique())) < ENOUGH:
        raise ValueError(f"evaluations at different H: {different}, needed: {ENOUGH}")
    u, r = entropies.double().exp(), accuracies.double()
    slope, b = fit_line(u, r, without_a_block(len(u)))
    estimates = (jackknife(values[:, 0]) for values in (-slope, b, b + slope))
    return Law(*estimates, r_squared(b[0] + slope[0] * u, r))


def fit_curve(steps, values) -> Curve:
    """The curve in time of least squares, of all SHAPES and SCALES. (n,), (n,) -> Curve (ours).

    >>> steps = torch.arange(0.0, 301, 10)
    >>> fit_curve(steps, 0.5 + 0.1 * (1 + steps / 75).log())
    Curve(shape='log(1 + x)', scale=75.0)
    """
    curves = [Curve(s, share * steps[-1].item()) for s in SHAPES for share in SCALES]
    x = torch.stack([curve.at(steps) for curve in curves])
    a, b = fit_line(x, values)
    return curves[(b + a * x - values).square().sum(1).argmin()]


def fit_sigmoid(steps, accuracies) -> Sigmoid:
    """Least squares of R on a sigmoid in log steps (arXiv 2510.13786, with steps for compute).

    (n,), (n,) shares of 1 -> Sigmoid. It starts at the R of step 0, which comes first. Its ceiling
    is in closed form and kept within [0, 1]; middle and exponent are the best of a grid that closes
    in. Raises ValueError without a step 0, and for fewer than 3 later ones.

    >>> steps = torch.tensor([0.0, 10, 20, 40, 80])
    >>> found = fit_sigmoid(steps, Sigmoid(0.4, 0.9, 30, 1.5, r2=1).predict(steps))
    >>> [round(value, 3) for value in found]
    [0.4, 0.9, 30.0, 1.5, 1.0]
    """
    if len(steps) <= 3 or steps[0] != 0:
        raise ValueError("needed: that of step 0 (in summary.json) and 3 later ones")
    steps, accuracies = steps.double(), accuracies.double()
    start, rise, log_steps = (
        accuracies[0],
        accuracies[1:] - accuracies[0],
        steps[1:].log(),
    )
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


# ------------------------------------------------------------------------------- how sure they are


def without_a_block(count: int) -> torch.Tensor:
    """Weights of evaluations, (1 + blocks, count): all of them, then all but those of each block.

    >>> without_a_block(3).int().tolist()
    [[1, 1, 1], [0, 1, 1], [1, 0, 1], [1, 1, 0]]
    """
    blocks = min(BLOCKS, count)
    return (torch.arange(count) * blocks // count != torch.arange(-1, blocks)[:, None]).double()


def jackknife(values) -> tuple[float, float, float]:
    """(value, low, high) from an estimate on all evaluations, then without each block (Tukey, 1958).

    (1 + blocks,) -> the first, and Student's 95 % interval about it.
    """
    value, without, free = values[0].item(), values[1:], len(values) - 2
    error = (free * (without - without.mean()).square().mean()).sqrt().item()
    half = t_quantile(HALF, free) * error
    return value, value - half, value + half


def in_words(fit) -> str:
    """
    >>> in_words(Law((0.5, 0.4, 0.6), (1.4, 1.3, 1.5), (0.9, 0.8, 1.0), 0.95))
    'a 0.5 [0.4, 0.6]  b 1.4 [1.3, 1.5]  ceiling 0.9 [0.8, 1]  r2 0.95'
    """
    return "  ".join(
        f"{field} {interval(*value) if isinstance(value, tuple) else interval(value)}"
        for field, value in fit._asdict().items()
    )


def interval(value, low=math.nan, high=math.nan) -> str:
    """
    >>> interval(0.5, 0.4, 0.6), interval(0.5), interval(math.nan)
    ('0.5 [0.4, 0.6]', '0.5', '')
    """
    if math.isnan(value):
        return ""
    return f"{value:.3g}" + ("" if math.isnan(low) else f" [{low:.3g}, {high:.3g}]")


# --------------------------------------------------------------------- what they are fitted to


class Points(NamedTuple):
    """The evaluations of a run in order, (n,) each; from H on of the batches around each."""

    steps: torch.Tensor
    accuracies: torch.Tensor  # R
    entropies: torch.Tensor  # H, in nats
    errors: torch.Tensor  # the standard error of H
    training: torch.Tensor  # accuracy of the rollouts trained on

    def after(self, step: int) -> "Points":
        return Points(*(column[self.steps > step] for column in self))


def curves_of(run: Run) -> tuple[dict, dict]:
    """({step: (H or None, accuracy) of its batch}, {step: R}) of a run.

    R is accuracy on held-out questions after a step. That of step 0, before training, is in
    summary.json, which is there once a run has ended.
    """
    batches = {line["step"]: (line["entropy_law"], line["accuracy"]) for line in run.lines}
    accuracies = {line["step"]: line["eval_accuracy"] for line in run.lines}
    if run.summary:
        accuracies[0] = run.summary["before"]["acc"]["mean"]
        accuracies[run.summary["steps"]] = run.summary["after"]["acc"]["mean"]
    return batches, {s: r for s, r in accuracies.items() if r is not None}


def law_points(batches: dict, accuracies: dict) -> Points:
    """What the lines are fitted to, from what `curves_of` gives.

    The policy evaluated after step s samples the batch of step s + 1. One batch is noisy, so H is
    the mean over the REACH batches up to s and the REACH after it, fewer where evaluations are so
    close that batches would count twice (ours). At either end of the given steps only one side is
    there. An evaluation without any has no point. The error of H is that of a mean, from how one
    batch differs from the next, into which a trend hardly enters.

    >>> batches = {1: (0.5, 0.4), 2: (None, 0.1), 3: (0.3, 0.8), 4: (0.1, 0.9)}
    >>> [round(column[1].item(), 3) for column in law_points(batches, {0: 0.5, 2: 0.7, 4: 0.8})]
    [2.0, 0.7, 0.3, 0.0, 0.8]
    """
    steps, rows = sorted(accuracies), []
    reach = max(1, min([2 * REACH, *(b - a for a, b in itertools.pairwise(steps))]) // 2)
    for step in steps:
        near = [batches.get(s, (None,)) for s in range(step - reach + 1, step + reach + 1)]
        if near := [batch for batch in near if batch[0] is not None]:
            h, training = torch.tensor(near, dtype=torch.double).T
            error = (h.diff().square().mean() / 2 / len(h)).sqrt().nan_to_num()
            rows.append([step, accuracies[step], h.mean(), error, training.mean()])
    return Points(*torch.tensor(rows, dtype=torch.double).view(-1, 5).T)


def calibrated(points: Points) -> Points:
    """The same with the noise of H drawn out: regression calibration (Carroll et al., 2006).

    A law that is true would lose to time by the noise of H alone. So each H is drawn towards the
    curve in time that fits H best, by the share of its scatter about it that is noise.
    """
    if len(points.steps) <= 3:  # as many as the curve has numbers
        return points
    x = fit_curve(points.steps, points.entropies).at(points.steps)
    a, b = fit_line(x, points.entropies)
    off = points.entropies - (b + a * x)[0]
    scatter = (off.square().sum() / (len(off) - 3)).clamp(min=1e-18)
    noise = (points.errors.square().mean() / scatter).clamp(max=1)
    return points._replace(entropies=points.entropies - noise * off)


def merged(points: Points) -> Points:
    """Means over BLOCKS blocks of evaluations, where there are more.

    The noise of H makes a fitted law too flat, the more so the closer evaluations are.

    >>> merged(Points(*torch.arange(8.0).expand(5, 8))).steps.tolist()
    [0.5, 2.0, 3.0, 4.5, 6.0, 7.0]
    """
    count = len(points.steps)
    block = torch.arange(count) * min(BLOCKS, count) // max(count, 1)
    return Points(*(torch.stack([c[block == k].mean() for k in block.unique()]) for c in points))
