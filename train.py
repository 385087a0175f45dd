"""GRPO with verifiable rewards, seen through entropy: the options and the loop.

    for each step:
        sample    questions_per_step x group_size rollouts                     rollout.py
        grade     1 if the final answer is right, else 0                       reward.py
        score     log-probability, entropy, perplexity under the policy        entropy.py
        weigh     group advantages, shaped by perplexity, position, polarity   loss.py
        update    updates_per_step optimizer steps on one of three objectives  below
        log       a line of metrics, now and then the rollouts and a checkpoint

With no option it trains the embedded toy (toy.py) on the CPU in minutes. `--model` and `--data` turn
the same loop on any causal language model and any set of questions with answers. A run is a folder:
config.json, metrics.jsonl, rollouts/*.parquet, checkpoints/step_N, report/*.png, summary.json.

Ours, where the papers are silent: the held-out split by a hash of the question; stopping, resuming and
the alarms; that the shaping methods and the objectives may be combined (perplexity first, then position,
then polarity).
"""

import contextlib
import dataclasses
import json
import math
import os
import shutil
import signal
import statistics
import sys
import time
import warnings
from pathlib import Path
from typing import Literal

import torch
from tqdm import tqdm

from data import (
    InputError,
    Question,
    draw,
    load_questions,
    option,
    parse_options,
    quiet_libraries,
    split_held_out,
)
from entropy import (
    TokenScores,
    entropy_change,
    log_perplexity,
    micro_batches,
    plateau_has_begun,
    rollout_mean,
    score,
    score_batch,
    snapshot,
    token_mean,
)
from eval import choose_device, choose_precision, evaluate, summarize, table
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
    token_covariance,
)
from rollout import (
    Batch,
    encode_prompt,
    gather,
    load_policy,
    sample,
    save_policy,
    short_enough,
)

RUNS = Path(__file__).parent / "runs"


@dataclasses.dataclass
class Options:
    """Every option of train.py. Equations are those of the docstrings in loss.py and entropy.py."""

    # What is trained on what
    model: str = option("toy", "model id or folder of a causal language model, or toy")
    data: str = option(
        "",
        "training questions: a known name (gsm8k, still3, dapo, ...), a hub id[:config[:split]], or "
        "a .jsonl, .json, .csv or .parquet file",
    )
    eval_data: str = option(
        "", "questions for evaluation, named like --data; empty: a share of --data is held out"
    )
    held_out_fraction: float = option(
        0.1, "share of --data held out for evaluation, chosen by a hash of the question"
    )
    question_column: str | None = option(None, "column of the question, if not a usual name")
    answer_column: str | None = option(None, "column of the gold answer, if not a usual name")
    template: str | None = option(
        None,
        "'chat', or a text with {question} and {instruction}; default: what the model folder was "
        "trained with, else the tokenizer's chat template, else a plain text",
    )
    instruction: str | None = option(
        None, "what is asked for beside the question; default: step by step, answer in \\boxed{}"
    )
    # The run
    run: str = option("", "folder of the run; empty: a fresh one under runs/")
    resume: str = option("", "folder of a run to go on with from its last checkpoint")
    seed: int = option(0, "the one seed of all randomness")
    device: Literal["auto", "cuda", "mps", "cpu"] = option("auto", "auto: cuda, else mps, else cpu")
    precision: Literal["auto", "float32", "bfloat16"] = option(
        "auto", "of activations; weights are float32 always; auto: bfloat16 on cuda, else float32"
    )
    dry_run: bool = option(
        False, "one step at the longest lengths allowed, its peak memory and times, and no run"
    )
    # The batch
    steps: int = option(500, "training steps: batches sampled and trained on")
    questions_per_step: int = option(64, "questions of a batch")
    group_size: int = option(
        8, "G, rollouts of a question, compared with each other (group_advantages)"
    )
    updates_per_step: int = option(
        4, "optimizer steps a batch is cut into; divides questions_per_step"
    )
    temperature: float = option(
        1.0, "of sampling, p = softmax(z / temperature), and of all log-probabilities and entropies"
    )
    max_prompt_length: int = option(1024, "tokens; questions with longer prompts are left out")
    max_response_length: int = option(2048, "L, tokens; longer responses are truncated")
    dynamic_sampling: bool = option(
        False, "drop groups that are all right or all wrong, and sample more questions instead"
    )
    max_gen_batches: int = option(
        10, "with --dynamic_sampling: batches sampled for a step before it trains on what there is"
    )
    overlong_buffer: int = option(0, "b, tokens before the limit where the penalty begins; 0 = off")
    overlong_penalty: float = option(
        1.0, "beyond L - b tokens the reward loses this times (length - (L - b)) / b"
    )
    # The update
    learning_rate: float = option(1e-6, "of AdamW, per optimizer step, constant after the warm-up")
    warmup_steps: int = option(10, "training steps of linear learning-rate warm-up")
    weight_decay: float = option(0.1, "of AdamW")
    max_grad_norm: float = option(1.0, "the norm of the whole gradient is clipped to this")
    objective: Literal["clip", "clip_cov", "kl_cov"] = option(
        "clip",
        "clip: PPO's; clip_cov: and a few tokens of high covariance give no gradient; kl_cov: no clip, "
        "and the tokens of highest covariance are held back by a penalty",
    )
    clip_low: float | None = option(
        None,
        "eps_low: rho = exp(logp - old logp) is clamped to at least 1 - eps_low; default: 0.2 with "
        "clip, 1 with clip_cov; kl_cov has no clip",
    )
    clip_high: float | None = option(
        None,
        "eps_high: rho is clamped to at most 1 + eps_high (clip-higher); default: 0.28 with clip, 1 "
        "with clip_cov",
    )
    clip_cov_ratio: float = option(
        2e-4,
        "r of clip_cov: this share of a minibatch's tokens is taken, among those within bounds",
    )
    cov_lower: float | None = option(
        None,
        "clip_cov: only tokens with a covariance above this are taken; default: --cov_lower_quantile "
        "where set, else 1",
    )
    cov_upper: float | None = option(
        None, "... and below this; default: --cov_upper_quantile where set, else 5"
    )
    cov_lower_quantile: float | None = option(
        None,
        "clip_cov: the lower bound as a quantile of the minibatch's covariances, such as 0.8, where "
        "an absolute one would select nothing",
    )
    cov_upper_quantile: float | None = option(
        None, "... and the upper bound, such as 0.999; 1 leaves out only the largest"
    )
    kl_cov_ratio: float = option(
        2e-3,
        "k of kl_cov: this share of a minibatch's tokens, those of highest covariance, is taken",
    )
    kl_cov_beta: float = option(1.0, "beta of kl_cov's penalty beta |logp - old logp|")
    ppl_alpha: float = option(
        0.0,
        "alpha of A (1 - alpha w_ppl): 0 = off, the paper's method is 0.01, negative = its contrast, "
        "which favours high perplexity",
    )
    position_gamma: float = option(
        0.0, "gamma of the bonus gamma sigmoid(k (r - 0.5)): 0 = off, the paper's method is 0.1"
    )
    position_steepness: float = option(
        15.0, "k of that bonus: positive favours late tokens, negative early ones (the contrast)"
    )
    polarity_expand: float = option(
        1.0, "advantages of tokens whose update expands entropy are multiplied by this; 1 = off"
    )
    polarity_contract: float = option(
        1.0, "... and of tokens whose update contracts entropy by this; 1 = off"
    )
    shaping_start: str = option(
        "0",
        "step from which on perplexity, position and polarity reweight the advantages, or plateau: "
        "once the rising stage is seen to have ended (plateau_has_begun in entropy.py)",
    )
    # Memory and speed. The first two change which random numbers are drawn, none the distribution
    sample_batch_size: int = option(256, "rollouts generated at a time")
    sample_round_length: int = option(
        64, "tokens generated before the rollouts that have ended leave the batch"
    )
    micro_batch_tokens: int = option(16384, "padded tokens in one forward pass")
    chunk_tokens: int = option(1024, "tokens whose logits are held at a time")
    gradient_checkpointing: bool = option(
        False, "recompute activations in the update: a third slower, much less memory"
    )
    # What is kept and looked at
    eval_every: int = option(50, "steps between evaluations on held-out questions; 0 = ends only")
    eval_questions: int = option(200, "held-out questions of an evaluation")
    eval_samples: int = option(8, "n, rollouts of each in Acc@n, Maj@n and Pass@n")
    eval_temperature: float = option(0.6, "of evaluation; 0 = greedy")
    eval_top_p: float = option(
        0.95, "of evaluation: tokens are drawn from the likeliest with this mass"
    )
    checkpoint_every: int = option(50, "steps between checkpoints; 0 = first and last only")
    keep_checkpoints: int = option(2, "how many of the last checkpoints are kept")
    save_rollouts_every: int = option(
        10, "steps between parquet files of rollouts, from the first; 0 = never"
    )
    probe_every: int = option(
        10,
        "steps between probes of what an update did to the tokens it was made of, from the first; "
        "0 = never",
    )
    probe_rollouts: int = option(
        128,
        "rollouts of a batch in whose states a probe compares the entropy before and after; what the "
        "model knew there waits in the CPU's memory meanwhile",
    )


