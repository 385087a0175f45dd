"""The two stages: the knee is found where it is, not where there is none, and while a run goes on."""

import pytest
import torch

from analysis.stages import SEEN, Stages, find_knee, plateau_has_begun


def curves(seed, steps=300, knee=90, noise=1.0, shape="knee"):
    """(entropies, accuracies) of a made-up run: the levels and the noise are those of the default run."""
    generator = torch.Generator().manual_seed(seed)
    step = torch.arange(1, steps + 1, dtype=torch.double)
    risen = {
        "knee": step.clamp(max=knee) / knee + 0.3 * (step - knee).clamp(min=0) / (steps - knee),
        "line": step / steps,
        "flat": 0 * step,
        "accuracy alone": step.clamp(max=knee) / knee,
    }[shape]
    fallen = 0 * step if shape == "accuracy alone" else risen
    entropy = 0.17 - 0.10 * fallen + 0.012 * noise * torch.randn(steps, generator=generator)
    accuracy = 0.56 + 0.22 * risen + 0.055 * noise * torch.randn(steps, generator=generator)
    return entropy.tolist(), accuracy.tolist()


@pytest.mark.parametrize("steps, knee", [(300, 60), (300, 150), (120, 40), (1000, 200)])
def test_the_knee_is_found_within_a_tenth_of_the_run(steps, knee):
    found = [find_knee(*curves(seed, steps, knee)) for seed in range(100)]
    assert sum(k is not None and abs(k.step - knee) <= steps / 10 for k in found) >= 95


@pytest.mark.parametrize("shape", ["line", "flat", "accuracy alone"])
def test_where_there_is_no_knee_none_is_found(shape):
    found = [find_knee(*curves(seed, shape=shape)) for seed in range(100)]
    assert sum(k is not None for k in found) <= 5


def test_a_knee_the_wrong_way_round_is_none():
    entropies, accuracies = curves(0, noise=0.1)
    assert find_knee(entropies, accuracies)
    assert find_knee([-x for x in entropies], accuracies) is None
    assert find_knee(entropies, [-x for x in accuracies]) is None
    assert find_knee(entropies[::-1], accuracies[::-1]) is None


def test_slopes_and_curves_of_the_knee():
    entropies, accuracies = curves(0, noise=0.0)
    knee = find_knee(entropies, accuracies)
    assert knee.step == pytest.approx(90, abs=2)  # one of 100 places
    assert knee.rising == pytest.approx((-0.10 / 90, 0.22 / 90), rel=0.05)
    assert knee.plateau == pytest.approx((-0.03 / 210, 0.066 / 210), rel=0.05)
    assert knee.entropies == pytest.approx(entropies, abs=0.002)
    assert knee.accuracies == pytest.approx(accuracies, abs=0.004)


@pytest.mark.parametrize("steps", [0, 1, 2, SEEN - 1, SEEN, SEEN + 1])
def test_short_runs_and_curves_without_noise_have_no_knee(steps):
    entropies, accuracies = curves(0, steps=300)
    if steps < SEEN:
        assert find_knee(entropies[:steps], accuracies[:steps]) is None
    assert find_knee([0.1] * steps, [0.5] * steps) is None
    assert not plateau_has_begun([0.1] * steps, [0.5] * steps)


def begins(entropies, accuracies):
    """The step after which a run that asks after every step would be told yes; None: never."""
    return next(
        (
            s
            for s in range(1, len(entropies) + 1)
            if plateau_has_begun(entropies[:s], accuracies[:s])
        ),
        None,
    )


def test_online_the_plateau_begins_within_a_tenth_of_the_run():
    # Batches four times as large as the default run's halve its noise. With its own noise the answer
    # comes later, but hardly ever before the knee.
    found = [begins(*curves(seed, knee=60, noise=0.5)) for seed in range(20)]
    assert sum(begun is not None and 60 <= begun <= 90 for begun in found) >= 19
    late = [begins(*curves(seed, knee=60)) for seed in range(20)]
    assert all(begun is not None and begun <= 120 for begun in late)
    assert sum(begun < 60 for begun in late) <= 1


def test_online_no_plateau_begins_on_a_line():
    assert sum(begins(*curves(seed, shape="line")) is not None for seed in range(10)) <= 1


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
