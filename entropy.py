"""What a policy thought of the tokens it wrote: log-probability, entropy, perplexity and their kin.

There is one scorer. The same function gives the old log-probabilities, the new ones with their gradient,
and those of an evaluation, so temperature, alignment and precision cannot drift apart between them.

    hidden states  (B, T, D)   one forward pass of the model's body
    states         (N, D)      only those that predict a response token: position t-1 predicts token t
    logits         (n, V)      a chunk at a time, float32 from here on, never kept for the whole batch
    logp, H, ...   (B, T)      scattered back; x[:, t] is about token t and 0 outside the response

With z the model's logits, tau the temperature and p = softmax(z / tau) where token a was drawn:

    logp      log p_a
    entropy   H   = -sum_b p_b log p_b                                    full vocabulary, in nats
    branching     = how many tokens make up the top 95 % of p             arXiv 2508.07534
    gradient      = |d log p_a / dz| = sqrt(1 - 2 p_a + sum_b p_b^2) / tau   ours; times |A| in the records
    polarity  T_a = (S - p_a (log p_a + H)) / tau^2,  S = sum_b p_b^2 (log p_b + H)
                    a step eta along A d log p_a / dz changes H by eta A T_a to first order; E_p[T_a] = 0
                    (ours; the quantity behind arXiv 2605.11775)
    perplexity    = exp(-mean_t logp_t) over a response                   arXiv 2508.02260

Everything is at the temperature of the sampling, because that is the policy that acted.

What an update does to the entropy is measured by scoring the same states before and after it, and
predicted twice: from the change of their logits (`entropy_change`, below), and, before the update is
made, from the advantages: the learning rate times the mean of A T (`probe.after_updates`).
"""

import contextlib
import copy
import sys
from typing import NamedTuple

import torch
from torch.utils.checkpoint import checkpoint
from transformers.modeling_outputs import BaseModelOutput

NUCLEUS = 0.95  # the share of the probability mass whose tokens the branching factor counts
LIKELIEST = 16  # tokens looked at before a whole row is sorted for the branching factor


class Scoring(NamedTuple):
    """At which temperature a policy is scored, and how much of the work is done at a time.

    The last two bound the memory and change no result.
    """

    temperature: float = 1.0
    micro_batch_tokens: int = 16384  # padded tokens in one forward pass
    chunk_tokens: int = 1024  # tokens whose logits are held at a time


AT_TEMPERATURE_1 = Scoring()


class TokenScores(NamedTuple):
    """Per-token measurements, each (B, T), float32, 0 outside the response. None = not asked for."""

    logp: torch.Tensor
    entropy: torch.Tensor | None = None
    branching: torch.Tensor | None = None
    gradient: torch.Tensor | None = None
    polarity: torch.Tensor | None = None


def score(
    model, input_ids, response_mask, scoring=AT_TEMPERATURE_1, logp_only=False
) -> TokenScores:
    """Score every response token under the model as it is now, in one forward pass.

    input_ids (B, T) right-padded; response_mask (B, T), true on the tokens the policy sampled, never
    at position 0. Differentiable in `logp` where gradients are enabled; where there are several chunks
    of logits, each is then computed again in the backward pass, so at most chunk_tokens x vocabulary
    logits are alive. logp_only leaves out the rest. Precision is the caller's autocast; the
    softmax is float32.

    No attention mask and no position ids are needed: with padding only on the right, a causal model's
    response tokens see neither the padding nor a shifted position.
    """
    states = response_states(model, input_ids, response_mask)  # (N, D)
    tokens = input_ids[response_mask]  # (N,)
    recompute = torch.is_grad_enabled() and len(tokens) > scoring.chunk_tokens

    chunks = []
    for start in range(0, len(tokens), scoring.chunk_tokens):
        chunk = slice(start, start + scoring.chunk_tokens)
        arguments = (model, states[chunk], tokens[chunk], scoring.temperature, logp_only)
        if recompute:
            chunks.append(checkpoint(score_chunk, *arguments, use_reentrant=False))
        else:
            chunks.append(score_chunk(*arguments))

    def scatter(values):
        blank = torch.zeros(response_mask.shape, device=input_ids.device)
        return blank.masked_scatter(response_mask, torch.cat(values))

    return TokenScores(*(scatter(values) for values in zip(*chunks, strict=True)))


def response_states(model, input_ids, response_mask):
    """(N, D): what the model knew when each of the N response tokens was drawn, row after row."""
    hidden = body_of(model)(input_ids=input_ids, use_cache=False).last_hidden_state
    return hidden[:, :-1][response_mask[:, 1:]]


