"""Predictions of the change of entropy against what was measured."""

import math

import pytest

from analysis.mechanism import PREDICTED, agreement, draw_entropy_change
from record import ENTROPY_CHANGES


def test_the_agreement_of_predictions_is_a_line_through_the_probes():
    lines = [dict.fromkeys(ENTROPY_CHANGES)]
    assert agreement(lines) is None
    for changes in ((-4.0, -2.0, 1.0), (2.0, 1.0, 1.0), (6.0, 3.0, 4.0)):
        lines.append(dict(zip(ENTROPY_CHANGES, changes, strict=True)))
    found = agreement(lines)
    exact, other = (found[name] for name in PREDICTED)
    assert found["probes"] == 3 and (exact["same_sign"], other["same_sign"]) == (3, 2)
    assert (exact["correlation"], exact["slope"]) == pytest.approx((1, 2))
    # Deviations from the means: measured (-16, 2, 14) / 3, predicted (-1, -1, 2).
    assert other["slope"] == pytest.approx(14 / 6)
    assert other["correlation"] == pytest.approx(14 / math.sqrt(6 * 456 / 9))


def test_nothing_is_fitted_to_few_probes_or_to_what_does_not_vary():
    lines = [dict(zip(ENTROPY_CHANGES, (-1.0 * s, 2.0 * s, 0.5), strict=True)) for s in range(4)]
    assert agreement(lines) is None  # the last prediction is always the same
    for s, each in enumerate(lines):
        each[PREDICTED[1]] = s**2
    assert agreement(lines)["probes"] == 4 and agreement(lines[:3])["probes"] == 3
    assert agreement(lines[:2]) is None
    assert agreement(lines)[PREDICTED[0]]["same_sign"] == 0


def test_measured_is_drawn_over_predicted_with_its_line():
    from matplotlib.figure import Figure

    lines = [dict.fromkeys(ENTROPY_CHANGES) | {"step": 0}]
    for step, changes in enumerate(((-4.0, -2.0, 1.0), (2.0, 1.0, 1.0), (6.0, 3.0, 4.0)), 1):
        lines.append(dict(zip(ENTROPY_CHANGES, changes, strict=True)) | {"step": step})
    draw_entropy_change(figure := Figure(), lines, agreement(lines))
    for axes, predicted in zip(figure.axes, ([-2, 1, 3], [1, 1, 4]), strict=False):
        points = axes.collections[0].get_offsets().tolist()
        assert points == [[x, y] for x, y in zip(predicted, (-4, 2, 6), strict=True)]
    line = figure.axes[1].lines[0]
    # Through the means, (2, 4 / 3), with slope 14 / 6.
    assert list(line.get_xdata()) == [1, 4]
    assert line.get_ydata() == pytest.approx([4 / 3 - 14 / 6, 4 / 3 + 14 / 3])
    assert (
        figure.axes[0].get_title().startswith("from logits\ncorrelation 1.000, slope 2\nsame sign")
    )
