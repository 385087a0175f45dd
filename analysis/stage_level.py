"""The stage level of arXiv 2508.02260: what changes in the rising stage. S2 to S4.

    S2  entropy falls mainly in wrong rollouts   from metrics.jsonl
    S3  on which words it falls                  from the saved rollouts
    S4  defective output becomes rare            from the saved rollouts

What falls is compared between the first and the last fifth of the rising stage
(`Stages.ends_of_rise`). How a fall of entropy is split (S2, S3) and what counts as beside the task
and as defective (S3, S4) are ours.

The intervals are those of `add_jackknifed`. For S2 they are over steps, whose errors count
as independent, as each asks other questions; for S3 and S4 over groups, all rollouts of a question
in a step together. All are given the policies of the steps compared, so they tell nothing of other
runs. `python tests/worlds_stage_level.py` draws how often they cover the truth.
"""

import math
from functools import partial

import torch

from analysis.effects import HALF, Effect, Finding, difference, markdown_table, t_quantile
from analysis.figures import OTHERS, RIGHT, WRONG, bars, drawable, mark_plateau, smooth
from analysis.sampled import FEW_FILES, NO_ROLLOUTS, Sampled
from analysis.stages import Stages
from analysis.words import DEFECTS, FORMAL, KINDS
from eval import ratio
from record import Run

FREE = 4  # degrees of freedom of an interval at the least; FREE + 2 units are needed
OFTEN = 6  # groups that hold a defect that is judged: all at the first end by chance 1 / 2**6
CHANGES = (  # of a kind of token, in the rising stage
    "fall of entropy (nats a token)",
    "gain (tokens per 1000)",
    "fall of entropy (nats per 1000 tokens of any kind)",
    "of this, by less entropy a token",
    "of this, by fewer tokens",
)

# ------------------------------------------------------------------------------ the intervals


def add_jackknifed(finding: Finding, label, statistic, *samples, above=None) -> Effect:
    """One more effect: a statistic of sums over units, and Student's interval by the jackknife.

    samples: one or more, drawn independently, sizes fixed; each a list of columns (units,), a value
    a step or a group. statistic: of the sums of all columns, sample after sample. Each unit is left
    out in turn; the degrees of freedom are Satterthwaite's, from the fourth moments: few where few
    units make the difference, as with rare words. NaN bounds for fewer than FREE + 2 units.

    >>> units = [torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]), torch.ones(7)]
    >>> found = add_jackknifed(Finding("", ""), "mean", ratio, units)
    >>> [round(x, 1) for x in (found.value, found.low, found.high, found.free)]
    [4.0, 2.0, 6.0, 6.0]
    """
    tables = [torch.stack([column.double() for column in columns], 1) for columns in samples]
    totals = [table.sum(0) for table in tables]
    variance = doubt = torch.zeros((), dtype=torch.double)  # doubt: the variance of the variance
    for i, table in enumerate(tables):
        count = len(table)
        rest = [total.expand(count, -1) for total in totals]
        rest[i] = totals[i] - table
        off = statistic(*torch.cat(rest, 1).T)
        squares = (off - off.mean()).square() * (count - 1) / count
        variance = variance + squares.sum()
        doubt = doubt + squares.square().sum() - squares.sum().square() / count
    value, units = statistic(*torch.cat(totals)).item(), sum(map(len, tables))
    effect = Effect(label, value, above=above)
    if variance.isfinite() and units >= FREE + 2:
        free = (2 * variance**2 / doubt.clamp(min=1e-300)).clamp(FREE, units - len(tables)).item()
        half = t_quantile(HALF, free) * variance.sqrt().item()
        effect = Effect(label, value, value - half, value + half, above, free)
    finding.effects.append(effect)
    return effect


# --------------------------------------------------------------- S2: right and wrong rollouts