def body_of(model):
    """The part of a causal language model that makes hidden states, without what makes logits of them."""
    body = model.model if model.base_model is model else model.base_model
    return getattr(body, "decoder", body)


def score_chunk(model, states, tokens, temperature, logp_only):
    """(n, D) states and the (n,) tokens drawn there -> the fields of TokenScores, each (n,)."""
    log_probs = (next_token_logits(model, states).float() / temperature).log_softmax(-1)  # (n, V)
    logp = log_probs.gather(1, tokens[:, None]).squeeze(1)
    if logp_only:
        return (logp,)
    with torch.no_grad():
        probs = log_probs.exp()
        parts = torch.special.entr(probs)  # -p log p, and 0 where p is 0
        entropy = parts.sum(-1)
        squares = probs.square().sum(-1)
        p = logp.exp()
        gradient = (1 - 2 * p + squares).clamp(min=0).sqrt() / temperature
        polarity = entropy * squares - (probs * parts).sum(-1) - p * (logp + entropy)
        polarity = polarity / temperature**2  # one temperature of z on its way to p, one back
        return logp, entropy, branching_factor(probs), gradient, polarity


def next_token_logits(model, states, head=None):
    """The model's own logits in (n, D) states: its forward pass, with the body's result given to it.

    So what a family does to its logits is done here too: Gemma caps them, Cohere multiplies them,
    Granite divides them. head: another linear head in place of the model's, such as a copy made before
    an update.
    """
    known = States(last_hidden_state=states[None])
    ids = torch.zeros(1, len(states), dtype=torch.long, device=states.device)
    with stand_in(body_of(model), lambda *_, **__: known):
        if head is None:
            return model(input_ids=ids, use_cache=False).logits[0]
        with stand_in(model.get_output_embeddings(), head.forward):
            return model(input_ids=ids, use_cache=False).logits[0]


class States(BaseModelOutput):
    """What a model's body gives, with nothing in it but states."""

    def __getattr__(self, _):
        return None


@contextlib.contextmanager
def stand_in(module, forward):
    """A module that computes something else for a while."""
    module.forward = forward
    try:
        yield
    finally:
        del module.forward  # of this object; that of its class shows again


def branching_factor(probs):
    """How many of the likeliest tokens hold 95 % of the mass. probs (n, V) -> (n,) float.

    Rows are searched among their likeliest tokens first, since sorting a vocabulary is slow.

    >>> branching_factor(torch.tensor([[0.96, 0.02, 0.02], [0.5, 0.25, 0.25]])).tolist()
    [1.0, 3.0]
    """
    top = probs.topk(min(LIKELIEST, probs.shape[-1])).values.cumsum(-1)
    count = (top < NUCLEUS).sum(-1) + 1
    wide = top[:, -1] < NUCLEUS
    if wide.any():
        all_of_them = probs[wide].sort(descending=True).values.cumsum(-1)
        count[wide] = ((all_of_them < NUCLEUS).sum(-1) + 1).clamp(max=probs.shape[-1])
    return count.float()


def micro_batches(lengths, micro_batch_tokens):
    """Cut rows into batches of at most `micro_batch_tokens` padded tokens, similar lengths together.

    lengths (B,) -> a list of index tensors that cover every row once; a row longer than the budget
    is a batch of its own.

    >>> [rows.tolist() for rows in micro_batches(torch.tensor([2, 9, 3, 8]), 16)]
    [[1], [3, 2], [0]]
    """
    batches, rows, width = [], [], 0
    ordered, order = lengths.sort(descending=True, stable=True)
    for length, row in zip(ordered.tolist(), order.tolist(), strict=True):
        if not rows or (len(rows) + 1) * width > micro_batch_tokens:
            rows, width = [], length
            batches.append(rows)
        rows.append(row)
    return [torch.tensor(rows) for rows in batches]


@torch.no_grad()
def score_batch(model, rollouts, scoring=AT_TEMPERATURE_1, logp_only=False) -> TokenScores:
    """Score a whole batch of rollouts without gradient, micro-batch by micro-batch; see `score`."""
    whole = None
    for rows in micro_batches(rollouts.row_lengths, scoring.micro_batch_tokens):
        part = rollouts.rows(rows)
        scores = score(model, part.input_ids, part.response_mask, scoring, logp_only)
        if whole is None:
            blank = torch.zeros(rollouts.response_mask.shape, device=part.input_ids.device)
            whole = [blank.clone() if field is not None else None for field in scores]
        for field, values in zip(whole, scores, strict=True):
            if field is not None:
                field[rows, : values.shape[1]] = values
    return TokenScores(*whole)


