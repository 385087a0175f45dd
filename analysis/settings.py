"""Several runs with several settings and seeds: do the paper's methods help? I3, T3, F.

    I3  favouring rollouts of low perplexity (--ppl_alpha above 0) beats GRPO
    T3  a bonus on late tokens (--position_gamma) beats one on early tokens
    F   both of these keep entropy higher late in training, and lengthen responses

Runs are told apart by their options alone. Differences are taken seed by seed, since a seed decides
the questions and their order, and their intervals are Student's over seeds.
"""

import math
from functools import partial
from statistics import fmean

import torch

from analysis.differences import tables
from analysis.effects import Effect, Finding, t_interval
from analysis.figures import OTHERS, smooth
from options import InputError
from record import Run

# A run with these trains by plain GRPO; of several such settings that nearest to all others.
PLAIN = {"objective": "clip", "ppl_alpha": 0.0, "position_gamma": 0.0}
PLAIN |= {"polarity_expand": 1.0, "polarity_contract": 1.0}
MEASURES = {"accuracy": 3, "entropy": 4, "response_length": 1}  # and the digits shown
LABELS = ("accuracy", "entropy (nats)", "length (tokens)")


def compare_runs(runs: list[Run]) -> tuple[list[Finding], list[str]]:
    """I3, T3 and F, and tables of all settings in Markdown. Raises InputError; see `by_setting`."""
    for run in runs:
        if not run.lines:
            raise InputError(f"{run.folder} has no steps yet: wait, or leave it out")
    settings = by_setting(runs)
    findings = [i3_perplexity(settings), t3_position(settings), f_final_methods(settings)]
    return findings, table_of_settings(settings)


# ------------------------------------------------------------------------------- the settings


def by_setting(runs: list[Run]) -> dict[str, dict[int, Run]]:
    """{setting: {seed: run}}, named by the options in which it differs from plain GRPO, "GRPO".

    Where no run is plain GRPO they are named by their differences from the first. Raises InputError
    for two runs with the same options and seed.
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


def with_signs(settings: dict, alpha: int, gamma: int) -> str | None:
    """The setting with these signs of --ppl_alpha and of the bonus on late tokens, or None.

    The latter is that of --position_gamma times --position_steepness. Of several settings that with
    most seeds.
    """
    fitting = {}
    for name, seeds in settings.items():
        c = next(iter(seeds.values())).config
        bonus = c.get("position_gamma", 0) * c.get("position_steepness", 0)
        signs = tuple((x > 0) - (x < 0) for x in (c.get("ppl_alpha", 0), bonus))
        if signs == (alpha, gamma):
            fitting[name] = len(seeds)
    return max(fitting, key=fitting.get, default=None)


def came_to(run: Run, measure: str) -> float:
    """Held-out accuracy where it was evaluated; else the mean over the last tenth of the steps."""
    if measure == "accuracy" and run.summary.get("after"):
        return run.summary["after"]["acc"]["mean"]
    return fmean(line[measure] for line in run.lines[-max(1, len(run.lines) // 10) :])


def less(ours: dict[int, Run], theirs: dict[int, Run], measure: str) -> list[float]:
    """Ours less theirs, for every seed that both have with as many steps."""
    shared = [s for s in ours if s in theirs and len(ours[s].lines) == len(theirs[s].lines)]
    return [came_to(ours[s], measure) - came_to(theirs[s], measure) for s in shared]


# ------------------------------------------------------------------------------- the findings


def i3_perplexity(settings: dict) -> Finding:
    """--ppl_alpha above 0, and below, against plain GRPO. settings: of `by_setting`."""
    finding = Finding(
        "I3",
        "Favouring rollouts of low perplexity beats GRPO; favouring those of high perplexity loses "
        "to it and raises entropy.",
        "seeds",
    )
    low, high = with_signs(settings, 1, 0), with_signs(settings, -1, 0)
    add_differences(
        finding,
        settings,
        ("accuracy, low perplexity less GRPO", low, "GRPO", "accuracy"),
        ("accuracy, GRPO less high perplexity", "GRPO", high, "accuracy"),
        ("entropy, high perplexity less GRPO (nats)", high, "GRPO", "entropy"),
    )
    show_curves(finding, settings, {low: "low perplexity", high: "high perplexity"})
    return finding


def t3_position(settings: dict) -> Finding:
    """A bonus on late tokens against one on early tokens. settings: of `by_setting`."""
    finding = Finding(
        "T3",
        "A bonus on late tokens beats one on early tokens, and lengthens responses. Both raise "
        "entropy.",
        "seeds",
    )
    late, early = with_signs(settings, 0, 1), with_signs(settings, 0, -1)
    add_differences(
        finding,
        settings,
        ("accuracy, late less early", late, early, "accuracy"),
        ("length, late less GRPO (tokens)", late, "GRPO", "response_length"),
        ("entropy, late less GRPO (nats)", late, "GRPO", "entropy"),
        ("entropy, early less GRPO (nats)", early, "GRPO", "entropy"),
    )
    show_curves(finding, settings, {late: "late tokens", early: "early tokens"})
    return finding


def f_final_methods(settings: dict) -> Finding:
    """The paper's two methods, each by itself, against plain GRPO. settings: of `by_setting`."""
    finding = Finding(
        "F",
        "Favouring rollouts of low perplexity, and a bonus on late tokens, each keep entropy higher "
        "late in training than GRPO does, and lengthen responses.",
        "seeds",
    )
    low, late = with_signs(settings, 1, 0), with_signs(settings, 0, 1)
    add_differences(
        finding,
        settings,
        ("entropy, low perplexity less GRPO (nats)", low, "GRPO", "entropy"),
        ("entropy, late less GRPO (nats)", late, "GRPO", "entropy"),
        ("length, low perplexity less GRPO (tokens)", low, "GRPO", "response_length"),
        ("length, late less GRPO (tokens)", late, "GRPO", "response_length"),
    )
    show_curves(finding, settings, {low: "low perplexity", late: "late tokens"})
    return finding


