"""The token level of arXiv 2508.02260: what an update does to which tokens. S5, S6, T1.

    S5  in the plateau hardly any token changes probability, and which do
    S6  there the strongest updates are on formal reasoning
    T1  entropy over the position in a response is U-shaped

All three are from the saved rollouts; S5 and S6 from those of probe steps, where the change of a
token's probability p is known. The bounds below are ours, except that the paper too speaks of 99 %
of tokens.
"""

from functools import partial

import torch

from analysis.effects import Effect, Finding, difference
from analysis.figures import RIGHT, STAGE_COLOURS, WRONG, bars
from analysis.sampled import MOST, NO_PLATEAU, NO_PROBES, NO_ROLLOUTS, Sampled, probed
from analysis.stages import Stages
from analysis.words import FORMAL, KINDS
from eval import ratio

HARDLY = 0.05  # a token whose probability changes by less hardly changes
ENOUGH_TOKENS = 30  # of a kind, for it to be looked at

# ----------------------------------------------------------------- S5: what an update changes


def s5_what_an_update_changes(stages: Stages, sampled: Sampled | None) -> Finding:
    """The size of changes of p; entropy, gradient and direction of the most changed tokens."""
    finding = Finding(
        "S5",
        "In the plateau over 99 % of tokens hardly change probability; the updates sit on tokens "
        "of high entropy and gradient, reinforced in right and suppressed in wrong rollouts.",
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
    finding.draw = partial(draw_changes, sampled=sampled, parts=parts)
    return finding


def draw_changes(figure, sampled: Sampled, parts) -> None:
    """How large changes are in each stage; entropies and changes in the last of the stages.

    parts: as of `sampled.probed`.
    """
    moved, right = sampled.moved.nan_to_num(), sampled.right[sampled.row]
    left, *others = figure.subplots(1, 3, width_ratios=(1.4, 1, 1))
    at = torch.logspace(-4, 0, 60, dtype=torch.double)
    for name, (tokens, _) in parts.items():
        above = 1 - torch.searchsorted(moved[tokens].abs().sort().values, at) / tokens.sum()
        left.plot(at, 100 * above, color=STAGE_COLOURS[name], label=name)
    left.axhline(1, color="black", linewidth=0.6, linestyle=":")
    left.axvline(HARDLY, color="black", linewidth=0.6, linestyle=":")
    left.set(xscale="log", yscale="log", ylim=(0.01, 150))
    left.set(xlabel="change of p, its size", ylabel="tokens that change more (%)")
    left.legend(loc="lower left", fontsize=8)
    name, (tokens, most) = list(parts.items())[-1]
    groups = [x & rows for rows in (right, ~right) for x in (tokens, most)]
    for axes, values, label in zip(
        others, (sampled.entropy, moved), ("entropy (nats)", "change of p"), strict=True
    ):
        samples = [values[group].tolist() for group in groups]
        boxes = axes.boxplot(samples, showfliers=False, widths=0.6, patch_artist=True)
        colours = (RIGHT, RIGHT, WRONG, WRONG)
        for box, line, colour in zip(boxes["boxes"], boxes["medians"], colours, strict=True):
            box.set_facecolor(colour)
            line.set_color("white")
        axes.set_xticks(range(1, 5), ["all", "most"] * 2, fontsize=8)
        axes.set(xlabel="right      wrong", ylabel=label)
        axes.set_title(name, fontsize=9)
    others[1].axhline(0, color="black", linewidth=0.6)


# ------------------------------------------------------------------------ S6: kinds of tokens


def s6_kinds_of_tokens(stages: Stages, sampled: Sampled | None) -> Finding:
    """The mean size of the change of p, in points, of kinds with ENOUGH_TOKENS probed tokens."""
    finding = Finding(
        "S6",
        "In the plateau the strongest updates are on tokens of formal reasoning: numbers, "
        "operators, LaTeX.",
    )
    parts = probed(stages, sampled)
    if "plateau" not in parts:
        finding.missing = NO_PLATEAU if parts else NO_PROBES if sampled else NO_ROLLOUTS
    if not parts:
        return finding
    size, shown = 100 * sampled.moved.nan_to_num().abs(), {}
    for name, (tokens, _) in parts.items():
        sums = {k: sampled.sums(tokens & (sampled.kind == k), size) for k in range(len(KINDS))}
        sums = {k: pair for k, pair in sums.items() if pair[1].sum() >= ENOUGH_TOKENS}
        for k, pair in sums.items():
            label = f"{name}: {KINDS[k]}, {int(pair[1].sum())} tokens (points)"
            shown[name, k] = finding.add(label, ratio, *pair)
    if "plateau" in parts and FORMAL in sums and len(sums) > 1:  # the sums of the plateau, the last
        columns = [x for k in sums for x in sums[k]]  # formal reasoning comes first
        label = "plateau: formal reasoning less the strongest other kind"
        finding.add(label, lead_of_first, *columns, above=0)
    elif "plateau" in parts:
        finding.missing = (
            f"needed: {ENOUGH_TOKENS} probed tokens of formal reasoning and of another kind"
        )
    finding.notes = [
        f"Mean size of the change of p, in points; of kinds with {ENOUGH_TOKENS} tokens."
    ]
    finding.draw = partial(draw_kinds, shown=shown, stages=list(parts))
    return finding


def lead_of_first(*sums):
    """The first mean less the largest other; sums: sum, count, sum, count, ...

    >>> lead_of_first(*torch.tensor([6.0, 2.0, 4.0, 2.0, 1.0, 1.0])).item()
    1.0
    """
    first, *others = (a / b for a, b in zip(sums[::2], sums[1::2], strict=True))
    return first - torch.stack(others).amax(0)


def draw_kinds(figure, shown: dict[tuple[str, int], Effect], stages: list[str]) -> None:
    """A bar for each kind in each stage; shown: {(stage, kind): mean change}."""
    axes = figure.subplots()
    for name, shift in zip(stages, (-0.2, 0.2), strict=False):
        at = [k for k in range(len(KINDS)) if (name, k) in shown]
        effects, colour = [shown[name, k] for k in at], STAGE_COLOURS[name]
        bars(axes, [k + shift for k in at], effects, colour, width=0.4, label=name)
    known = {k for _, k in shown}
    labels = [kind if k in known else f"{kind}\n(too few)" for k, kind in enumerate(KINDS)]
    axes.set_xticks(range(len(KINDS)), labels)
    axes.set_ylabel("mean change of p (points)")
    axes.legend()


# --------------------------------------------------------------- T1: position in the response


def t1_position(stages: Stages, sampled: Sampled | None) -> Finding:
    """Entropy in the first tenth of responses, their middle fifth and their last tenth."""
    finding = Finding(
        "T1",
        "Entropy over the position in a response is U-shaped: high at its start and at its end.",
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