def s2_right_and_wrong(run: Run, stages: Stages) -> Finding:
    """The fall of the entropy of all rollouts, split into what right and wrong ones lost.

    Judged: that wrong rollouts have more, in the mean of each stage; that more of the fall is within
    wrong rollouts than within right ones, as `parts_of_fall` splits it.
    """
    finding = Finding(
        "S2",
        "In the rising stage entropy falls mainly in wrong rollouts, which have more throughout.",
        "steps in each stage",
    )
    step = torch.tensor([line["step"] for line in run.lines])
    every, right, wrong = (
        curve(run, f"entropy_rollout_mean{x}") for x in ("", "_correct", "_wrong")
    )
    both = ~(right.isnan() | wrong.isnan())
    ends = stages.ends_of_rise(step[both], least=5)
    if not ends:
        finding.missing = f"{both.sum()} steps with right and wrong ones; needed: 10 in the rise"
        return finding
    for name, inside in stages.of(step).items():
        if (inside := inside & both).any():
            gap = (wrong - right)[inside]
            label = f"wrong less right, {name} (nats)"
            add_jackknifed(finding, label, ratio, [gap, torch.ones_like(gap)], above=0)
    share = share_of_wrong(every, right, wrong)[both]
    shares = add_parts_of_fall(finding, ends, share, wrong[both], right[both])
    first, last = (step[both][end] for end in ends)
    finding.notes.append(
        f"The fall is from the mean of steps {first[0]} to {first[-1]} to that of steps {last[0]} to "
        f"{last[-1]}. Its parts are the falls in a wrong and in a right rollout, each times the mean "
        "share of such rollouts, and the rest. Steps beyond the rising stage do not narrow them."
    )
    finding.draw = partial(
        draw_right_and_wrong, step=step, right=right, wrong=wrong, shares=shares, stages=stages
    )
    return finding


def curve(run: Run, name: str) -> torch.Tensor:
    """A metric of every step, NaN where there is none: (n,)."""
    values = [math.nan if line[name] is None else line[name] for line in run.lines]
    return torch.tensor(values).double()


def share_of_wrong(every, right, wrong) -> torch.Tensor:
    """The share of wrong rollouts among those trained on, from the mean entropies, (n,) -> (n,).

    every = (1 - share) right + share wrong; where no rollout is right (NaN) it is 1, where none is
    wrong 0.
    """
    share = ((every - right) / (wrong - right)).nan_to_num(0.5).clamp(0, 1)
    return torch.where(right.isnan(), 1.0, torch.where(wrong.isnan(), 0.0, share))


def add_parts_of_fall(finding: Finding, ends, share, wrong, right) -> list[Effect]:
    """The falls between both ends, (n,) masks, as effects; the three shares of the whole.

    share: (n,) of wrong rollouts. wrong, right: (n,) their entropies in nats.
    """
    columns = (torch.ones_like(share), share, 1 - share, share * wrong, (1 - share) * right)
    samples = [[column[end] for column in columns] for end in ends]

    def add(label, of_parts, above=None):
        statistic = lambda *sums: of_parts(*parts_of_fall(*sums))
        return add_jackknifed(finding, label, statistic, *samples, above=above)

    add("fall in a wrong rollout (nats)", lambda *parts: parts[4])
    add("fall in a right rollout (nats)", lambda *parts: parts[5])
    add("fall of all rollouts (nats)", lambda *parts: parts[3])
    labels = ("within wrong rollouts", "within right ones", "by fewer wrong ones")
    shares = [
        add(f"share of it {label} (%)", lambda *parts, i=i: 100 * parts[i] / parts[3])
        for i, label in enumerate(labels)
    ]
    label = "fall within wrong rollouts less that within right ones (nats)"
    add(label, lambda *parts: parts[0] - parts[1], above=0)
    return shares


def parts_of_fall(n0, w0, r0, hw0, hr0, n1, w1, r1, hw1, hr1) -> torch.Tensor:
    """The fall within wrong rollouts, within right ones, by fewer wrong ones; all; of each: (6, ...).

    Of the first end (0) and the last (1), as sums over steps: their number n, the shares w and r of
    wrong and right rollouts, and shares times entropies hw and hr. Within wrong rollouts falls what
    each of them loses times their mean share.
    """
    of_wrong, of_right = hw0 / w0 - hw1 / w1, hr0 / r0 - hr1 / r1
    in_wrong, in_right = (w0 / n0 + w1 / n1) / 2 * of_wrong, (r0 / n0 + r1 / n1) / 2 * of_right
    whole = (hw0 + hr0) / n0 - (hw1 + hr1) / n1
    rest = whole - in_wrong - in_right
    return torch.stack([in_wrong, in_right, rest, whole, of_wrong, of_right])


