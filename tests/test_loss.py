"""Advantages, shaping and the objectives, against values worked out by hand or with plain loops."""

import math

import pytest
import torch

from loss import (
    clip_cov_loss,
    clip_cov_tokens,
    group_advantages,
    kl_cov_loss,
    kl_cov_tokens,
    polarity_shaping,
    policy_loss,
    position_shaping,
    ppl_shaping,
    relative_position,
    standardise_without_outliers,
    token_covariance,
)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def widened(advantages, mask):
    """One advantage a rollout -> the same for each of its tokens."""
    return torch.tensor(advantages)[:, None].expand(mask.shape)


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


def ppl_of(advantages, *arguments, **named):
    """ppl_shaping of rollouts of one token."""
    return ppl_shaping(advantages[:, None], *arguments, **named).flatten()


def test_ppl_shaping_by_hand():
    # log PPL 1, 2, 3, 4: mean 2.5, population variance 1.25; no outlier.
    std = math.sqrt(1.25)
    weights = [(x - 2.5) / std for x in (1, 2, 3, 4)]
    advantages = torch.tensor([2.0, -1.0, 0.0, 1.0])
    shaped = ppl_of(advantages, torch.tensor([1.0, 2, 3, 4]), 4, alpha=0.01)
    expected = [a * (1 - 0.01 * w) for a, w in zip(advantages.tolist(), weights, strict=True)]
    assert shaped.tolist() == pytest.approx(expected, rel=1e-6)
    assert shaped[0] > 2  # low perplexity is favoured
    contrast = ppl_of(advantages, torch.tensor([1.0, 2, 3, 4]), 4, alpha=-0.01)
    assert contrast[0] < 2


def test_ppl_shaping_leaves_outliers_out_of_the_mean_and_the_std_but_scores_them():
    values = torch.tensor([1.0, 2.0, 1.0, 2.0, 50.0])
    # Quartiles 1 and 2, fences -0.5 and 3.5: mean 1.5 and population std 0.5 of the other four.
    expected = [-1.0, 1.0, -1.0, 1.0, 97.0]
    assert standardise_without_outliers(values).tolist() == pytest.approx(expected)
    # The factor of the outlier is clamped to [0.8, 1.2].
    shaped = ppl_of(torch.ones(5), values, 5, alpha=0.01)
    assert shaped.tolist() == pytest.approx([1.01, 0.99, 1.01, 0.99, 0.8])
    shaped = ppl_of(torch.ones(5), values, 5, alpha=-0.01)
    assert shaped[4].item() == pytest.approx(1.2)


def test_ppl_shaping_of_equal_perplexities_changes_nothing():
    advantages = torch.tensor([1.0, -1.0])
    assert torch.equal(ppl_of(advantages, torch.tensor([0.7, 0.7]), 2, 0.5), advantages)


def test_ppl_shaping_takes_token_advantages_too():
    advantages = torch.randn(4, 3)
    log_ppl = torch.rand(4)
    by_row = ppl_of(torch.ones(4), log_ppl, 2, 0.1)
    assert torch.allclose(
        ppl_shaping(advantages, log_ppl, 2, 0.1), advantages * by_row[:, None], atol=1e-7
    )


def test_position_shaping_by_hand():
    mask = torch.tensor(
        [[False, True, True, True, True, False], [False, False, True, True, False, False]]
    )
    shaped = position_shaping(widened([1.0, -1.0], mask), mask, gamma=0.1, steepness=15)
    # Four tokens at r = 0, 1/4, 1/2, 3/4, and two at r = 0, 1/2.
    first = [1 + 0.1 * sigmoid(15 * (r - 0.5)) for r in (0, 0.25, 0.5, 0.75)]
    second = [-1 - 0.1 * sigmoid(15 * (r - 0.5)) for r in (0, 0.5)]
    assert shaped[0, 1:5].tolist() == pytest.approx(first, rel=1e-6)
    assert shaped[1, 2:4].tolist() == pytest.approx(second, rel=1e-6)
    early = position_shaping(widened([1.0, -1.0], mask), mask, gamma=0.1, steepness=-15)
    assert early[0, 1] > early[0, 4]


def test_position_bonus_is_at_most_half_the_advantage_and_never_wakes_a_zero():
    mask = torch.ones(3, 8, dtype=torch.bool)
    shaped = position_shaping(widened([0.01, -0.01, 0.0], mask), mask, gamma=10.0)
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
    assert torch.equal(ppl_of(advantages, log_ppl, 8, 0.0), advantages)
    every = advantages[:, None].expand(32, 20)
    for steepness in (15.0, -15.0):
        assert torch.equal(position_shaping(every, mask, 0.0, steepness), every)


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


# ------------------------------------------------------- polarity, covariance, Clip-Cov and KL-Cov


