"""From rewards to a loss: group advantages, the ways of reweighting them, and the three objectives.

    rewards (B,) -> group_advantages (B,), then the same for each token (B, T)
                 -> ppl_shaping -> position_shaping -> polarity_shaping (B, T)
                 -> policy_loss, or clip_cov_loss, or kl_cov_loss

    L = (1/N) sum_i sum_t max(-A_it rho_it, -A_it clamp(rho_it, 1 - eps_low, 1 + eps_high))

    rho_it = exp(logp_it - old_logp_it), logp under the policy as it is, old_logp under the one that
    sampled; N the response tokens of the minibatch; A_it the advantage of a token, after shaping. The
    max is minus the papers' min, since this is a loss.

A shaping method is a pure function (advantages, detached statistics, strength) -> advantages, and at
its neutral strength it returns what it was given, bit for bit: plain GRPO. A new ablation is one more
such function, one line in `train.weigh` and one option. Clip-Cov and KL-Cov treat a few tokens of a minibatch, those
of high covariance, differently: `clip_cov_tokens` and `kl_cov_tokens` choose them once, over the whole
minibatch and without gradient, and the losses of its micro-batches are told which.

Sources: DeepSeekMath (2402.03300) for the group advantage, DAPO (2503.14476) for clip-higher and the
token-level mean, "Decomposing the Entropy-Performance Exchange" (2508.02260) for shaping by perplexity
and position, "The Entropy Mechanism" (2505.22617) for Clip-Cov and KL-Cov. What was read from a paper's
public code and not from its pages is marked *(code)*. In that code the covariance methods choose
within each micro-batch, so what they do depends on how the minibatch is cut; here it does not.
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

    A~ = A (1 - alpha w), w = log PPL standardised in the group, the factor clamped to [0.8, 1.2] *(code)*;
    alpha = 0.01. alpha > 0 favours low perplexity (the method), alpha < 0 high perplexity (the paper's
    contrast). advantages (B, T), log_ppl (B,) in nats -> (B, T).

    >>> ppl_shaping(torch.tensor([[1.0], [-1.0]]), torch.tensor([2.0, 1.0]), 2, alpha=0.1).flatten()
    tensor([ 0.9000, -1.1000])
    """
    w = torch.cat([standardise_without_outliers(group) for group in log_ppl.view(-1, group_size)])
    return advantages * (1 - alpha * w).clamp(0.8, 1.2)[:, None]


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
    gamma = 0.1 and k = steepness = 15 *(code)*. k > 0 favours late tokens (the method), k < 0 early ones (the
    paper's contrast). advantages and response_mask (B, T) -> (B, T). Outside the response the
    advantage passes unchanged.
    """
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


def polarity_shaping(
    advantages: torch.Tensor, polarity: torch.Tensor, expand: float, contract: float
) -> torch.Tensor:
    """Scale the tokens whose update expands entropy, and those whose update contracts it. Ours.

    An update along A d log p_a changes the entropy of its state by eta A T_a to first order, T the
    polarity of entropy.py: the advantage is multiplied by `expand` where A T > 0 and by `contract`
    where A T < 0. 1 and 1 is GRPO bit for bit; contract below 1 slows the fall of entropy. After arXiv
    2605.11775, whose own rule of control is not public. advantages and polarity (B, T) -> (B, T).

    >>> polarity_shaping(torch.tensor([2.0, -2.0, 2.0]), torch.tensor([0.1, 0.1, 0.0]), 1, 0.5)
    tensor([ 2., -1.,  2.])
    """
    change = advantages * polarity
    factor = torch.ones_like(advantages)
    return advantages * factor.masked_fill(change > 0, expand).masked_fill(change < 0, contract)


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
    rho = torch.exp((logp - old_logp).clamp(-20, 20))  # ours: an infinite one has a NaN gradient
    unclipped, clipped = -advantages * rho, -advantages * rho.clamp(1 - clip_low, 1 + clip_high)
    loss = token_mean(torch.maximum(unclipped, clipped), response_mask, token_count)
    return loss, (clipped > unclipped) & response_mask


def token_mean(token_loss, response_mask, token_count: int | None) -> torch.Tensor:
    """Sum over the response tokens given, (B, T), by the token_count of their minibatch; None: by theirs."""
    total = (token_loss * response_mask).sum()
    return total / (response_mask.sum() if token_count is None else token_count)


def token_covariance(
    logp: torch.Tensor, advantages: torch.Tensor, response_mask: torch.Tensor
) -> torch.Tensor:
    """How much each token adds to Cov(log p, A): c_t = (logp_t - mean logp) (A_t - mean A). (2505.22617)

    Means over the response tokens; A after shaping. All (B, T) -> (B, T), 0 outside the response. A
    likely token that is reinforced, or an unlikely one that is suppressed, has a high c: its update
    sharpens the policy.

    >>> mask = torch.tensor([[False, True, True]])
    >>> token_covariance(torch.tensor([[0.0, -1.0, -3.0]]), torch.tensor([[9.0, 1.0, -1.0]]), mask)
    tensor([[0., 1., 1.]])
    """
    logp_deviation = logp - logp[response_mask].mean()
    advantage_deviation = advantages - advantages[response_mask].mean()
    return torch.where(response_mask, logp_deviation * advantage_deviation, 0.0)


COV_LOWER, COV_UPPER = 1.0, 5.0  # Clip-Cov's bounds in 2505.22617


def covariance_bound(covariances, absolute, quantile, otherwise):
    """A bound of Clip-Cov: the absolute one, else that quantile of the (N,) covariances, else `otherwise`.

    Quantiles are ours: at low entropy hardly any likely token reaches the paper's bounds.

    >>> covariance_bound(torch.tensor([3.0, 1.0, 2.0]), None, 0.5, COV_UPPER).item()
    2.0
    """
    if absolute is None and quantile is not None:
        ranked = covariances.sort().values
        return ranked[round(quantile * (len(ranked) - 1))]
    return otherwise if absolute is None else absolute


def clip_cov_tokens(
    covariance: torch.Tensor,
    response_mask: torch.Tensor,
    clipped: torch.Tensor,
    lower: float,
    upper: float,
    share: float = 2e-4,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Clip-Cov of 2505.22617: which tokens of a minibatch give no gradient.

    Eligible are the response tokens with lower < c < upper that the clip has left their gradient
    (`clipped`, from policy_loss). Of them max(int(share N), 1) are taken, N the response tokens; all
    where there are fewer. They are drawn uniformly, without replacement, from torch's own generator.
    The paper: bounds 1 and 5, share 2e-4. All (B, T) -> (eligible, taken), two (B, T) bool.
    """
    eligible = response_mask & ~clipped & (covariance > lower) & (covariance < upper)
    places = eligible.flatten().nonzero().flatten()
    drawn = torch.randperm(len(places))[: count_of(response_mask, share)]
    return eligible, only(places[drawn.to(places.device)], eligible)


def clip_cov_loss(
    logp: torch.Tensor,
    old_logp: torch.Tensor,
    advantages: torch.Tensor,
    response_mask: torch.Tensor,
    taken: torch.Tensor,
    clip_low: float = 1.0,
    clip_high: float = 1.0,
    token_count: int | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Clip-Cov: policy_loss without the tokens taken, which still count in the mean.

    Arguments and results as in policy_loss; taken (B, T) bool from clip_cov_tokens. The ratio is
    clamped to [0, 2] *(code)*.
    """
    count = response_mask.sum() if token_count is None else token_count
    left = response_mask & ~taken
    return policy_loss(logp, old_logp, advantages, left, clip_low, clip_high, count)


def kl_cov_tokens(
    covariance: torch.Tensor, response_mask: torch.Tensor, share: float = 2e-3
) -> torch.Tensor:
    """KL-Cov of 2505.22617: the max(int(share N), 1) response tokens with the largest c. (B, T) bool.

    Of equal ones the first in the batch. The paper: 2e-3 for 7B, 2e-4 for 32B.
    """
    ranked = covariance.masked_fill(~response_mask, -torch.inf).flatten()
    ranked = ranked.sort(descending=True, stable=True).indices
    return only(ranked[: count_of(response_mask, share)], response_mask)


def kl_cov_loss(
    logp: torch.Tensor,
    old_logp: torch.Tensor,
    advantages: torch.Tensor,
    response_mask: torch.Tensor,
    taken: torch.Tensor,
    beta: float = 1.0,
    token_count: int | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """KL-Cov: no clip, and a penalty that keeps the tokens taken near the policy that sampled them.

    Token loss -A rho, + beta |logp - old_logp| for the tokens of kl_cov_tokens. At logp = old_logp the
    penalty and its gradient are 0; a hair beside it the gradient is beta, whatever the distance.
    Arguments and results as in policy_loss; nothing is clipped.
    """
    log_ratio = logp - old_logp
    token_loss = -advantages * torch.exp(log_ratio.clamp(-20, 20)) + beta * taken * log_ratio.abs()
    loss = token_mean(token_loss, response_mask, token_count)
    return loss, torch.zeros_like(response_mask)


def count_of(mask: torch.Tensor, share: float) -> int:
    """How many tokens that share of the masked ones is: rounded down, but one at least."""
    return max(int(share * int(mask.sum())), 1)


def only(places: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A bool tensor shaped `like` that is true at these places of its flattened self."""
    return torch.zeros_like(like).flatten().index_fill(0, places, True).view(like.shape)
