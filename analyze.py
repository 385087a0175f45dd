"""What of arXiv 2508.02260 holds on a run of train.py: a report with figures, intervals and verdicts.

    python analyze.py RUN                  RUN/report/report.md, findings.json, a figure a finding
    python analyze.py RUN --intervene      and the experiment in which tokens are replaced: I2, T2
    python analyze.py RUN RUN RUN ...      I3 and T3, from runs with several settings and seeds

Each finding is a function from what the run recorded to a `Finding`: the paper's claim in our words, a
few effects with 95 % intervals, a figure, and a verdict that follows from the effects by one rule
(`Finding.verdict`). Where a run cannot tell, the verdict says how much more it would take.

Stages are those of `entropy.find_knee`. Token measurements are those of rollouts/step_N.parquet; what
an update did to a token is known on probe steps alone: the change of its probability p, in the state in
which it was sampled, by all updates of the step. Within a run, intervals are percentiles of a bootstrap
over questions (all rollouts of a question in a step together) or over steps; they tell what another draw
of these might give, not what another seed would. Between runs they are t-intervals over seeds. The
thresholds, the word lists and the rules about text are ours.
"""

import argparse
import dataclasses
import functools
import itertools
import json
import math
import re
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

import torch

from data import InputError, Question, quiet_libraries
from entropy import SEEN, find_knee
from reward import TURNS, find_boxes, grade

MOST = 0.01  # the most changed tokens are this share of all
HARDLY = 0.05  # a token whose probability changes by less hardly changes
TENTH = 0.1  # of the rising stage: the windows at its two ends
ENOUGH_TOKENS = 30  # of a kind, for it to be looked at
AT_MOST = 256  # rollouts read of each file, from its beginning: of a large batch that is enough
HIGH_ENTROPY = 0.2  # share of a rollout's tokens among which one is replaced
RIGHT, WRONG = "#0072B2", "#D55E00"  # in every figure; told apart by the colour-blind too
OTHERS = ("#009E73", "#CC79A7", "#E69F00", "#56B4E9")
STAGE_COLOURS = {"rising stage": "darkgray", "plateau": "black"}

# ------------------------------------------------------------------- facts about text, all of them

KINDS = ("formal reasoning", "logical structure", "metacognition", "semantic support")
FORMAL, LOGIC, META, REST = range(4)
LOGIC_WORDS = """because since so thus hence therefore then if unless suppose assume implies follows but
    however although instead first next finally 因为 所以 因此 如果 那么 但是 然而 假设 由于 于是 首先 最后"""
META_WORDS = """wait hmm actually check recheck double-check verify reconsider rethink mistake alternatively maybe
    perhaps let_me let's let_us hold_on 等等 检查 验证 让我 不对 重新 也许 再想"""
FORMAL_WORDS = """sin cos tan log ln exp lim mod gcd lcm max min sqrt frac pi plus minus times equals
    divided sum product"""
# Words that any English text on any question uses; whoever writes in another language adds its own.
COMMON_WORDS = """the an of to is are was were be and or in on at for with by from as that this it its we you
    he she they have has had do does can will would not no yes there here each all per into out now which
    what how when where who let us our their his her find get give given step solution answer problem total
    result note final proof conclusion question using use need calculate compute"""
COMMON = set(COMMON_WORDS.split())
SCRIPTS = {
    "Chinese or Japanese": "\u3040-\u30ff\u3400-\u9fff",
    "Korean": "\uac00-\ud7af",
    "Cyrillic": "\u0400-\u04ff",
    "Arabic": "\u0600-\u06ff",
    "Hebrew": "\u0590-\u05ff",
    "Devanagari": "\u0900-\u097f",
    "Thai": "\u0e00-\u0e7f",
}
HAN = SCRIPTS["Chinese or Japanese"]


def _any_of(words):
    """A pattern of any of the words, Latin ones as whole words."""
    words = (re.escape(word.replace("_", " ")) for word in words.split())
    return "|".join(word if re.match(f"[{HAN}]", word) else rf"\b{word}\b" for word in words)


WORD = re.compile(
    rf"(?P<meta>{_any_of(META_WORDS)})|(?P<logic>{_any_of(LOGIC_WORDS)})"
    # A formal piece is a LaTeX command or bracket, a number, an operator, a name of a function, or a
    # lone letter that touches one of these.
    rf"|(?P<formal>\\(?:[A-Za-z]+|.)|\d+(?:[.,]\d+)*|[-+*/=<>^_%{{}}$|×÷·±≤≥≠≈√π∑∫∞∈]|{_any_of(FORMAL_WORDS)}"
    r"|(?<![^\W_])[A-Za-z](?=[-+*/=<>^_)}$])|(?<=[-+*/=<>^_({$\d])[A-Za-z](?![^\W\d_]))"
    rf"|(?P<rest>[{HAN}]|(?:(?![{HAN}])[^\W\d_])+(?:['’-](?:(?![{HAN}])[^\W\d_])+)*|\s+|.)",
    re.IGNORECASE | re.DOTALL,
)
LOOP = re.compile(r"(.{8,80}?)\1{3}", re.DOTALL)  # the same again and again
GOES_ON = 30  # words after the answer are irrelevant from here on
DEFECTS = ("format violation", "irrelevant content", "language mixing", "truncation")


def words_of(text: str) -> list[tuple[int, int, int, str]]:
    r"""The words of a text as (start, end, kind, word), end exclusive, kind an index into KINDS.

    >>> [(KINDS[kind], word) for _, _, kind, word in words_of(r"so \pi=3") if word != " "]
    [('logical structure', 'so'), ('formal reasoning', '\\pi'), ('formal reasoning', '='), ('formal reasoning', '3')]
    """
    kinds = {"formal": FORMAL, "logic": LOGIC, "meta": META, "rest": REST}
    return [
        (found.start(), found.end(), kinds[found.lastgroup], found.group().lower())
        for found in WORD.finditer(text)
    ]


def token_words(tokens: list[str], text: str) -> list[tuple[int, str]]:
    """The kind and the word that each token of a response is part of; ("rest", "") outside the text.

    tokens: each decoded alone, so that the parts of a character are a replacement character each and
    a leading space may be missing. Each is looked for in the text where the one before it ended;
    those that cannot be decoded share what lies between their neighbours. A token of several words
    counts for the first that is no space.

    >>> token_words(["bec", "ause", " 1", "2", "\ufffd", "\ufffd", "\ufffd", "<eos>"], "because 12所")
    [(1, 'because'), (1, 'because'), (0, '12'), (0, '12'), (3, '所'), (3, '所'), (3, '所'), (3, '')]
    """
    spans, position, unknown = [(len(text), len(text))] * len(tokens), 0, []
    for i, token in enumerate(tokens):
        if not token or "\ufffd" in token:
            unknown.append(i)
            continue
        begin = position + bool(unknown)  # what cannot be decoded is something
        at = text.find(token, begin, begin + len(token) + 1 + len(unknown))
        if at < 0:  # a special token, which the text leaves out
            continue
        for j in unknown:
            spans[j] = (position, at)
        spans[i], position, unknown = (at, at + len(token)), at + len(token), []
    for j in unknown:
        spans[j] = (position, len(text))
    of_character = [None] * len(text)
    for start, end, kind, word in words_of(text):
        of_character[start:end] = [(kind, word)] * (end - start)
    found = []
    for start, end in spans:
        start = next((k for k in range(start, end) if not text[k].isspace()), start)
        found.append(of_character[start] if start < len(text) else (REST, ""))
    return found


def is_beside_the_task(kind: int, word: str, task: set[str]) -> bool:
    """Has this word nothing to do with the task? task: the words of the question."""
    return kind == REST and word[:1].isalpha() and word not in task and word not in COMMON


def is_irrelevant(question: str, text: str) -> bool:
    """Does the response hold a line without any sense, a loop, another turn, or a tail after its answer?

    A line has no sense where it has four Latin letters and neither a formal piece, nor a word of
    logic or metacognition, nor one of the question, nor a COMMON one.
    """
    boxes = find_boxes(text)
    if boxes and len(text[boxes[-1].end :].split()) > GOES_ON:
        return True
    if LOOP.search(text) or any(text.find(turn, 1) > 0 for turn in TURNS):
        return True
    task = {word for *_, word in words_of(question)}
    for line in text.splitlines():
        words = words_of(line)
        sense = any(k != REST or (w[:1].isalpha() and w in task | COMMON) for _, _, k, w in words)
        if not sense and len(re.findall("[A-Za-z]", line)) >= 4:
            return True
    return False


