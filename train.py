"""GRPO with verifiable rewards, seen through entropy: the algorithm and the loop.

    for each step:
        sample    questions_per_step x group_size rollouts                     rollout.py
        grade     1 if the final answer is right, else 0                       reward.py
        score     log-probability, entropy, perplexity under the policy        entropy.py
        weigh     group advantages, shaped by perplexity, position, polarity   loss.py
        update    updates_per_step optimizer steps on one of three objectives  loss.py
        record    a line of metrics, now and then the rollouts and a checkpoint  record.py

It is the GRPO of the two papers and differs from DeepSeekMath's (2402.03300) in this: no KL to a
reference model; one mean over all response tokens of a minibatch and not a mean of each response's mean;
clip-higher, 0.2 and 0.28 (DAPO, 2503.14476); the unbiased std. The optimizer is AdamW, its rate constant
after a short warm-up.

With no option it trains the embedded toy (toy.py) on the CPU in minutes. `--model` and `--data` turn
the same loop on any causal language model and any set of questions with answers. What can be set is in
options.py, what a run leaves behind in record.py.

The functions stand in the order in which data meets them: weigh, choose_tokens, backward, update. What
a whole turn of the loop is says `training_step`, what a run is `train`; below it is what a run starts with.

Ours, where the papers are silent: the held-out split by a hash of the question; stopping, resuming and
the alarms; that the shaping methods and the objectives may be combined (perplexity first, then position,
then polarity).
"""

import bisect
import dataclasses
import itertools
import math
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from tqdm import tqdm

import loss
import probe
import record
import rollout
import toy
from analysis.report import end_of_run
from analysis.stages import plateau_has_begun
from data import Question, split_held_out
from entropy import Scoring, log_perplexity, micro_batches, score, score_batch
from eval import evaluate, summarize
from options import (
    InputError,
    TrainOptions,
    choose_autocast,
    choose_device,
    parse_train,
    quiet_libraries,
    ways_of_asking,
)
from policy import CannotLoad, Policy, encode_prompt, load_policy, short_enough
from record import Progress
from reward import Grade, grade, load_reward
from rollout import Batch, Rollouts, Sampling


@dataclasses.dataclass
class Training:
    """What a run works with."""

    options: TrainOptions
    folder: Path
    policy: Policy
    optimizer: torch.optim.Optimizer
    autocast: torch.autocast  # the precision of forward passes
    questions: list[Question]
    held_out: list[Question]
    progress: Progress  # all else that a checkpoint keeps: step, questions drawn, evaluations, ...
    grade: Callable[[str, str, str], Grade] = grade  # (response, gold, question) -> Grade

    @property
    def scoring(self) -> Scoring:
        options = self.options
        return Scoring(options.temperature, options.micro_batch_tokens, options.chunk_tokens)


@dataclasses.dataclass
class Minibatch:
    """What one optimizer step is made on, or a part of it that goes through the model at once.

    b rollouts of t tokens: the advantage of each token, after shaping; its log-probability under the
    policy that sampled it; and whether Clip-Cov or KL-Cov has taken it. Each (b, t).
    """

    rollouts: Rollouts
    advantages: torch.Tensor
    old_logp: torch.Tensor
    taken: torch.Tensor

    def rows(self, rows: torch.Tensor) -> "Minibatch":
        """Those rows in that order, trimmed to the longest of them."""
        rollouts = self.rollouts.rows(rows)
        width = rollouts.input_ids.shape[1]
        values = (self.advantages, self.old_logp, self.taken)
        return Minibatch(rollouts, *(value[rows, :width] for value in values))


@dataclasses.dataclass
class Update:
    """What one optimizer step came to, for the metrics. Tokens are response tokens of its minibatch."""

    tokens: int  # all of them: N, the denominator of the loss
    tokens_run: int = 0  # those of rollouts with a gradient
    loss: float = 0.0
    grad_norm: float = 0.0  # before clipping
    clipped: int = 0  # tokens whose gradient the clip took away
    eligible: int = 0  # tokens that Clip-Cov or KL-Cov could take
    taken: int = 0  # tokens that it took
    kl_sums: list = dataclasses.field(default_factory=list)  # of old logp - logp, one a micro-batch
    skipped: bool = False  # since its loss or gradient was not finite


