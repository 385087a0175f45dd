"""How every figure looks, and where it is saved: the one place that sets matplotlib up.

`save` makes a figure by a function that fills it, in the one style. The colours are those of Okabe
and Ito, which the colour-blind can tell apart. matplotlib is optional: where it is missing,
`no_matplotlib` says so.
"""

import math
from pathlib import Path

import torch

from analysis.effects import Effect
from analysis.stages import Stages

RIGHT, WRONG = "#0072B2", "#D55E00"  # rollouts, in every figure
OTHERS = GREEN, PINK, ORANGE, SKY = ("#009E73", "#CC79A7", "#E69F00", "#56B4E9")
STAGE_COLOURS = {"rising stage": "darkgray", "plateau": "black"}
STYLE = {"font.size": 9, "axes.grid": True, "grid.alpha": 0.2, "axes.axisbelow": True}
STYLE |= {"axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False}


def no_matplotlib() -> str:
    """Why no figure can be drawn; "" where one can."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return "matplotlib is not installed (pip install matplotlib)"
    return ""


def save(path: Path, draw, size: tuple[float, float]) -> None:
    """Save what `draw` fills a matplotlib figure of this size, in inches, with. Raises OSError.

    To be called where `no_matplotlib` has nothing to say.
    """
    import matplotlib

    matplotlib.use("agg")  # no window, so no screen is needed
    import matplotlib.pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=size, layout="constrained")
        draw(figure)
        figure.savefig(path, dpi=150)
        plt.close(figure)


def smooth(values: torch.Tensor) -> torch.Tensor:
    """Running means over a tenth of a curve, at least 3 values, NaN left out. (n,) -> (n,).

    >>> smooth(torch.tensor([1.0, 2.0, float("nan"), 6.0])).tolist()
    [1.5, 1.5, 4.0, 6.0]
    """
    reach = max(1, len(values) // 20)
    windows = (values[max(0, i - reach) : i + reach + 1] for i in range(len(values)))
    return torch.stack([window.nanmean() for window in windows]) if len(values) else values


def bars(axes, at, effects: list[Effect], colour, width=0.8, label=None) -> None:
    """A bar for each effect, with its interval."""
    reach = [[e.value - e.low for e in effects], [e.high - e.value for e in effects]]
    line = {"elinewidth": 1, "capsize": 2}
    axes.bar(
        at, [e.value for e in effects], width, yerr=reach, color=colour, label=label, error_kw=line
    )


def mark_control(axes, at, effects: list[Effect]) -> None:
    """A mark at what the control shows of each effect, with its interval."""
    reach = [[e.value - e.low for e in effects], [e.high - e.value for e in effects]]
    once = "control" not in axes.get_legend_handles_labels()[1]
    how = {"color": PINK, "markerfacecolor": "white", "markersize": 4, "elinewidth": 1}
    values = [e.value for e in effects]
    axes.errorbar(at, values, reach, fmt="D", label="control" if once else None, **how)


def mark_plateau(axes, stages: Stages) -> None:
    """A dotted line where the rising stage ends."""
    if stages.knee:
        axes.axvline(stages.knee, color="black", linewidth=0.8, linestyle=":")
        at = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        axes.annotate("plateau", (stages.knee, 1), (3, -7), fontsize=7, color="dimgray", **at)


def drawable(label: str) -> str:
    """Letters that matplotlib's own font lacks go by their code; $ would begin a formula.

    >>> drawable("␣所$")
    '_U+6240\\\\$'
    """
    plain = label.replace("␣", "_").replace("$", "\\$")
    return "".join(c if c.isprintable() and ord(c) < 0x2500 else f"U+{ord(c):04X}" for c in plain)


def draw_training(figure, lines: list[dict], before: float) -> None:
    """report/training.png: reward and entropy over the steps.

    lines: of metrics.jsonl. before: accuracy on held-out questions before training.
    """
    steps = [line["step"] for line in lines]

    def curve(axes, name, label, colour):
        values = [math.nan if line[name] is None else line[name] for line in lines]
        axes.plot(steps, values, color=colour, alpha=0.25, linewidth=0.8)
        axes.plot(steps, smooth(torch.tensor(values)), color=colour, label=label, linewidth=1.8)

    above, below = figure.subplots(2, 1, sharex=True)
    curve(above, "reward", "reward of training rollouts", "black")
    evaluated = [line for line in lines if line["eval_accuracy"] is not None]
    above.plot(
        [0, *(line["step"] for line in evaluated)],
        [before, *(line["eval_accuracy"] for line in evaluated)],
        "o--",
        color=ORANGE,
        markersize=4,
        linewidth=0.8,
        label="accuracy on held-out questions",
    )
    above.set_ylabel("reward, accuracy")
    curve(below, "entropy", "all rollouts", "black")
    curve(below, "entropy_correct", "right", RIGHT)
    curve(below, "entropy_wrong", "wrong", WRONG)
    below.set(xlabel="training step", ylabel="token entropy (nats)")
    below.set_ylim(bottom=0)
    for axes in (above, below):
        axes.legend()
