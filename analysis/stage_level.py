"""The stage level of arXiv 2508.02260: what changes in the rising stage. S2 to S4.

    S2  entropy falls mainly in wrong rollouts   from metrics.jsonl
    S3  on which words it falls                  from the saved rollouts
    S4  defective output becomes rare            from the saved rollouts

What falls is compared between the first and the last fifth of the rising stage
(`Stages.ends_of_rise`). How a fall of entropy is split (S2) and what counts as beside the task and
as defective (S3, S4) are ours.
"""

import math
from functools import partial

import torch

from analysis.effects import Effect, Finding, difference, markdown_table
from analysis.figures import OTHERS, RIGHT, WRONG, bars, drawable, mark_plateau, smooth
from analysis.sampled import FEW_FILES, NO_ROLLOUTS, Sampled
from analysis.stages import Stages
from analysis.words import DEFECTS, FORMAL, KINDS
from eval import ratio
from record import Run

# --------------------------------------------------------------- S2: right and wrong rollouts


def s2_right_and_wrong(run: Run, stages: Stages) -> Finding:
    """The fall of the entropy of all rollouts, split into what right and wrong ones lost."""
    finding = Finding(
        "S2",
        "In the rising stage entropy falls mainly in wrong rollouts, which have more throughout.",
        "steps",
    )
    step = torch.tensor([line["step"] for line in run.lines])
    every, right, wrong = (
        curve(run, f"entropy_rollout_mean{x}") for x in ("", "_correct", "_wrong")
    )
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
    share = share_of_wrong(every, right, wrong)[both]
    shares = add_parts_of_fall(finding, ends, share, wrong[both], right[both])
    first, last = (step[both][end] for end in ends)
    finding.notes.append(
        f"The fall is from steps {first[0]} to {first[-1]} to steps {last[0]} to {last[-1]}; its "
        "parts are the falls in a wrong and in a right rollout times their mean shares, and the "
        "rest."
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
    of_each = {"wrong": (share, share * wrong), "right": (1 - share, (1 - share) * right)}
    for name, (weight, weighted) in of_each.items():
        sums = [end * x for end in ends for x in (weighted, weight)]
        finding.add(f"fall in a {name} rollout (nats)", difference, *sums)
    weights, weighted = zip(*of_each.values(), strict=True)
    sums = [end * x for end in ends for x in (torch.ones(len(share)), *weights, *weighted)]
    finding.add("fall of all rollouts (nats)", lambda *c: parts_of_fall(*c)[3], *sums)
    labels = ("within wrong rollouts", "within right ones", "by fewer wrong ones")
    shares = [
        finding.add(
            f"share of it {label} (%)",
            lambda *c, i=i: 100 * parts_of_fall(*c)[i] / parts_of_fall(*c)[3],
            *sums,
        )
        for i, label in enumerate(labels)
    ]
    label = "fall within wrong rollouts less that within right ones (nats)"
    finding.add(label, lambda *c: parts_of_fall(*c)[0] - parts_of_fall(*c)[1], *sums, above=0)
    return shares


def parts_of_fall(n0, w0, r0, hw0, hr0, n1, w1, r1, hw1, hr1) -> torch.Tensor:
    """The fall within wrong rollouts, within right ones, by fewer wrong ones; all: (4, ...).

    Of the first end (0) and the last (1), as sums over steps: their number n, the shares w and r of
    wrong and right rollouts, and shares times entropies hw and hr.
    """
    in_wrong = (w0 / n0 + w1 / n1) / 2 * (hw0 / w0 - hw1 / w1)
    in_right = (r0 / n0 + r1 / n1) / 2 * (hr0 / r0 - hr1 / r1)
    whole = (hw0 + hr0) / n0 - (hw1 + hr1) / n1
    return torch.stack([in_wrong, in_right, whole - in_wrong - in_right, whole])


def draw_right_and_wrong(figure, step, right, wrong, shares: list[Effect], stages: Stages) -> None:
    """Both entropies over the steps, and whose fall the whole fall is."""
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
    axes.legend(loc="upper right")
    bars(beside, range(3), shares, (WRONG, RIGHT, "silver"))
    beside.set_xticks(range(3), ("within\nwrong", "within\nright", "fewer\nwrong"))
    beside.set_ylabel("share of the fall (%)")


# ------------------------------------------------------------------------- S3: which tokens


def s3_which_tokens(stages: Stages, sampled: Sampled | None) -> Finding:
    """Where in 1000 tokens the entropy was that is gone, and what became more frequent."""
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
    sums = [
        sampled.per_group(end[sampled.row] * x)
        for end in ends
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

    changes = changes_of_words(sampled, ends)
    top = {name: x.topk(min(8, len(x))).indices.tolist() for name, x in changes.items()}
    head = [x for name in changes for x in ("word", f"{name}, per 1000 tokens")]
    columns = []
    for name, change in changes.items():
        columns.append([f"`{sampled.label(i)}`" for i in top[name]])
        columns.append([f"{change[i]:.2f}" for i in top[name]])
    rows = list(zip(*columns, strict=True))
    finding.notes = [compared_steps(ends, sampled), "", *markdown_table(head, rows)]
    finding.draw = partial(draw_words, sampled=sampled, changes=changes, top=top)
    return finding


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
    """How many rollouts have each of `words.DEFECTS` at both ends; truncation is not judged."""
    finding = Finding(
        "S4",
        "In the rising stage defective output becomes rare: responses without an answer, with "
        "irrelevant content, in mixed languages.",
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
    finding.notes = [compared_steps(ends, sampled)]
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