def mixes_languages(question: str, text: str) -> bool:
    """Is there a script the question does not use? Latin: three words of four letters, LaTeX aside."""
    for letters in SCRIPTS.values():
        if re.search(f"[{letters}]", text) and not re.search(f"[{letters}]", question):
            return True
    asked_in_other = any(re.search(f"[{letters}]", question) for letters in SCRIPTS.values())
    if not asked_in_other or re.search("[A-Za-z]{3}", question):
        return False
    latin = [w for *_, kind, w in words_of(text) if kind != FORMAL and re.match("[a-z]{4}", w)]
    return len(latin) >= 3


def defects(question: str, text: str, outcome: str, truncated: bool) -> list[bool]:
    """Which of DEFECTS a response has. outcome: that of train.py's rollouts.

    >>> defects("7+8", "7+8=15\\nkq xwz\\n所以答案是：15。", "no answer", False)
    [True, True, True, False]
    """
    mixed = mixes_languages(question, text)
    return [outcome == "no answer", is_irrelevant(question, text), mixed, truncated]


# ---------------------------------------------------------------------------- what a run recorded


METRICS = {"step", "accuracy", "entropy", "branching_factor", "response_length"}
METRICS |= {f"entropy_rollout_mean{rollouts}" for rollouts in ("", "_correct", "_wrong")}


class Run(NamedTuple):
    """What a run's folder holds beside its rollouts."""

    folder: Path
    config: dict
    lines: list[dict]  # of metrics.jsonl, one a step
    summary: dict  # {} until the run has ended


def read_run(folder: Path) -> Run:
    """A run's folder but for its rollouts. A last line that was cut off is left out; NaN reads as None.

    Raises InputError where the folder is no run.
    """

    def read(text):
        return json.loads(text, parse_constant=lambda _: None)

    try:
        config = read((folder / "config.json").read_text(encoding="utf-8"))
        lines = [read(line) for line in whole_lines(folder / "metrics.jsonl")]
        summary = folder / "summary.json"
        summary = read(summary.read_text(encoding="utf-8")) if summary.exists() else {}
        if not {"temperature", "group_size", "seed"} <= config.keys():
            raise ValueError("config.json holds no options")
        if missing := {name for line in lines for name in METRICS - line.keys()}:
            raise ValueError(f"metrics.jsonl has lines without {min(missing)}")
        lines = [
            line for line in lines if line["entropy"] is not None
        ]  # else the policy was broken
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(
            f"{folder} has no config.json: name the folder of a run of train.py"
        ) from None
    except (ValueError, AttributeError) as error:
        raise InputError(
            f"{folder} is not as train.py writes a run ({error}): make it again, or name another"
        ) from None
    return Run(folder, config, lines, summary)


@dataclasses.dataclass
class Sampled:
    """The saved rollouts: R of them, with N tokens. A group is a question with its rollouts in a step."""

    step: torch.Tensor  # (R,)
    group: torch.Tensor  # (R,) numbers of groups, from 0
    right: torch.Tensor  # (R,) bool
    perplexity: torch.Tensor  # (R,)
    defects: torch.Tensor  # (R, 4) bool, see DEFECTS
    row: torch.Tensor  # (N,) which rollout a token is of
    kind: torch.Tensor  # (N,) see KINDS
    beside: torch.Tensor  # (N,) bool, see is_beside_the_task
    word: torch.Tensor  # (N,) index into vocabulary
    entropy: torch.Tensor  # (N,) nats
    gradient: torch.Tensor  # (N,) |A| times the norm of d log p / d logits
    position: torch.Tensor  # (N,) from 0 to 1
    moved: torch.Tensor  # (N,) dp, the change of probability by the step's updates; NaN: not probed
    vocabulary: list[str]

    def per_group(self, values, of_tokens=True) -> torch.Tensor:
        """Sums of (N,) values of tokens, or (R,) of rollouts, over each group: (groups,)."""
        groups = self.group[self.row] if of_tokens else self.group
        blank = torch.zeros(int(self.group.max()) + 1, dtype=torch.double)
        return blank.index_add_(0, groups, values.double())

    def sums(self, tokens, values) -> list[torch.Tensor]:
        """Of some tokens, (N,) bool: the sums of their values over each group, and their number."""
        return [self.per_group(tokens * values), self.per_group(tokens)]