def draw_right_and_wrong(figure, step, right, wrong, shares: list[Effect], stages: Stages) -> None:
    """Both entropies over the steps, and whose fall the whole fall is."""
    axes, beside = figure.subplots(1, 2, width_ratios=(2.4, 1))
    for values, colour, name in ((wrong, WRONG, "wrong"), (right, RIGHT, "right")):
        axes.plot(step, values, color=colour, alpha=0.25, linewidth=0.7)
        axes.plot(step, smooth(values), color=colour, label=f"{name} rollouts")
    mark_plateau(axes, stages)
    axes.set(xlabel="training step", ylabel="entropy of a rollout (nats)")
    axes.set_ylim(0, 1.3 * smooth(wrong).nan_to_num().max().item() + 1e-9)
    axes.legend(loc="upper right")
    bars(beside, range(3), shares, (WRONG, RIGHT, "silver"))
    beside.set_xticks(range(3), ("within\nwrong", "within\nright", "fewer\nwrong"))
    beside.set_ylabel("share of the fall (%)")


# ------------------------------------------------------------------------- S3: which tokens


def s3_which_tokens(stages: Stages, sampled: Sampled | None) -> Finding:
    """What tokens beside the task and of formal reasoning lose in entropy, and what in number.

    Judged: that the entropy of a token beside the task falls, and more than that of one of formal
    reasoning; that formal reasoning becomes more frequent. Told: the nats in 1000 tokens, which
    fall by either.
    """
    finding = Finding(
        "S3",
        "In the rising stage the tokens whose entropy falls most are beside the task, and those of "
        "mathematical reasoning become more frequent.",
        height=3.4,
    )
    ends = sampled and stages.ends_of_rise(sampled.step, least=2)
    if not ends:
        finding.missing = FEW_FILES if sampled else NO_ROLLOUTS
        return finding
    of_both, every = [], torch.ones_like(sampled.entropy)
    for name, tokens, judged in (
        ("beside the task", sampled.beside, "fall of entropy (nats a token)"),
        ("formal reasoning", sampled.kind == FORMAL, "gain (tokens per 1000)"),
    ):
        columns = [tokens * sampled.entropy, tokens]
        of_both += columns
        samples = of_groups(sampled, ends, *columns, every)
        for i, label in enumerate(CHANGES):
            above = 0 if label == judged else None
            change = lambda *sums, i=i: changes_of_kind(*sums)[i]
            add_jackknifed(finding, f"{name}: {label}", change, *samples, above=above)
    add_jackknifed(
        finding,
        "fall of entropy beside the task less that on formal reasoning (nats a token)",
        lambda *c: difference(*c[:2], *c[4:6]) - difference(*c[2:4], *c[6:]),
        *of_groups(sampled, ends, *of_both),
        above=0,
    )
    changes = changes_of_words(sampled, ends)
    top = {name: x.topk(min(8, len(x))).indices.tolist() for name, x in changes.items()}
    head = [x for name in changes for x in ("word", f"{name}, per 1000 tokens")]
    columns = []
    for name, change in changes.items():
        columns.append([f"`{sampled.label(i)}`" for i in top[name]])
        columns.append([f"{change[i]:.2f}" for i in top[name]])
    table = markdown_table(head, zip(*columns, strict=True))
    finding.notes = [compared_steps(ends, sampled), "", *table]
    finding.draw = partial(draw_words, sampled=sampled, changes=changes, top=top)
    return finding


def of_groups(sampled: Sampled, ends, *columns, of_tokens=True) -> list[list[torch.Tensor]]:
    """The samples of `add_jackknifed`: of the groups of each end the sums of some columns.

    ends: two (R,) masks of rollouts. columns: (N,) values of tokens or (R,) of rollouts.
    """
    sums = [sampled.per_group(column, of_tokens) for column in columns]
    inside = [sampled.per_group(end, of_tokens=False) > 0 for end in ends]
    return [[column[groups] for column in sums] for groups in inside]


def changes_of_kind(e0, n0, all0, e1, n1, all1) -> torch.Tensor:
    """What CHANGES names, for one kind of token: (5, ...). The last two add up to the third.

    Of the first end (0) and the last (1), sums: the entropy of such tokens e, their number n, and that
    of all tokens.
    """
    (h0, h1), (f0, f1) = (e0 / n0, e1 / n1), (1000 * n0 / all0, 1000 * n1 / all1)
    whole = 1000 * (e0 / all0 - e1 / all1)
    by_entropy, by_number = (f0 + f1) / 2 * (h0 - h1), (h0 + h1) / 2 * (f0 - f1)
    return torch.stack([h0 - h1, f1 - f0, whole, by_entropy, by_number])