def random_minibatch(seed):
    """logp, old_logp, advantages, mask: 8 x 12, ratios on both sides of every clip, one row without signal."""
    torch.manual_seed(seed)
    old = -3 * torch.rand(8, 12)
    logp = old + 0.6 * torch.randn(8, 12)
    advantages = torch.randn(8, 1).expand(8, 12) + 0.1 * torch.randn(8, 12)
    advantages[3] = 0
    return logp, old, advantages, torch.rand(8, 12) > 0.3


def covariance_by_loops(logp, advantages, mask):
    """{(row, position): c} over the response tokens, in Python's floats."""
    places = [(i, t) for i in range(8) for t in range(12) if mask[i, t]]
    mean_logp = sum(logp[place].item() for place in places) / len(places)
    mean_advantage = sum(advantages[place].item() for place in places) / len(places)
    return {
        place: (logp[place].item() - mean_logp) * (advantages[place].item() - mean_advantage)
        for place in places
    }


def loss_by_loops(logp, old, advantages, mask, taken, objective, low=1.0, high=1.0, beta=1.0):
    """(loss, its gradient) of any of the three objectives, token by token."""
    loss, gradient, count = 0.0, torch.zeros(8, 12), int(mask.sum())
    for i in range(8):
        for t in range(12):
            if not mask[i, t]:
                continue
            a, step = advantages[i, t].item(), (logp[i, t] - old[i, t]).item()
            ratio = math.exp(step)
            if objective == "kl_cov":
                loss -= a * ratio / count
                gradient[i, t] = -a * ratio / count
                if taken[i, t]:
                    loss += beta * abs(step) / count
                    gradient[i, t] += beta * math.copysign(1, step) / count
            elif objective == "clip" or not taken[i, t]:
                clamped = min(max(ratio, 1 - low), 1 + high)
                loss += max(-a * ratio, -a * clamped) / count
                if -a * ratio >= -a * clamped:
                    gradient[i, t] = -a * ratio / count
    return loss, gradient


@pytest.mark.parametrize("seed", range(5))
def test_each_objective_and_its_gradient_against_plain_loops(seed):
    logp, old, advantages, mask = random_minibatch(seed)
    taken = mask & (torch.rand(8, 12) < 0.3)
    logp.requires_grad_()
    for name, (loss, clipped), how in (
        ("clip", policy_loss(logp, old, advantages, mask, 0.2, 0.28), {"low": 0.2, "high": 0.28}),
        ("clip_cov", clip_cov_loss(logp, old, advantages, mask, taken), {}),
        (
            "clip_cov",
            clip_cov_loss(logp, old, advantages, mask, taken, 0.1, 0.3),
            {"low": 0.1, "high": 0.3},
        ),
        ("kl_cov", kl_cov_loss(logp, old, advantages, mask, taken, 0.7), {"beta": 0.7}),
    ):
        (gradient,) = torch.autograd.grad(loss, logp)
        expected, slow_gradient = loss_by_loops(logp, old, advantages, mask, taken, name, **how)
        assert loss.item() == pytest.approx(expected, rel=1e-5, abs=1e-7)
        assert torch.allclose(gradient, slow_gradient, atol=1e-7)
        if name != "kl_cov":
            assert clipped.any() and not gradient[clipped].any()


@pytest.mark.parametrize("seed", range(5))
def test_the_tokens_of_high_covariance_against_plain_loops(seed):
    logp, old, advantages, mask = random_minibatch(seed)
    covariance = token_covariance(logp, advantages, mask)
    slow = covariance_by_loops(logp, advantages, mask)
    assert covariance[mask].tolist() == pytest.approx(list(slow.values()), rel=1e-4, abs=1e-6)
    assert not covariance[~mask].any()

    largest = sorted(slow, key=slow.get, reverse=True)[: int(0.1 * len(slow))]
    assert set(map(tuple, kl_cov_tokens(covariance, mask, 0.1).nonzero().tolist())) == set(largest)
    assert kl_cov_tokens(covariance, mask, 1e-9).sum() == 1  # never none

    _, clipped = policy_loss(logp, old, advantages, mask, 0.2, 0.28)
    bounds = 0.1, 1.0
    eligible, taken = clip_cov_tokens(covariance, mask, clipped, *bounds, share=0.05)
    expected = [p for p, c in slow.items() if bounds[0] < c < bounds[1] and not clipped[p]]
    assert list(map(tuple, eligible.nonzero().tolist())) == expected and len(expected) > 5
    assert taken.sum() == int(0.05 * len(slow)) and (taken & ~eligible).sum() == 0
    _, every = clip_cov_tokens(covariance, mask, clipped, *bounds, share=1.0)
    assert torch.equal(every, eligible)  # there are fewer than the ratio asks for
    assert not clip_cov_tokens(covariance, mask, clipped, 90.0, 99.0)[1].any()


