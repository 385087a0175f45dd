"""From rewards to a loss: group advantages, the two ways of reweighting them, and the clipped objective.

    rewards (B,) -> group_advantages (B,) -> ppl_shaping (B,) -> position_shaping (B, T) -> policy_loss

A shaping method is a pure function (advantages, detached statistics, strength) -> advantages, and at
strength 0 it returns what it was given, bit for bit: plain GRPO. A new ablation is one more such
function and one line in `train.py`.

Sources: DeepSeekMath (2402.03300) for the group advantage, DAPO (2503.14476) for clip-higher and the
token-level mean, "Decomposing the Entropy-Performance Exchange" (2508.02260) for the two methods.
What was read from that paper's public code and not from its pages is marked *(code)*.
"""

import torch

EPSILON = 1e-6


def group_advantages(rewards: torch.Tensor, group_size: int) -> torch.Tensor:
    """GRPO: how much better than the other answers to the same question, in standard deviations.

    A_i = (r_i - mean) / (std + 1e-6), unbiased std, over the group of rollout i. (B,) -> (B,); the
    rollouts of a group stand together. A group of equal rewards gives exactly 0: its mean, rounded,
    may differ from its members, so equality is tested and not computed.

    Raises ValueError where B is not a multiple of group_size or a group has one member.

    >>> group_advantages(torch.tensor([1.0, 0.0, 0.1, 0.1]), 2)
    tensor([ 0.7071, -0.7071,  0.0000,  0.0000])
    """
    if group_size < 2 or rewards.numel() % group_size:
        raise ValueError(f"{rewards.numel()} rewards cannot be cut into groups of {group_size}")
    groups = rewards.view(-1, group_size)
    deviation = groups - groups.mean(1, keepdim=True)
    advantages = deviation / (groups.std(1, keepdim=True) + EPSILON)
    signal = groups.amax(1, keepdim=True) > groups.amin(1, keepdim=True)
    return torch.where(signal, advantages, 0.0).view(-1)


def ppl_shaping(
    advantages: torch.Tensor, log_ppl: torch.Tensor, group_size: int, alpha: float
) -> torch.Tensor:
    """Method one of 2508.02260: weigh a rollout by its perplexity within its group.

    A~ = A (1 - alpha w), w = log PPL standardised in the group, the factor clamped to [0.8, 1.2] *(code)*.
    alpha > 0 favours low perplexity (the method), alpha < 0 high perplexity (the paper's contrast).
    advantages (B,) or (B, T), log_ppl (B,) in nats -> the shape of advantages.

    >>> ppl_shaping(torch.tensor([1.0, -1.0]), torch.tensor([2.0, 1.0]), 2, alpha=0.1)
    tensor([ 0.9000, -1.1000])
    """
    scores = [standardise_without_outliers(group) for group in log_ppl.view(-1, group_size)]
    factor = (1 - alpha * torch.cat(scores)).clamp(0.8, 1.2)
    return advantages * factor.view(-1, *[1] * (advantages.dim() - 1))


def standardise_without_outliers(values: torch.Tensor) -> torch.Tensor:
    """(G,) -> (values - mean) / std, both taken from the values between the fences *(code)*.

    The fences are Q1 - 1.5 IQR and Q3 + 1.5 IQR. Values beyond them get a score but do not shape it.
    The std is the population's, and one below 1e-6 counts as 1.

    >>> standardise_without_outliers(torch.tensor([1.0, 3.0, 1.0, 3.0, 99.0]))
    tensor([-1.,  1., -1.,  1., 97.])
    """
    q1, q3 = torch.quantile(values, values.new_tensor([0.25, 0.75]))
    fence = 1.5 * (q3 - q1)
    usual = values[(values >= q1 - fence) & (values <= q3 + fence)]
    std = usual.std(correction=0)
    return (values - usual.mean()) / torch.where(std < 1e-6, 1.0, std)


def position_shaping(
    advantages: torch.Tensor, response_mask: torch.Tensor, gamma: float, steepness: float = 15.0
) -> torch.Tensor:
    """Method two of 2508.02260: a bonus that grows along the response.

    A~_t = A_t + sign(A_t) b_t,  b_t = min(gamma sigmoid(k (r_t - 0.5)), 0.5 |A_t|),  r_t = t / |o|;
    gamma = 0.1 and k = 15 *(code)*. k > 0 favours late tokens (the method), k < 0 early ones (the
    paper's contrast). advantages (B,) or (B, T), response_mask (B, T) -> (B, T). Outside the response
    the advantage passes unchanged.
    """
    if advantages.dim() == 1:
        advantages = advantages[:, None].expand(response_mask.shape)
    bonus = gamma * torch.sigmoid(steepness * (relative_position(response_mask) - 0.5))
    bonus = torch.minimum(bonus, 0.5 * advantages.abs()) * response_mask
    return advantages + advantages.sign() * bonus


def relative_position(response_mask: torch.Tensor) -> torch.Tensor:
    """r_t = t / |o| in [0, 1) for the t-th of |o| response tokens, t from 0. (B, T) -> (B, T).

    >>> relative_position(torch.tensor([[False, True, True, False]]))
    tensor([[0.0000, 0.0000, 0.5000, 0.0000]])
    """
    count = response_mask.cumsum(1)
    return torch.where(response_mask, (count - 1) / count[:, -1:].clamp(min=1), 0.0)


def policy_loss(
    logp: torch.Tensor,
    old_logp: torch.Tensor,
    advantages: torch.Tensor,
    response_mask: torch.Tensor,
    clip_low: float = 0.2,
    clip_high: float = 0.28,
    token_count: int | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """PPO's clipped objective with clip-higher, and which tokens it clipped.

    rho = exp(logp - old_logp), token loss max(-A rho, -A clamp(rho, 1 - clip_low, 1 + clip_high)).
    All inputs (B, T). The loss is the sum over the response tokens divided by token_count: the number
    of response tokens of the whole minibatch, counted before it was cut, so that the losses of its
    micro-batches add up to one gradient however it was cut. None: the tokens given are all of it.

    Returns the loss, a scalar, and a (B, T) bool, true where the clip took the gradient away.
    """
    ratio = torch.exp((logp - old_logp).clamp(-20, 20))  # an infinite ratio has a NaN gradient
    clipped_ratio = ratio.clamp(1 - clip_low, 1 + clip_high)
    plain, clipped = -advantages * ratio, -advantages * clipped_ratio
    token_loss = torch.maximum(plain, clipped)
    if token_count is None:
        token_count = response_mask.sum()
    return (token_loss * response_mask).sum() / token_count, (clipped > plain) & response_mask