# ---------------------------------------------------------------------------------- the algorithm


def weigh(batch: Batch, options: TrainOptions, shaping: bool) -> torch.Tensor:
    """The advantage of each token, (B, T): that of its rollout, reweighted by `shaping` if true."""
    shaped = batch.advantages[:, None].expand(batch.mask.shape)
    if shaping:
        log_ppl = log_perplexity(batch.scores.logp, batch.mask)
        shaped = loss.ppl_shaping(shaped, log_ppl, options.group_size, options.ppl_alpha)
        shaped = loss.position_shaping(
            shaped, batch.mask, options.position_gamma, options.position_steepness
        )
        shaped = loss.polarity_shaping(
            shaped, batch.scores.polarity, options.polarity_expand, options.polarity_contract
        )
    return shaped


def shaping_is_on(progress: Progress, options: TrainOptions) -> bool:
    """Whether this step's advantages are reweighted."""
    if options.shaping_start == "plateau":
        return progress.plateau is not None
    return progress.step >= int(options.shaping_start)


def choose_tokens(
    training: Training, minibatch: Minibatch, moved: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """The tokens that Clip-Cov or KL-Cov may treat differently, and those that it does, (b, t) bool each.

    The covariance is that of the policy as it is now, from a pass over the whole minibatch without
    gradient. Until the weights have `moved` away from those that sampled the batch this pass would
    give old_logp again. KL-Cov then takes none: its penalty is 0, but by rounding logp is never quite
    old_logp, and the gradient of |logp - old_logp| would be that of noise.
    """
    options, mask = training.options, minibatch.rollouts.response_mask
    if options.objective == "clip" or (options.objective == "kl_cov" and not moved):
        return torch.zeros_like(mask), torch.zeros_like(mask)
    logp, old_logp, advantages = minibatch.old_logp, minibatch.old_logp, minibatch.advantages
    if moved:
        model = training.policy.model
        with training.autocast:
            logp = score_batch(model, minibatch.rollouts, training.scoring, logp_only=True).logp
    covariance = loss.token_covariance(logp, advantages, mask)
    if options.objective == "kl_cov":
        return mask, loss.kl_cov_tokens(covariance, mask, options.kl_cov_ratio)
    _, clipped = loss.policy_loss(logp, old_logp, advantages, mask, *options.clip_range)
    all_c, o = covariance[mask], options
    lower = loss.covariance_bound(all_c, o.cov_lower, o.cov_lower_quantile, loss.COV_LOWER)
    upper = loss.covariance_bound(all_c, o.cov_upper, o.cov_upper_quantile, loss.COV_UPPER)
    return loss.clip_cov_tokens(covariance, mask, clipped, lower, upper, options.clip_cov_ratio)


def objective_loss(options: TrainOptions, logp: torch.Tensor, part: Minibatch, token_count: int):
    """The loss of a part of a minibatch that has token_count tokens, and which of them were clipped.

    A new objective is one more function of loss.py and one more case here.
    """
    tokens = (logp, part.old_logp, part.advantages, part.rollouts.response_mask)
    clip_range = options.clip_range  # 0.2 and 0.28, with Clip-Cov 1 and 1, unless set
    if options.objective == "clip":
        return loss.policy_loss(*tokens, *clip_range, token_count)
    if options.objective == "clip_cov":
        return loss.clip_cov_loss(*tokens, part.taken, *clip_range, token_count)
    return loss.kl_cov_loss(*tokens, part.taken, options.kl_cov_beta, token_count)


def backward(training: Training, minibatch: Minibatch) -> Update:
    """Add the gradient of a minibatch's loss to that of the weights, micro-batch by micro-batch.

    The response tokens are counted, as the high-covariance ones were chosen, before the minibatch is
    cut, so that the gradient does not depend on the cut. Rollouts without a gradient, having neither
    an advantage nor a token that KL-Cov holds back, are counted and not run.
    """
    options, scoring = training.options, training.scoring
    stats = Update(tokens=int(minibatch.rollouts.response_mask.sum()))
    pulls = minibatch.advantages != 0
    if options.objective == "kl_cov":
        pulls = pulls | minibatch.taken
    with_gradient = pulls.any(1).cpu().nonzero().flatten()
    lengths = minibatch.rollouts.row_lengths[with_gradient]
    for rows in micro_batches(lengths, scoring.micro_batch_tokens):
        micro = minibatch.rows(with_gradient[rows])
        ids, mask = micro.rollouts.input_ids, micro.rollouts.response_mask
        with training.autocast:
            logp = score(training.policy.model, ids, mask, scoring, logp_only=True).logp
        micro_loss, clipped = objective_loss(options, logp, micro, stats.tokens)
        micro_loss.backward()
        stats.loss += micro_loss.item()
        stats.clipped += int(clipped.sum())
        stats.kl_sums.append((micro.old_logp - logp.detach()).sum().item())
        stats.tokens_run += int(mask.sum())
    return stats


def update(training: Training, batch: Batch) -> list[Update]:
    """updates_per_step optimizer steps, each on a minibatch of whole groups.

    Clip-Cov and KL-Cov choose their tokens over the whole minibatch, which takes a pass without gradient
    once the policy has moved. A minibatch in which no rollout has a gradient makes no optimizer step. One
    whose loss or gradient is not finite is skipped.
    """
    options, progress = training.options, training.progress
    model, optimizer = training.policy.model, training.optimizer
    # Training mode switches gradient checkpointing on and nothing else: there is no dropout.
    model.train(options.gradient_checkpointing)
    whole = Minibatch(
        rollouts=batch.rollouts,
        advantages=batch.shaped,
        old_logp=batch.scores.logp,  # of the policy that sampled, for all updates of the step
        taken=torch.zeros_like(batch.mask),
    )
    groups = torch.arange(len(batch.grades)).view(-1, options.group_size)
    updates, moved = [], False
    for some_groups in groups.tensor_split(min(options.updates_per_step, len(groups))):
        minibatch = whole.rows(some_groups.flatten())
        eligible, minibatch.taken = choose_tokens(training, minibatch, moved)
        stats = backward(training, minibatch)
        stats.eligible, stats.taken = int(eligible.sum()), int(minibatch.taken.sum())
        updates.append(stats)
        if not stats.tokens_run:
            continue
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), options.max_grad_norm)
        stats.grad_norm = norm.item()
        if math.isfinite(stats.loss) and math.isfinite(stats.grad_norm):
            optimizer.step()
            moved = True
            progress.skipped_in_a_row = 0
        else:
            stats.skipped = True
            progress.skipped_in_a_row += 1
        optimizer.zero_grad()
    model.eval()
    return updates


