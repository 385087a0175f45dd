"""The two stages of a run: first accuracy rises while entropy falls fast, then both level off.

arXiv 2508.02260 tells the stages by eye; the criterion here is ours. The rising stage ends at a
*knee*, where two curves, the accuracy and the entropy of every step, bend at the same step.
`find_knee` looks for it in what there is of a run, `plateau_has_begun` asks while the run goes on,
and `Stages` cuts the steps of a run at it.
"""

from typing import NamedTuple

import torch

EDGE = 5  # a knee needs as many steps on either side, and in a long run a twentieth of it
SEEN = 20  # steps before anything is said
SLOWER = 0.5  # after the knee both curves go at most at this share of their speed before it
EVIDENCE = 12.0  # how much better than a straight line, in units of the likelihood ratio below
CLEARLY = 3.0  # standard errors by which both slopes of the rising stage are off 0
WINDOW = 0.2  # of the rising stage: the windows at its two ends


class Knee(NamedTuple):
    """Where the rising stage ends: the last of its steps, counted from 1, and what speaks for it.

    rising, plateau: change per step before and after it of (entropy in nats, accuracy).
    entropies, accuracies: the fitted curves, one value a step.
    """

    step: int
    evidence: float
    rising: tuple[float, float]
    plateau: tuple[float, float]
    entropies: list[float]
    accuracies: list[float]


def find_knee(entropies, accuracies) -> Knee | None:
    """The step at which the rising stage turns into the plateau; None where there is no knee.

    Each curve k, entropy and accuracy of every step, is fitted by two lines that meet at a step tau
    common to both curves,

        x_k(s) = a_k + b_k min(s, tau) + c_k max(s - tau, 0),

    and tau is where sum_k log RSS_k(tau) is least: the likeliest place if each curve has Gaussian
    noise of its own unknown size. It is a knee where n sum_k log(RSS_k of a line / RSS_k(tau)) is
    above EVIDENCE, entropy CLEARLY falls and accuracy CLEARLY rises before it, and both go at most
    SLOWER times as fast after it.

    entropies, accuracies: (n,), plain numbers of steps 1 to n. Nothing is found in less than SEEN
    of them. At most 100 places are tried.

    >>> sharp = [min(step, 30) / 30 for step in range(1, 101)]
    >>> find_knee([0.5 - 0.3 * x for x in sharp], sharp).step
    30
    """
    total = len(entropies)
    if total < SEEN:
        return None
    curves = torch.tensor([entropies, accuracies], dtype=torch.double).T  # (n, 2)
    steps = torch.arange(1, total + 1, dtype=torch.double)
    edge = max(EDGE, total // 20)
    places = torch.linspace(edge, total - edge, min(100, total - 2 * edge + 1)).round().double()
    before = steps.clamp(max=places[:, None])  # (places, n)
    hinges = torch.stack([torch.ones_like(before), before, steps - before], -1)

    def fit(design):
        """(..., n, columns) -> coefficients (..., columns, 2), errors' squares (..., 2)."""
        solution = torch.linalg.solve(design.mT @ design, design.mT @ curves)
        return solution, (design @ solution - curves).square().sum(-2).clamp(min=1e-12)

    lines, errors = fit(hinges)
    _, straight = fit(torch.stack([torch.ones_like(steps), steps], -1))
    best = int(errors.log().sum(-1).argmin())
    evidence = total * (straight / errors[best]).log().sum().item()
    _, rising, plateau = lines[best]
    variance = torch.linalg.inv(hinges[best].T @ hinges[best])[1, 1] * errors[best] / (total - 3)
    signs = torch.tensor([-1.0, 1.0])  # of entropy and of accuracy in the rising stage
    clear = (rising * signs > CLEARLY * variance.sqrt()).all()
    if evidence <= EVIDENCE or not clear or (plateau.abs() > SLOWER * rising.abs()).any():
        return None
    fitted = (hinges[best] @ lines[best]).T.tolist()
    slopes = (tuple(rising.tolist()), tuple(plateau.tolist()))
    return Knee(int(places[best]), evidence, *slopes, *fitted)


def plateau_has_begun(entropies, accuracies) -> bool:
    """Decides while a run goes on: is there a knee (`find_knee`) in the steps seen so far?

    entropies, accuracies: one number a step, from step 1 on; the same lists give the same answer,
    so a resumed run decides alike. It must see some steps of the plateau first, more of them the
    noisier the curves are, and may later change its mind: who asks keeps the first yes.

    >>> sharp = [min(step, 30) / 30 for step in range(1, 101)]
    >>> plateau_has_begun(sharp[:25], sharp[:25]), plateau_has_begun([-x for x in sharp], sharp)
    (False, True)
    """
    return find_knee(entropies, accuracies) is not None


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
    """The knee of a run and its stages, from the lines of its metrics.jsonl."""
    steps = [line["step"] for line in lines]
    knee = find_knee([line["entropy"] for line in lines], [line["accuracy"] for line in lines])
    return knee, Stages(knee and steps[knee.step - 1], max(steps, default=0))