# What --model toy puts in place of those defaults; what is given by hand still wins.
TOY = {
    "data": "toy",
    "steps": 300,
    "questions_per_step": 16,
    "updates_per_step": 2,
    "max_response_length": 64,
    "learning_rate": 1e-4,
    "warmup_steps": 0,
    "weight_decay": 0.0,
    # Of 2000 tokens the papers' shares would be 0 and 4, and only unlikely tokens reach a covariance of 1.
    "clip_cov_ratio": 0.03,
    "cov_lower_quantile": 0.95,
    "cov_upper_quantile": 1.0,
    "kl_cov_ratio": 0.05,
    "sample_round_length": 16,
    "micro_batch_tokens": 2048,
    "chunk_tokens": 65536,
    "eval_temperature": 1.0,
    "eval_top_p": 1.0,
}
# The options that act with some objectives alone.
OPTIONS_OF = {
    "clip clip_cov": "clip_low clip_high",
    "clip_cov": "clip_cov_ratio cov_lower cov_upper cov_lower_quantile cov_upper_quantile",
    "kl_cov": "kl_cov_ratio kl_cov_beta",
}
for field in dataclasses.fields(Options):
    if field.name in TOY:
        text = f"{field.metadata['help']} [with --model toy: {TOY[field.name]}]"
        field.metadata = {"help": text}


@dataclasses.dataclass
class Progress:
    """What a run knows beside its weights and optimizer. All of it is in every checkpoint."""

    step: int = 0
    drawn: int = 0  # questions taken from the stream: the whole state of the sampler
    skipped_in_a_row: int = 0  # optimizer steps
    alarms: list = dataclasses.field(default_factory=list)
    before: dict | None = None  # the evaluation before training
    latest: dict | None = None  # the latest one
    curves: list = dataclasses.field(default_factory=list)  # (entropy, accuracy) of every step
    plateau: int | None = None  # the step after which the plateau was seen to have begun


# ------------------------------------------------------------------------------------- the step


def shaping_is_on(progress: Progress, options) -> bool:
    """Whether this step's advantages are reweighted."""
    if options.shaping_start == "plateau":
        return progress.plateau is not None
    return progress.step >= int(options.shaping_start)


def weigh(rewards, scores, response_mask, on, options) -> tuple[torch.Tensor, torch.Tensor]:
    """The advantage of each rollout (B,), and of each of its tokens (B, T), after shaping if `on`."""
    advantages = group_advantages(rewards, options.group_size)
    log_ppl = log_perplexity(scores.logp, response_mask)
    shaped = ppl_shaping(advantages, log_ppl, options.group_size, options.ppl_alpha if on else 0.0)
    shaped = position_shaping(
        shaped, response_mask, options.position_gamma if on else 0.0, options.position_steepness
    )
    if on:
        shaped = polarity_shaping(
            shaped, scores.polarity, options.polarity_expand, options.polarity_contract
        )
    return advantages, shaped