def weigh_and_update(training: Training, batch: Batch) -> list[Update]:
    """The updates of a step; also those of a probe's control, whose advantages are permuted."""
    shaping = shaping_is_on(training.progress, training.options)
    batch.shaped = weigh(batch, training.options, shaping)
    return update(training, batch)


def training_step(training: Training) -> tuple[dict, Batch, record.Clock]:
    """One turn of the loop at the top of this file. Returns its metrics, its batch and its times."""
    options, policy, progress = training.options, training.policy, training.progress
    progress.step += 1
    rate = options.learning_rate * min(1.0, progress.step / max(options.warmup_steps, 1))
    for group in training.optimizer.param_groups:
        group["lr"] = rate
    difference = record.sampling_difference(training) if progress.step == 1 else None

    clock = record.Clock(policy.model.device)
    with clock("sample"), training.autocast:
        sampled, batch = rollout.sample_batch(
            policy, training.questions, options, progress, training.grade
        )
    with clock("score"), training.autocast:
        batch.scores = score_batch(policy.model, batch.rollouts, training.scoring)
    batch.advantages = loss.group_advantages(batch.rewards, options.group_size)
    with clock("probe"):  # now and then: what do updates do to log-probability and entropy?
        known = probe.before_updates(training, batch, weigh_and_update)
    with clock("update"):
        updates = weigh_and_update(training, batch)
    with clock("probe"):
        changes = probe.after_updates(training, batch, known)
    metrics = {"step": progress.step} | record.sampling_metrics(sampled)
    metrics |= record.token_metrics(batch) | record.update_metrics(updates) | changes
    metrics |= {"sampling_logp_difference": difference, "learning_rate": rate}
    metrics |= {"questions_drawn": progress.drawn} | clock.metrics(sampled)
    progress.curves.append((metrics["entropy"], metrics["accuracy"]))
    waits = options.shaping_start == "plateau" and progress.plateau is None
    if waits and plateau_has_begun(*zip(*progress.curves)):
        progress.plateau = progress.step
        tqdm.write(f"step {progress.step}: the plateau has begun; shaping acts from now on")
    return metrics, batch, clock


