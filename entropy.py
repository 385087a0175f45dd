"""What a policy thought of the tokens it wrote: log-probability, entropy, perplexity and their kin.

There is one scorer. The same function gives the old log-probabilities, the new ones with their gradient,
and those of an evaluation, so temperature, alignment and precision cannot drift apart between them.

    hidden states  (B, T, D)   one forward pass of the model's body
    states         (N, D)      only those that predict a response token: position t-1 predicts token t
    logits         (n, V)      a chunk at a time, float32 from here on, never kept for the whole batch
    logp, H, ...   (B, T)      scattered back; x[:, t] is about token t and 0 outside the response

With p = softmax(z / temperature) at the state in which token a was drawn:

    logp      log p_a
    entropy   H   = -sum_b p_b log p_b                                    full vocabulary, in nats
    branching     = how many tokens make up the top 95 % of p             arXiv 2508.07534
    gradient      = |d log p_a / dz| = sqrt(1 - 2 p_a + sum_b p_b^2)      ours; times |A| in the records
    polarity  T_a = S - p_a (log p_a + H),  S = sum_b p_b^2 (log p_b + H)
                    a step eta along A d log p_a / dz changes H by eta A T_a to first order; E_p[T_a] = 0
                    (ours; the quantity behind arXiv 2605.11775)
    perplexity    = exp(-mean_t logp_t) over a response                   arXiv 2508.02260

Everything is at the temperature of the sampling, because that is the policy that acted.

What an update does to the entropy is measured by scoring the same states before and after it, and
predicted twice: from the change of their logits (`entropy_change`, below), and, before the update is
made, from the advantages: eta times the mean of A T (`train.py`).
"""

import argparse
import copy
import functools
import itertools
import json
import math
import sys
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import torch
from torch.utils.checkpoint import checkpoint

from data import InputError

NUCLEUS = 0.95  # the share of the probability mass whose tokens the branching factor counts
LIKELIEST = 16  # tokens looked at before a whole row is sorted for the branching factor


class TokenScores(NamedTuple):
    """Per-token measurements, each (B, T), float32, 0 outside the response. None = not asked for."""

    logp: torch.Tensor
    entropy: torch.Tensor | None = None
    branching: torch.Tensor | None = None
    gradient: torch.Tensor | None = None
    polarity: torch.Tensor | None = None


def score(model, input_ids, response_mask, temperature=1.0, chunk_tokens=1024, measure=True):
    """Score every response token under the model as it is now.

    input_ids (B, T) right-padded; response_mask (B, T), true on the tokens the policy sampled, never
    at position 0. Differentiable in `logp` where gradients are enabled; each chunk of logits is then
    computed again in the backward pass, so at most chunk_tokens x vocabulary logits are alive.
    `measure=False` leaves out all but logp. Precision is the caller's autocast; the softmax is float32.

    No attention mask and no position ids are needed: with padding only on the right, a causal model's
    response tokens see neither the padding nor a shifted position.
    """
    states = response_states(model, input_ids, response_mask)  # (N, D)
    tokens = input_ids[response_mask]  # (N,)
    recompute = torch.is_grad_enabled() and len(tokens) > chunk_tokens

    chunks = []
    for start in range(0, len(tokens), chunk_tokens):
        chunk = slice(start, start + chunk_tokens)
        arguments = (model, states[chunk], tokens[chunk], temperature, measure)
        if recompute:
            chunks.append(checkpoint(_score_chunk, *arguments, use_reentrant=False))
        else:
            chunks.append(_score_chunk(*arguments))

    def scatter(values):
        blank = torch.zeros(response_mask.shape, device=input_ids.device)
        return blank.masked_scatter(response_mask, torch.cat(values))

    return TokenScores(*(scatter(values) for values in zip(*chunks, strict=True)))


def response_states(model, input_ids, response_mask):
    """(N, D): what the model knew when each of the N response tokens was drawn, row after row."""
    hidden = model.base_model(input_ids=input_ids, use_cache=False).last_hidden_state
    return hidden[:, :-1][response_mask[:, 1:]]


