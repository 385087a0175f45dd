"""Predictions of the change of entropy against what was measured."""

import math

import pytest

from analysis.mechanism import PREDICTED, agreement
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
