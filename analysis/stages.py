"""The stages of a run: first accuracy rises while entropy falls fast, then both level off.

arXiv 2508.02260 tells the stages by eye; the criteria here are ours. The rising stage ends at a
*knee*, where two lines meet. `find_knee` looks for one that accuracy and entropy have in common, in
what there is of a run, `plateau_has_begun` asks while the run goes on, and `Stages` cuts the steps
of a run for the other findings. Whether the run has two stages at all is S1's question (two_stages.py).

All fits are least squares of curves (m, n), a number a step, on a straight line plus multiples of
shapes: of one hinge max(s - tau, 0), which makes two lines that meet at tau; of one decay
exp(-s / T), the rival without stages; of two hinges, which make three lines. Where the shape is
freed of its own straight part first, its multiple and what it explains are one product each.
"""

import math
from typing import NamedTuple

import torch

EDGE = 5  # a knee needs as many steps on either side, and in a long run a twentieth of it
SEEN = 20  # steps before anything is said
SLOWER = 0.5  # a plateau goes at most at this share of the rise's speed
EVIDENCE = 12.0  # 2 log likelihood ratio: how much better than a straight line a knee must fit
CLEARLY = 3.0  # standard errors by which both slopes of the rising stage are off 0
WINDOW = 0.2  # of the rising stage: the windows at its two ends
LEVEL = 0.05  # an interval of the knee leaves it out in at most this share of runs
TIMES = 10  # as likely must a description make a curve to count as better than another
ONLINE_TIMES = 50  # the same while a run goes on, when it is asked after every step
ONLINE_RISE = 0.1  # accuracy must have risen by so much before a plateau
ONLINE_ERRORS = 2.4  # standard errors by which this and SLOWER must be met
SIGNS = torch.tensor([-1.0, 1.0], dtype=torch.double)  # of the rise, in entropy and accuracy


# ------------------------------------------------------------------------------------ the fits


def off_line(rows):
    """(..., n) -> each row less the straight line that fits it best (..., n), its slope (...)."""
    steps = torch.arange(rows.shape[-1], dtype=torch.double) - (rows.shape[-1] - 1) / 2
    slopes = rows @ steps / (steps @ steps)
    return rows - rows.mean(-1, keepdim=True) - slopes[..., None] * steps, slopes


def squares(rows):
    """(..., n) -> (...): their sum; not quite 0 for a perfect fit, so that it has a logarithm."""
    return rows.square().sum(-1).clamp(min=1e-12)