# ---------------------------------------------------------------------------------------- the loop


def train(options: TrainOptions) -> None:
    """A whole run, from its options to its last table. Raises InputError and OSError."""
    if options.dry_run:
        return dry_run(options)
    training = start(options)
    folder, progress = training.folder, training.progress
    if progress.before is None:
        progress.before = progress.latest = evaluation(training)
        record.save_checkpoint(training)
    print(f"run folder: {folder}")
    with (
        record.interruptible() as interrupted,
        tqdm(total=options.steps, initial=progress.step, desc="GRPO", unit="step") as bar,
    ):
        while progress.step < options.steps and not interrupted:
            metrics, batch, _ = training_step(training)
            step, last = progress.step, progress.step == options.steps
            if record.is_due(options.save_rollouts_every, step):
                record.write_rollouts(folder, step, batch, training.policy.tokenizer)
            if record.is_due(options.shown_every, step):
                record.show_rollout(step, batch)
            due = options.eval_every and step % options.eval_every == 0
            if due or last:
                progress.latest = evaluation(training)
            # A last step that is not due is in summary.json alone: with more --steps it is no last one.
            metrics |= record.evaluation_metrics(progress.latest if due else None)
            record.write_metrics(folder, metrics)
            record.sound_alarms(training, metrics)
            save = options.checkpoint_every and step % options.checkpoint_every == 0
            if save or last or interrupted:
                record.save_checkpoint(training)
            bar.update()
            shown = "entropy={entropy:.3f}, length={response_length:.0f}, reward={reward:.2f}"
            bar.set_postfix_str(shown.format(**metrics))
    if progress.step < options.steps:
        print(f"stopped after step {progress.step}; go on with: python train.py --resume {folder}")
        sys.exit(128 + interrupted[0])
    print(end_of_run(folder, progress))


def evaluation(training: Training) -> dict:
    """Acc@n, Maj@n, Pass@k and so on of the policy as it is, on the held-out questions."""
    options = training.options
    sampling = Sampling(
        group_size=options.eval_samples,
        max_response_length=options.max_response_length,
        temperature=options.eval_temperature,
        top_p=options.eval_top_p,
        batch_size=options.sample_batch_size,
        round_length=options.sample_round_length,
    )
    asked = (training.policy, training.held_out, sampling, options.seed, training.grade)
    return summarize(evaluate(*asked, training.scoring, training.autocast))


def start(options: TrainOptions) -> Training:
    """Everything a run needs before its first step, or before the one after its last checkpoint."""
    questions, held_out = load_data(options)  # before the model: a wrong name shows at once
    grade = load_reward(options.reward)
    last = record.checkpoint_to_go_on_from(options.resume) if options.resume else None
    try:
        policy, optimizer, autocast = load(options, last)
        progress = record.load_checkpoint(last, optimizer) if last else Progress()
    except CannotLoad as error:
        raise record.damaged(last, error) if last else error from None
    longest = options.max_prompt_length
    questions = short_enough(policy, questions, longest, "training ")
    held_out = short_enough(policy, held_out, longest, "held-out ")[: options.eval_questions]
    record.check_progress(progress, options, questions, held_out)
    folder = record.run_folder(options)
    if last:
        record.forget_steps_after(folder, progress.step)
    record.write_config(folder, options)
    parts = (options, folder, policy, optimizer, autocast, questions, held_out, progress)
    return Training(*parts, grade)


