"""Advantages, the two shaping methods and the objective, against values worked out by hand."""

import math

import pytest
import torch

from loss import (
    group_advantages,
    policy_loss,
    position_shaping,
    ppl_shaping,
    relative_position,
    standardise_without_outliers,
)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_group_advantages_by_hand():
    # One right of four: mean 1/4, unbiased variance (9/16 + 3/16) / 3 = 1/4, std 1/2.
    advantages = group_advantages(torch.tensor([1.0, 0, 0, 0, 1, 1, 0, 0]), 4)
    # Two right of four: mean 1/2, unbiased variance (4/4) / 3, std 1 / sqrt(3).
    half = 0.5 * math.sqrt(3)
    expected = [1.5, -0.5, -0.5, -0.5, half, half, -half, -half]
    assert advantages.tolist() == pytest.approx(expected, rel=1e-5)


def test_fault_06_equal_rewards_give_exactly_zero_and_a_group_of_one_is_refused():
    # The float32 mean of eight times 0.1 or 0.7 is not 0.1 or 0.7.
    for reward in (0.0, 1.0, 0.1, 0.7, -1 / 3):
        advantages = group_advantages(torch.full((8,), reward), 8)
        assert torch.equal(advantages, torch.zeros(8))
    with pytest.raises(ValueError):
        group_advantages(torch.tensor([1.0, 0.0]), 1)
    with pytest.raises(ValueError):
        group_advantages(torch.tensor([1.0, 0.0, 1.0]), 2)


def test_advantages_stay_within_their_group():
    together = group_advantages(torch.tensor([1.0, 0, 1, 1, 0, 0]), 3)
    assert torch.equal(together[:3], group_advantages(torch.tensor([1.0, 0, 1]), 3))
    assert torch.equal(together[3:], group_advantages(torch.tensor([1.0, 0, 0]), 3))


def test_ppl_shaping_by_hand():
    # log PPL 1, 2, 3, 4: mean 2.5, population variance 1.25; no outlier.
    std = math.sqrt(1.25)
    weights = [(x - 2.5) / std for x in (1, 2, 3, 4)]
    advantages = torch.tensor([2.0, -1.0, 0.0, 1.0])
    shaped = ppl_shaping(advantages, torch.tensor([1.0, 2, 3, 4]), 4, alpha=0.01)
    expected = [a * (1 - 0.01 * w) for a, w in zip(advantages.tolist(), weights, strict=True)]
    assert shaped.tolist() == pytest.approx(expected, rel=1e-6)
    assert shaped[0] > 2  # low perplexity is favoured
    contrast = ppl_shaping(advantages, torch.tensor([1.0, 2, 3, 4]), 4, alpha=-0.01)
    assert contrast[0] < 2


def test_ppl_shaping_leaves_outliers_out_of_the_mean_and_the_std_but_scores_them():
    values = torch.tensor([1.0, 2.0, 1.0, 2.0, 50.0])
    # Quartiles 1 and 2, fences -0.5 and 3.5: mean 1.5 and population std 0.5 of the other four.
    expected = [-1.0, 1.0, -1.0, 1.0, 97.0]
    assert standardise_without_outliers(values).tolist() == pytest.approx(expected)
    # The factor of the outlier is clamped to [0.8, 1.2].
    shaped = ppl_shaping(torch.ones(5), values, 5, alpha=0.01)
    assert shaped.tolist() == pytest.approx([1.01, 0.99, 1.01, 0.99, 0.8])
    shaped = ppl_shaping(torch.ones(5), values, 5, alpha=-0.01)
    assert shaped[4].item() == pytest.approx(1.2)


def test_ppl_shaping_of_equal_perplexities_changes_nothing():
    advantages = torch.tensor([1.0, -1.0])
    assert torch.equal(ppl_shaping(advantages, torch.tensor([0.7, 0.7]), 2, 0.5), advantages)


def test_ppl_shaping_takes_token_advantages_too():
    advantages = torch.randn(4, 3)
    log_ppl = torch.rand(4)
    by_row = ppl_shaping(torch.ones(4), log_ppl, 2, 0.1)
    assert torch.allclose(
        ppl_shaping(advantages, log_ppl, 2, 0.1), advantages * by_row[:, None], atol=1e-7
    )


def test_position_shaping_by_hand():
    mask = torch.tensor(
        [[False, True, True, True, True, False], [False, False, True, True, False, False]]
    )
    shaped = position_shaping(torch.tensor([1.0, -1.0]), mask, gamma=0.1, steepness=15)
    # Four tokens at r = 0, 1/4, 1/2, 3/4, and two at r = 0, 1/2.
    first = [1 + 0.1 * sigmoid(15 * (r - 0.5)) for r in (0, 0.25, 0.5, 0.75)]
    second = [-1 - 0.1 * sigmoid(15 * (r - 0.5)) for r in (0, 0.5)]
    assert shaped[0, 1:5].tolist() == pytest.approx(first, rel=1e-6)
    assert shaped[1, 2:4].tolist() == pytest.approx(second, rel=1e-6)
    early = position_shaping(torch.tensor([1.0, -1.0]), mask, gamma=0.1, steepness=-15)
    assert early[0, 1] > early[0, 4]


