"""The token level of arXiv 2508.02260: what updates do to which tokens. S5, S6, T1.

    S5  in the plateau hardly any token changes probability, and which do
    S6  there the strongest updates are on formal reasoning
    T1  entropy over the position in a response is U-shaped

All three are from the saved rollouts; S5 and S6 from those of probe steps, where the change of a
token's probability p is known. Any update changes p most where p (1 - p) is large. So S5 and S6 are
judged by how far the updates differ from those of the control, whose advantages are permuted; what the
control shows stands beside. That, and the bounds below, are ours.
"""

from functools import partial

import torch

from analysis.effects import Effect, Finding, difference
from analysis.figures import RIGHT, STAGE_COLOURS, WRONG, bars, mark_control
from analysis.sampled import (
    MOST,
    NO_PLATEAU,
    NO_ROLLOUTS,
    Sampled,
    most_changed,
    probed,
    relative_size,
)
from analysis.stages import Stages
from analysis.words import FORMAL, KINDS
from eval import ratio

HARDLY = 0.05  # a token whose probability changes by less hardly changes
ENOUGH_TOKENS = 30  # of a kind, for it to be looked at
ENOUGH = f"Looked at are kinds with {ENOUGH_TOKENS} tokens."

# ----------------------------------------------------------------- S5: what updates change


def s5_what_updates_change(stages: Stages, sampled: Sampled | None) -> Finding:
    """How concentrated changes of p are; entropy, gradient and direction of the most changed tokens."""
    finding = Finding(
        "S5",
        "In the plateau updates sit on fewer tokens than any updates do, of higher entropy and "
        "gradient, which they reinforce in right and suppress in wrong rollouts.",
        "steps",
    )
    parts, finding.missing = probed(stages, sampled)
    if not parts:
        return finding
    if "plateau" not in parts:
        finding.missing = NO_PLATEAU
    name, tokens = list(parts.items())[-1]
    of_updates = what_changes(sampled, tokens, sampled.moved)
    of_control = what_changes(sampled, tokens, sampled.control_moved)
    for label, (statistic, sums) in of_updates.items():
        _, control = of_control[label]
        told = "hardly" in label
        finding.add_beside_control(
            f"{name}: {label}", statistic, sums, control, above=None if told else 0
        )
    finding.notes = [
        f"The most changed are {MOST:.0%} of the tokens of a step, in the control its own.",
        f"A token hardly changes where its p does by less than {HARDLY}; over 99 % of them, says the paper.",
    ]
    finding.draw = partial(draw_changes, sampled=sampled, parts=parts)
    return finding


def what_changes(sampled: Sampled, tokens, moved) -> dict:
    """{what is told of changes of p: (statistic, its sums over steps)}.

    tokens: (N,) bool. moved: (N,) dp by the updates or by the control's. The gradient is that of log p
    alone, without |A|: wrong rollouts have both more doubt and a larger |A|, so that |A| tells where
    any update changes most.
    """
    right = sampled.right[sampled.row]
    most = most_changed(sampled, tokens, moved)
    of_most, _ = sampled.sums(most, 100 * relative_size(sampled, tokens, moved))
    found = {
        "tokens that hardly change (%)": (
            ratio,
            sampled.sums(tokens, 100.0 * (moved.abs() < HARDLY)),
        ),
        "share of all change that is in the most changed (%)": (
            ratio,
            [of_most, sampled.sums(tokens, moved)[1]],
        ),
        "gain of p of the most changed, right rollouts": (ratio, sampled.sums(most & right, moved)),
        "fall of p of the most changed, wrong rollouts": (
            ratio,
            sampled.sums(most & ~right, -moved),
        ),
    }
    for label, values in (("entropy (nats)", sampled.entropy), ("gradient", sampled.gradient)):
        sums = [*sampled.sums(most, values), *sampled.sums(tokens, values)]
        found[f"{label} of the most changed less that of all"] = (difference, sums)
    return found


