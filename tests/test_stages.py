"""The stages: the knee is found where it is, not where there is none, and while a run goes on."""

import pytest
import torch
from worlds_stages import SHAPES, STEPS, Shape, begins, lines, moving, noisy, rise

from analysis.stages import (
    SEEN,
    Stages,
    find_knee,
    hinges,
    knee_interval,
    plateau_has_begun,
    smooth_decay,
    squares,
    stages_of,
    three_lines,
    three_stages,
    two_lines,
    worth,
)


def bent(steps, knee, later=0.3, noise=1.0, seed=0):
    """(entropies, accuracies) with a knee in a run of any length."""
    step = torch.arange(1, steps + 1, dtype=torch.double)
    shape = moving(
        step.clamp(max=knee) / knee + later * (step - knee).clamp(min=0) / (steps - knee)
    )
    return noisy(shape, seed, noise)


def least_squares(columns, curve):
    """(solution, what is left, covariance of the solution for noise of variance 1)."""
    design = torch.stack(columns, 1)
    solution = torch.linalg.lstsq(design, curve[:, None]).solution[:, 0]
    return solution, curve - design @ solution, torch.linalg.inv(design.T @ design)


@pytest.mark.parametrize("together", [False, True])
def test_fits_are_those_of_least_squares(together):
    entropies, accuracies = bent(80, 30)
    curves = torch.tensor([entropies, accuracies], dtype=torch.double)
    fit = two_lines(curves, together=together)
    step = torch.arange(1, 81, dtype=torch.double)
    line = [torch.ones(80, dtype=torch.double), step]
    places, shapes = hinges(80, 300)
    for k, curve in enumerate(curves):
        each = [least_squares([*line, shape], curve) for shape in shapes]
        errors = torch.stack([squares(left) for _, left, _ in each])
        assert torch.allclose(fit.errors[:, k], errors)
        solution, left, covariance = each[int(fit.best[k])]
        assert torch.allclose(fit.left[k], left)
        assert fit.rising[k].item() == pytest.approx(solution[1].item())
        assert fit.plateau[k].item() == pytest.approx((solution[1] + solution[2]).item())
        spread = (covariance[1, 1], covariance[2, 2], covariance[1, 2])
        assert [x[k].item() for x in fit.spread] == pytest.approx([x.item() for x in spread])
        if not together:
            assert fit.best[k] == errors.argmin() and fit.step()[k] == places[errors.argmin()]
    assert not together or fit.best[0] == fit.errors.log().sum(1).argmin()
    errors = three_lines(curves[1], places, shapes)
    for one, other in ((3, 40), (10, 20)):
        _, left, _ = least_squares([*line, shapes[one], shapes[other]], curves[1])
        assert errors[one, other].item() == pytest.approx(squares(left).item())
    decay = [*line, torch.exp(-step / 3)]  # the first of its time constants
    assert squares(smooth_decay(curves))[1] <= squares(least_squares(decay, curves[1])[1]) + 1e-9
    exact = 0.2 + 0.001 * step - 0.3 * torch.exp(-step / 3)
    assert squares(smooth_decay(exact[None])).item() < 1e-9


@pytest.mark.parametrize("steps, knee", [(300, 60), (300, 150), (120, 40), (1000, 200)])
def test_the_knee_is_found_within_a_tenth_of_the_run(steps, knee):
    found = [find_knee(*bent(steps, knee, seed=seed)) for seed in range(60)]
    assert sum(k is not None and abs(k.step - knee) <= steps / 10 for k in found) >= 56
    assert sum(k is not None and k.low <= knee <= k.high for k in found) >= 54


@pytest.mark.parametrize("name", ["straight lines", "constant", "accuracy alone"])
def test_where_curves_do_not_bend_there_is_no_knee(name):
    alone = moving((STEPS / 90).clamp(max=1), end=(0.78, 0.165))
    shape = SHAPES.get(name, alone)
    found = [find_knee(*noisy(shape, seed)) for seed in range(60)]
    assert sum(k is not None for k in found) <= 4


def test_a_knee_the_wrong_way_round_is_none():
    entropies, accuracies = bent(300, 90, noise=0.1)
    assert find_knee(entropies, accuracies)
    assert find_knee([-x for x in entropies], accuracies) is None
    assert find_knee(entropies, [-x for x in accuracies]) is None
    assert find_knee(entropies[::-1], accuracies[::-1]) is None


@pytest.mark.parametrize("steps", [0, 1, 2, SEEN - 1, SEEN, SEEN + 1])
def test_short_runs_and_curves_without_noise_have_no_knee(steps):
    entropies, accuracies = bent(300, 90)
    if steps < SEEN:
        assert find_knee(entropies[:steps], accuracies[:steps]) is None
        assert not plateau_has_begun(entropies[:steps], accuracies[:steps])
    assert find_knee([0.1] * steps, [0.5] * steps) is None
    assert not plateau_has_begun([0.1] * steps, [0.5] * steps)
    assert three_stages(torch.tensor([0.5] * steps, dtype=torch.double)) is None


def test_a_knee_stays_in_its_interval_as_the_run_goes_on():
    kept = 0
    for seed in range(30):
        entropies, accuracies = bent(300, 75, seed=seed)
        cuts = [find_knee(entropies[:n], accuracies[:n]) for n in range(100, 301, 50)]
        kept += all(knee is None or knee.low <= 75 <= knee.high for knee in cuts)
        assert cuts[-1] and cuts[-1].high - cuts[-1].low < 60
    assert kept >= 27