def hinges(total: int, most: int):
    """At most so many places tau (p,) for a knee, and max(s - tau, 0) of steps s = 1..n (p, n)."""
    edge = max(EDGE, total // 20)
    count = min(most, total - 2 * edge + 1)
    places = torch.linspace(edge, total - edge, count, dtype=torch.double).round()
    return places, (torch.arange(1, total + 1) - places[:, None]).clamp(min=0)


def decays(total: int):
    """exp(-s / T) of steps s = 1..n, for 40 T from 3 steps to three times the run: (40, n)."""
    scales = torch.logspace(math.log10(3), math.log10(3 * total), 40, dtype=torch.double)
    return torch.exp(-torch.arange(1, total + 1) / scales[:, None])


class TwoLines(NamedTuple):
    """Two lines that meet, fitted to each of m curves at p places.

    places (p,); errors (p, m): the sums of squares of what is left; best (m,): the place of the
    least; rising, plateau (m,): change per step before and after it; left (m, n): what is left.
    spread: the variances of the slope before, of the bend, and their covariance, each (m,), for
    noise of variance 1.
    """

    places: torch.Tensor
    errors: torch.Tensor
    best: torch.Tensor
    rising: torch.Tensor
    plateau: torch.Tensor
    left: torch.Tensor
    spread: tuple

    def step(self):
        """(m,): the last step before the knee."""
        return self.places[self.best]


def two_lines(curves, together=False, most=300) -> TwoLines:
    """The likeliest two lines for each of the curves (m, n); together: with one knee for all.

    The common knee is where sum_k log(errors of curve k) is least: the likeliest place if each
    curve has Gaussian noise of its own unknown size. At most `most` places are tried.
    """
    places, shapes = hinges(curves.shape[1], most)
    off, slopes = off_line(torch.cat([shapes, curves]))
    bare, rest = off[: len(places)], off[len(places) :]
    sizes, products = squares(bare), bare @ rest.T  # (p,), (p, m)
    errors = (squares(rest) - products.square() / sizes[:, None]).clamp(min=1e-12)
    best = errors.log().sum(1).argmin().expand(len(curves)) if together else errors.argmin(0)
    size, own = sizes[best], slopes[best]
    bends = products.gather(0, best[None])[0] / size
    rising = slopes[len(places) :] - bends * own
    straight = 12 / (curves.shape[1] ** 3 - curves.shape[1])
    spread = (straight + own.square() / size, 1 / size, -own / size)
    left = rest - bends[:, None] * bare[best]
    return TwoLines(places, errors, best, rising, rising + bends, left, spread)


def smooth_decay(curves):
    """(m, n): the curves less a + b s + d exp(-s / T): 4 parameters, as two lines have.

    Two lines are a line and a hinge, this is a line and a decay: nothing but the bend's shape is
    compared. With T far below the length of the run it saturates, with T far above it is a
    parabola, and the line lets it have a second, slow time scale.
    """
    bare, rest = off_line(decays(curves.shape[1]))[0], off_line(curves)[0]
    products, sizes = bare @ rest.T, squares(bare)[:, None]
    best = (products.square() / sizes).argmax(0)
    multiples = (products / sizes).gather(0, best[None])[0]
    return rest - multiples[:, None] * bare[best]


def three_lines(curve, places, shapes):
    """(p, p): the sums of squares left by lines that meet at two of the places; curve (n,)."""
    bare, rest = off_line(shapes)[0], off_line(curve)[0]
    inner, products = bare @ bare.T, bare @ rest
    one, other = inner.diagonal()[:, None], inner.diagonal()
    explained = products[:, None].square() * other + products.square() * one
    explained -= 2 * products[:, None] * products * inner
    explained /= (one * other - inner.square()).clamp(min=1e-12)
    apart = places - places[:, None] >= EDGE
    return (squares(rest) - torch.where(apart, explained, 0.0)).clamp(min=1e-12)


def worth(left):
    """(m,): how many independent steps what is left of the curves (m, n) counts for.

    n (1 - r) / (1 + r), r the correlation of neighbouring steps, where it is positive.
    """
    r = ((left[:, 1:] * left[:, :-1]).sum(1) / squares(left)).clamp(0, 0.9)
    return left.shape[1] * (1 - r) / (1 + r)


def knee_interval(places, likelihood) -> tuple[int, int]:
    """First and last of the places (p,) that an interval of the knee holds; likelihood: log, (p,).

    A place is in it where its likelihood is at least LEVEL of the mean over all places. By Ville's
    inequality the true one is left out in at most LEVEL of runs however often one looks while the
    run goes on, if the other parameters are known; they are fitted at every place here.
    """
    inside = places[likelihood >= likelihood.logsumexp(0) + math.log(LEVEL / len(places))]
    return int(inside.min()), int(inside.max())


class ThreeLines(NamedTuple):
    """Three lines that meet at steps first and last; slopes: their changes per step.

    low, high: the `knee_interval` of last. error: the sum of squares of what is left.
    """

    first: int
    last: int
    low: int
    high: int
    slopes: list[float]
    error: float

    def is_s(self) -> bool:
        """Whether it rises between first and last alone: flat, take-off, plateau."""
        before, between, after = self.slopes
        return between > 0 and max(abs(before), abs(after)) <= SLOWER * between


def three_stages(curve) -> ThreeLines | None:
    """Three lines, if they describe the curve (n,) TIMES better than two lines and a smooth decay.

    By the Bayesian information criterion: they have two parameters more.
    """
    if len(curve) < 2 * SEEN:
        return None
    two = two_lines(curve[None])
    rival = min(squares(two.left)[0], squares(smooth_decay(curve[None]))[0])
    places, shapes = hinges(len(curve), 60)
    errors = three_lines(curve, places, shapes)
    one, other = divmod(int(errors.argmin()), len(places))
    columns = [torch.ones_like(curve), torch.arange(len(curve)), shapes[one], shapes[other]]
    design = torch.stack([column.double() for column in columns], 1)
    solution = torch.linalg.lstsq(design, curve[:, None]).solution[:, 0]
    count = worth((curve - design @ solution)[None])[0]
    if count * (rival / errors.min()).log() - 2 * count.log() <= 2 * math.log(TIMES):
        return None
    interval = knee_interval(places, -count / 2 * errors.amin(0).log())
    slopes = solution[1:].cumsum(0).tolist()
    return ThreeLines(int(places[one]), int(places[other]), *interval, slopes, errors.min().item())


# ------------------------------------------------------------------------------------ the knee


class Knee(NamedTuple):
    """Where the rising stage ends: the last of its steps, counted from 1; its `knee_interval`."""

    step: int
    low: int
    high: int


def find_knee(entropies, accuracies) -> Knee | None:
    """The step at which the rising stage turns into the plateau; None where there is no knee.

    It is where two lines to either curve meet (`two_lines`, together), if they fit better than
    straight lines by EVIDENCE, entropy CLEARLY falls and accuracy CLEARLY rises before it, and both
    go at most SLOWER times as fast after it. That a smooth decay would fit worse is not asked: the
    knee says where the curves bend, for cutting the run, and not that there are stages.

    entropies, accuracies: (n,), plain numbers of steps 1 to n. Nothing is found in less than SEEN
    of them.

    >>> sharp = [min(step, 30) / 30 for step in range(1, 101)]
    >>> find_knee([0.5 - 0.3 * x for x in sharp], sharp).step
    30
    """
    total = len(entropies)
    if total < SEEN:
        return None
    curves = torch.tensor([entropies, accuracies], dtype=torch.double)
    fit = two_lines(curves, together=True)
    errors, counts = fit.errors[fit.best[0]], worth(fit.left)
    evidence = (counts * (squares(off_line(curves)[0]) / errors).log()).sum()
    error = (fit.spread[0] * errors / (total - 4) * total / counts).sqrt()
    clear = fit.rising * SIGNS > CLEARLY * error
    slow = fit.plateau.abs() <= SLOWER * fit.rising.abs()
    if evidence <= EVIDENCE or not (clear & slow).all():
        return None
    likelihood = -(counts / 2 * fit.errors.log()).sum(1)
    return Knee(int(fit.step()[0]), *knee_interval(fit.places, likelihood))


def plateau_has_begun(entropies, accuracies) -> bool:
    """Decides while a run goes on: has a rising stage ended in a plateau, in the steps so far?

    Yes where, at the likeliest common knee of both curves (`two_lines`, together),

    * accuracy has risen by ONLINE_RISE before it, and entropy has CLEARLY fallen;
    * the speed after it is below SLOWER times that before it, in both curves;
    * a smooth decay of both curves (`smooth_decay`) is ONLINE_TIMES less likely,

    the first two by ONLINE_ERRORS standard errors.

    In 200 made-up runs of each kind, 300 steps with the default run's noise, asked after every step
    (tests/simulate_verdicts.py --only plateau), it said yes in 0 % of constant curves, of straight
    lines (with AR(1) noise of 0.3 too), of an exponential entropy with linear accuracy, of a small
    early rise before the take-off at 200 has ended, of an S before it has; in 2.5 % where half of
    the change has a time constant of 300 steps; in 4.5 % where entropy is level and accuracy goes
    on at 60 % of its speed. A knee at step 60, level after it, got its yes within 30 steps in
    35.5 %, within 90 in 90 %, and never before it; with half the noise, as of four times the batch,
    within 30 steps in 92.5 %. With all the noise the slope after a knee is not known well enough
    sooner to tell it from 60 % of the speed.

    entropies, accuracies: one number a step, from step 1 on; the same lists give the same answer,
    so a resumed run decides alike. It may later change its mind: who asks keeps the first yes.

    >>> sharp = [min(step, 30) / 30 for step in range(1, 101)]
    >>> plateau_has_begun(sharp[:25], sharp[:25]), plateau_has_begun([-x for x in sharp], sharp)
    (False, True)
    """
    total = len(entropies)
    if total < SEEN:
        return False
    curves = torch.tensor([entropies, accuracies], dtype=torch.double)
    fit = two_lines(curves, together=True, most=60)
    errors, counts = fit.errors[fit.best[0]], worth(fit.left)
    noise = errors / (total - 4) * total / counts
    rising, plateau = fit.rising * SIGNS, fit.plateau * SIGNS
    error = (fit.spread[0] * noise).sqrt()
    risen = (rising - ONLINE_ERRORS * error)[1] * fit.step()[1] >= ONLINE_RISE
    slope, bend, both = fit.spread  # of plateau - SLOWER rising = (1 - SLOWER) rising + bend
    spread = (1 - SLOWER) ** 2 * slope + bend + 2 * (1 - SLOWER) * both
    slow = plateau - SLOWER * rising + ONLINE_ERRORS * (spread * noise).sqrt() < 0
    if not (risen and rising[0] > CLEARLY * error[0] and slow.all()):
        return False
    evidence = (counts * (squares(smooth_decay(curves)) / errors).log()).sum()
    return bool(evidence > 2 * math.log(ONLINE_TIMES))


class Stages(NamedTuple):
    """The last step of the rising stage, None where no knee was found; the last of the run.

    Without a knee all steps count as the rising stage, and no plateau is known. take_off: the last
    step before the rising stage, 0 where it begins with the run.
    """

    knee: int | None
    last: int
    take_off: int = 0

    def of(self, step) -> dict:
        """{stage: which of the steps (n,) are in it}; those up to take_off are in neither."""
        end = self.knee or self.last
        return {"rising stage": (step > self.take_off) & (step <= end), "plateau": step > end}

    def ends_of_rise(self, step, least):
        """Two (n,) masks of the steps (n,): the first and the last WINDOW of the rising stage.

        Each holds at least `least` different steps, those nearest to that end. None where the two
        would have a step in common.

        >>> steps = torch.tensor([1, 20, 40, 60])
        >>> first, last = Stages(knee=40, last=60).ends_of_rise(steps, least=1)
        >>> first.tolist(), last.tolist()
        ([True, False, False, False], [False, False, True, False])
        """
        begin, end = self.take_off, self.knee or self.last
        inside = sorted({s for s in step.tolist() if begin < s <= end})
        if len(inside) < 2 * least:
            return None
        length = WINDOW * (end - begin)
        first = (step > begin) & (step <= max(begin + length, inside[least - 1]))
        last = (step >= min(end - length + 1, inside[-least])) & (step <= end)
        return None if (first & last).any() else (first, last)


def stages_of(lines: list[dict]) -> tuple[Knee | None, Stages]:
    """The knee of a run and its stages, from the lines of its metrics.jsonl.

    Where accuracy is an S (`three_stages`), the rising stage begins at its take-off and ends where
    its plateau begins; else it is what `find_knee` says.
    """
    steps = [line["step"] for line in lines]
    accuracies = [line["accuracy"] for line in lines]
    s = three_stages(torch.tensor(accuracies, dtype=torch.double))
    if s and s.is_s():
        knee, take_off = Knee(s.last, s.low, s.high), steps[s.first - 1]
    else:
        knee, take_off = find_knee([line["entropy"] for line in lines], accuracies), 0
    return knee, Stages(knee and steps[knee.step - 1], max(steps, default=0), take_off)