def read_rollouts(folder: Path) -> Sampled | None:
    """All rollouts/step_N.parquet of a run, at most AT_MOST rollouts of each; None where there is none.

    Raises InputError for a file that train.py has not written.
    """
    import pyarrow  # comes with datasets
    import pyarrow.parquet

    parts, groups, rows, vocabulary = [], 0, 0, {}
    cells = ["step", "question", "text", "outcome", "truncated", "perplexity", "tokens"]
    lists = ["entropy", "gradient", "relative_position", "old_logp", "logp_change"]
    for file in rollout_files(folder):
        try:
            table = pyarrow.parquet.read_table(file, columns=cells + lists).slice(0, AT_MOST)
            step, question, text, outcome, truncated, perplexity, tokens = (
                table[name].to_pylist() for name in cells
            )
            entropy, gradient, position, old_logp, change = (
                torch.tensor(table[n].combine_chunks().flatten().to_numpy(False)) for n in lists
            )
        except (pyarrow.ArrowException, KeyError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{file} cannot be read ({reason}): delete or mend it") from None
        if not step:
            continue
        words = []
        for asked, said, pieces in zip(question, text, tokens, strict=True):
            task = {word for *_, word in words_of(asked)}
            for kind, word in token_words(pieces, said):
                number = vocabulary.setdefault(word, len(vocabulary))
                words.append((kind, is_beside_the_task(kind, word, task), number))
        kind, beside, word = torch.tensor(words).T
        another = torch.tensor([False] + [a != b for a, b in itertools.pairwise(question)])
        bad = [defects(*row) for row in zip(question, text, outcome, truncated, strict=True)]
        lengths = torch.tensor([len(pieces) for pieces in tokens])
        found = {
            "step": torch.tensor(step),
            "group": groups + another.cumsum(0),
            "right": torch.tensor([x == "correct" for x in outcome]),
            "perplexity": torch.tensor(perplexity),
            "defects": torch.tensor(bad),
            "row": rows + torch.arange(len(step)).repeat_interleave(lengths),
            "kind": kind,
            "beside": beside.bool(),
            "word": word,
            "entropy": entropy,
            "gradient": gradient,
            "position": position,
            "moved": old_logp.double().exp() * change.double().expm1(),
        }
        parts.append(found)
        groups, rows = int(found["group"][-1]) + 1, rows + len(step)
    if not parts:
        return None
    columns = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return Sampled(**columns, vocabulary=list(vocabulary))


def rollout_files(folder: Path) -> list[Path]:
    """Those of a run, by step."""
    return sorted((folder / "rollouts").glob("step_*.parquet"), key=step_of)


def step_of(path: Path) -> int:
    """The N of step_N or step_N.parquet."""
    return int(re.sub(r"\D", "", path.name.partition(".")[0]) or 0)


def whole_lines(path: Path) -> list[str]:
    """The lines of a file but for a last one that was cut off; [] without the file."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [line for line in lines if line.endswith("\n")]


# ------------------------------------------------------------------------- effects and verdicts


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
    height: float = 3.2
    notes: list[str] = dataclasses.field(default_factory=list)

    def add(self, label, statistic, *sums, above=None) -> Effect:
        """One more effect, by `bootstrap`."""
        self.effects.append(Effect(label, *bootstrap(statistic, *sums), above))
        return self.effects[-1]

    def verdict(self) -> tuple[str, str]:
        """(holds here | does not hold here | not enough data, why).

        It holds where every judged effect's interval is above its bound, and does not hold where some
        interval is not above it at all. Otherwise the data decide nothing: an interval that shrinks as
        1 / sqrt(n) would leave out the bound with so many times as many data.
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


def bootstrap(statistic, *sums, draws=1000, seed=0) -> tuple[float, float, float]:
    """(value, low, high) of a statistic of sums over units, and its 95 % percentile interval.

    sums: (units,) each, one entry a question or a step. As many units are drawn with replacement,
    `draws` times, and statistic turns the totals, (1 + draws,) each, into as many values. NaN where
    fewer than two units count, or where half of the draws have no value.

    >>> numbers = torch.tensor([0.0, 1.0] * 50)
    >>> value, low, high = bootstrap(ratio, numbers, torch.ones(100))
    >>> f"{value:.2f} [{low:.1f}, {high:.1f}]"
    '0.50 [0.4, 0.6]'
    """
    table = torch.stack([column.double() for column in sums], 1)
    table = table[(table != 0).any(1)]  # units that count in none of the sums
    weights = torch.zeros(1 + draws, len(table), dtype=torch.double)
    weights[0] = 1
    if len(table):
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randint(len(table), (draws, len(table)), generator=generator)
        weights[1:].scatter_add_(1, drawn, torch.ones_like(drawn, dtype=torch.double))
    values = statistic(*(weights @ table).T)
    known = values[1:][values[1:].isfinite()]
    if len(table) < 2 or len(known) < draws / 2:
        return values[0].item(), math.nan, math.nan
    return values[0].item(), *middle_95(known)


def middle_95(values) -> list[float]:
    """[low, high] of the middle 95 % of some values."""
    ends = torch.tensor([0.025, 0.975], dtype=torch.double)
    return torch.as_tensor(values, dtype=torch.double).quantile(ends).tolist()


def ratio(a, b):
    """A mean, from a sum and a count."""
    return a / b


def difference(a, b, c, d):
    """The difference of two means."""
    return a / b - c / d


# ------------------------------------------------------------------------------ the stage level


class Stages(NamedTuple):
    """The last step of the rising stage, None where no knee was found; and the last step of the run.

    Without a knee all steps count as the rising stage, and no plateau is known.
    """

    knee: int | None
    last: int

    def of(self, step) -> dict:
        """{stage: which of the steps (n,) are in it}."""
        rising = step <= (self.knee or self.last)
        return {"rising stage": rising, "plateau": ~rising}

    def ends_of_rise(self, step, least):
        """Two (n,) masks of the steps (n,): the first and the last tenth of the rising stage.

        Each holds at least `least` different steps, those nearest to that end. None where the two
        would have a step in common.
        """
        end = self.knee or self.last
        inside = sorted({s for s in step.tolist() if s <= end})
        if len(inside) < 2 * least:
            return None
        first = step <= max(TENTH * end, inside[least - 1])
        last = (step >= min((1 - TENTH) * end + 1, inside[-least])) & (step <= end)
        return None if (first & last).any() else (first, last)


NO_PLATEAU = "no plateau was found; needed: more steps, until accuracy and entropy level off"
NO_ROLLOUTS = "no rollouts were saved; needed: --save_rollouts_every"
NO_PROBES = "no rollouts of probe steps were saved; needed: --probe_every and --save_rollouts_every"
FEW_FILES = "rollouts of fewer than four steps of the rising stage; needed: --save_rollouts_every 5"


def s1_two_stages(run: Run) -> tuple[Finding, Stages]:
    claim = (
        "Training has two stages: first accuracy rises and entropy falls fast, then both level off."
    )
    finding = Finding("S1", claim, "steps", height=4.2)
    steps = [line["step"] for line in run.lines]
    curves = {name: [line[name] for line in run.lines] for name in ("accuracy", "entropy")}
    knee = find_knee(curves["entropy"], curves["accuracy"])
    stages = Stages(knee and steps[knee.step - 1], max(steps, default=0))

    def draw(figure):
        panels = figure.subplots(2, 1, sharex=True)
        fits = (knee.accuracies, knee.entropies) if knee else (None, None)
        for axes, name, fit in zip(panels, curves, fits, strict=True):
            axes.plot(steps, curves[name], color="silver", linewidth=0.8, label="each step")
            if fit:
                axes.plot(steps, fit, color="black", label="two lines that meet")
            mark_plateau(axes, stages)
        panels[0].set_ylabel("accuracy of\ntraining rollouts")
        panels[1].set_ylabel("token entropy\n(nats)")
        panels[0].legend(frameon=False, loc="lower right")
        panels[1].set_xlabel("training step")

    if steps:
        finding.draw = draw
    if knee is None and len(steps) < 5 * SEEN:
        finding.missing = f"no knee in {len(steps)} steps; needed: {5 * SEEN} or more"
    if knee is None:
        finding.effects = [Effect("knees found", 0, 0, 0, above=0)]
        return finding, stages
    # The fit is repeated on itself plus its own errors drawn with replacement.
    fitted = torch.tensor([knee.entropies, knee.accuracies])
    errors = torch.tensor([curves["entropy"], curves["accuracy"]]) - fitted
    generator, again = torch.Generator().manual_seed(0), []
    for _ in range(200):
        drawn = torch.randint(len(steps), (len(steps),), generator=generator)
        if found := find_knee(*(fitted + errors[:, drawn]).tolist()):
            again.append(found)
    for label, value, above in (
        ("last step of the rising stage", lambda k: float(steps[k.step - 1]), None),
        ("accuracy per 100 steps, rising stage", lambda k: 100 * k.rising[1], None),
        ("accuracy per 100 steps, plateau", lambda k: 100 * k.plateau[1], None),
        (
            "accuracy per 100 steps, rising less plateau",
            lambda k: 100 * (k.rising[1] - k.plateau[1]),
            0,
        ),
        ("entropy per 100 steps, rising stage (nats)", lambda k: 100 * k.rising[0], None),
        ("entropy per 100 steps, plateau (nats)", lambda k: 100 * k.plateau[0], None),
        (
            "fall of entropy per 100 steps, rising less plateau",
            lambda k: 100 * (k.plateau[0] - k.rising[0]),
            0,
        ),
    ):
        interval = middle_95([value(k) for k in again] or [math.nan])
        finding.effects.append(Effect(label, value(knee), *interval, above))
    finding.notes = [f"A knee was found in {len(again)} of 200 repetitions with errors redrawn."]
    return finding, stages


def s2_right_and_wrong(run: Run, stages: Stages) -> Finding:
    claim = (
        "In the rising stage entropy falls mainly in wrong rollouts, which have more throughout."
    )
    finding = Finding("S2", claim, "steps")
    step = torch.tensor([line["step"] for line in run.lines])
    every, right, wrong = (
        torch.tensor(
            [math.nan if line[name] is None else line[name] for line in run.lines]
        ).double()
        for name in (
            "entropy_rollout_mean",
            *(f"entropy_rollout_mean_{x}" for x in ("correct", "wrong")),
        )
    )
    # The share of wrong ones among the rollouts trained on: every = (1 - share) right + share wrong.
    share = ((every - right) / (wrong - right)).nan_to_num(0.5).clamp(0, 1)
    share = torch.where(right.isnan(), 1.0, torch.where(wrong.isnan(), 0.0, share))
    both = ~(right.isnan() | wrong.isnan())
    ends = stages.ends_of_rise(step[both], least=5)
    if not ends:
        count = int(both.sum())
        finding.missing = (
            f"{count} steps with both right and wrong rollouts; needed: 10 in the rise"
        )
        return finding
    for name, inside in stages.of(step).items():
        if (inside := inside & both).any():
            gap = (wrong - right).nan_to_num() * inside
            finding.add(f"wrong less right, {name} (nats)", ratio, gap, inside, above=0)
    weights = {"wrong": share[both], "right": 1 - share[both]}
    entropies = {"wrong": wrong[both], "right": right[both]}
    for name, weight in weights.items():
        sums = [end * x for end in ends for x in (weight * entropies[name], weight)]
        finding.add(f"fall in a {name} rollout (nats)", difference, *sums)
    # Per end: the number of steps, and of wrong and right rollouts their share and their entropy.
    sums = [
        end * x
        for end in ends
        for x in (
            torch.ones(len(share[both])),
            *weights.values(),
            *(weights[n] * entropies[n] for n in weights),
        )
    ]

    def parts(n0, w0, r0, hw0, hr0, n1, w1, r1, hw1, hr1):
        """The fall within wrong ones, within right ones, by fewer wrong ones: together the whole."""
        in_wrong = (w0 / n0 + w1 / n1) / 2 * (hw0 / w0 - hw1 / w1)
        in_right = (r0 / n0 + r1 / n1) / 2 * (hr0 / r0 - hr1 / r1)
        whole = (hw0 + hr0) / n0 - (hw1 + hr1) / n1
        return torch.stack([in_wrong, in_right, whole - in_wrong - in_right, whole])

    finding.add("fall of all rollouts (nats)", lambda *c: parts(*c)[3], *sums)
    shares = [
        finding.add(
            f"share of it {label} (%)", lambda *c, i=i: 100 * parts(*c)[i] / parts(*c)[3], *sums
        )
        for i, label in enumerate(
            ("within wrong rollouts", "within right ones", "by fewer wrong ones")
        )
    ]
    label = "fall within wrong rollouts less that within right ones (nats)"
    finding.add(label, lambda *c: parts(*c)[0] - parts(*c)[1], *sums, above=0)
    first, last = (step[both][end] for end in ends)
    finding.notes.append(
        f"The fall is from steps {first[0]} to {first[-1]} to steps {last[0]} to {last[-1]}; its parts "
        "are the falls in a wrong and in a right rollout times their mean shares, and the rest."
    )

    def draw(figure):
        axes, beside = figure.subplots(1, 2, width_ratios=(2.4, 1))
        for values, colour, label in (
            (wrong, WRONG, "wrong rollouts"),
            (right, RIGHT, "right rollouts"),
        ):
            axes.plot(step, values, color=colour, alpha=0.25, linewidth=0.7)
            axes.plot(step, smooth(values), color=colour, label=label)
        mark_plateau(axes, stages)
        axes.set(xlabel="training step", ylabel="entropy of a rollout (nats)")
        axes.set_ylim(0, 1.3 * smooth(wrong).nan_to_num().max().item() + 1e-9)
        axes.legend(frameon=False, loc="upper right")
        bars(beside, range(3), shares, (WRONG, RIGHT, "silver"))
        beside.set_xticks(range(3), ("within\nwrong", "within\nright", "fewer\nwrong"))
        beside.set_ylabel("share of the fall (%)")

    finding.draw = draw
    return finding


def s3_which_tokens(stages: Stages, sampled: Sampled | None) -> Finding:
    finding = Finding(
        "S3",
        "In the rising stage the tokens that lose most entropy are beside the task, and those of "
        "mathematical reasoning become more frequent.",
        height=3.4,
    )
    ends = sampled and stages.ends_of_rise(sampled.step, least=2)
    if not ends:
        finding.missing = FEW_FILES if sampled else NO_ROLLOUTS
        return finding
    entropy, formal = sampled.entropy, sampled.kind == FORMAL
    ends_of_tokens = [end[sampled.row] for end in ends]
    sums = [
        sampled.per_group(end * x)
        for end in ends_of_tokens
        for x in (sampled.beside * entropy, formal * entropy, formal, torch.ones_like(entropy))
    ]  # of both ends: entropy beside the task, entropy of formal tokens, their number, that of all

    def fall(i):
        return lambda *c: 1000 * (c[i] / c[3] - c[4 + i] / c[7])

    per = "(nats per 1000 tokens of any kind)"
    finding.add(f"fall on words beside the task {per}", fall(0), *sums)
    finding.add(f"fall on formal reasoning {per}", fall(1), *sums)
    label = "fall beside the task less that on formal reasoning"
    finding.add(label, lambda *c: fall(0)(*c) - fall(1)(*c), *sums, above=0)
    label = "gain of formal reasoning (tokens per 1000)"
    finding.add(label, lambda *c: -fall(2)(*c), *sums, above=0)

    table = torch.zeros(
        4, len(sampled.vocabulary), dtype=torch.double
    )  # of both ends, per 1000 tokens
    for i, end in enumerate(ends_of_tokens):
        for j, x in enumerate((entropy, torch.ones_like(entropy))):
            table[2 * i + j].index_add_(0, sampled.word, (end * x).double() * 1000 / end.sum())
    columns = {"entropy lost (nats)": table[0] - table[2], "frequency gained": table[3] - table[1]}
    top = {
        name: values.topk(min(8, len(values))).indices.tolist() for name, values in columns.items()
    }
    head = [x for name in columns for x in ("word", f"{name}, per 1000 tokens")]
    rows = [
        [
            x
            for name, i in zip(columns, pair)
            for x in (f"`{word_label(sampled, i)}`", f"{columns[name][i]:.2f}")
        ]
        for pair in zip(*top.values(), strict=True)
    ]
    finding.notes = [_between(ends, sampled), "", *markdown_table(head, rows)]

    def draw(figure):
        kind_of = dict(zip(sampled.word.tolist(), sampled.kind.tolist(), strict=True))
        for axes, (name, values) in zip(figure.subplots(1, 2), columns.items(), strict=True):
            for y, i in enumerate(reversed(top[name])):
                axes.barh(y, values[i].item(), color=OTHERS[kind_of[i]])
            axes.set_yticks(
                range(len(top[name])),
                [drawable(word_label(sampled, i)) for i in reversed(top[name])],
            )
            axes.set_xlabel(f"{name}\nper 1000 tokens")
        handles = [axes.barh(0, 0, color=OTHERS[k], label=KINDS[k]) for k in range(len(KINDS))]
        figure.legend(
            handles=handles, loc="outside upper center", ncols=4, frameon=False, fontsize=8
        )

    finding.draw = draw
    return finding


def _between(ends, sampled) -> str:
    steps = [", ".join(map(str, sampled.step[end].unique().tolist())) for end in ends]
    return f"From the rollouts of steps {steps[0]} to those of steps {steps[1]}."


def s4_defects(stages: Stages, sampled: Sampled | None) -> Finding:
    finding = Finding(
        "S4",
        "In the rising stage defective output becomes rare: responses without an answer, with irrelevant "
        "content, in mixed languages.",
    )
    ends = sampled and stages.ends_of_rise(sampled.step, least=2)
    if not ends:
        finding.missing = FEW_FILES if sampled else NO_ROLLOUTS
        return finding
    for name, bad in zip(DEFECTS, sampled.defects.T, strict=True):
        sums = [
            sampled.per_group(x, of_tokens=False) for end in ends for x in (100 * bad * end, end)
        ]
        for label, rate in (("first", sums[:2]), ("last", sums[2:])):
            finding.add(f"{name}, {label} (% of rollouts)", ratio, *rate)
        judged = name != "truncation" and (bad & (ends[0] | ends[1])).any()
        finding.add(f"fall of {name}", difference, *sums, above=0 if judged else None)
    if all(effect.above is None for effect in finding.effects):
        finding.missing = "none of the defects occurs at either end of the rising stage"
    finding.notes = [_between(ends, sampled)]

    def draw(figure):
        axes, steps = figure.subplots(), sampled.step.unique()
        for i, (name, bad) in enumerate(zip(DEFECTS, sampled.defects.T, strict=True)):
            rates = [100 * bad[sampled.step == step].double().mean() for step in steps]
            axes.plot(
                steps, rates, "o-" if i < 3 else "--", markersize=3, color=OTHERS[i], label=name
            )
        mark_plateau(axes, stages)
        axes.set(xlabel="training step", ylabel="share of rollouts (%)")
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False)

    finding.draw = draw
    return finding