def _score_chunk(model, states, tokens, temperature, measure):
    """(n, D) states and the (n,) tokens drawn there -> the fields of TokenScores, each (n,)."""
    log_probs = (next_token_logits(model, states).float() / temperature).log_softmax(-1)  # (n, V)
    logp = log_probs.gather(1, tokens[:, None]).squeeze(1)
    if not measure:
        return (logp,)
    with torch.no_grad():
        probs = log_probs.exp()
        surprise = torch.special.entr(probs)  # -p log p, and 0 where p is 0
        entropy = surprise.sum(-1)
        squares = probs.square().sum(-1)
        p = logp.exp()
        gradient = (1 - 2 * p + squares).clamp(min=0).sqrt()
        polarity = entropy * squares - (probs * surprise).sum(-1) - p * (logp + entropy)
        return logp, entropy, branching_factor(probs), gradient, polarity


def next_token_logits(model, states, head=None):
    """The model's output layer on (n, D) states: its linear head, and the rescaling some families add.

    head: another one in its place, such as a copy made before an update.

    Gemma caps its logits, Cohere multiplies and Granite divides them; whatever else a family may do
    shows in the comparison with generation on the first step of a run (see `train.py`).
    """
    logits = (head or model.get_output_embeddings())(states)
    config = model.config.get_text_config()
    if cap := getattr(config, "final_logit_softcapping", None):
        logits = torch.tanh(logits / cap) * cap
    if scale := getattr(config, "logit_scale", None):
        logits = logits * scale
    if divisor := getattr(config, "logits_scaling", None):
        logits = logits / divisor
    return logits


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


def micro_batches(lengths, token_budget):
    """Cut rows into batches of at most `token_budget` padded tokens, similar lengths together.

    lengths (B,) -> a list of index tensors that cover every row once; a row longer than the budget
    is a batch of its own.

    >>> [rows.tolist() for rows in micro_batches(torch.tensor([2, 9, 3, 8]), 16)]
    [[1], [3, 2], [0]]
    """
    batches, rows, width = [], [], 0
    longest_first = lengths.sort(descending=True, stable=True)
    for length, row in zip(*(column.tolist() for column in longest_first), strict=True):
        if not rows or (len(rows) + 1) * width > token_budget:
            rows, width = [], length
            batches.append(rows)
        rows.append(row)
    return [torch.tensor(rows) for rows in batches]


@torch.no_grad()
def score_batch(
    model, rollouts, temperature=1.0, token_budget=16384, chunk_tokens=1024, measure=True
):
    """Score a whole batch of rollouts without gradient, micro-batch by micro-batch; see `score`.

    token_budget and chunk_tokens bound the memory and change nothing else.
    """
    whole = None
    for rows in micro_batches(rollouts.lengths, token_budget):
        part = rollouts.rows(rows)
        scores = score(
            model, part.input_ids, part.response_mask, temperature, chunk_tokens, measure
        )
        if whole is None:
            blank = torch.zeros(rollouts.response_mask.shape, device=part.input_ids.device)
            whole = [blank.clone() if field is not None else None for field in scores]
        for field, values in zip(whole, scores, strict=True):
            if field is not None:
                field[rows, : values.shape[1]] = values
    return TokenScores(*whole)


class Snapshot(NamedTuple):
    """A policy at the states of some rollouts: all it takes to have its logits there again.

    D numbers a token and D x vocabulary once, on the CPU, where full logits would be a vocabulary a token.
    """

    head: torch.nn.Module
    states: list[torch.Tensor]  # (tokens of the response, D) for each rollout


@torch.no_grad()
def snapshot(model, rollouts, token_budget=16384) -> Snapshot:
    """The policy as it is now, for `entropy_change` to compare with what an update makes of it."""
    states = {}
    for rows in micro_batches(rollouts.lengths, token_budget):
        part = rollouts.rows(rows)
        found = response_states(model, part.input_ids, part.response_mask).cpu()
        lengths = part.response_lengths.tolist()
        states |= zip(rows.tolist(), found.split(lengths), strict=True)
    head = copy.deepcopy(model.get_output_embeddings()).cpu()
    return Snapshot(head, [states[row] for row in range(len(states))])