def update(policy, optimizer, rollouts, advantages, old_logp, options, progress, precision) -> dict:
    """updates_per_step optimizer steps, each on a minibatch of whole groups.

    A minibatch takes two passes: one without gradient, in which Clip-Cov and KL-Cov choose their tokens
    (`choose_tokens`; plain clip needs none), and one with (`backward`). A minibatch in which no rollout
    has a gradient makes no optimizer step. One whose loss or gradient is not finite is skipped.
    """
    model = policy.model
    # Training mode switches gradient checkpointing on and nothing else: there is no dropout.
    model.train(options.gradient_checkpointing)
    losses, norms, clipped, tokens, log_ratios, tokens_run, skipped = [], [], 0, 0, [], 0, 0
    cov_eligible, cov_taken, moved = 0, 0, False
    groups = torch.arange(len(rollouts.texts)).view(-1, options.group_size)
    for rows in groups.tensor_split(min(options.updates_per_step, len(groups))):
        rows = rows.flatten()
        minibatch = rollouts.rows(rows)
        width = minibatch.input_ids.shape[1]
        values = (advantages[rows, :width], old_logp[rows, :width])
        eligible, taken = choose_tokens(model, minibatch, *values, moved, options, precision)
        parts = backward(model, minibatch, *values, taken, options, precision)
        loss, clipped_here, log_ratios_here, run_here = parts
        clipped += clipped_here
        log_ratios += log_ratios_here
        tokens_run += run_here
        tokens += int(minibatch.response_mask.sum())
        cov_eligible += int(eligible.sum())
        cov_taken += int(taken.sum())
        if not run_here:
            losses.append(0.0)
            norms.append(0.0)
            continue
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), options.max_grad_norm).item()
        if math.isfinite(loss) and math.isfinite(norm):
            optimizer.step()
            moved = True
            losses.append(loss)
            norms.append(norm)
            progress.skipped_in_a_row = 0
        else:
            skipped += 1
            progress.skipped_in_a_row += 1
        optimizer.zero_grad()
    model.eval()
    log_ratio = sum(log_ratios)
    return {
        "loss": sum(losses) / len(losses) if losses else None,
        "grad_norm": sum(norms) / len(norms) if norms else None,
        "clip_fraction": clipped / tokens,
        "cov_eligible": cov_eligible,
        "cov_taken": cov_taken,
        "approx_kl": log_ratio / max(tokens_run, 1) if math.isfinite(log_ratio) else None,
        "skipped_updates": skipped,
    }


def clip_range(options) -> tuple[float, float]:
    """(eps_low, eps_high): what was given, else what the papers use with the objective."""
    low, high = (1.0, 1.0) if options.objective == "clip_cov" else (0.2, 0.28)
    return (
        low if options.clip_low is None else options.clip_low,
        high if options.clip_high is None else options.clip_high,
    )


def choose_tokens(model, minibatch, advantages, old_logp, moved, options, precision):
    """(eligible, taken), both (b, T) bool: the tokens that Clip-Cov or KL-Cov treats differently.

    The covariance is that of the policy as it is now, from a pass over the whole minibatch without
    gradient. Until the weights have `moved` away from those that sampled the batch this pass would
    give old_logp again. KL-Cov then takes none: its penalty is 0, but by rounding logp is never quite
    old_logp, and the gradient of |logp - old_logp| would be that of noise.
    """
    mask = minibatch.response_mask
    nothing = mask & False
    if options.objective == "clip" or (options.objective == "kl_cov" and not moved):
        return nothing, nothing
    logp = old_logp
    if moved:
        how = (options.temperature, options.micro_batch_tokens, options.chunk_tokens)
        with precision:
            logp = score_batch(model, minibatch, *how, measure=False).logp
    covariance = token_covariance(logp, advantages, mask)
    if options.objective == "kl_cov":
        return mask, kl_cov_tokens(covariance, mask, options.kl_cov_ratio)
    _, clipped = policy_loss(logp, old_logp, advantages, mask, *clip_range(options))
    ranked = covariance[mask].sort().values

    def bound(absolute, quantile, usual):
        if absolute is None and quantile is not None:
            return ranked[round(quantile * (len(ranked) - 1))]
        return usual if absolute is None else absolute

    lower = bound(options.cov_lower, options.cov_lower_quantile, 1.0)
    upper = bound(options.cov_upper, options.cov_upper_quantile, 5.0)
    return clip_cov_tokens(covariance, mask, clipped, lower, upper, options.clip_cov_ratio)


def backward(model, minibatch, advantages, old_logp, taken, options, precision):
    """Add the gradient of a minibatch's loss to that of the weights, micro-batch by micro-batch.

    The response tokens are counted, as the high-covariance ones were chosen, before the minibatch is
    cut, so that the gradient does not depend on the cut. Rollouts without a gradient, having neither
    an advantage nor a token that KL-Cov holds back, are counted and not run.

    Returns the loss, the number of tokens clipped, the sums of old_logp - logp, and the tokens run.
    """
    pulls = (advantages != 0) | taken if options.objective == "kl_cov" else advantages != 0
    taught = pulls.any(1).cpu().nonzero().flatten()
    token_count = int(minibatch.response_mask.sum())
    loss, clipped, log_ratios, tokens_run = 0.0, 0, [], 0
    for rows in micro_batches(minibatch.lengths[taught], options.micro_batch_tokens):
        rows = taught[rows]
        part = minibatch.rows(rows)
        mask, width = part.response_mask, part.input_ids.shape[1]
        old = old_logp[rows, :width]
        how = (options.temperature, options.chunk_tokens)
        with precision:
            logp = score(model, part.input_ids, mask, *how, measure=False).logp
        tokens = (logp, old, advantages[rows, :width], mask)
        if options.objective == "clip":
            part_loss, was_clipped = policy_loss(*tokens, *clip_range(options), token_count)
        elif options.objective == "clip_cov":
            part_loss, was_clipped = clip_cov_loss(
                *tokens, taken[rows, :width], *clip_range(options), token_count
            )
        else:
            part_loss, was_clipped = kl_cov_loss(
                *tokens, taken[rows, :width], options.kl_cov_beta, token_count
            )
        part_loss.backward()
        loss += part_loss.item()
        clipped += int(was_clipped.sum())
        log_ratios.append((old - logp.detach()).sum().item())
        tokens_run += int(mask.sum())
    return loss, clipped, log_ratios, tokens_run


# ---------------------------------------------------------------------------- what is measured


def sampling_metrics(sampled: list[Batch], options) -> dict:
    """Over all rollouts sampled for a step, whether trained on or not. See the README's glossary."""
    grades = [g for batch in sampled for g in batch.grades]
    rewards = torch.cat([batch.rewards for batch in sampled])
    groups = rewards.view(-1, options.group_size)
    truncated = torch.cat([batch.rollouts.truncated for batch in sampled])
    lengths = torch.cat([batch.rollouts.response_lengths for batch in sampled])
    return {
        "accuracy": sum(g.correct for g in grades) / len(grades),
        "reward": rewards.mean().item(),
        "no_answer_rate": sum(g.outcome == "no answer" for g in grades) / len(grades),
        "truncated_rate": truncated.float().mean().item(),
        "response_length": lengths.float().mean().item(),
        "zero_signal_groups": int((groups.amax(1) == groups.amin(1)).sum()),
        "groups": len(groups),
    }