def load_data(options: TrainOptions) -> tuple[list[Question], list[Question]]:
    """(training, held out), no question on both sides."""
    columns = (options.question_column, options.answer_column)
    questions = toy.find_questions(options.data, True, *columns)
    if options.data != "toy":  # some sets, DAPO-Math-17k among them, repeat their questions
        questions = list(dict.fromkeys(questions))
        if not options.eval_data:
            return split_held_out(questions, options.held_out_fraction)
    held_out = toy.find_questions(options.eval_data or "toy", False, *columns)
    unseen = {" ".join(question.text.split()) for question in held_out}
    return [q for q in questions if " ".join(q.text.split()) not in unseen], held_out


def load(options: TrainOptions, checkpoint: Path | None = None):
    """The policy, from a checkpoint where there is one; an optimizer of its weights; the precision."""
    device = choose_device(options.device)
    autocast = choose_autocast(options.precision, device)
    name = str(checkpoint or toy.find_model(options.model))
    policy = load_policy(name, device, **ways_of_asking(vars(options)))
    torch.manual_seed(options.seed)  # only now, since warming up the toy draws numbers too
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
    return policy, optimizer, autocast


def dry_run(options: TrainOptions) -> None:
    """One real training step at the longest lengths allowed: does it fit, and how long does it take?

    Its question fills the prompt, no response may end early, and every second rollout counts as right.
    Before it some short responses end at different moments, as those of a run do.
    """
    load_reward(options.reward)
    policy, optimizer, autocast = load(options)
    beyond = policy.model.get_input_embeddings().num_embeddings  # no token: the end never comes
    with autocast:
        ends, few = tuple(range(0, beyond, 8)), Sampling(8, 32, 50.0, round_length=2)
        rollout.sample(policy._replace(eos_ids=ends), [encode_prompt(policy, "1+1")], few)
    policy = policy._replace(eos_ids=(beyond,))
    longest = options.max_prompt_length
    tokens_of = lambda digits: len(encode_prompt(policy, "1" * digits))
    digits = bisect.bisect(range(4 * longest), longest, key=tokens_of) - 1  # the most that fit
    question = Question("1" * max(digits, 0), "")
    count = options.questions_per_step * options.group_size
    print(
        f"dry run: {count} rollouts of {tokens_of(len(question.text))} + "
        f"{options.max_response_length} tokens on {policy.model.device}"
    )
    right = itertools.cycle((True, False))
    every_second = lambda *_: Grade(next(right), "", None)
    with tempfile.TemporaryDirectory() as name:
        folder, progress = Path(name), Progress()
        parts = (options, folder, policy, optimizer, autocast, [question], [], progress)
        _, batch, clock = training_step(Training(*parts, grade=every_second))
        record.write_rollouts(folder, 1, batch, policy.tokenizer)
    for phase, seconds in clock.seconds.items():
        memory = clock.memory[phase]
        memory = "unknown" if memory is None else f"{memory:.2f} GiB"
        print(f"{phase:8} {seconds:10.2f} s   peak memory {memory}")


def main() -> None:
    """Run, and end every foreseeable failure in one sentence and status 2."""
    quiet_libraries()
    try:
        train(parse_train(sys.argv[1:]))
        return
    except InputError as error:
        sentence = str(error)
    except OSError as error:
        sentence = f"{error}; free some space or choose another folder, then --resume the run."
    except torch.cuda.OutOfMemoryError as error:
        sentence = (
            f"{str(error).splitlines()[0]} Lower --micro_batch_tokens, --sample_batch_size or "
            "--max_response_length, set --gradient_checkpointing, and try --dry_run."
        )
    except KeyboardInterrupt:
        sys.exit(130)
    print(f"train.py: {sentence}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