@torch.no_grad()
def entropy_change(model, before, rollouts, temperature=1.0, token_budget=16384, chunk_tokens=1024):
    """What became of the entropy of the rollouts' states since the snapshot `before` was taken.

    Returns (measured, predicted), in nats, each (N,), the response tokens row after row: the entropy
    now less the entropy then, and `first_order` of the change of logits. At most chunk_tokens x
    vocabulary logits are alive, twice. Better called outside autocast: in bfloat16 the rounding of
    logits is larger than what an update at a learning rate of 1e-6 does to them.
    """
    head = before.head.to(rollouts.input_ids.device)
    parts = {}
    for rows in micro_batches(rollouts.lengths, token_budget):
        part = rollouts.rows(rows)
        now = response_states(model, part.input_ids, part.response_mask)
        then = torch.cat([before.states[row] for row in rows])
        chunks = []
        for old, new in zip(then.split(chunk_tokens), now.split(chunk_tokens), strict=True):
            z_then = next_token_logits(model, old.to(now.device), head).float() / temperature
            z_now = next_token_logits(model, new).float() / temperature
            chunks.append(torch.stack(first_order(z_then, z_now)))
        lengths = part.response_lengths.tolist()
        parts |= zip(rows.tolist(), torch.cat(chunks, 1).split(lengths, 1), strict=True)
    return torch.cat([parts[row] for row in range(len(parts))], 1)


def first_order(before, after):
    """The change of entropy from logits `before` to logits `after`: (measured, predicted), each (n,).

    Predicted is dH = -sum_a p_a (log p_a + H) dz_a = -Cov_{a~p}(log p_a, dz_a), right up to O(|dz|^2)
    whatever made the change (2505.22617, for any optimizer ours). before, after (n, V); a constant
    added to all logits of a state changes neither.

    >>> z = torch.tensor([[2.0, 0.0]])
    >>> [f"{x.item():.4f}" for x in first_order(z, z + torch.tensor([[0.01, 0.0]]))]
    ['-0.0021', '-0.0021']
    """
    p, p_after = before.softmax(-1), after.softmax(-1)
    surprise = torch.special.entr(p)  # -p log p, and 0 where p is 0
    entropy = surprise.sum(-1)
    measured = torch.special.entr(p_after).sum(-1) - entropy
    return measured, ((surprise - p * entropy[:, None]) * (after - before)).sum(-1)


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


# ------------------------------------------------------------------------------- stages

EDGE = 5  # a knee needs as many steps on either side, and in a long run a twentieth of it
SEEN = 20  # steps before anything is said; all of this section is ours
SLOWER = 0.5  # after the knee both curves go at most at this share of their speed before it
EVIDENCE = 12.0  # how much better than a straight line, in units of the likelihood ratio below
CLEARLY = 3.0  # standard errors by which both slopes of the rising stage are off 0


class Knee(NamedTuple):
    """Where the rising stage ends: the last of its steps, counted from 1, and what speaks for it.

    rising, plateau: change per step before and after it of (entropy in nats, accuracy).
    entropies, accuracies: the fitted curves, one value a step.
    """

    step: int
    evidence: float
    rising: tuple[float, float]
    plateau: tuple[float, float]
    entropies: list[float]
    accuracies: list[float]


