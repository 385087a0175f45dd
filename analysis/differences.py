"""Settings compared over seeds in any columns: tables of means, differences, and what could be found.

Differences are taken seed by seed, with Student's t-intervals. A table of many of them is corrected
by Holm. A run that never arrives, in a column of steps until something is reached, is censored: it
counts as its number of steps, as in a restricted mean, and what rests on it is shown as a bound.
`analyze.py` and tests/bench_methods.py print these tables.
"""

import math
from statistics import NormalDist, stdev
from typing import NamedTuple

from analysis.effects import POWER, markdown_table, t_interval, t_quantile

LEVEL = 0.05  # of a star


def tables(found: dict[str, dict], usual: str, columns: dict[str, int]) -> list[str]:
    """In Markdown: what settings came to, how they differ from the usual one, what could be found.

    found: {setting: {(seed, steps): {column: value}}}, steps being the length of the run and a value
    infinite where the run never arrived. columns: {column: digits shown}. Without another setting
    that shares a seed and length with the usual one there is the first table alone.
    """
    head, rows = ["setting", "seeds", *columns], []
    for name, runs in found.items():
        means = [mean_cell(runs, column, digits) for column, digits in columns.items()]
        rows.append([name, str(len(runs)), *means])
    lines = ["", "Mean ± half of the 95 % t-interval over seeds.", "", *markdown_table(head, rows)]
    cells = {}  # {setting: {column: Difference}}
    for name, runs in found.items():
        row = {column: compared(runs, found.get(usual, {}), column) for column in columns}
        if name != usual and all(row.values()):
            cells[name] = row
    return lines + (table_of_differences(cells, usual, columns) if cells else [])


def mean_cell(runs: dict, column: str, digits: int) -> str:
    """A cell of the first table; see `tables`."""
    never = sum(run[column] == math.inf for run in runs.values())
    mean, _, high = t_interval(restricted(runs, runs, column))
    if never:
        bound = f"≥ {mean:.{digits}f} ({never} of {len(runs)} never)"
        return "never" if never == len(runs) else bound
    return f"{mean:.{digits}f}" + (f" ± {high - mean:.{digits}f}" if len(runs) > 1 else "")


def table_of_differences(cells: dict[str, dict], usual: str, columns: dict[str, int]) -> list[str]:
    """The second and the third table of `tables`. cells: {setting: {column: Difference}}."""
    p = {(name, column): cell.p for name, row in cells.items() for column, cell in row.items()}
    stand, differences, powers = holm(p), [], []
    for name, row in cells.items():
        first = [name, str(next(iter(row.values())).seeds)]
        shown = [x.shown(columns[c], usual, (name, c) in stand) for c, x in row.items()]
        sizes = ["" if math.isnan(x.found) else f"{x.found:.{columns[c]}f}" for c, x in row.items()]
        differences.append(first + shown)
        powers.append(first + sizes)
    tested = sum(not math.isnan(value) for value in p.values())
    stars = "* where the interval leaves out 0; ** where it does so after Holm's correction for all"
    power = f"The smallest difference that as many seeds of this spread find (*) in {POWER:.0%}."
    head = ["setting", "seeds", *columns]
    lines = ["", f"Less {usual}, seed by seed. {stars} {tested} differences.", ""]
    lines += markdown_table(head, differences)
    return [*lines, "", power, "", *markdown_table(head, powers)]


class Difference(NamedTuple):
    """A setting less the usual one in one column, over the seeds that both have. Ours.

    half: of the 95 % t-interval. p: two-sided, that there is no difference; 1 where censored runs
    leave its sign open, NaN where the seeds have no spread. found: the difference that as many seeds
    of this spread find (p below LEVEL) in POWER of repetitions. never: how many of the setting's and
    of the usual one's runs never arrived. Such a run counts as its number of steps, as in a
    restricted mean, so the difference is at least, or at most, what is measured.
    """

    seeds: int
    mean: float
    half: float
    p: float
    found: float
    never: tuple[int, int]

    def shown(self, digits: int, usual: str, survives: bool) -> str:
        """A cell; usual: what the usual setting is called; survives: the correction of `holm`."""
        ours, theirs = self.never
        stars = " **" if survives else " *" if self.p < LEVEL else ""
        mean, of = f"{self.mean:.{digits}f}", f"of {self.seeds} never"
        if ours == theirs == self.seeds:
            return "never"
        if ours and theirs:
            return f"no bound ({ours} {of}, {usual} {theirs})"
        if ours:
            return f"≥ {mean} ({ours} {of}){stars}"
        if theirs:
            return f"≤ {mean} ({usual} {theirs} {of}){stars}"
        return mean + (f" ± {self.half:.{digits}f}" if self.seeds > 1 else "") + stars


def compared(ours: dict, theirs: dict, column: str) -> Difference | None:
    """The difference of two settings of `tables`, or None where no seed has both.

    >>> late = {(0, 150): {"steps": math.inf}, (1, 150): {"steps": 100}}
    >>> soon = {(0, 150): {"steps": 70}, (1, 150): {"steps": 80}}
    >>> compared(late, soon, "steps").shown(0, "GRPO", survives=False)
    '≥ 50 (1 of 2 never)'
    """
    shared = [run for run in ours if run in theirs]
    if not shared:
        return None
    never = tuple(sum(side[run][column] == math.inf for run in shared) for side in (ours, theirs))
    pairs = zip(restricted(ours, shared, column), restricted(theirs, shared, column), strict=True)
    values = [a - b for a, b in pairs]
    (mean, _, high), free = t_interval(values), len(values) - 1
    p = found = math.nan
    if free and (error := stdev(values) / len(values) ** 0.5) > 1e-12:  # more than rounding
        p = two_sided(mean / error, free)
        found = (high - mean) + t_quantile(NormalDist().inv_cdf(POWER), free) * error
    if any(never):
        found = math.nan
        if all(never) or mean * (never[0] - never[1]) <= 0:
            p = 1.0
    return Difference(len(values), mean, high - mean, p, found, never)


def restricted(runs: dict, chosen, column: str) -> list[float]:
    """The values of chosen runs, {(seed, steps): {column: value}}; of one that never arrived, steps."""
    values = [(runs[run][column], run[1]) for run in chosen]
    return [steps if value == math.inf else value for value, steps in values]


def holm(p: dict) -> set:
    """The keys whose differences stand at LEVEL over all: Holm's step-down correction (1979).

    p: {key: p-value}; NaN was not tested and does not count.

    >>> sorted(holm({"a": 0.012, "b": 0.3, "c": 0.03, "d": 0.001}))
    ['a', 'd']
    """
    tested = sorted((value, key) for key, value in p.items() if not math.isnan(value))
    stand = set()
    for rank, (value, key) in enumerate(tested):
        if value * (len(tested) - rank) >= LEVEL:
            break
        stand.add(key)
    return stand


def two_sided(t: float, free: int) -> float:
    """The two-sided p-value of Student's t: P(|T| > |t|) with so many degrees of freedom.

    Exact: the finite series in the angle atan(t / sqrt(free)); Abramowitz and Stegun 26.7.3, 26.7.4.

    >>> round(two_sided(2.776445, 4), 6)
    0.05
    """
    angle = math.atan(abs(t) / free**0.5)
    odd = free % 2
    term, total = (math.cos(angle) if odd else 1.0), 0.0
    for k in range(1, free // 2 + 1):
        total += term
        term *= math.cos(angle) ** 2 * (2 * k - 1 + odd) / (2 * k + odd)
    inside = 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total
    return max(0.0, 1 - inside)