def draw_changes(figure, sampled: Sampled, parts: dict) -> None:
    """How large changes are in each stage; entropies and changes in the last of the stages.

    parts: as of `sampled.probed`.
    """
    right = sampled.right[sampled.row]
    left, *others = figure.subplots(1, 3, width_ratios=(1.4, 1, 1.3))
    at = torch.logspace(-4, 0, 60, dtype=torch.double)
    for name, tokens in parts.items():
        for moved, label, dashes in (
            (sampled.moved, name, "-"),
            (sampled.control_moved, f"{name}, control", ":"),
        ):
            size = moved[tokens].abs()
            if not size.isnan().any():
                above = 1 - torch.searchsorted(size.sort().values, at) / len(size)
                how = {"color": STAGE_COLOURS[name], "linestyle": dashes, "label": label}
                left.plot(at, 100 * above, **how)
    left.axhline(1, color="black", linewidth=0.6, linestyle=":")
    left.axvline(HARDLY, color="black", linewidth=0.6, linestyle=":")
    left.set(xscale="log", yscale="log", ylim=(0.01, 150))
    left.set(xlabel="change of p, its size", ylabel="tokens that change more (%)")
    left.legend(loc="lower left", fontsize=7)
    name, tokens = list(parts.items())[-1]
    most = most_changed(sampled, tokens, sampled.moved)
    of_control = most_changed(sampled, tokens, sampled.control_moved)
    entropy, moved, control = sampled.entropy, sampled.moved, sampled.control_moved
    draw_boxes(others[0], [entropy[tokens], entropy[most], entropy[of_control]], ["gray"] * 3)
    others[0].set_xticks((1, 2, 3), ("all", "most", "most,\ncontrol"), fontsize=8)
    others[0].set_ylabel("entropy (nats)")
    sides = [
        x[m & rows] for rows in (right, ~right) for x, m in ((moved, most), (control, of_control))
    ]
    draw_boxes(others[1], sides, [RIGHT, RIGHT, WRONG, WRONG])
    others[1].set_xticks(range(1, 5), ["most", "most,\ncontrol"] * 2, fontsize=8)
    others[1].set(xlabel="right           wrong", ylabel="change of p")
    others[1].axhline(0, color="black", linewidth=0.6)
    for axes in others:
        axes.set_title(name, fontsize=9)


def draw_boxes(axes, samples, colours) -> None:
    """A box plot of (n,) samples."""
    samples = [sample.tolist() for sample in samples]
    boxes = axes.boxplot(samples, showfliers=False, widths=0.6, patch_artist=True)
    for box, line, colour in zip(boxes["boxes"], boxes["medians"], colours, strict=True):
        box.set_facecolor(colour)
        line.set_color("white")


# ------------------------------------------------------------------------ S6: kinds of tokens


def s6_kinds_of_tokens(stages: Stages, sampled: Sampled | None) -> Finding:
    """The mean size of the change of p of kinds with ENOUGH_TOKENS probed tokens."""
    finding = Finding(
        "S6",
        "In the plateau the strongest updates are on tokens of formal reasoning (numbers, operators, "
        "LaTeX), by more than any updates are.",
        "steps",
        notes=[f"Mean size of the change of p, that of all tokens of the step being 1. {ENOUGH}"],
    )
    parts, finding.missing = probed(stages, sampled)
    if not parts:
        return finding
    shown = {}
    for name, tokens in parts.items():
        counts = {k: int((tokens & (sampled.kind == k)).sum()) for k in range(len(KINDS))}
        kinds = [k for k, count in counts.items() if count >= ENOUGH_TOKENS]
        columns = {}
        for whose, moved in (("", sampled.moved), (", control", sampled.control_moved)):
            size = relative_size(sampled, tokens, moved)
            sums = [sampled.sums(tokens & (sampled.kind == k), size) for k in kinds]
            columns[whose] = [x for pair in sums for x in pair]
            for k, pair in zip(kinds, sums, strict=True):
                label = f"{name}: {KINDS[k]}, {counts[k]} tokens{whose}"
                shown[name, k, whose] = finding.add(label, ratio, *pair)
    if "plateau" not in parts:
        finding.missing = NO_PLATEAU
    elif FORMAL in kinds and len(kinds) > 1:  # of the plateau, the last; formal reasoning is first
        label = "plateau: formal reasoning less the strongest other kind"
        finding.add_beside_control(label, lead_of_first, *columns.values(), above=0)
    else:
        few = f"needed: {ENOUGH_TOKENS} probed tokens of formal reasoning and of another kind"
        finding.missing = finding.missing or few
    finding.draw = partial(draw_kinds, shown=shown, stages=list(parts))
    return finding