def find_knee(entropies, accuracies) -> Knee | None:
    """The step at which the rising stage of arXiv 2508.02260 turns into the plateau; None without one.

    The paper tells the stages by eye; this criterion is ours. Each curve k, entropy and accuracy of
    every step, is fitted by two lines that meet at a step tau common to both curves,

        x_k(s) = a_k + b_k min(s, tau) + c_k max(s - tau, 0),

    and tau is where sum_k log RSS_k(tau) is least: the likeliest place if each curve has Gaussian
    noise of its own unknown size. It is a knee where n sum_k log(RSS_k of a line / RSS_k(tau)) is above
    EVIDENCE, entropy CLEARLY falls and accuracy CLEARLY rises before it, and both go at most SLOWER times
    as fast after it.

    entropies, accuracies: (n,), plain numbers of steps 1 to n. Nothing is found in less than SEEN of
    them. At most 100 places are tried.

    >>> sharp = [min(step, 30) / 30 for step in range(1, 101)]
    >>> find_knee([0.5 - 0.3 * x for x in sharp], sharp).step
    30
    """
    total = len(entropies)
    if total < SEEN:
        return None
    curves = torch.tensor([entropies, accuracies], dtype=torch.double).T  # (n, 2)
    steps = torch.arange(1, total + 1, dtype=torch.double)
    edge = max(EDGE, total // 20)
    places = torch.linspace(edge, total - edge, min(100, total - 2 * edge + 1)).round().double()
    before = steps.clamp(max=places[:, None])  # (places, n)
    hinges = torch.stack([torch.ones_like(before), before, steps - before], -1)

    def fit(design):
        """(..., n, columns) -> coefficients (..., columns, 2), and their errors' squares (..., 2)."""
        solution = torch.linalg.solve(design.mT @ design, design.mT @ curves)
        return solution, (design @ solution - curves).square().sum(-2).clamp(min=1e-12)

    lines, errors = fit(hinges)
    _, straight = fit(torch.stack([torch.ones_like(steps), steps], -1))
    best = int(errors.log().sum(-1).argmin())
    evidence = total * (straight / errors[best]).log().sum().item()
    _, rising, plateau = lines[best]
    variance = torch.linalg.inv(hinges[best].T @ hinges[best])[1, 1] * errors[best] / (total - 3)
    signs = torch.tensor([-1.0, 1.0])  # of entropy and of accuracy in the rising stage
    clear = (rising * signs > CLEARLY * variance.sqrt()).all()
    if evidence <= EVIDENCE or not clear or (plateau.abs() > SLOWER * rising.abs()).any():
        return None
    fitted = (hinges[best] @ lines[best]).T.tolist()
    slopes = (tuple(rising.tolist()), tuple(plateau.tolist()))
    return Knee(int(places[best]), evidence, *slopes, *fitted)


def plateau_has_begun(entropies, accuracies) -> bool:
    """Decides while a run goes on: is there a knee (`find_knee`) in the steps seen so far?

    entropies, accuracies: one number a step, from step 1 on; the same lists give the same answer, so a
    resumed run decides alike. It must see some steps of the plateau first, more of them the noisier
    the curves are, and may later change its mind: who asks keeps the first yes.

    >>> sharp = [min(step, 30) / 30 for step in range(1, 101)]
    >>> plateau_has_begun(sharp[:25], sharp[:25]), plateau_has_begun([-x for x in sharp], sharp)
    (False, True)
    """
    return find_knee(entropies, accuracies) is not None


# ------------------------------------------------------------- the law of entropy, and a rival

EARLY = 0.15  # the share of the steps that predicts the rest, as in arXiv 2505.22617
REACH = 5  # batches on either side of an evaluation whose entropy is averaged; from here on ours
ENOUGH = 3  # evaluations of a fit: any two lie on a line
GOOD_R2 = 0.9  # a law holds over a run where R rises and R^2 is at least this
GOOD_RMSE = 0.5  # it predicts a run where its RMSE is at most this times that of an R that stays
WHOLE, FIRST = "whole run", f"first {EARLY:.0%}"


class Law(NamedTuple):
    """R = b - a exp(H). a, b and the ceiling, R at H = 0, as (value, low, high); R^2."""

    a: tuple[float, float, float]
    b: tuple[float, float, float]
    ceiling: tuple[float, float, float]
    r2: float

    def predict(self, entropies):
        return self.b[0] - self.a[0] * entropies.exp()


class Sigmoid(NamedTuple):
    """R = start + (ceiling - start) / (1 + (middle / step)^exponent); R^2."""

    start: float
    ceiling: float
    middle: float
    exponent: float
    r2: float

    def predict(self, steps):
        shape = torch.sigmoid(self.exponent * (steps.log() - math.log(self.middle)))
        return self.start + (self.ceiling - self.start) * shape


def fit_law(entropies, accuracies, draws=1000, seed=0) -> Law:
    """Least squares of R on exp(H) (arXiv 2505.22617). (n,) nats, (n,) shares of 1 -> Law.

    Intervals are the middle 95 % of fits to as many points drawn with replacement (ours; from a
    generator of its own): they tell of the scatter within this run, not of other seeds, and below
    some 10 points they are too narrow. Raises ValueError for fewer than ENOUGH different H.

    >>> entropies = torch.tensor([0.1, 0.2, 0.4, 0.8])
    >>> [round(value, 4) for value in fit_law(entropies, 1.2 - 0.3 * entropies.exp()).ceiling]
    [0.9, 0.9, 0.9]
    """
    if (different := len(entropies.unique())) < ENOUGH:
        raise ValueError(f"evaluations at different H: {different}, needed: {ENOUGH}")
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(len(entropies), (draws, len(entropies)), generator=generator)
    rows = torch.cat([torch.arange(len(entropies))[None], rows])  # first the points themselves
    u, r = entropies.double().exp()[rows], accuracies.double()[rows]  # (1 + draws, n)
    off = u - u.mean(1, keepdim=True)
    a = -(off * r).sum(1) / off.square().sum(1)
    b = r.mean(1) + a * u.mean(1)
    on_a_line = u.amax(1) > u.amin(1)  # one point drawn n times is not

    def estimate(values):
        ends = torch.tensor([0.025, 0.975], dtype=torch.double)
        return (values[0].item(), *values[on_a_line].quantile(ends).tolist())

    return Law(estimate(a), estimate(b), estimate(b - a), r_squared(b[0] - a[0] * u[0], r[0]))


def fit_sigmoid(steps, accuracies) -> Sigmoid:
    """Least squares of R on a sigmoid in log steps (arXiv 2510.13786, with steps for compute).

    (n,), (n,) shares of 1 -> Sigmoid. It starts at the R of step 0, which comes first. Its ceiling
    is in closed form and kept within [0, 1]; middle and exponent are the best of a grid that closes
    in. Raises ValueError without a step 0, and for fewer than ENOUGH later ones.

    >>> steps = torch.tensor([0.0, 10, 20, 40, 80])
    >>> found = fit_sigmoid(steps, Sigmoid(0.4, 0.9, 30, 1.5, r2=1).predict(steps))
    >>> [round(value, 3) for value in found]
    [0.4, 0.9, 30.0, 1.5, 1.0]
    """
    if len(steps) <= ENOUGH or steps[0] != 0:
        raise ValueError(f"needed: that of step 0 (in summary.json) and {ENOUGH} later ones")
    steps, accuracies = steps.double(), accuracies.double()
    start, rise, log_steps = accuracies[0], accuracies[1:] - accuracies[0], steps[1:].log()
    low = torch.tensor([0.0, math.log(0.1)])  # of log middle and log exponent
    high = torch.tensor([math.log(10 * steps[-1]), math.log(10)])
    for _ in range(8):
        sides = (torch.linspace(*ends, 41, dtype=torch.double) for ends in zip(low, high))
        grid = torch.cartesian_prod(*sides)
        shape = torch.sigmoid(grid[:, 1:].exp() * (log_steps - grid[:, :1]))  # (1681, n - 1)
        height = ((shape @ rise) / shape.square().sum(1)).clamp(-start, 1 - start)
        best = (height[:, None] * shape - rise).square().sum(1).argmin()
        two_cells = (high - low) / 20
        low, high = grid[best] - two_cells, grid[best] + two_cells
    ceiling, predicted = start + height[best], start + height[best] * shape[best]
    r2 = r_squared(torch.cat([accuracies[:1], predicted]), accuracies)
    return Sigmoid(start.item(), ceiling.item(), *grid[best].exp().tolist(), r2)


def r_squared(predicted, measured) -> float:
    """1 - the error's squares over those of the mean; 0 where nothing varies."""
    spread = (measured - measured.mean()).square().sum()
    return (1 - (predicted - measured).square().sum() / spread).item() if spread else 0.0


def read_run(run: Path) -> tuple[dict, dict, float]:
    """({step: entropy_law}, {step: R}, temperature) of a run folder. Raises InputError and OSError.

    R is accuracy on held-out questions after a step. That of step 0, before training, is in
    summary.json, which is there once a run has ended. A last line that was cut off is left out; NaN
    reads as None.
    """
    read = functools.partial(json.loads, parse_constant=lambda _: None)
    try:
        temperature = read((run / "config.json").read_text(encoding="utf-8"))["temperature"]
        lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        metrics = [read(line) for line in lines if line.endswith("\n")]
        entropies = {line["step"]: line["entropy_law"] for line in metrics}
        accuracies = {line["step"]: line["eval_accuracy"] for line in metrics}
        if (run / "summary.json").is_file():
            summary = read((run / "summary.json").read_text(encoding="utf-8"))
            accuracies[0] = summary["before"]["acc"]["mean"]
            accuracies[summary["steps"]] = summary["after"]["acc"]["mean"]
    except (FileNotFoundError, NotADirectoryError) as error:
        name = Path(error.filename).name
        raise InputError(f"{run} has no {name}: name the folder of a run of train.py") from None
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{run} is not as this train.py writes a run ({type(error).__name__}: {error}): make "
            "it again, or name another"
        ) from None
    return entropies, {s: r for s, r in accuracies.items() if r is not None}, temperature


