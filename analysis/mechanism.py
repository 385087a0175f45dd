"""What an update does to entropy, against two predictions of it: report/entropy_change.png.

On probe steps `train.py` measures how the mean token entropy changed by the step's updates, and
predicts it twice: from the change of the logits, and from the advantages before the update is made
(`record.py` says how far each can be trusted). Here they are compared over all probes of a run.
arXiv 2605.11775 is behind the predictions; the comparison is ours.
"""

import statistics

from analysis.figures import ORANGE
from record import ENTROPY_CHANGES

MEASURED, *PREDICTED = ENTROPY_CHANGES


def agreement(lines: list[dict]) -> dict | None:
    """How far the predicted changes of entropy agree with the measured ones, over the probed steps.

    lines: of metrics.jsonl. For each prediction: its correlation with the measurement, the slope of
    the least-squares line of measured on predicted, and in how many steps the signs agree. None
    where nothing can be fitted.
    """
    probes = [[line[name] for name in ENTROPY_CHANGES] for line in lines]
    columns = list(zip(*(probe for probe in probes if probe[0] is not None), strict=True))
    if not columns or len(columns[0]) < 3 or any(len(set(column)) < 2 for column in columns):
        return None
    measured = columns[0]
    found = {"probes": len(measured)}
    for name, predicted in zip(PREDICTED, columns[1:], strict=True):
        found[name] = {
            "correlation": statistics.correlation(predicted, measured),
            "slope": statistics.linear_regression(predicted, measured).slope,
            "same_sign": sum(x * y > 0 for x, y in zip(predicted, measured, strict=True)),
        }
    return found


def describe(predictions: dict, name: str) -> str:
    """One of the predictions of `agreement` in a line.

    >>> found = {"correlation": 0.98765, "slope": 1.5, "same_sign": 6}
    >>> describe({"probes": 7, "entropy_change_from_logits": found}, "entropy_change_from_logits")
    'from logits: correlation 0.988, slope 1.5, same sign in 6 of 7'
    """
    found, source = predictions[name], name.removeprefix("entropy_change_").replace("_", " ")
    return (
        f"{source}: correlation {found['correlation']:.3f}, slope {found['slope']:.3g}, "
        f"same sign in {found['same_sign']} of {predictions['probes']}"
    )


def draw_entropy_change(figure, lines: list[dict], predictions: dict) -> None:
    """The change of entropy in the probed steps against its predictions, as of `agreement`."""
    probes = [line for line in lines if line[MEASURED] is not None]
    measured = [probe[MEASURED] for probe in probes]
    panels = figure.subplots(1, 2, sharey=True)
    for axes, name in zip(panels, PREDICTED, strict=True):
        predicted = [probe[name] for probe in probes]
        slope, intercept = statistics.linear_regression(predicted, measured)
        ends = [min(predicted), max(predicted)]
        axes.plot(ends, [slope * x + intercept for x in ends], color=ORANGE, linewidth=1)
        points = axes.scatter(predicted, measured, c=[probe["step"] for probe in probes], s=16)
        axes.axhline(0, color="black", linewidth=0.5)
        axes.axvline(0, color="black", linewidth=0.5)
        title = describe(predictions, name).replace(": ", "\n").replace(", same", "\nsame")
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("predicted (nats)")
        axes.ticklabel_format(scilimits=(0, 0))
    panels[0].set_ylabel("change of token entropy in a step,\nmeasured (nats)")
    figure.colorbar(points, label="training step")