# The percent of tokens, those of largest covariance, that means are over, as in Table 1 of 2505.22617.
COVARIANCE_TOPS = (50, 20, 2, 0.2, 0.02)
# The change of token entropy by a step's updates, a mean over tokens: measured; predicted to first order
# from the change of logits; and predicted before it is made, as eta A T. The last takes each token for a
# state of its own whose logits move by eta A (1_a - p). It so ignores that states share their weights,
# that the loss is a mean, that Adam rescales the gradient, that a step has several updates, and what the
# objective leaves out of them. Its correlation with the measurement says something, its size does not.
ENTROPY_CHANGES = ("entropy_change", "entropy_change_from_logits", "entropy_change_from_advantages")


def token_metrics(batch: Batch, scores: TokenScores, advantages, shaped) -> dict:
    """Over the rollouts trained on: all of them, the correct and the wrong ones."""
    mask, correct = batch.rollouts.response_mask, batch.correct
    covariance = token_covariance(scores.logp, shaped, mask)
    metrics = {}
    for name, rows in (("", correct | True), ("_correct", correct), ("_wrong", ~correct)):
        metrics[f"entropy{name}"] = token_mean(scores.entropy[rows], mask[rows])
        metrics[f"entropy_rollout_mean{name}"] = rollout_mean(scores.entropy[rows], mask[rows])
        log_ppl = log_perplexity(scores.logp[rows], mask[rows])
        metrics[f"perplexity{name}"] = log_ppl.exp().mean().item() if rows.any() else None
        metrics[f"covariance{name}"] = token_mean(covariance[rows], mask[rows])
        ranked = covariance[rows][mask[rows]].sort(descending=True).values
        for percent in COVARIANCE_TOPS:
            top = ranked[: max(int(percent / 100 * len(ranked)), 1)]
            metrics[f"covariance_top{percent}{name}"] = top.mean().item() if rows.any() else None
    groups = correct.view(len(batch.questions), -1)
    mixed = (groups.any(1) & ~groups.all(1)).repeat_interleave(groups.shape[1])
    metrics["entropy_law"] = rollout_mean(scores.entropy[mixed], mask[mixed])
    every = advantages[:, None].expand(mask.shape)
    size = every.abs()[mask].mean().item()
    change, weight = (scores.polarity * shaped)[mask], shaped.abs()[mask]
    total = weight.sum().item()
    for name, tokens in (("expanding", change > 0), ("contracting", change < 0)):
        metrics[f"{name}_tokens"] = tokens.float().mean().item()
        metrics[f"{name}_advantage"] = weight[tokens].sum().item() / total if total else None
    return metrics | {
        "branching_factor": token_mean(scores.branching, mask),
        "token_gradient": token_mean(scores.gradient * shaped.abs(), mask),
        "advantage_polarity": token_mean(scores.polarity * shaped, mask),
        "shaping_change": token_mean((shaped - every).abs(), mask) / size if size else 0.0,
    }


def evaluation_metrics(summary: dict | None) -> dict:
    """Means over the held-out questions, None on a step without an evaluation."""
    if summary is None:
        return dict.fromkeys(("eval_accuracy", "eval_maj", "eval_pass", "eval_entropy"))
    return {
        "eval_accuracy": summary["acc"]["mean"],
        "eval_maj": summary["maj"]["mean"],
        "eval_pass": summary["pass"][str(summary["samples"])]["mean"],
        "eval_entropy": summary["entropy"]["mean"],
    }


def sampling_difference(policy, asked: list[Question], options, precision) -> float:
    """Largest |log-probability by generate - by the scorer| over the tokens of four rollouts.

    generate's side is the distribution it drew from, after everything that was done to its logits.
    The rollouts, two of each question, are extra ones, and the random state is left as it was.
    """
    prompts = [encode_prompt(policy, question.text) for question in asked]
    with torch.random.fork_rng(), precision:
        few = sample(
            policy,
            prompts,
            2,
            min(options.max_response_length, 128),
            options.temperature,
            keep_logp=True,
        )
        scores = score_batch(policy.model, few, options.temperature, chunk_tokens=128)
    return (few.sampling_logp - scores.logp).abs().max().item()


def alarms(metrics: dict, options, bfloat16: bool) -> dict[str, str]:
    """What is wrong with a step, in words: {name of the alarm: sentence}."""
    found = {}
    limit = 0.1 if bfloat16 else 1e-3
    if (difference := metrics["sampling_logp_difference"]) is not None and difference > limit:
        found["sampling"] = (
            f"generation and the scorer disagree by {difference:.2g} in log-probability (expected "
            f"below {limit}): the policy trained is not the one sampled."
        )
    if metrics["truncated_rate"] > 0.5:
        found["truncated"] = (
            f"{metrics['truncated_rate']:.0%} of the rollouts were cut off at "
            f"--max_response_length {options.max_response_length}; consider a higher one."
        )
    if metrics["zero_signal_groups"] > 0.8 * metrics["groups"]:
        found["signal"] = (
            f"{metrics['zero_signal_groups']} of {metrics['groups']} groups have equal rewards and "
            "teach nothing; the questions are too easy or too hard, or use --dynamic_sampling."
        )
    if metrics["no_answer_rate"] > 0.2:
        found["no_answer"] = (
            f"{metrics['no_answer_rate']:.0%} of the rollouts hold no answer that can be found; look "
            "at their text, and at --instruction and --template."
        )
    if options.objective == "clip_cov" and not metrics["cov_taken"]:
        found["clip_cov"] = (
            "Clip-Cov took no token: none has a covariance within its bounds; consider "
            "--cov_lower_quantile and --cov_upper_quantile."
        )
    if metrics["skipped_updates"]:
        found["non_finite"] = (
            "a loss or gradient was not finite and its optimizer step was skipped; consider a lower "
            "--learning_rate."
        )
    return found