def probed(stages, sampled) -> dict:
    """{stage: ((N,) its probed tokens, (N,) the most changed MOST of them)}; {} where there are none."""
    found = {}
    if sampled:
        for name, inside in stages.of(sampled.step[sampled.row]).items():
            tokens = inside & ~sampled.moved.isnan()
            if count := int(tokens.sum()):
                size = sampled.moved.abs()
                bound = size[tokens].kthvalue(max(1, count - int(MOST * count))).values
                found[name] = tokens, tokens & (size >= bound.clamp(min=1e-12))
    return found


def s5_what_an_update_changes(stages: Stages, sampled: Sampled | None) -> Finding:
    finding = Finding(
        "S5",
        "In the plateau over 99 % of tokens hardly change probability; the updates sit on tokens of high "
        "entropy and gradient, reinforced in right and suppressed in wrong rollouts.",
    )
    parts = probed(stages, sampled)
    if "plateau" not in parts:
        finding.missing = NO_PLATEAU if parts else NO_PROBES if sampled else NO_ROLLOUTS
    if not parts:
        return finding
    moved, right = sampled.moved.nan_to_num(), sampled.right[sampled.row]
    for name, (tokens, most) in parts.items():
        judged = name == "plateau"
        sums = sampled.sums(tokens, 100.0 * (moved.abs() < HARDLY))
        label = f"{name}: tokens whose p changes by less than {HARDLY} (%)"
        finding.add(label, ratio, *sums, above=99 if judged else None)
        for label, values in (("entropy (nats)", sampled.entropy), ("gradient", sampled.gradient)):
            sums = [*sampled.sums(most, values), *sampled.sums(tokens, values)]
            label = f"{name}: {label} of the most changed less that of all"
            finding.add(label, difference, *sums, above=0 if judged else None)
        for label, sums in (
            ("gain of p of the most changed, right rollouts", sampled.sums(most & right, moved)),
            ("fall of p of the most changed, wrong rollouts", sampled.sums(most & ~right, -moved)),
        ):
            finding.add(f"{name}: {label}", ratio, *sums, above=0 if judged else None)
    finding.notes = [f"The most changed tokens are {MOST:.0%} of the probed ones of the stage."]

    def draw(figure):
        left, *others = figure.subplots(1, 3, width_ratios=(1.4, 1, 1))
        at = torch.logspace(-4, 0, 60, dtype=torch.double)
        for name, (tokens, _) in parts.items():
            above = 1 - torch.searchsorted(moved[tokens].abs().sort().values, at) / tokens.sum()
            left.plot(at, 100 * above, color=STAGE_COLOURS[name], label=name)
        left.axhline(1, color="black", linewidth=0.6, linestyle=":")
        left.axvline(HARDLY, color="black", linewidth=0.6, linestyle=":")
        left.set(xscale="log", yscale="log", ylim=(0.01, 150))
        left.set(xlabel="change of p, its size", ylabel="tokens that change more (%)")
        left.legend(frameon=False, loc="lower left", fontsize=8)
        name, (tokens, most) = list(parts.items())[-1]
        for axes, values, label in zip(
            others, (sampled.entropy, moved), ("entropy (nats)", "change of p")
        ):
            groups = [x & rows for rows in (right, ~right) for x in (tokens, most)]
            boxes = axes.boxplot(
                [values[g].tolist() for g in groups],
                showfliers=False,
                widths=0.6,
                patch_artist=True,
            )
            for box, line, colour in zip(
                boxes["boxes"], boxes["medians"], (RIGHT, RIGHT, WRONG, WRONG)
            ):
                box.set_facecolor(colour)
                line.set_color("white")
            axes.set_xticks(range(1, 5), ["all", "most"] * 2, fontsize=8)
            axes.set(xlabel="right      wrong", ylabel=label)
            axes.set_title(name, fontsize=9)
        others[1].axhline(0, color="black", linewidth=0.6)

    finding.draw = draw
    return finding


