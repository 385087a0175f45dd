"""What a finding is: a claim, effects with their 95 % intervals, a figure; and the verdict on it.

Within a run an interval is a percentile interval of `eval.bootstrap`, over questions (all rollouts
of a question in a step together) or over steps: it tells what another draw of these might give, not
what another seed would. Between runs it is Student's t-interval over seeds, `t_interval`. The rule
of the verdict and the thresholds of the findings are ours.
"""

import dataclasses
import math
from collections.abc import Callable
from statistics import fmean, stdev
from typing import NamedTuple

from eval import bootstrap


class Effect(NamedTuple):
    """A measured quantity and its 95 % interval, NaN where there is none.

    above: the claim says the quantity exceeds this; None: it is told and judges nothing.
    """

    label: str
    value: float
    low: float = math.nan
    high: float = math.nan
    above: float | None = None


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
        """One more effect: `eval.bootstrap` of a statistic of sums over questions or steps."""
        self.effects.append(Effect(label, *bootstrap(statistic, *sums), above))
        return self.effects[-1]

    def verdict(self) -> tuple[str, str]:
        """(holds here | does not hold here | not enough data, why).

        It holds where every judged effect's interval is above its bound, and does not hold where
        some interval is not above it at all. Otherwise the data decide nothing: an interval that
        shrinks as 1 / sqrt(n) would leave out the bound with so many times as many data.
        """
        judged = [effect for effect in self.effects if effect.above is not None]
        if self.missing or not judged:
            return "not enough data", self.missing
        if against := [e.label for e in judged if e.high <= e.above]:
            return "does not hold here", "against it: " + "; ".join(against)
        if unknown := [e.label for e in judged if math.isnan(e.low)]:
            return "not enough data", "no interval for: " + "; ".join(unknown)
        undecided = [e for e in judged if e.low <= e.above]
        if not undecided:
            return "holds here", ""
        far = min(abs(e.value - e.above) / (e.high - e.low) for e in undecided)
        times = math.ceil(max(1.1, (0.5 / far) ** 2)) if far > 0.05 else "over 100"
        labels = "; ".join(e.label for e in undecided)
        return "not enough data", f"undecided: {labels}; needed: {times} times as many {self.over}"


def difference(a, b, c, d):
    """The difference of two means, each from a sum and a count."""
    return a / b - c / d


def t_quantile(z: float, free: int) -> float:
    """Student's quantile where the normal one is z: the Cornish-Fisher expansion about it.

    free: degrees of freedom. From 4 on it is right to two digits.

    >>> round(t_quantile(1.959964, 4), 2)
    2.77
    """
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
    exact = {1: 12.706, 2: 4.303, 3: 3.182}
    mean, free = fmean(values), len(values) - 1
    if free < 1:
        return mean, math.nan, math.nan
    half = exact.get(free, t_quantile(1.959964, free)) * stdev(values) / len(values) ** 0.5
    return mean, mean - half, mean + half


def markdown_table(head: list[str], rows: list[list[str]]) -> list[str]:
    """The lines of a table of texts, for a report or the notes of a finding."""
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