def write_rollouts(path: Path, step, policy, batch: Batch, scores, advantages, shaped, change):
    """A parquet file with a row a rollout: its text, its outcome, and a list per token measurement.

    change (B, T): what the update did to each token's log-probability; None: not probed, NaN.
    """
    import datasets  # slow to import, and needed only now

    rollouts, mask = batch.rollouts, batch.rollouts.response_mask
    asked = [q for q in batch.questions for _ in range(len(batch.grades) // len(batch.questions))]
    per_token = {
        "token_ids": rollouts.input_ids,
        "relative_position": relative_position(mask),
        "old_logp": scores.logp,
        "entropy": scores.entropy,
        "branching": scores.branching,
        "gradient": scores.gradient * shaped.abs(),
        "polarity": scores.polarity,
        "shaped_advantage": shaped,
        "logp_change": torch.full_like(shaped, math.nan) if change is None else change,
    }
    columns = {
        "step": [step] * len(asked),
        "question": [q.text for q in asked],
        "gold": [q.gold for q in asked],
        "text": rollouts.texts,
        "answer": [g.answer or "" for g in batch.grades],
        "outcome": [
            "truncated" if cut_off and g.outcome == "no answer" else g.outcome
            for g, cut_off in zip(batch.grades, rollouts.truncated.tolist(), strict=True)
        ],
        "reward": batch.rewards.tolist(),
        "length": rollouts.response_lengths.tolist(),
        "truncated": rollouts.truncated.tolist(),
        "perplexity": log_perplexity(scores.logp, mask).exp().tolist(),
        "advantage": advantages.tolist(),
        "tokens": [
            [policy.tokenizer.decode([token]) for token in ids[row].tolist()]
            for ids, row in zip(rollouts.input_ids, mask, strict=True)
        ],
    }
    for name, values in per_token.items():  # as numpy arrays, which keep 32 bits
        columns[name] = [v[row].numpy() for v, row in zip(values.cpu(), mask.cpu(), strict=True)]
    path.parent.mkdir(exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    datasets.disable_progress_bars()
    datasets.Dataset.from_dict(columns).to_parquet(str(unfinished))
    os.replace(unfinished, path)


# -------------------------------------------------------------------- starting, saving, resuming


def parse(argv: list[str]) -> Options:
    """Options from the command line, over those of the resumed run, over the toy's."""
    given = parse_options(Options, argv, description=__doc__.partition("\n")[0])
    if given.resume:
        config = Path(given.resume) / "config.json"
        if given.run:
            raise InputError("--run: a resumed run stays in its folder; leave the option out")
        if not config.is_file():
            raise InputError(f"--resume: {given.resume} is no run folder, it holds no config.json")
        argv = [str(config), *argv]
        before, given = parse_options(Options, argv[:1]), parse_options(Options, argv)
        for name in ("model", "data", "eval_data", "seed"):
            if getattr(before, name) != getattr(given, name):
                raise InputError(
                    f"--{name}: a resumed run keeps its {name}, {getattr(before, name)!r}; "
                    "leave the option out or start a new run"
                )
    options = parse_options(Options, argv, TOY if given.model == "toy" else None)
    typed = {word[2:].partition("=")[0].replace("-", "_") for word in argv if word[:2] == "--"}
    for chosen, names in OPTIONS_OF.items():
        for name in names.split():
            if name in typed and options.objective not in chosen.split():
                raise InputError(
                    f"--{name}: it does nothing with --objective {options.objective}; leave it out, or "
                    f"choose --objective {chosen.split()[-1]}"
                )
    for name in ("cov_lower", "cov_upper"):
        if {name, f"{name}_quantile"} <= typed:
            raise InputError(f"--{name}, --{name}_quantile: they are one bound; give only one")
    check(options)
    return options


def check(options: Options) -> None:
    """Raises InputError for values that cannot work, alone or together."""
    at_least = {
        1: "steps questions_per_step updates_per_step max_prompt_length max_response_length "
        "max_gen_batches sample_batch_size sample_round_length micro_batch_tokens chunk_tokens eval_questions "
        "eval_samples keep_checkpoints probe_rollouts",
        2: "group_size",
        0: "seed warmup_steps weight_decay overlong_buffer overlong_penalty clip_low clip_high "
        "cov_lower_quantile cov_upper_quantile kl_cov_beta polarity_expand polarity_contract "
        "eval_every eval_temperature checkpoint_every save_rollouts_every probe_every",
    }
    for least, names in at_least.items():
        for name in names.split():
            value = getattr(options, name)
            if value is not None and not value >= least:
                raise InputError(f"--{name} {value}: it must be at least {least}")
    for name in (
        "temperature",
        "learning_rate",
        "max_grad_norm",
        "eval_top_p",
        "held_out_fraction",
        "clip_cov_ratio",
        "kl_cov_ratio",
    ):
        if not 0 < getattr(options, name) < math.inf:
            raise InputError(f"--{name} {getattr(options, name)}: it must be above 0")
    at_most_1 = "eval_top_p held_out_fraction clip_low clip_cov_ratio kl_cov_ratio "
    at_most_1 += "cov_lower_quantile cov_upper_quantile"
    for name in at_most_1.split():
        if (getattr(options, name) or 0) > 1:
            raise InputError(f"--{name} {getattr(options, name)}: it must be at most 1")
    finite = "ppl_alpha position_gamma position_steepness clip_high kl_cov_beta "
    finite += "polarity_expand polarity_contract"
    for name in finite.split():
        if not math.isfinite(getattr(options, name) or 0):
            raise InputError(f"--{name} {getattr(options, name)}: it must be a finite number")
    absolute = (options.cov_lower, options.cov_upper)
    quantiles = (options.cov_lower_quantile, options.cov_upper_quantile)
    if absolute != (None, None):  # a quantile beside an absolute bound is that of the other side
        quantiles = (None, None)
    for suffix, (low, high) in (("", absolute), ("_quantile", quantiles)):
        if None not in (low, high) and not low < high:
            raise InputError(
                f"--cov_lower{suffix} {low}: it must be below --cov_upper{suffix} {high}, or there is "
                "no token between them"
            )
    if options.objective == "kl_cov" and options.updates_per_step == 1:
        raise InputError(
            "--objective kl_cov: its penalty is 0 in the first update on a batch, so it needs "
            "--updates_per_step 2 or more"
        )
    if options.shaping_start != "plateau" and not str(options.shaping_start).isdecimal():
        raise InputError(f"--shaping_start {options.shaping_start}: give a step, or plateau")
    if options.position_gamma < 0:
        raise InputError("--position_gamma: it must be at least 0; --position_steepness has a sign")
    if options.questions_per_step % options.updates_per_step:
        raise InputError(
            f"--updates_per_step {options.updates_per_step} does not divide --questions_per_step "
            f"{options.questions_per_step}; every update takes the same number of questions"
        )
    if options.overlong_buffer > options.max_response_length:
        raise InputError("--overlong_buffer: it must not exceed --max_response_length")
    run = Path(options.run)
    if options.run and run.exists() and (not run.is_dir() or any(run.iterdir())):
        raise InputError(
            f"--run: {run} already holds something; choose another name, or go on with a run by "
            f"--resume {run}"
        )
    if not options.data:
        raise InputError("--data: name the training questions, such as gsm8k or a .jsonl file")


def load_data(options) -> tuple[list[Question], list[Question]]:
    """(training, held out), no question on both sides."""
    columns = (options.question_column, options.answer_column)
    questions = load_questions(options.data, True, *columns)
    if options.data != "toy":  # some sets, DAPO-Math-17k among them, repeat their questions
        questions = list(dict.fromkeys(questions))
    if options.eval_data:
        held_out = load_questions(options.eval_data, False, *columns)
        unseen = {" ".join(question.text.split()) for question in held_out}
        return [q for q in questions if " ".join(q.text.split()) not in unseen], held_out
    if options.data == "toy":
        return questions, load_questions("toy", False)
    return split_held_out(questions, options.held_out_fraction)


def random_states() -> dict:
    """All random state there is: sampling draws from torch's generators; questions from `drawn`."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    mps = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
    return {"cpu": torch.get_rng_state(), "cuda": cuda, "mps": mps}


def set_random_states(states: dict) -> None:
    """Undo everything drawn since `random_states`."""
    torch.set_rng_state(states["cpu"])
    if torch.cuda.is_available() and states["cuda"]:
        torch.cuda.set_rng_state_all(states["cuda"])
    if torch.backends.mps.is_available() and states["mps"] is not None:
        torch.mps.set_rng_state(states["mps"])


def save_checkpoint(run: Path, policy, optimizer, progress: Progress, options) -> None:
    """Write checkpoints/step_N beside the others, rename it into place, and drop the oldest.

    A crash at any moment leaves the earlier ones as they were. Raises OSError where it cannot write.
    """
    folder = run / "checkpoints" / f"step_{progress.step}"
    unfinished = folder.with_name(f"unfinished_{progress.step}")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        save_policy(policy, unfinished)
        state = {
            "optimizer": optimizer.state_dict(),
            "random": random_states(),
            "progress": dataclasses.asdict(progress),
        }
        torch.save(state, unfinished / "training_state.pt")
    except Exception as error:  # safetensors and torch have their own for a full disk
        shutil.rmtree(unfinished, ignore_errors=True)
        raise OSError(f"the checkpoint {folder} could not be written ({error})") from error
    unfinished.rename(folder)
    for old in checkpoints(run)[: -options.keep_checkpoints]:
        shutil.rmtree(old)


def checkpoints(run: Path) -> list[Path]:
    """The finished checkpoints of a run, oldest first."""
    found = (run / "checkpoints").glob("step_*")
    return sorted(found, key=lambda folder: int(folder.name.removeprefix("step_")))


def load_checkpoint(folder: Path, optimizer) -> Progress:
    """Put the optimizer and the random states where they were; the weights load_policy has loaded."""
    state = torch.load(folder / "training_state.pt", map_location="cpu", weights_only=True)
    optimizer.load_state_dict(state["optimizer"])
    set_random_states(state["random"])
    return Progress(**state["progress"])


def forget_steps_after(run: Path, step: int) -> None:
    """Cut what a killed run wrote beyond its last checkpoint: it will be written again."""
    lines = []
    if (run / "metrics.jsonl").exists():
        for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines(keepends=True):
            if not line.endswith("\n") or json.loads(line)["step"] > step:
                break
            lines.append(line)
    write_text(run / "metrics.jsonl", "".join(lines))
    for file in (run / "rollouts").glob("step_*.parquet"):
        if int(file.stem.removeprefix("step_")) > step:
            file.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, path)


def fresh_run_folder(options) -> Path:
    """The folder --run names, or a new one named after the model and the time."""
    run = Path(options.run)
    if not options.run:
        name = f"{Path(options.model).name}-{time.strftime('%Y%m%d-%H%M%S')}"
        run, number = RUNS / name, 2
        while run.exists():
            run, number = RUNS / f"{name}-{number}", number + 1
    run.mkdir(parents=True, exist_ok=True)
    return run


# -------------------------------------------------------------------------------------- the run


def start(options):
    """Everything a run needs before its first step."""
    device = choose_device(options.device)
    precision = choose_precision(options.precision, device)
    last = None
    if options.resume:
        if not (found := checkpoints(Path(options.resume))):
            raise InputError(
                f"--resume: {options.resume} holds no checkpoint; start again with another --run"
            )
        last = found[-1]
    model = str(last) if last else options.model
    policy = load_policy(model, device, options.template, options.instruction)
    torch.manual_seed(options.seed)  # after it, since warming up the toy draws numbers too
    if options.gradient_checkpointing:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # its newer name is not in every version
            policy.model.gradient_checkpointing_enable({"use_reentrant": False})
    optimizer = torch.optim.AdamW(
        policy.model.parameters(),
        options.learning_rate,
        weight_decay=options.weight_decay,
        fused=device.type in ("cpu", "cuda"),
    )
    return policy, optimizer, precision, last


def train(options: Options) -> None:
    """A whole run, from its options to its last table. Raises InputError and OSError."""
    if options.dry_run:
        return dry_run(options)
    questions, held_out = load_data(options)  # before the model: a wrong name shows at once
    policy, optimizer, precision, last = start(options)
    longest = options.max_prompt_length
    questions = short_enough(policy, questions, longest, "training ")
    held_out = short_enough(policy, held_out, longest, "held-out ")[: options.eval_questions]
    progress = Progress()
    if last:
        run = Path(options.resume)
        progress = load_checkpoint(last, optimizer)
        forget_steps_after(run, progress.step)
    else:
        run = fresh_run_folder(options)
    config = dataclasses.asdict(options)
    for name in ("run", "resume", "dry_run"):
        del config[name]
    write_text(run / "config.json", json.dumps(config, indent=2) + "\n")

    def evaluation():
        records = evaluate(
            policy,
            held_out,
            options.eval_samples,
            options.eval_temperature,
            options.eval_top_p,
            options.max_response_length,
            options.seed,
            options.sample_batch_size,
            precision,
            options.micro_batch_tokens,
            options.chunk_tokens,
            round_length=options.sample_round_length,
        )
        return summarize(records)

    if progress.before is None:
        progress.before = progress.latest = evaluation()
        save_checkpoint(run, policy, optimizer, progress, options)

    with precision:
        bfloat16 = torch.is_autocast_enabled(policy.model.device.type)
    print(f"run folder: {run}")
    with (
        interruptible() as interrupted,
        (run / "metrics.jsonl").open("a", encoding="utf-8") as log,
        tqdm(total=options.steps, initial=progress.step, desc="GRPO", unit="step") as bar,
    ):
        while progress.step < options.steps and not interrupted:
            metrics = training_step(run, policy, optimizer, questions, progress, options, precision)
            last_step = progress.step == options.steps
            due = options.eval_every and progress.step % options.eval_every == 0
            if due or last_step:
                progress.latest = evaluation()
            metrics |= evaluation_metrics(progress.latest if due else None)
            log.write(json.dumps(metrics) + "\n")
            log.flush()
            for name, sentence in alarms(metrics, options, bfloat16).items():
                if name not in progress.alarms:
                    progress.alarms.append(name)
                    tqdm.write(f"step {progress.step}: {sentence}", file=sys.stderr)
            if progress.skipped_in_a_row >= 5:
                raise InputError(
                    f"--learning_rate: {progress.skipped_in_a_row} losses in a row were not finite, so "
                    f"the run stops; its last checkpoint, {checkpoints(run)[-1]}, is intact: go on "
                    f"with --resume {run} and a lower rate"
                )
            due = options.checkpoint_every and progress.step % options.checkpoint_every == 0
            if due or last_step or interrupted:
                save_checkpoint(run, policy, optimizer, progress, options)
            bar.update()
            bar.set_postfix(
                reward=f"{metrics['reward']:.2f}",
                entropy=f"{metrics['entropy']:.3f}",
                length=f"{metrics['response_length']:.0f}",
            )
    if progress.step < options.steps:
        print(f"stopped after step {progress.step}; go on with: python train.py --resume {run}")
        sys.exit(128 + interrupted[0])
    written = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    lines = [json.loads(line) for line in written]
    summary = {"steps": progress.step, "before": progress.before, "after": progress.latest}
    if predictions := agreement(lines):
        summary["entropy_change"] = predictions
    write_text(run / "summary.json", json.dumps(summary, indent=2) + "\n")
    print(f"\nheld-out questions, before and after {progress.step} steps, mean [95 % interval]:\n")
    print(table({"before": progress.before, "after": progress.latest}))
    if predictions:
        print(f"\nentropy change in {predictions['probes']} steps, measured against predicted:")
        for name in ENTROPY_CHANGES[1:]:
            print(f"  {describe(predictions, name)}")
    print(f"\nfigures:    {draw_figures(run, progress, lines)}\nrun folder: {run}")


def training_step(run, policy, optimizer, questions, progress, options, precision) -> dict:
    """One turn of the loop at the top of this file. Returns its line of metrics."""
    progress.step += 1
    step, device = progress.step, policy.model.device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    rate = options.learning_rate * min(1.0, step / max(options.warmup_steps, 1))
    for group in optimizer.param_groups:
        group["lr"] = rate
    difference = None
    if step == 1:
        asked = draw(questions, options.seed, progress.drawn, 2)
        difference = sampling_difference(policy, asked, options, precision)
    began = time.perf_counter()
    with precision:
        sampled, batch = gather(policy, questions, options, progress)
    sampled_at = time.perf_counter()

    rollouts, mask = batch.rollouts, batch.rollouts.response_mask
    how = (options.temperature, options.micro_batch_tokens, options.chunk_tokens)
    with precision:
        scores = score_batch(policy.model, rollouts, *how)
    on = shaping_is_on(progress, options)
    advantages, shaped = weigh(batch.rewards, scores, mask, on, options)
    metrics = {"step": step} | sampling_metrics(sampled, options)
    metrics |= token_metrics(batch, scores, advantages, shaped)
    progress.curves.append((metrics["entropy"], metrics["accuracy"]))
    if options.shaping_start == "plateau" and not on and plateau_has_begun(*zip(*progress.curves)):
        progress.plateau = step
        tqdm.write(f"step {step}: the plateau has begun; shaping acts from the next step on")
    probed, saved = (
        every and (step == 1 or step % every == 0)
        for every in (options.probe_every, options.save_rollouts_every)
    )
    if probed:  # in float32, since bfloat16 rounds away more than a small step changes
        rows = torch.arange(0, len(mask), -(-len(mask) // options.probe_rollouts))
        few = rollouts.rows(rows)
        before = snapshot(policy.model, few, options.micro_batch_tokens)
    scored_at = time.perf_counter()
    metrics |= update(
        policy, optimizer, rollouts, shaped, scores.logp, options, progress, precision
    )
    updated_at = time.perf_counter()

    change = None
    metrics |= dict.fromkeys(ENTROPY_CHANGES)
    if probed:
        with precision:
            change = score_batch(policy.model, rollouts, *how, measure=False).logp - scores.logp
        measured, from_logits = entropy_change(policy.model, before, few, *how)
        from_advantages = rate * token_mean((scores.polarity * shaped)[rows], mask[rows])
        changes = (measured.mean().item(), from_logits.mean().item(), from_advantages)
        metrics |= zip(ENTROPY_CHANGES, changes, strict=True)
    if saved:
        file = run / "rollouts" / f"step_{step}.parquet"
        write_rollouts(file, step, policy, batch, scores, advantages, shaped, change)
    tokens = sum(int(b.rollouts.response_mask.sum()) for b in sampled)
    seconds = time.perf_counter() - began
    return metrics | {
        "logp_change": None if change is None else token_mean(change.abs(), mask),
        "sampling_logp_difference": difference,
        "learning_rate": rate,
        "questions_drawn": progress.drawn,
        "sample_seconds": sampled_at - began,
        "score_seconds": scored_at - sampled_at,
        "update_seconds": updated_at - scored_at,
        "step_seconds": seconds,
        "tokens_per_second": tokens / seconds,
        "peak_memory": peak_memory(device),
    }


@contextlib.contextmanager
def interruptible():
    """A list that stays empty until SIGINT or SIGTERM arrives, and then holds its number.

    So the step under way is finished and saved. A second signal acts as usual.
    """
    caught = []

    def catch(number, _):
        caught.append(number)
        signal.signal(number, usual[number])
        tqdm.write("stopping after this step; once more to stop at once", file=sys.stderr)

    usual = {number: signal.signal(number, catch) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


def peak_memory(device) -> float | None:
    """GiB: on a GPU the peak since the last reset, else the process's peak, where the system tells."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def dry_run(options) -> None:
    """One step at the longest lengths allowed: does it fit, and how long does it take?

    Prompts are random tokens, no response may end early, and half of each group counts as right.
    """
    policy, optimizer, precision, _ = start(options)
    device, size = policy.model.device, options.group_size
    vocabulary = policy.model.get_input_embeddings().num_embeddings
    prompts = torch.randint(
        vocabulary, (options.questions_per_step, options.max_prompt_length)
    ).tolist()

    @contextlib.contextmanager
    def phase(name):
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        began = time.perf_counter()
        with precision:
            yield
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        memory = peak_memory(device)
        memory = "unknown" if memory is None else f"{memory:.2f} GiB"
        print(f"{name:8} {time.perf_counter() - began:10.2f} s   peak memory {memory}")

    count = options.questions_per_step * size
    print(
        f"dry run: {count} rollouts of {options.max_prompt_length} + {options.max_response_length} "
        f"tokens on {device}"
    )
    longest = options.max_response_length
    with phase("sample"):
        rollouts = sample(
            policy,
            prompts,
            size,
            longest,
            options.temperature,
            batch_size=options.sample_batch_size,
            round_length=longest,
            min_response_length=longest,
        )
    with phase("score"):
        scores = score_batch(
            policy.model,
            rollouts,
            options.temperature,
            options.micro_batch_tokens,
            options.chunk_tokens,
        )
    rewards = (torch.arange(count, device=device) % 2).float()
    _, shaped = weigh(rewards, scores, rollouts.response_mask, True, options)
    with phase("update"):
        update(policy, optimizer, rollouts, shaped, scores.logp, options, Progress(), precision)


def agreement(lines: list[dict]) -> dict | None:
    """How far the predicted changes of entropy agree with the measured ones, over the probed steps.

    For each prediction: its correlation with the measurement, the slope of the least-squares line of
    measured on predicted, and in how many steps the signs agree. None where nothing can be fitted.
    """
    probes = [[line[name] for name in ENTROPY_CHANGES] for line in lines]
    columns = list(zip(*(probe for probe in probes if probe[0] is not None), strict=True))
    if not columns or len(columns[0]) < 3 or any(len(set(column)) < 2 for column in columns):
        return None
    measured = columns[0]
    found = {"probes": len(measured)}
    for name, predicted in zip(ENTROPY_CHANGES[1:], columns[1:], strict=True):
        found[name] = {
            "correlation": statistics.correlation(predicted, measured),
            "slope": statistics.linear_regression(predicted, measured).slope,
            "same_sign": sum(x * y > 0 for x, y in zip(predicted, measured, strict=True)),
        }
    return found


def describe(predictions: dict, name: str) -> str:
    """One of the predictions of `agreement` in a line."""
    found, source = predictions[name], name.removeprefix("entropy_change_").replace("_", " ")
    return (
        f"{source}: correlation {found['correlation']:.3f}, slope {found['slope']:.3g}, same sign in "
        f"{found['same_sign']} of {predictions['probes']}"
    )


def draw_figures(run: Path, progress: Progress, lines: list[dict]) -> str:
    """Draw the run into report/. Returns the paths of the figures, or why there are none."""
    try:
        import matplotlib
    except ImportError:
        return "none, since matplotlib is not installed (pip install matplotlib)"
    matplotlib.use("agg")
    (run / "report").mkdir(exist_ok=True)
    paths = [draw_training(run, progress, lines)]
    if predictions := agreement(lines):
        paths.append(draw_entropy_change(run, lines, predictions))
    return ", ".join(map(str, paths))


def draw_training(run: Path, progress: Progress, lines: list[dict]) -> Path:
    """report/training.png: reward and entropy over the steps."""
    import matplotlib.pyplot as plt

    steps = [line["step"] for line in lines]

    def curve(axes, name, label, colour):
        values = [math.nan if line[name] is None else line[name] for line in lines]
        axes.plot(steps, values, color=colour, alpha=0.25, linewidth=0.8)
        window = max(1, len(steps) // 20)
        smooth = []
        for i in range(len(values)):
            near = [v for v in values[max(0, i - window) : i + window + 1] if not math.isnan(v)]
            smooth.append(sum(near) / len(near) if near else math.nan)
        axes.plot(steps, smooth, color=colour, label=label, linewidth=1.8)

    figure, (above, below) = plt.subplots(2, 1, figsize=(7, 6), sharex=True, layout="constrained")
    curve(above, "reward", "reward of training rollouts", "black")
    points = [(0, progress.before["acc"]["mean"])]
    points += [
        (line["step"], line["eval_accuracy"]) for line in lines if line["eval_accuracy"] is not None
    ]
    above.plot(
        *zip(*points, strict=True),
        "o--",
        color="tab:orange",
        markersize=4,
        linewidth=0.8,
        label="accuracy on held-out questions",
    )
    above.set_ylabel("reward, accuracy")
    curve(below, "entropy", "all rollouts", "black")
    curve(below, "entropy_correct", "right", "#0072B2")
    curve(below, "entropy_wrong", "wrong", "#D55E00")
    below.set_ylabel("token entropy (nats)")
    below.set_ylim(bottom=0)
    below.set_xlabel("training step")
    for axes in (above, below):
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.2)
    path = run / "report" / "training.png"
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return path


def draw_entropy_change(run: Path, lines: list[dict], predictions: dict) -> Path:
    """report/entropy_change.png: the change of entropy in the probed steps against its predictions."""
    import matplotlib.pyplot as plt

    probes = [line for line in lines if line["entropy_change"] is not None]
    measured = [probe["entropy_change"] for probe in probes]
    figure, panels = plt.subplots(1, 2, figsize=(9, 4.4), sharey=True, layout="constrained")
    for axes, name in zip(panels, ENTROPY_CHANGES[1:], strict=True):
        predicted = [probe[name] for probe in probes]
        slope, intercept = statistics.linear_regression(predicted, measured)
        ends = [min(predicted), max(predicted)]
        axes.plot(ends, [slope * x + intercept for x in ends], color="tab:orange", linewidth=1)
        points = axes.scatter(predicted, measured, c=[probe["step"] for probe in probes], s=16)
        axes.axhline(0, color="black", linewidth=0.5)
        axes.axvline(0, color="black", linewidth=0.5)
        title = describe(predictions, name).replace(": ", "\n").replace(", same", "\nsame")
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("predicted (nats)")
        axes.ticklabel_format(scilimits=(0, 0))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.2)
    panels[0].set_ylabel("change of token entropy in a step,\nmeasured (nats)")
    figure.colorbar(points, label="training step")
    path = run / "report" / "entropy_change.png"
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return path


def main() -> None:
    """Run, and end every foreseeable failure in one sentence and status 2."""
    quiet_libraries()
    try:
        train(parse(sys.argv[1:]))
    except InputError as error:
        sys.exit(refuse(str(error)))
    except OSError as error:
        sys.exit(
            refuse(f"{error}; free some space or choose another folder, then --resume the run.")
        )
    except torch.cuda.OutOfMemoryError as error:
        sys.exit(
            refuse(
                f"{str(error).splitlines()[0]} Lower --micro_batch_tokens, --sample_batch_size or "
                "--max_response_length, set --gradient_checkpointing, and try --dry_run."
            )
        )
    except KeyboardInterrupt:
        sys.exit(130)


def refuse(sentence: str) -> int:
    """Say it on stderr; 2, the exit status."""
    print(f"train.py: {sentence}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    main()