def s6_kinds_of_tokens(stages: Stages, sampled: Sampled | None) -> Finding:
    claim = "In the plateau the strongest updates are on tokens of formal reasoning: numbers, operators, LaTeX."
    finding = Finding("S6", claim)
    parts = probed(stages, sampled)
    if "plateau" not in parts:
        finding.missing = NO_PLATEAU if parts else NO_PROBES if sampled else NO_ROLLOUTS
    if not parts:
        return finding
    size, found = 100 * sampled.moved.nan_to_num().abs(), {}
    for name, (tokens, _) in parts.items():
        sums = {k: sampled.sums(tokens & (sampled.kind == k), size) for k in range(len(KINDS))}
        sums = {k: pair for k, pair in sums.items() if pair[1].sum() >= ENOUGH_TOKENS}
        for k, pair in sums.items():
            label = f"{name}: {KINDS[k]}, {int(pair[1].sum())} tokens (points)"
            found[name, k] = finding.add(label, ratio, *pair)
    if "plateau" in parts and FORMAL in sums and len(sums) > 1:
        columns = [x for k in sums for x in sums[k]]  # formal reasoning comes first

        def lead(*c):
            formal, *others = (a / b for a, b in zip(c[::2], c[1::2], strict=True))
            return formal - torch.stack(others).amax(0)

        label = "plateau: formal reasoning less the strongest other kind"
        finding.add(label, lead, *columns, above=0)
    elif "plateau" in parts:
        finding.missing = (
            f"needed: {ENOUGH_TOKENS} probed tokens of formal reasoning and of another kind"
        )
    finding.notes = [
        f"Mean size of the change of p, in points; of kinds with {ENOUGH_TOKENS} tokens."
    ]

    def draw(figure):
        axes = figure.subplots()
        for name, shift in zip(parts, (-0.2, 0.2), strict=False):
            at = [k for k in range(len(KINDS)) if (name, k) in found]
            effects, colour = [found[name, k] for k in at], STAGE_COLOURS[name]
            bars(axes, [k + shift for k in at], effects, colour, width=0.4, label=name)
        known = {k for _, k in found}
        labels = [kind if k in known else f"{kind}\n(too few)" for k, kind in enumerate(KINDS)]
        axes.set_xticks(range(len(KINDS)), labels)
        axes.set_ylabel("mean change of p (points)")
        axes.legend(frameon=False)

    finding.draw = draw
    return finding


# -------------------------------------------------------------------- the instance and token levels


def i1_perplexity(stages: Stages, sampled: Sampled | None) -> Finding:
    finding = Finding("I1", "The largest updates are in rollouts of low perplexity.")
    parts = probed(stages, sampled)
    if not parts:
        finding.missing = NO_PROBES if sampled else NO_ROLLOUTS
        return finding
    parts["whole run"] = tuple(probed(Stages(None, stages.last), sampled)["rising stage"])
    fifth = torch.zeros(len(sampled.step), dtype=torch.long)  # of perplexity, within the step
    for step in sampled.step.unique():
        rows = (sampled.step == step).nonzero().flatten()
        ranked = rows[sampled.perplexity[rows].argsort(stable=True)]
        fifth[ranked] = torch.arange(len(rows)) * 5 // len(rows)
    fifth, found = fifth[sampled.row], {}
    for name, (tokens, most) in parts.items():
        sums = [sampled.sums(tokens & (fifth == i), 100.0 * most) for i in range(5)]
        found[name] = [Effect("", *bootstrap(ratio, *pair)) for pair in sums]
        for i, label in ((0, "lowest"), (4, "highest")):
            label = f"{name}: most changed among the tokens of {label} perplexity (%)"
            finding.effects.append(found[name][i]._replace(label=label))
    label = "whole run: lowest less highest fifth"
    finding.add(label, difference, *sums[0], *sums[4], above=0)
    finding.notes = [f"The most changed tokens are {MOST:.0%}; perplexity is ranked within a step."]

    def draw(figure):
        axes = figure.subplots()
        for name, shift in zip(STAGE_COLOURS, (-0.2, 0.2), strict=True):
            if name in found:
                at = [i + shift for i in range(5)]
                bars(axes, at, found[name], STAGE_COLOURS[name], width=0.4, label=name)
        axes.axhline(100 * MOST, color="black", linewidth=0.6, linestyle=":")
        axes.set_xticks(range(5), ["lowest", "2", "3", "4", "highest"])
        axes.set(
            xlabel="fifth of the rollouts of a step, by perplexity",
            ylabel=f"tokens among the\nmost changed {MOST:.0%} (%)",
        )
        axes.legend(frameon=False)

    finding.draw = draw
    return finding


def t1_position(stages: Stages, sampled: Sampled | None) -> Finding:
    claim = "Entropy over the position in a response is U-shaped: high at its start and at its end."
    finding = Finding("T1", claim)
    if sampled is None:
        finding.missing = NO_ROLLOUTS
        return finding
    position, entropy, right = sampled.position, sampled.entropy, sampled.right[sampled.row]
    sums = {
        "first tenth": sampled.sums(position < 0.1, entropy),
        "middle fifth": sampled.sums((position >= 0.4) & (position < 0.6), entropy),
        "last tenth": sampled.sums(position >= 0.9, entropy),
    }
    for name, pair in sums.items():
        finding.add(f"entropy of the {name} (nats)", ratio, *pair)
    for name in ("first tenth", "last tenth"):
        finding.add(
            f"{name} less middle fifth", difference, *sums[name], *sums["middle fifth"], above=0
        )

    def draw(figure):
        axes = figure.subplots()
        for rows, colour, label in (
            (~right, WRONG, "wrong rollouts"),
            (right, RIGHT, "right rollouts"),
        ):
            means = [entropy[rows & ((position * 20).long() == i)].mean() for i in range(20)]
            at = torch.arange(0.025, 1, 0.05)
            axes.plot(at, means, "o-", markersize=3, color=colour, label=label)
        axes.set(xlabel="relative position in the response", ylabel="token entropy (nats)")
        axes.set(xlim=(0, 1), ylim=(0, None))
        axes.legend(frameon=False)

    finding.draw = draw
    return finding