def lead_of_first(*sums):
    """The first mean less the largest other; sums: sum, count, sum, count, ...

    >>> lead_of_first(*torch.tensor([6.0, 2.0, 4.0, 2.0, 1.0, 1.0])).item()
    1.0
    """
    first, *others = (a / b for a, b in zip(sums[::2], sums[1::2], strict=True))
    return first - torch.stack(others).amax(0)


def draw_kinds(figure, shown: dict[tuple[str, int, str], Effect], stages: list[str]) -> None:
    """A bar for each kind in each stage, and a mark at the control's.

    shown: {(stage, kind, "" or ", control"): mean size}.
    """
    axes = figure.subplots()
    for name, shift in zip(stages, (-0.2, 0.2), strict=False):
        at = [k for k in range(len(KINDS)) if (name, k, "") in shown]
        places, colour = [k + shift for k in at], STAGE_COLOURS[name]
        bars(axes, places, [shown[name, k, ""] for k in at], colour, width=0.4, label=name)
        mark_control(axes, places, [shown[name, k, ", control"] for k in at])
    known = {k for _, k, _ in shown}
    labels = [kind if k in known else f"{kind}\n(too few)" for k, kind in enumerate(KINDS)]
    axes.set_xticks(range(len(KINDS)), labels)
    axes.set_ylabel("mean change of p\n(that of all tokens is 1)")
    axes.legend()


# --------------------------------------------------------------- T1: position in the response


def t1_position(stages: Stages, sampled: Sampled | None) -> Finding:
    """Entropy in the first tenth of responses, their middle fifth and their last tenth."""
    finding = Finding(
        "T1",
        "Entropy over the position in a response is U-shaped: high at its start and at its end.",
        "steps",
    )
    if sampled is None:
        finding.missing = NO_ROLLOUTS
        return finding
    position, entropy = sampled.position, sampled.entropy
    sums = {
        "first tenth": sampled.sums(position < 0.1, entropy),
        "middle fifth": sampled.sums((position >= 0.4) & (position < 0.6), entropy),
        "last tenth": sampled.sums(position >= 0.9, entropy),
    }
    for name, pair in sums.items():
        finding.add(f"entropy of the {name} (nats)", ratio, *pair)
    for name in ("first tenth", "last tenth"):
        label = f"{name} less middle fifth"
        finding.add(label, difference, *sums[name], *sums["middle fifth"], above=0)
    finding.draw = partial(draw_position, sampled=sampled)
    return finding


def draw_position(figure, sampled: Sampled) -> None:
    """Mean entropies of twentieths of right and of wrong responses."""
    axes, right = figure.subplots(), sampled.right[sampled.row]
    part, at = (sampled.position * 20).long(), torch.arange(0.025, 1, 0.05)
    for rows, colour, label in (
        (~right, WRONG, "wrong rollouts"),
        (right, RIGHT, "right rollouts"),
    ):
        means = [sampled.entropy[rows & (part == i)].mean() for i in range(20)]
        axes.plot(at, means, "o-", markersize=3, color=colour, label=label)
    axes.set(xlabel="relative position in the response", ylabel="token entropy (nats)")
    axes.set(xlim=(0, 1), ylim=(0, None))
    axes.legend()