def law_points(entropies: dict, accuracies: dict) -> torch.Tensor:
    """What the laws are fitted to, (3, n): steps of the evaluations, rising, and their H and R.

    entropies, accuracies: see `read_run`. The policy evaluated after step s samples the batch of
    step s + 1. One batch is noisy, so H is the mean over the REACH batches up to s and the REACH
    after it, fewer where evaluations are so close that batches would count twice (ours). At either
    end of the given steps only one side is there. An evaluation without any has no point.

    >>> law_points({1: 0.5, 2: None, 3: 0.3, 4: 0.1}, {0: 0.5, 4: 0.8, 2: 0.7})[:, 1].tolist()
    [2.0, 0.3, 0.7]
    """
    steps, points = sorted(accuracies), []
    reach = max(1, min([2 * REACH, *(b - a for a, b in itertools.pairwise(steps))]) // 2)
    for step in steps:
        near = [entropies.get(s) for s in range(step - reach + 1, step + reach + 1)]
        near = [entropy for entropy in near if entropy is not None]
        if near:
            points.append((step, fmean(near), accuracies[step]))
    return torch.tensor(points, dtype=torch.double).view(-1, 3).T


def compare_laws(whole, early, later) -> dict:
    """Fit both laws to all points and to the early ones, print how they do. -> {(law, part): fit}.

    Points as of `law_points`. From an early fit the law predicts the later R from their H, and the
    sigmoid from their steps; the error they must beat is that of an R that stays as it was.
    """

    def rmse(predicted):
        return (predicted - later[2]).square().mean().sqrt().item()

    def row(*cells):
        print("{:8}  {:10}  {:15}  {:10}  {}".format(*cells).rstrip())

    row("", "fitted to", "verdict", "later RMSE", "fit [95 % interval]")
    stays = rmse(early[2, -1]) if early.numel() else math.nan
    fits = {}
    for name, fit, x in (("law", fit_law, 1), ("sigmoid", fit_sigmoid, 0)):
        for part, points in ((WHOLE, whole), (FIRST, early)):
            try:
                if part == FIRST and not later.numel():
                    raise ValueError("no later evaluation is there to be predicted")
                found = fits[name, part] = fit(points[x], points[2])
            except ValueError as reason:
                row(name, part, "not enough data", "", str(reason))
                continue
            if part == FIRST:
                error = rmse(found.predict(later[x]))
                holds, error = error <= GOOD_RMSE * stays, f"{error:.3f}"
            else:
                rises = found.a[1] > 0 if name == "law" else found.ceiling > found.start
                holds, error = rises and found.r2 >= GOOD_R2, ""
            shown = (
                "{} {:.3g} [{:.3g}, {:.3g}]".format(field, *value)
                if isinstance(value, tuple)
                else f"{field} {value:.3g}"
                for field, value in found._asdict().items()
            )
            row(name, part, "holds" if holds else "does not hold", error, "  ".join(shown))
    row("R stays", FIRST, "", f"{stays:.3f}", "")
    return fits


def law_report(run: Path) -> None:
    """Print what both laws say of a run, and draw report/law.png. Raises InputError and OSError."""
    entropies, accuracies, temperature = read_run(run)
    total = max(entropies, default=0)
    cut = round(EARLY * total)
    whole = law_points(entropies, accuracies)
    early = law_points(*({s: x for s, x in d.items() if s <= cut} for d in (entropies, accuracies)))
    later = whole[:, whole[0] > cut]
    if not whole.numel():
        raise InputError(f"{run} has no evaluation yet: wait, or train with a lower --eval_every")
    print(
        f"{run}: {total} steps, {len(whole[0])} evaluations, {len(early[0])} in the first {cut}\n\n"
        "law      R = b - a exp(H); predicts later R from later H\n"
        "sigmoid  R = start + (ceiling - start) / (1 + (middle / step)^exponent); from steps\n"
    )
    fits = compare_laws(whole, early, later)
    print(
        "\nA fit of the whole run holds where R rises with it (law: a's interval is above 0) and\n"
        f"r2 is at least {GOOD_R2}. One of the {FIRST} holds where its RMSE at the later\n"
        f"evaluations is at most {GOOD_RMSE} times that of an R that stays as it was."
    )
    if len(early[0]) <= ENOUGH:
        remedy = f"--eval_every {max(1, cut // ENOUGH)}, and 20 steps or more"
        print(f"Both fits of the {FIRST} need more evaluations: {remedy}.")
    if temperature != 1:
        print(f"H is at the sampling temperature {temperature}; the law is stated for 1.")
    print(f"\nfigure: {draw_laws(run, whole, cut, fits)}")


def draw_laws(run: Path, points, cut, fits) -> str:
    """report/law.png: R against exp(H) and over the steps. Its path, or why there is none."""
    try:
        import matplotlib
    except ImportError:
        return "none, since matplotlib is not installed (pip install matplotlib)"
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    steps, entropies, accuracies = points
    every_step, every_h = torch.arange(steps[-1] + 1), torch.linspace(0, entropies.max(), 50)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), sharey=True, layout="constrained")
    for axes, x in ((left, entropies.exp()), (right, steps)):
        axes.plot(x, accuracies, "o", color="silver", markersize=4, label="later evaluations")
        first = steps <= cut
        axes.plot(x[first], accuracies[first], "o", color="black", markersize=4, label=FIRST)
    for part, dashes in ((WHOLE, "-"), (FIRST, "--")):
        if law := fits.get(("law", part)):
            how = {"linestyle": dashes, "color": "tab:orange", "label": f"law, {part}"}
            left.plot(every_h.exp(), law.predict(every_h), **how)
            right.plot(steps, law.predict(entropies), **how)
        if sigmoid := fits.get(("sigmoid", part)):
            how = {"linestyle": dashes, "color": "tab:blue", "label": f"sigmoid, {part}"}
            right.plot(every_step, sigmoid.predict(every_step), **how)
    left.set_xlabel("exp(H)")
    left.set_ylabel("R, accuracy on held-out questions")
    right.set_xlabel("training step")
    for axes in (left, right):
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.2)
    path = run / "report" / "law.png"
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return str(path)


def main() -> None:
    """Both laws on a run; every foreseeable failure ends in one sentence and status 2."""
    parser = argparse.ArgumentParser(description="What the law of entropy says of a run.")
    parser.add_argument("run", help="folder of a run of train.py", type=Path)
    try:
        law_report(parser.parse_args().run)
    except (InputError, OSError) as error:
        print(f"entropy.py: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