def x1_exploration(run: Run, stages: Stages) -> Finding:
    finding = Finding(
        "X1",
        "Training sharpens more than it explores: accuracy rises, while questions solved at all in k tries "
        "hardly become more (arXiv 2508.07534).",
    )
    before, after = (run.summary.get(name) for name in ("before", "after"))
    if not before or not after:
        finding.missing = "the run has not ended: its last evaluation is needed"
        return finding
    n = before["samples"]
    for k in dict.fromkeys((1, n)):
        for name, found in (("before", before), ("after", after)):
            value = found["pass"][str(k)]
            finding.effects.append(
                Effect(f"Pass@{k} {name}", value["mean"], value["low"], value["high"])
            )
    for name, found in (("before", before), ("after", after)):
        finding.effects.append(Effect(f"unsolved in {n} rollouts {name}", found["unsolved"]))
    if "right" in before and "right" in after:
        right = torch.tensor(
            [before["right"], after["right"]]
        ).double()  # (2, questions), of n rollouts
        ones = torch.ones_like(right[0])
        finding.effects.append(Effect("... before and after", int((right == 0).all(0).sum())))
        one, solved = (right[1] - right[0]) / n, (right[1] > 0).double() - (right[0] > 0).double()
        finding.add("gain of Pass@1", ratio, one, ones, above=0)
        finding.add(f"gain of Pass@{n}", ratio, solved, ones)
        finding.add(f"gain of Pass@1 less that of Pass@{n}", ratio, one - solved, ones, above=0)
    else:
        finding.missing = "summary.json does not tell the questions apart: a newer run is needed"
    finding.notes = [f"{before['questions']} held-out questions, {n} rollouts of each."]

    def draw(figure):
        axes, beside = figure.subplots(1, 2)
        for found, colour, label in ((before, "darkgray", "before"), (after, "black", "after")):
            values = [found["pass"][str(k)] for k in range(1, n + 1)]
            mean, low, high = ([value[x] for value in values] for x in ("mean", "low", "high"))
            axes.fill_between(range(1, n + 1), low, high, color=colour, alpha=0.25, linewidth=0)
            axes.plot(range(1, n + 1), mean, "o-", markersize=3, color=colour, label=label)
        axes.set(xlabel="k, tries", ylabel="Pass@k, held-out questions")
        axes.set_ylim(top=1.01)
        axes.legend(frameon=False, title="training", loc="lower right")
        steps = [line["step"] for line in run.lines]
        values = torch.tensor([line["branching_factor"] for line in run.lines])
        beside.plot(steps, values, color="silver", linewidth=0.8)
        beside.plot(steps, smooth(values), color="black")
        mark_plateau(beside, stages)
        beside.set(xlabel="training step", ylabel="branching factor (tokens)")

    finding.draw = draw
    return finding


# ------------------------------------------------------------------------ replacing a token: I2, T2

PLACES = ("start", "middle", "end")  # thirds of a response
REPLACED = "replaced.jsonl"


def intervene(run: Run, report: Path, most_questions: int, continuations: int) -> None:
    """Replace tokens of high entropy, let the policy go on, and append what came of it to a file.

    The last checkpoint answers questions of the saved rollouts. Each question is one call of
    `replace_tokens` with a seed of its own; what is in the file already is not asked again.
    Raises InputError where there is no checkpoint or no question.
    """
    from tqdm import tqdm

    from eval import choose_device, choose_precision
    from rollout import load_policy

    config, path = run.config, report / REPLACED
    folders = sorted((run.folder / "checkpoints").glob("step_*"), key=step_of)
    if not folders:
        raise InputError(f"--intervene: {run.folder} holds no checkpoint; wait for its first")
    asked = saved_questions(run.folder)[:most_questions]
    if not asked:
        raise InputError(f"--intervene: {run.folder} holds no rollouts; {NO_ROLLOUTS}")
    lines = whole_lines(path)
    path.write_text("".join(lines), encoding="utf-8")  # without what was cut off
    about = {"checkpoint": folders[-1].name, "continuations": continuations}
    done = [json.loads(line) for line in lines]
    done = {line["question"] for line in done if about.items() <= line.items()}
    missing = [question for question in asked if question.text not in done]
    if not missing:
        return
    device = choose_device(config["device"])
    precision = choose_precision(config["precision"], device)
    policy = load_policy(str(folders[-1]), device, config["template"], config["instruction"])
    with (
        tqdm(
            total=len(asked), initial=len(asked) - len(missing), desc="replace", unit="question"
        ) as bar,
        path.open("a", encoding="utf-8") as file,
    ):
        for question in missing:
            with precision:
                found = replace_tokens(policy, question, config, continuations)
            line = about | {"question": question.text, "replaced": found}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            bar.update()


def saved_questions(folder: Path) -> list[Question]:
    """The different questions of the saved rollouts, the latest first."""
    import pyarrow.parquet

    found = {}
    for file in rollout_files(folder)[::-1]:
        table = pyarrow.parquet.read_table(file, columns=["question", "gold"])
        for row in table.to_pylist():
            found.setdefault(row["question"], row["gold"])
    return [Question(text, gold) for text, gold in found.items()]