class Snapshot(NamedTuple):
    """A policy at the states of some rollouts: all it takes to have its logits there again.

    On the CPU. It holds D numbers a token, and the output layer once, instead of V logits a token.
    """

    head: torch.nn.Module
    states: list[torch.Tensor]  # (tokens of the response, D) for each rollout


@torch.no_grad()
def snapshot(model, rollouts, scoring=AT_TEMPERATURE_1) -> Snapshot:
    """The policy as it is now, for `entropy_change` to compare with what an update makes of it."""
    states = {}
    for rows in micro_batches(rollouts.row_lengths, scoring.micro_batch_tokens):
        part = rollouts.rows(rows)
        found = response_states(model, part.input_ids, part.response_mask).cpu()
        lengths = part.response_lengths.tolist()
        states |= zip(rows.tolist(), found.split(lengths), strict=True)
    head = copy.deepcopy(model.get_output_embeddings()).cpu()
    return Snapshot(head, [states[row] for row in range(len(states))])


@torch.no_grad()
def entropy_change(model, before, rollouts, scoring=AT_TEMPERATURE_1):
    """What became of the entropy of the rollouts' states since the snapshot `before` was taken.

    Returns (measured, predicted), in nats, each (N,), the response tokens row after row: the entropy
    now less the entropy then, and `first_order` of the change of logits. At most chunk_tokens x
    vocabulary logits are alive, twice. Better called outside autocast: in bfloat16 the rounding of
    logits is larger than what an update at a learning rate of 1e-6 does to them.
    """
    head = before.head.to(rollouts.input_ids.device)
    parts = {}
    for rows in micro_batches(rollouts.row_lengths, scoring.micro_batch_tokens):
        part = rollouts.rows(rows)
        now = response_states(model, part.input_ids, part.response_mask)
        then = torch.cat([before.states[row] for row in rows])
        chunks = []
        size, temperature = scoring.chunk_tokens, scoring.temperature
        for old, new in zip(then.split(size), now.split(size), strict=True):
            z_then = next_token_logits(model, old.to(now.device), head).float() / temperature
            z_now = next_token_logits(model, new).float() / temperature
            chunks.append(torch.stack(first_order(z_then, z_now)))
        lengths = part.response_lengths.tolist()
        parts |= zip(rows.tolist(), torch.cat(chunks, 1).split(lengths, 1), strict=True)
    return torch.cat([parts[row] for row in range(len(parts))], 1)


def first_order(before, after):
    """The change of entropy from logits `before` to logits `after`: (measured, predicted), each (n,).

    Predicted is dH = -sum_a p_a (log p_a + H) dz_a = -Cov_{a~p}(log p_a, dz_a), right up to O(|dz|^2)
    whatever made the change (2505.22617, for any optimizer ours). before, after (n, V), divided by the
    temperature; a constant added to all logits of a state changes neither.

    >>> z = torch.tensor([[2.0, 0.0]])
    >>> [f"{x.item():.4f}" for x in first_order(z, z + torch.tensor([[0.01, 0.0]]))]
    ['-0.0021', '-0.0021']
    """
    p, p_after = before.softmax(-1), after.softmax(-1)
    parts = torch.special.entr(p)  # -p log p, and 0 where p is 0
    entropy = parts.sum(-1)
    measured = torch.special.entr(p_after).sum(-1) - entropy
    return measured, ((parts - p * entropy[:, None]) * (after - before)).sum(-1)


def token_mean(values, mask):
    """Mean over all masked tokens of the batch: a long rollout counts more. (B, T) -> float or None."""
    return values[mask].mean().item() if mask.any() else None


def rollout_mean(values, mask):
    """Mean over rollouts of each one's own mean, as in the law of arXiv 2505.22617. -> float or None."""
    return per_rollout(values, mask).mean().item() if len(mask) else None


def per_rollout(values, mask):
    """Mean of (B, T) values over each row's masked tokens -> (B,)."""
    return (values * mask).sum(1) / mask.sum(1)


def log_perplexity(logp, mask):
    """log PPL(o) = -(1/|o|) sum_t logp_t (arXiv 2508.02260). (B, T), (B, T) -> (B,).

    >>> log_perplexity(torch.tensor([[0.0, -1.0, -3.0]]), torch.tensor([[False, True, True]])).item()
    2.0
    """
    return -per_rollout(logp, mask)


if __name__ == "__main__":
    print("entropy.py: the law of a run is now: python analyze.py RUN --law", file=sys.stderr)
    sys.exit(2)