def changes_of_words(sampled: Sampled, ends) -> dict[str, torch.Tensor]:
    """{what: (words,)} from the first end of the rise to the last, per 1000 tokens of the end.

    ends: two (R,) masks of rollouts.
    """
    found = []
    for end in ends:
        end = end[sampled.row]
        for x in (sampled.entropy, torch.ones_like(sampled.entropy)):
            blank = torch.zeros(len(sampled.vocabulary), dtype=torch.double)
            found.append(blank.index_add_(0, sampled.word, (end * x).double() * 1000 / end.sum()))
    entropy, frequency, entropy_later, frequency_later = found
    return {
        "entropy lost (nats)": entropy - entropy_later,
        "frequency gained": frequency_later - frequency,
    }


def compared_steps(ends, sampled: Sampled) -> str:
    """Which saved steps are at the two ends, (R,) masks of rollouts."""
    steps = [", ".join(map(str, sampled.step[end].unique().tolist())) for end in ends]
    return f"From the rollouts of steps {steps[0]} to those of steps {steps[1]}."


def draw_words(figure, sampled: Sampled, changes, top) -> None:
    """The words that changed most, in the colours of their kinds.

    changes: as of `changes_of_words`. top: {what: numbers of words, the most changed first}.
    """
    kind_of = dict(zip(sampled.word.tolist(), sampled.kind.tolist(), strict=True))
    for axes, (name, change) in zip(figure.subplots(1, 2), changes.items(), strict=True):
        words = top[name][::-1]
        colours = [OTHERS[kind_of[i]] for i in words]
        axes.barh(range(len(words)), change[words].tolist(), color=colours)
        axes.set_yticks(range(len(words)), [drawable(sampled.label(i)) for i in words])
        axes.set_xlabel(f"{name}\nper 1000 tokens")
    handles = [axes.barh(0, 0, color=OTHERS[k], label=KINDS[k]) for k in range(len(KINDS))]
    figure.legend(handles=handles, loc="outside upper center", ncols=4, fontsize=8)


# --------------------------------------------------------------------- S4: defective output


def s4_defects(stages: Stages, sampled: Sampled | None) -> Finding:
    """How many rollouts have each of `words.DEFECTS` at both ends.

    Judged: the fall of each defect that is in OFTEN groups or more of both ends together, whichever
    end they are of; what is in fewer could not be found to fall. Truncation is not judged.
    """
    finding = Finding(
        "S4",
        "In the rising stage defective output becomes rare: responses without an answer, with "
        "irrelevant content, in mixed languages.",
    )
    ends = sampled and stages.ends_of_rise(sampled.step, least=2)
    if not ends:
        finding.missing = FEW_FILES if sampled else NO_ROLLOUTS
        return finding
    rows = []
    for name, bad in zip(DEFECTS, sampled.defects.T, strict=True):
        samples = of_groups(sampled, ends, 100 * bad, torch.ones_like(bad), of_tokens=False)
        often = sum((bad > 0).sum() for bad, _ in samples) >= OFTEN
        judged = name != "truncation" and often
        label = f"fall of {name} (points)"
        add_jackknifed(finding, label, difference, *samples, above=0 if judged else None)
        counts = [f"{bad[end].sum()} of {end.sum()}" for end in ends]
        rows.append([name, *counts, "yes" if judged else "no"])
    if all(effect.above is None for effect in finding.effects):
        finding.missing = (
            f"no defect is in {OFTEN} or more of the questions of both ends; needed: more"
        )
    head = ["rollouts with", "at the first end", "at the last", "judged"]
    finding.notes = [compared_steps(ends, sampled), "", *markdown_table(head, rows)]
    finding.draw = partial(draw_defects, sampled=sampled, stages=stages)
    return finding


def draw_defects(figure, sampled: Sampled, stages: Stages) -> None:
    """The share of rollouts with each defect over the saved steps."""
    axes, steps = figure.subplots(), sampled.step.unique()
    for i, (name, bad) in enumerate(zip(DEFECTS, sampled.defects.T, strict=True)):
        rates = [100 * bad[sampled.step == step].double().mean() for step in steps]
        axes.plot(steps, rates, "o-" if i < 3 else "--", markersize=3, color=OTHERS[i], label=name)
    mark_plateau(axes, stages)
    axes.set(xlabel="training step", ylabel="share of rollouts (%)")
    axes.set_ylim(bottom=0)
    axes.legend()