def test_position_bonus_is_at_most_half_the_advantage_and_never_wakes_a_zero():
    mask = torch.ones(3, 8, dtype=torch.bool)
    shaped = position_shaping(torch.tensor([0.01, -0.01, 0.0]), mask, gamma=10.0)
    # gamma sigmoid(...) is above half of 0.01 everywhere: sigmoid(-7.5) = 5.5e-4, times 10.
    assert shaped[0].tolist() == pytest.approx([0.015] * 8)
    assert shaped[1].tolist() == pytest.approx([-0.015] * 8)
    assert torch.equal(shaped[2], torch.zeros(8))


def test_relative_position_ignores_prompt_and_padding():
    mask = torch.tensor([[False, False, True, True, True, True, False]])
    assert relative_position(mask)[0].tolist() == [0, 0, 0, 0.25, 0.5, 0.75, 0]


def test_strength_zero_is_grpo_bit_for_bit():
    torch.manual_seed(0)
    advantages = group_advantages((torch.rand(32) > 0.5).float(), 8)
    mask = torch.rand(32, 20) > 0.3
    log_ppl = torch.rand(32) * 3
    assert torch.equal(ppl_shaping(advantages, log_ppl, 8, 0.0), advantages)
    shaped = position_shaping(advantages, mask, 0.0, 15.0)
    assert torch.equal(shaped, advantages[:, None].expand(32, 20))
    assert torch.equal(position_shaping(shaped, mask, 0.0, -15.0), shaped)


def test_loss_by_hand():
    # Ratios 2 and 1/2 with both signs of the advantage, clip 0.2 / 0.28, four response tokens.
    log2 = math.log(2)
    logp = torch.tensor([[0.0, log2, -log2], [0.0, log2, -log2]])
    advantages = torch.tensor([[1.0, 1, 1], [-1.0, -1, -1]])
    mask = torch.tensor([[False, True, True], [False, True, True]])
    loss, clipped = policy_loss(logp, torch.zeros(2, 3), advantages, mask, 0.2, 0.28)
    # A = +1: -min(2, 1.28) and -min(0.5, 0.8); A = -1: max(2, 1.28) and max(0.5, 0.8).
    assert loss.item() == pytest.approx((-1.28 - 0.5 + 2 + 0.8) / 4, rel=1e-6)
    assert clipped.tolist() == [[False, True, False], [False, False, True]]


def test_fault_08_the_clip_stops_a_step_that_went_too_far_and_never_one_that_must_come_back():
    for advantage, log_ratio, moves in [
        (1.0, 1.0, False),  # right and already likelier by far: enough
        (1.0, -1.0, True),  # right but less likely: must come back
        (-1.0, -1.0, False),  # wrong and already less likely by far: enough
        (-1.0, 1.0, True),  # wrong but likelier: must come back
    ]:
        logp = torch.tensor([[log_ratio]], requires_grad=True)
        mask = torch.ones(1, 1, dtype=torch.bool)
        loss, _ = policy_loss(logp, torch.zeros(1, 1), torch.tensor([[advantage]]), mask)
        loss.backward()
        assert (logp.grad.item() != 0) == moves
        if moves:
            assert logp.grad.sign().item() == -advantage


def test_fault_07_every_token_counts_alike_however_long_its_rollout():
    mask = torch.zeros(2, 10, dtype=torch.bool)
    mask[0, 1:3] = True
    mask[1, 1:9] = True
    logp = torch.zeros(2, 10, requires_grad=True)
    loss, _ = policy_loss(logp, torch.zeros(2, 10), torch.ones(2, 10), mask)
    loss.backward()
    assert torch.allclose(logp.grad, -(mask / 10.0))


def test_a_given_token_count_makes_parts_add_up_to_the_whole():
    torch.manual_seed(0)
    logp, old = torch.randn(6, 5) * 0.3, torch.randn(6, 5) * 0.3
    advantages, mask = torch.randn(6, 5), torch.rand(6, 5) > 0.4
    whole, _ = policy_loss(logp, old, advantages, mask)
    parts = [
        policy_loss(logp[i], old[i], advantages[i], mask[i], token_count=int(mask.sum()))[0]
        for i in (slice(0, 1), slice(1, 4), slice(4, 6))
    ]
    assert sum(parts).item() == pytest.approx(whole.item(), rel=1e-5)


def test_a_ratio_beyond_all_numbers_leaves_the_gradient_finite():
    logp = torch.tensor([[0.0]], requires_grad=True)
    mask = torch.ones(1, 1, dtype=torch.bool)
    loss, _ = policy_loss(logp, torch.tensor([[-500.0]]), torch.tensor([[1.0]]), mask)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(logp.grad).all()