def test_an_interval_of_the_knee_by_hand():
    places = torch.tensor([10.0, 20.0, 30.0, 40.0])
    likelihood = torch.tensor([0.0, 1.0, 0.02, 0.0]).log()  # of the mean, 0.255: 0, 3.9, 0.08, 0
    assert knee_interval(places, likelihood) == (20, 30)


def test_correlated_steps_count_for_less():
    noise = torch.randn(4000, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    chain = [noise[0]]
    for error in noise[1:]:
        chain.append(0.5 * chain[-1] + error)
    left = torch.stack([noise, torch.stack(chain), noise * (-1) ** torch.arange(4000)])
    assert worth(left).tolist() == pytest.approx([4000, 4000 / 3, 4000], rel=0.1)
    alternating = torch.tensor([[1.0, -1.0] * 10])
    assert worth(alternating).tolist() == [20]


def test_an_s_is_three_stages_and_a_knee_a_line_and_a_decay_are_not():
    def found(name):
        curves = (noisy(SHAPES[name], seed) for seed in range(20))
        return [
            [three_stages(torch.tensor(x, dtype=torch.double)) for x in both] for both in curves
        ]

    s = "an S: flat, 150 to 230, level"
    assert sum(bool(accuracy and accuracy.is_s()) for _, accuracy in found(s)) >= 18
    for name in ("a knee at 60, then level", "straight lines", "smooth decay, T = 40"):
        assert sum(bool(entropy or accuracy) for entropy, accuracy in found(name)) <= 2


def test_the_rising_stage_of_an_s_begins_at_its_take_off():
    shape = SHAPES["an S: flat, 150 to 230, level"]
    knee, stages = stages_of([x | {"step": x["step"] + 10} for x in lines(shape, 0, noise=0.02)])
    assert stages.take_off == pytest.approx(160, abs=4) and stages.last == 310
    assert stages.knee == knee.step + 10 == pytest.approx(240, abs=4)
    assert knee.low <= 230 <= knee.high
    s = three_stages(shape.accuracy)
    slopes = {(0, 2, 0): True, (1, 2, -1): True, (0, 2, 1.1): False, (-1.1, 2, 0): False}
    slopes[(0, -2, 0)] = False
    assert {x: s._replace(slopes=x).is_s() for x in slopes} == slopes


def test_online_a_sharp_knee_is_told_from_a_smooth_decay():
    sharp = SHAPES["a knee at 60, then level"]
    assert 60 < begins(*noisy(sharp, 0, noise=0.1)) <= 75
    assert begins(*noisy(moving(rise(40)), 0, noise=0.1)) is None
    entropies, accuracies = noisy(sharp, 0, noise=0.1)
    for k in (1, -1):  # entropy rises, or accuracy falls
        assert begins([k * x for x in entropies], [-k * x for x in accuracies]) is None


def test_online_a_plateau_comes_after_a_rise_of_a_tenth():
    small = Shape(0.5 + 0.08 * (STEPS / 60).clamp(max=1), 0.2 - 0.1 * (STEPS / 60).clamp(max=1))
    larger = small._replace(accuracy=0.5 + 0.14 * (STEPS / 60).clamp(max=1))
    assert begins(*noisy(small, 0, noise=0.1)) is None
    assert begins(*noisy(larger, 0, noise=0.1))


def test_ends_of_the_rising_stage():
    steps = torch.tensor([10, 20, 20, 30, 40, 50, 60])
    first, last = Stages(50, 60).ends_of_rise(steps, least=1)
    assert (steps[first].tolist(), steps[last].tolist()) == ([10], [50])
    first, last = Stages(50, 60).ends_of_rise(steps, least=2)
    assert (steps[first].tolist(), steps[last].tolist()) == ([10, 20, 20], [40, 50])
    assert Stages(50, 60).ends_of_rise(steps, least=3) is None
    every = torch.arange(1, 201)
    first, last = Stages(100, 200).ends_of_rise(every, least=2)
    assert (every[first].tolist(), every[last].tolist()) == ([*range(1, 21)], [*range(81, 101)])
    first, last = Stages(100, 200, take_off=50).ends_of_rise(every, least=2)
    assert (every[first].tolist(), every[last].tolist()) == ([*range(51, 61)], [*range(91, 101)])
    inside = Stages(100, 200, take_off=50).of(torch.tensor([50, 51, 100, 101]))
    assert inside["rising stage"].tolist() == [False, True, True, False]
    assert inside["plateau"].tolist() == [False, False, False, True]


def test_in_a_long_run_a_knee_has_a_twentieth_of_the_steps_on_either_side():
    risen = [min(step, 15) / 15 + 0.001 * (step % 5) for step in range(1, 1001)]
    assert find_knee([0.5 - 0.3 * x for x in risen], risen).step == 50


@pytest.mark.parametrize("later, found", [(0.3, True), (0.7, False)])
def test_a_plateau_goes_at_most_half_as_fast_as_the_rise(later, found):
    risen = [0.01 * (min(step, 60) + later * max(step - 60, 0)) for step in range(1, 121)]
    assert (find_knee([1 - x for x in risen], risen) is not None) == found
    slow = begins([1 - x for x in risen], risen) is not None
    assert slow == found