def add_differences(finding: Finding, settings: dict, *claimed) -> None:
    """An effect for each (label, setting, another, measure): that the first exceeds the other."""
    for label, a, b, measure in claimed:
        if found := less(settings.get(a, {}), settings.get(b, {}), measure):
            free = len(found) - 1 or math.inf  # one seed has no interval
            finding.effects.append(Effect(label, *t_interval(found), above=0, free=free))
        else:
            finding.missing = f"no seed has both runs, with as many steps, of: {label}"


def show_curves(finding: Finding, settings: dict, others: dict) -> None:
    """The figure and its note, of plain GRPO and of others, {setting or None: label}."""
    named = {name: label for name, label in others.items() if name in settings}
    bands = "lines are means over seeds, bands go from the lowest seed to the highest"
    finding.notes = ["; ".join([*(f"{x}: {name}" for name, x in named.items()), bands]) + "."]
    usual = {"GRPO": "GRPO"} if "GRPO" in settings else {}
    finding.draw = partial(draw_curves, settings=settings, shown=usual | named)


def draw_curves(figure, settings: dict, shown: dict[str, str]) -> None:
    """Learning curves of settings, {setting: label}: means over seeds, lowest to highest seed."""
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
    handles_and_labels = panels[0].get_legend_handles_labels()
    figure.legend(*handles_and_labels, loc="outside upper center", ncols=3)


def table_of_settings(settings: dict) -> list[str]:
    """`tables` of what every setting of `by_setting` came to, against plain GRPO."""
    found = {
        name: {
            (seed, len(run.lines)): {
                label: came_to(run, measure)
                for label, measure in zip(LABELS, MEASURES, strict=True)
            }
            for seed, run in seeds.items()
        }
        for name, seeds in settings.items()
    }
    return tables(found, "GRPO", dict(zip(LABELS, MEASURES.values(), strict=True)))
