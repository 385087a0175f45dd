"""What a finding is: a claim, effects with their 95 % intervals, a figure; and the verdict on it.

Within a run an interval is a percentile interval of `eval.bootstrap`, over questions (all rollouts
of a question in a step together) or over steps: it tells what another draw of these might give, not
what another seed would. Between runs it is Student's t-interval over seeds, `t_interval`. The rule
of the verdict and the thresholds of the findings are ours; what errors the verdicts make where the
truth is known is drawn by tests/simulate_verdicts.py.
"""

import dataclasses
import math
from collections.abc import Callable
from statistics import NormalDist, fmean, stdev
from typing import NamedTuple

import torch

from eval import bootstrap

POWER = 0.8  # what "found" means of a difference: its interval leaves out the bound as often
MOST_TIMES = 100  # beyond, how many times as many data would be needed is not said
HALF = NormalDist().inv_cdf(0.975)  # of a 95 % interval, in standard errors
FEWEST = 5  # units that an interval is over; of fewer there is none


class Effect(NamedTuple):
    """A measured quantity and its 95 % interval, NaN where there is none.

    above: the claim says the quantity exceeds this; None: it is told and judges nothing.
    free: degrees of freedom of the interval, where it is Student's.
    """

    label: str
    value: float
    low: float = math.nan
    high: float = math.nan
    above: float | None = None
    free: float = math.inf

    def error(self) -> float:
        """The standard error that the interval stands for."""
        return (self.high - self.low) / 2 / t_quantile(HALF, self.free)

    def found(self) -> float:
        """The size at which the interval would lie above the bound in POWER of repetitions.

        >>> f"{Effect('', 0.0, -1.96, 1.96, above=0.0).found():.2f}"
        '2.80'
        """
        quantiles = (t_quantile(z, self.free) for z in (HALF, NormalDist().inv_cdf(POWER)))
        return self.above + sum(quantiles) * self.error()

    def is_refuted(self, judged: int) -> bool:
        """Whether it lies below its bound at a level of 0.025 / judged, one-sided.

        Any of as many effects may refute a claim, so each does it at its share of 0.025. The tail of
        the interval is taken for that of a normal, or Student's, distribution.
        """
        quantile = t_quantile(NormalDist().inv_cdf(1 - 0.025 / judged), self.free)
        wider = quantile / t_quantile(HALF, self.free)
        return self.value + wider * (self.high - self.value) <= self.above


@dataclasses.dataclass
class Finding:
    """One claim of the paper, and what a run says of it.

    over: what the intervals are over. missing: why the effects decide nothing, and what would help.
    draw: fills a matplotlib figure, 7 inches wide. notes: further lines of Markdown for the report.
    """

    name: str
    claim: str
    over: str = "questions"
    effects: list[Effect] = dataclasses.field(default_factory=list)
    missing: str = ""
    draw: Callable | None = None
    height: float = 3.2  # of the figure, in inches
    notes: list[str] = dataclasses.field(default_factory=list)

    def add(self, label, statistic, *sums, above=None) -> Effect:
        """One more effect: `eval.bootstrap` of a statistic of sums, (units,) each.

        Few units vary less among themselves than all do, and their variance is an estimate, so the
        interval is wider by sqrt(n / (n - 1)) and by Student's quantile over the normal one. NaN
        bounds for fewer than FEWEST units.
        """
        value, low, high = bootstrap(statistic, *sums)
        units = torch.stack([column != 0 for column in sums]).any(0).sum()
        free = int(units) - 1
        effect = Effect(label, value, above=above)
        if units >= FEWEST:
            wider = math.sqrt((free + 1) / free) * t_quantile(HALF, free) / HALF
            interval = (value - wider * (value - low), value + wider * (high - value))
            effect = Effect(label, value, *interval, above, free)
        self.effects.append(effect)
        return self.effects[-1]

    def add_beside_control(self, label, statistic, sums, control, above=None) -> list[Effect]:
        """A statistic of sums; the same of the control's, (units,) each; how much larger the first is.

        What is judged is the last.
        """
        count = len(sums)
        return [
            self.add(label, statistic, *sums),
            self.add(f"{label}, control", statistic, *control),
            self.add(
                f"{label}, less the control's",
                lambda *c: statistic(*c[:count]) - statistic(*c[count:]),
                *(*sums, *control),
                above=above,
            ),
        ]

    def verdict(self) -> tuple[str, str]:
        """(holds here | does not hold here | not enough data, why).

        It holds where every judged effect's interval is above its bound, which it is by chance in at
        most 2.5 % of repetitions if one of them is not. It does not hold where one of the effects
        `is_refuted`, at a level that the effects share. Otherwise the data decide nothing.
        """
        judged = [effect for effect in self.effects if effect.above is not None]
        if self.missing or not judged:
            return "not enough data", self.missing
        if against := [e.label for e in judged if e.is_refuted(len(judged))]:
            return "does not hold here", "against it: " + "; ".join(against)
        if unknown := [e.label for e in judged if math.isnan(e.low)]:
            return "not enough data", "no interval for: " + "; ".join(unknown)
        undecided = [e for e in judged if e.low <= e.above]
        if not undecided:
            return "holds here", ""
        why = "undecided: " + "; ".join(e.label for e in undecided)
        times = needed(undecided, len(judged))
        if times <= MOST_TIMES:
            why += f"; needed for a power of {POWER:.0%}: {times} times as many {self.over}"
        return "not enough data", why