def test_equal_covariances_are_taken_in_the_order_of_the_batch():
    mask = torch.tensor([[False, True, True], [True, True, True]])
    taken = kl_cov_tokens(torch.zeros(2, 3), mask, 0.6)
    assert taken.tolist() == [[False, True, True], [True, False, False]]


def test_clip_cov_draws_uniformly_and_from_torchs_own_generator():
    covariance, mask = torch.linspace(0, 3, 12).view(2, 6), torch.ones(2, 6, dtype=torch.bool)
    counts = torch.zeros(2, 6)
    torch.manual_seed(0)
    for _ in range(3000):
        counts += clip_cov_tokens(covariance, mask, ~mask, 1.0, 5.0, share=0.2)[1]
    inside = covariance > 1
    assert inside.sum() == 8 and not counts[~inside].any()
    # 2 of 8 each time: 750 each, with a standard deviation of about 24.
    assert counts.sum() == 6000 and ((counts[inside] - 750).abs() < 100).all()
    torch.manual_seed(5)
    first = [clip_cov_tokens(covariance, mask, ~mask, 1.0, 5.0)[1] for _ in range(9)]
    torch.manual_seed(5)
    again = [clip_cov_tokens(covariance, mask, ~mask, 1.0, 5.0)[1] for _ in range(9)]
    assert all(map(torch.equal, first, again))
    assert not all(torch.equal(one, first[0]) for one in first)


def test_clip_cov_tokens_give_exactly_no_gradient_and_stay_in_the_denominator():
    logp, old, advantages, mask = random_minibatch(0)
    logp.requires_grad_()
    taken = mask & (torch.arange(12) % 3 == 0)
    (with_them,) = torch.autograd.grad(policy_loss(logp, old, advantages, mask, 1, 1)[0], logp)
    (without,) = torch.autograd.grad(clip_cov_loss(logp, old, advantages, mask, taken)[0], logp)
    assert taken.sum() > 10 and with_them[taken].any()
    assert torch.equal(without, with_them * ~taken)  # the others as if nothing had been taken


def test_kl_cov_does_nothing_where_the_policy_is_the_one_that_sampled():
    _, old, advantages, mask = random_minibatch(0)
    logp = old.clone().requires_grad_()
    plain = policy_loss(logp, old, advantages, mask, 1.0, 1e9)[0]
    loss, clipped = kl_cov_loss(logp, old, advantages, mask, mask, beta=5.0)
    assert loss == plain and not clipped.any()
    assert torch.equal(*(torch.autograd.grad(x, logp)[0] for x in (loss, plain)))


def test_kl_cov_pulls_its_tokens_back_from_either_side():
    old, mask = torch.zeros(1, 2), torch.ones(1, 2, dtype=torch.bool)
    logp = torch.tensor([[0.1, -0.1]], requires_grad=True)
    kl_cov_loss(logp, old, torch.zeros(1, 2), mask, mask, beta=3.0)[0].backward()
    assert logp.grad.tolist() == [[1.5, -1.5]]


def test_parts_of_a_minibatch_add_up_for_the_covariance_objectives_too():
    logp, old, advantages, mask = random_minibatch(1)
    taken = mask & (torch.rand(8, 12) < 0.3)
    for loss in (clip_cov_loss, kl_cov_loss):
        whole = loss(logp, old, advantages, mask, taken)[0]
        parts = [
            loss(logp[i], old[i], advantages[i], mask[i], taken[i], token_count=int(mask.sum()))[0]
            for i in (slice(0, 1), slice(1, 5), slice(5, 8))
        ]
        assert sum(parts).item() == pytest.approx(whole.item(), rel=1e-5)


def test_polarity_shaping_keeps_what_expands_or_what_contracts():
    """A tabular policy of 12 actions; every action is a token with its own advantage."""
    torch.manual_seed(0)
    logits = 1.5 * torch.randn(12, dtype=torch.float64)
    advantages = torch.randn(12, dtype=torch.float64)
    log_p = logits.log_softmax(-1)
    p, h = log_p.exp(), -(log_p.exp() * log_p).sum()
    polarity = (p**2 * (log_p + h)).sum() - p * (log_p + h)

    def change_of_entropy(weights, eta=1e-5):
        step = sum(p[a] * weights[a] * (torch.eye(12)[a] - p) for a in range(12))
        after = (logits + eta * step).log_softmax(-1)
        return (-(after.exp() * after).sum() - h).item() / eta

    def shaped(expand, contract):
        return polarity_shaping(advantages[None], polarity[None], expand, contract)[0]

    assert torch.equal(shaped(1, 1), advantages)
    expanding, contracting = change_of_entropy(shaped(1, 0)), change_of_entropy(shaped(0, 1))
    assert expanding > 1e-3 and contracting < -1e-3
    assert change_of_entropy(advantages) == pytest.approx(expanding + contracting, rel=1e-2)
    assert change_of_entropy(shaped(3, 0.5)) == pytest.approx(
        3 * expanding + 0.5 * contracting, rel=1e-2
    )