def replace_tokens(policy, question: Question, config: dict, continuations: int) -> list[dict]:
    """The replacement experiment on one question: a dict for each token replaced.

    The policy answers it group_size times. In the answers of lowest and of highest perplexity, and in
    each third of them, one of the tokens within the top HIGH_ENTROPY of the answer's entropies is drawn.
    From there the policy goes on `continuations` times with that token, and as often with another one
    drawn from its own distribution without that token.

    perplexity low or high, place, position (0 to 1), entropy (nats), token and replacement as text, and
    the accuracies with_original and with_replacement. [] where all answers are the same.
    """
    from entropy import log_perplexity, next_token_logits, response_states, score_batch
    from rollout import encode_prompt, sample

    torch.manual_seed(zlib.crc32(question.text.encode()) + config["seed"])
    prompt, temperature = encode_prompt(policy, question.text), config["temperature"]
    longest, sizes = (
        config["max_response_length"],
        (config["sample_batch_size"], config["sample_round_length"]),
    )

    def write(prompts, count):
        return sample(policy, prompts, count, longest, temperature, 1.0, *sizes)

    rollouts = write([prompt], config["group_size"])
    how = (temperature, config["micro_batch_tokens"], config["chunk_tokens"])
    scores, mask = score_batch(policy.model, rollouts, *how), rollouts.response_mask
    ranked = log_perplexity(scores.logp, mask).argsort()
    if rollouts.texts[ranked[0]] == rollouts.texts[ranked[-1]]:
        return []
    found, starts = [], []
    for name, row in (("low", ranked[:1]), ("high", ranked[-1:])):
        part = rollouts.rows(row)
        response = part.input_ids[part.response_mask].tolist()
        entropy = scores.entropy[row][mask[row]]
        top = entropy.topk(math.ceil(HIGH_ENTROPY * len(response))).indices
        with torch.no_grad():
            states = response_states(policy.model, part.input_ids, part.response_mask)
        for i, place in enumerate(PLACES):
            here = top[top * len(PLACES) // len(response) == i]
            if not len(here):
                continue
            at = int(here[torch.randint(len(here), ())])
            with torch.no_grad():
                logits = next_token_logits(policy.model, states[at]).float() / temperature
            logits[response[at]] = -math.inf
            other = int(torch.multinomial(logits.softmax(-1), 1))
            starts += [response[:at] + [token] for token in (response[at], other)]
            token, replacement = policy.tokenizer.batch_decode([[response[at]], [other]])
            position, nats = at / len(response), entropy[at].item()
            names = "perplexity place position entropy token replacement"
            values = (name, place, position, nats, token, replacement)
            found.append(dict(zip(names.split(), values, strict=True)))

    def goes_on(start):
        return start[-1] not in policy.eos_ids and len(start) < longest

    going = [prompt + start for start in starts if goes_on(start)]
    ends = write(going, continuations) if going else None
    rows, accuracies = iter(range(len(going) * continuations)), []
    for start in starts:
        responses = [start]
        if goes_on(start):
            chosen = itertools.islice(rows, continuations)
            responses = [start + ends.input_ids[r][ends.response_mask[r]].tolist() for r in chosen]
        texts = [policy.tokenizer.decode(r[:longest], skip_special_tokens=True) for r in responses]
        accuracies.append(fmean(grade(text, question.gold).correct for text in texts))
    for line, original, replaced in zip(found, accuracies[::2], accuracies[1::2], strict=True):
        line |= {"with_original": original, "with_replacement": replaced}
    return found


def replacement_findings(report: Path) -> tuple[Finding, Finding]:
    """I2 and T2 from the lines that `intervene` has written."""
    i2 = Finding(
        "I2",
        "Replacing a token of high entropy hurts accuracy less in rollouts of low perplexity than in those "
        "of high perplexity.",
    )
    claim = (
        "Replacing a token of high entropy hurts accuracy much more at the start than at the end."
    )
    t2 = Finding("T2", claim)
    lines = [json.loads(line) for line in whole_lines(report / REPLACED)]
    if not lines:
        i2.missing = t2.missing = "needed: analyze.py RUN --intervene"
        return i2, t2
    about = {name: lines[-1][name] for name in ("checkpoint", "continuations")}  # the latest
    asked = [line["replaced"] for line in lines if about.items() <= line.items()]
    count = sum(map(len, asked))

    def sums(name, value, measure):
        """Of each question: the sum of a measure over the tokens with that value, and their number."""
        chosen = [[measure(x) for x in tokens if x[name] == value] for tokens in asked]
        return torch.tensor([[sum(values), len(values)] for values in chosen]).T

    def impact(token):
        return 100 * (token["with_original"] - token["with_replacement"])

    for finding, name, values, label in (
        (i2, "perplexity", ("high", "low"), "high perplexity less low"),
        (t2, "place", PLACES, "start less end"),
    ):
        of = {value: sums(name, value, impact) for value in values}
        shown = [
            finding.add(f"impact, {name} {v} (points)", ratio, *pair) for v, pair in of.items()
        ]
        for value in values:
            accuracy = sums(name, value, lambda x: 100 * x["with_original"])
            finding.add(f"accuracy with the original, {name} {value} (%)", ratio, *accuracy)
        finding.add(label, difference, *of[values[0]], *of[values[-1]], above=0)
        how = f"{about['continuations']} continuations of either token, {about['checkpoint']}"
        top = f"{count} tokens of the top {HIGH_ENTROPY:.0%}, {len(asked)} questions"
        same = sum(not tokens for tokens in asked)
        finding.notes = [f"{top}, to {same} of which all answers were the same; {how}."]

        def draw(figure, shown=shown, name=name, values=values):
            axes = figure.subplots()
            bars(axes, range(len(shown)), shown, "darkgray", width=0.5)
            axes.axhline(0, color="black", linewidth=0.6)
            axes.set_xticks(range(len(shown)), values)
            axes.set(
                xlabel="perplexity of the rollout"
                if name == "perplexity"
                else "third of the response",
                ylabel="accuracy lost by\nthe replacement (points)",
            )

        finding.draw = draw
    return i2, t2


# ----------------------------------------------------------------------------- several runs: I3, T3

# A run with these trains by plain GRPO; of several such settings the nearest to all others is meant.
PLAIN = {"objective": "clip", "ppl_alpha": 0.0, "position_gamma": 0.0}
PLAIN |= {"polarity_expand": 1.0, "polarity_contract": 1.0}
MEASURES = {"accuracy": 3, "entropy": 4, "response_length": 1}  # and the digits shown
LABELS = ("accuracy", "entropy (nats)", "length (tokens)")


def t_quantile(z: float, free: int) -> float:
    """Student's quantile where the normal one is z: the Cornish-Fisher expansion about it.

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


def by_setting(runs: list[Run]) -> dict[str, dict[int, Run]]:
    """{setting: {seed: run}}, named by the options in which it differs from plain GRPO, "GRPO".

    Where no run is plain GRPO they are named by their differences from the first. Raises InputError for
    two runs with the same options and seed.
    """
    settings = []  # (options, {seed: run})
    for run in runs:
        options = {name: value for name, value in run.config.items() if name != "seed"}
        seeds = next((seeds for known, seeds in settings if known == options), None)
        if seeds is None:
            settings.append((options, seeds := {}))
        if run.config["seed"] in seeds:
            raise InputError(
                f"{run.folder} has the options and the seed of another run: leave it out"
            )
        seeds[run.config["seed"]] = run

    def differ(a, b):
        return [name for name in sorted(a.keys() | b.keys()) if a.get(name) != b.get(name)]

    every = [options for options, _ in settings]
    plain = [options for options in every if PLAIN.items() <= (PLAIN | options).items()]
    base = min(plain, key=lambda a: sum(len(differ(a, b)) for b in every), default=every[0])
    names = (", ".join(f"{name} {o.get(name)}" for name in differ(o, base)) for o in every)
    usual = "GRPO" if plain else "the first"
    return {name or usual: seeds for name, (_, seeds) in zip(names, settings, strict=True)}


def compare_runs(runs: list[Run]) -> tuple[list[Finding], list[str]]:
    """I3 and T3, and a table of all settings in Markdown. Raises InputError; see `by_setting`."""
    for run in runs:
        if not run.lines:
            raise InputError(f"{run.folder} has no steps yet: wait, or leave it out")
    settings = by_setting(runs)

    def came_to(run, measure):
        """Held-out accuracy where it was evaluated; else the mean over the last tenth of the steps."""
        if measure == "accuracy" and run.summary.get("after"):
            return run.summary["after"]["acc"]["mean"]
        return fmean(line[measure] for line in run.lines[-max(1, len(run.lines) // 10) :])

    def less(a, b, measure):
        """(mean, low, high) of a less b over the seeds that both have with as many steps; or None."""
        ours, theirs = settings.get(a, {}), settings.get(b, {})
        shared = [s for s in ours if s in theirs and len(ours[s].lines) == len(theirs[s].lines)]
        return shared and t_interval(
            [came_to(ours[s], measure) - came_to(theirs[s], measure) for s in shared]
        )

    def named(*signs):
        """The setting with these signs of alpha and of gamma times k, the one with most seeds; or None."""
        fitting = {}
        for name, seeds in settings.items():
            c = next(iter(seeds.values())).config
            values = (
                c.get("ppl_alpha", 0),
                c.get("position_gamma", 0) * c.get("position_steepness", 0),
            )
            if tuple((x > 0) - (x < 0) for x in values) == signs:
                fitting[name] = len(seeds)
        return max(fitting, key=fitting.get, default=None)

    low, high, late, early = named(1, 0), named(-1, 0), named(0, 1), named(0, -1)
    i3 = Finding(
        "I3",
        "Favouring rollouts of low perplexity beats GRPO; favouring those of high perplexity loses to it and "
        "raises entropy.",
        "seeds",
    )
    claim = "A bonus on late tokens beats one on early tokens, and lengthens responses."
    t3 = Finding("T3", claim, "seeds")
    for finding, label, a, b, measure in (
        (i3, "accuracy, low perplexity less GRPO", low, "GRPO", "accuracy"),
        (i3, "accuracy, GRPO less high perplexity", "GRPO", high, "accuracy"),
        (i3, "entropy, high perplexity less GRPO (nats)", high, "GRPO", "entropy"),
        (t3, "accuracy, late less early", late, early, "accuracy"),
        (t3, "length, late less GRPO (tokens)", late, "GRPO", "response_length"),
    ):
        if found := less(a, b, measure):
            finding.effects.append(Effect(label, *found, above=0))
        else:
            finding.missing = f"no seed has both runs, with as many steps, of: {label}"
    for finding, others in (
        (i3, {low: "low perplexity", high: "high perplexity"}),
        (t3, {late: "late tokens", early: "early tokens"}),
    ):
        shown = {n: label for n, label in ({"GRPO": "GRPO"} | others).items() if n in settings}
        named_so = (f"{label}: {name}" for name, label in shown.items() if name != "GRPO")
        bands = "lines are means over seeds, bands go from the lowest seed to the highest"
        finding.notes = ["; ".join([*named_so, bands]) + "."]
        finding.draw = functools.partial(draw_curves, settings=settings, shown=shown)

    def cell(found, digits):
        mean, low, high = (f"{x:.{digits}f}" for x in found)
        return f"{mean} [{low}, {high}]" + " *" * (not found[1] <= 0 <= found[2])

    rows = []
    for name, seeds in settings.items():
        row = [name, str(len(seeds))]
        for measure, digits in MEASURES.items():
            mean = cell(t_interval([came_to(run, measure) for run in seeds.values()]), digits)
            row.append(mean.rstrip(" *"))
            found = less(name, "GRPO", measure) if name != "GRPO" else None
            row.append(cell(found, digits) if found else "")
        rows.append(row)
    head = ["setting", "seeds", *(x for label in LABELS for x in (label, "less GRPO"))]
    told = "Means [95 % t-interval over seeds]; differences seed by seed, * where 0 is left out."
    return [i3, t3], ["", told, "", *markdown_table(head, rows)]


def draw_curves(figure, settings, shown):
    """Learning curves of some settings, {setting: label}: means over seeds, lowest to highest seed."""
    panels = figure.subplots(1, 3)
    for (name, label), colour in zip(shown.items(), ("black", *OTHERS), strict=False):
        for axes, measure, title in zip(panels, MEASURES, LABELS, strict=True):
            curves = [[line[measure] for line in run.lines] for run in settings[name].values()]
            length = min(map(len, curves))
            seeds = torch.stack([smooth(torch.tensor(curve[:length])) for curve in curves])
            steps = range(1, length + 1)
            axes.plot(steps, seeds.mean(0), color=colour, label=label)
            axes.fill_between(steps, *seeds.aminmax(dim=0), color=colour, alpha=0.2, linewidth=0)
            axes.set_title(title, fontsize=9)
            axes.set_xlabel("training step")
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False
    )


# ------------------------------------------------------------------------------------- the report


def smooth(values: torch.Tensor) -> torch.Tensor:
    """Running means over a tenth of a curve, NaN left out. (n,) -> (n,)."""
    reach = len(values) // 20
    windows = (values[max(0, i - reach) : i + reach + 1] for i in range(len(values)))
    return torch.stack([window.nanmean() for window in windows])


def bars(axes, at, effects: list[Effect], colour, width=0.8, label=None) -> None:
    """A bar for each effect, with its interval."""
    reach = [[e.value - e.low for e in effects], [e.high - e.value for e in effects]]
    line = {"elinewidth": 1, "capsize": 2}
    axes.bar(
        at, [e.value for e in effects], width, yerr=reach, color=colour, label=label, error_kw=line
    )


def mark_plateau(axes, stages: Stages) -> None:
    """A dotted line where the rising stage ends."""
    if stages.knee:
        axes.axvline(stages.knee, color="black", linewidth=0.8, linestyle=":")
        at = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        axes.annotate("plateau", (stages.knee, 1), (3, -7), fontsize=7, color="dimgray", **at)


def word_label(sampled: Sampled, number: int) -> str:
    """A word of the vocabulary, to be read in a table."""
    word = sampled.vocabulary[number].replace("\n", "\\n").replace(" ", "␣")
    return (word or "(end)").replace("`", "'").replace("|", "¦")


def drawable(label: str) -> str:
    """Letters that matplotlib's own font lacks go by their code; $ would begin a formula."""
    plain = label.replace("␣", "_").replace("$", "\\$")
    return "".join(c if ord(c) < 0x2500 else f"U+{ord(c):04X}" for c in plain)


def markdown_table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Its lines."""
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def draw_all(findings: list[Finding], folder: Path) -> str:
    """A PNG for each finding that has something to draw. Returns why there are none, or ""."""
    try:
        import matplotlib
    except ImportError:
        return "There are no figures: matplotlib is not installed (pip install matplotlib)."
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    style = {"font.size": 9, "axes.grid": True, "grid.alpha": 0.2, "axes.axisbelow": True}
    style |= {"axes.spines.top": False, "axes.spines.right": False}
    for finding in findings:
        (folder / f"{finding.name}.png").unlink(missing_ok=True)
        if finding.draw:
            with plt.rc_context(style):
                figure = plt.figure(figsize=(7, finding.height), layout="constrained")
                finding.draw(figure)
                figure.savefig(folder / f"{finding.name}.png", dpi=150)
                plt.close(figure)
    return ""


def write_report(findings: list[Finding], folder: Path, title: str, notes: list[str]) -> None:
    """report.md, findings.json and the figures."""
    folder.mkdir(parents=True, exist_ok=True)
    no_figures = draw_all(findings, folder)
    rows = [[f"[{f.name}](#{f.name.lower()})", f.claim, f.verdict()[0]] for f in findings]
    lines = [
        f"# {title}",
        "",
        *markdown_table(["", "claim", "verdict"], rows),
        *notes,
        "",
        no_figures,
    ]
    for finding in findings:
        verdict, why = finding.verdict()
        why = f" ({why})" if why else ""
        lines += [f"## {finding.name}", "", finding.claim, "", f"**{verdict}**{why}", ""]
        if finding.draw and not no_figures:
            lines += [f"![{finding.name}]({finding.name}.png)", ""]
        rows = []
        for label, value, low, high, above in finding.effects:
            interval = "" if math.isnan(low) else f"[{low:.3g}, {high:.3g}]"
            rows.append(
                [label, f"{value:.3g}", interval, "" if above is None else f"above {above}"]
            )
        if rows:
            over = f"95 % interval over {finding.over}"
            lines += [*markdown_table(["", "measured", over, "claimed"], rows), ""]
        lines += [*finding.notes, ""] if finding.notes else []
    (folder / "report.md").write_text("\n".join(lines), encoding="utf-8")
    found = []
    for finding in findings:
        verdict, why = finding.verdict()
        effects = [effect._asdict() for effect in finding.effects]
        for effect in effects:  # NaN is no JSON
            effect |= {k: None for k in ("value", "low", "high") if math.isnan(effect[k])}
        said = {"name": finding.name, "claim": finding.claim, "verdict": verdict, "why": why}
        found.append(said | {"intervals_over": finding.over, "effects": effects})
    text = json.dumps(found, indent=2, ensure_ascii=False)
    (folder / "findings.json").write_text(text + "\n", encoding="utf-8")


def analyze(run: Run, report: Path) -> list[Finding]:
    """All findings of one run, in the order of the paper."""
    s1, stages = s1_two_stages(run)
    sampled = read_rollouts(run.folder)
    i2, t2 = replacement_findings(report)
    return [
        s1,
        s2_right_and_wrong(run, stages),
        s3_which_tokens(stages, sampled),
        s4_defects(stages, sampled),
        s5_what_an_update_changes(stages, sampled),
        s6_kinds_of_tokens(stages, sampled),
        i1_perplexity(stages, sampled),
        i2,
        t1_position(stages, sampled),
        t2,
        x1_exploration(run, stages),
    ]


def report_on(options) -> None:
    """What main does. Raises InputError and OSError."""
    for name in ("questions", "continuations"):
        if getattr(options, name) < 1:
            raise InputError(f"--{name} {getattr(options, name)}: it must be at least 1")
    runs = [read_run(folder) for folder in options.runs]
    if len(runs) > 1:
        if options.intervene:
            raise InputError("--intervene: the experiment is on one run; name only one")
        folder = options.report or runs[0].folder.resolve().parent / "report"
        findings, notes = compare_runs(runs)
        title = f"What holds on {len(runs)} runs"
    else:
        (run,) = runs
        folder = options.report or run.folder / "report"
        folder.mkdir(parents=True, exist_ok=True)
        if options.intervene:
            intervene(run, folder, options.questions, options.continuations)
        findings = analyze(run, folder)
        title = f"What holds on {run.folder.resolve().name}"
        notes = [
            "",
            f"{len(run.lines)} steps. I3 and T3 take several runs: `python analyze.py RUN RUN ...`",
        ]
    write_report(findings, folder, title, notes)
    for finding in findings:
        verdict, why = finding.verdict()
        print(f"{finding.name}  {verdict:19} {why}".rstrip())
    print(f"\nreport: {folder / 'report.md'}")


def main() -> None:
    """Report; every foreseeable failure ends in one sentence and status 2."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", type=Path, help="folder of a run of train.py")
    add(
        "--report",
        type=Path,
        help="its folder; default: RUN/report, of several runs report beside them",
    )
    add(
        "--intervene",
        action="store_true",
        help="first replace tokens and let the policy go on: I2, T2",
    )
    add("--questions", type=int, default=150, help="of that experiment (default 150)")
    add(
        "--continuations",
        type=int,
        default=8,
        help="of each token and of its replacement (default 8)",
    )
    options = parser.parse_args()
    quiet_libraries()
    try:
        report_on(options)
    except (InputError, OSError) as error:
        print(f"analyze.py: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