def needed(undecided: list[Effect], judged: int) -> int:
    """How many times as many data would decide, in POWER of cases, if what was measured is so.

    Intervals shrink as 1 / sqrt(n). Where all effects are above their bounds, all of them must be
    found to be; else it takes the one that refutes the claim soonest, at the level of `is_refuted`.

    >>> needed([Effect("", 1.0, -0.96, 2.96, above=0)], judged=1)
    8
    """
    below = [e for e in undecided if e.value <= e.above]
    if below:
        level, power, choose = 0.025 / judged, POWER, min
    else:
        below, level, power, choose = undecided, 0.025, POWER ** (1 / len(undecided)), max
    quantiles = NormalDist().inv_cdf(1 - level) + NormalDist().inv_cdf(power)
    roots = [quantiles * e.error() / max(abs(e.value - e.above), 1e-12) for e in below]
    return math.ceil(min(choose(roots), MOST_TIMES) ** 2)


def difference(a, b, c, d):
    """The difference of two means, each from a sum and a count."""
    return a / b - c / d


def t_quantile(z: float, free: float) -> float:
    """Student's quantile where the normal one is z: the Cornish-Fisher expansion about it.

    free: degrees of freedom. From 4 on it is right to two digits, and exact for 1 and 2; where there
    are infinitely many it is z.

    >>> round(t_quantile(1.959964, 4), 2)
    2.77
    """
    if free in (1, 2):
        p = NormalDist().cdf(z) - 0.5
        return math.tan(math.pi * p) if free == 1 else p * math.sqrt(2 / (0.25 - p * p))
    return (
        z
        + (z**3 + z) / (4 * free)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * free**3)
    )


def t_interval(values: list[float]) -> tuple[float, float, float]:
    """(mean, low, high): the 95 % t-interval of a mean; NaN bounds for fewer than two values.

    From 5 values on, the quantile of t is `t_quantile`.

    >>> [round(x, 2) for x in t_interval([1.0, 2.0, 3.0, 4.0, 5.0])]
    [3.0, 1.04, 4.96]
    """
    mean, free = fmean(values), len(values) - 1
    if free < 1:
        return mean, math.nan, math.nan
    quantile = 3.182 if free == 3 else t_quantile(HALF, free)
    half = quantile * stdev(values) / len(values) ** 0.5
    return mean, mean - half, mean + half


def markdown_table(head: list[str], rows: list[list[str]]) -> list[str]:
    """The lines of a table of texts, for a report or the notes of a finding."""
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
