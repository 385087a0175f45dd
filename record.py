"""A run's folder: what training writes into it, and the one way to read it back.

    config.json               every option, usable as an options file
    metrics.jsonl             a line a step
    rollouts/step_N.parquet   a row a rollout, with a list per token measurement
    checkpoints/step_N        weights and tokenizer as the Auto classes load them, and training_state.pt
    report/                   figures and what analyze.py finds
    summary.json              the evaluations before and after, once the run has ended

Whatever is written is whole or not there: it is written beside its place and renamed. A run that was
killed goes on from its last checkpoint, and what it wrote beyond that is cut and written again. All of
this is ours; the glossary of the metrics is docs/reading-a-run.md.
"""

import contextlib
import copy
import dataclasses
import hashlib
import json
import math
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import NamedTuple

import torch
from tqdm import tqdm

from data import Question, draw
from entropy import log_perplexity, rollout_mean, score_batch, token_mean
from loss import relative_position, token_covariance
from options import InputError, one_line
from policy import CannotLoad, encode_prompt, save_policy
from rollout import Batch, Sampling, sample

RUNS = Path(__file__).parent / "runs"


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
    questions: str = ""  # the fingerprint of all questions, in their order


# ---------------------------------------------------------------------------- the metrics of a step


class Clock:
    """Seconds and peak memory of the phases of a step: `with clock("sample"): ...`."""

    def __init__(self, device: torch.device):
        self.device, self.began = device, time.perf_counter()
        self.seconds, self.memory = {}, {}  # of each phase; memory in GiB, or None

    @contextlib.contextmanager
    def __call__(self, phase: str):
        on_gpu = self.device.type == "cuda"
        if on_gpu:
            torch.cuda.reset_peak_memory_stats(self.device)
        began = time.perf_counter()
        yield
        if on_gpu:
            torch.cuda.synchronize(self.device)
        self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - began
        peak = peak_memory(self.device)
        self.memory[phase] = peak and max(peak, self.memory.get(phase, 0.0))

    def metrics(self, sampled: list[Batch]) -> dict:
        """sampled: all that was sampled in the step."""
        seconds = time.perf_counter() - self.began
        tokens = sum(int(batch.mask.sum()) for batch in sampled)
        phases = {f"{name}_seconds": self.seconds[name] for name in ("sample", "score", "update")}
        return phases | {
            "step_seconds": seconds,
            "tokens_per_second": tokens / seconds,
            "peak_memory": max(self.memory.values()) if all(self.memory.values()) else None,
        }


def peak_memory(device: torch.device) -> float | None:
    """GiB: on a GPU the peak since the last reset, else the process's peak, where the system tells."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def sampling_metrics(sampled: list[Batch]) -> dict:
    """Over all rollouts sampled for a step, whether trained on or not."""
    grades = [g for batch in sampled for g in batch.grades]
    rewards = torch.cat([batch.rewards for batch in sampled])
    groups = rewards.view(sum(len(batch.questions) for batch in sampled), -1)
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


def token_metrics(batch: Batch) -> dict:
    """Over the rollouts trained on: entropy, entropy_correct, entropy_wrong and so on, and of all."""
    mask, correct, scores, shaped = batch.mask, batch.correct, batch.scores, batch.shaped
    covariance = token_covariance(scores.logp, shaped, mask)
    metrics = {}
    everything = torch.ones_like(correct)
    for name, rows in (("", everything), ("_correct", correct), ("_wrong", ~correct)):
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
    unshaped = batch.advantages[:, None].expand(mask.shape)
    size = unshaped.abs()[mask].mean().item()
    change, weight = (scores.polarity * shaped)[mask], shaped.abs()[mask]
    total = weight.sum().item()
    for name, tokens in (("expanding", change > 0), ("contracting", change < 0)):
        metrics[f"{name}_tokens"] = tokens.float().mean().item()
        metrics[f"{name}_advantage"] = weight[tokens].sum().item() / total if total else None
    return metrics | {
        "branching_factor": token_mean(scores.branching, mask),
        "token_gradient": token_mean(scores.gradient * shaped.abs(), mask),
        "advantage_polarity": token_mean(scores.polarity * shaped, mask),
        "shaping_change": token_mean((shaped - unshaped).abs(), mask) / size if size else 0.0,
    }


def update_metrics(updates: list) -> dict:
    """Over the optimizer steps of a training step, each an Update of train.py.

    A minibatch without any gradient makes no step, and counts in no mean over steps.
    """
    made = [update for update in updates if update.tokens_run and not update.skipped]
    kl = sum(x for update in updates for x in update.kl_sums)
    tokens_run = sum(update.tokens_run for update in updates)
    return {
        "loss": sum(update.loss for update in made) / len(made) if made else None,
        "grad_norm": sum(update.grad_norm for update in made) / len(made) if made else None,
        "clip_fraction": sum(u.clipped for u in updates) / sum(u.tokens for u in updates),
        "cov_eligible": sum(update.eligible for update in updates),
        "cov_taken": sum(update.taken for update in updates),
        "approx_kl": kl / max(tokens_run, 1) if math.isfinite(kl) else None,
        "skipped_updates": sum(update.skipped for update in updates),
    }


# The change of token entropy by a step's updates, a mean over tokens: measured; predicted to first order
# from the change of logits; and predicted before it is made, as eta A T. The last takes each token for a
# state of its own whose logits move by eta A (1_a - p). It so ignores that states share their weights,
# that the loss is a mean, that Adam rescales the gradient, that a step has several updates, and what the
# objective leaves out of them. Its correlation with the measurement says something, its size does not.
ENTROPY_CHANGES = ("entropy_change", "entropy_change_from_logits", "entropy_change_from_advantages")


def is_due(every: int, step: int) -> bool:
    """On the first step, and on each that `every` divides; 0 is never."""
    return bool(every) and (step == 1 or step % every == 0)


MOST_DIFFERENT = 0.1  # mean over tokens: beyond, the policy trained is another than the one sampled


def sampling_difference(training) -> float:
    """Largest |log-probability by generate - by the scorer| over the tokens of four rollouts.

    generate's side is the distribution it drew from, after everything that was done to its logits.
    The rollouts, two of each of the next questions, are extra ones, and the random state is left as it
    was. training: train.py's. Raises InputError where the mean over tokens is beyond MOST_DIFFERENT.
    """
    options, policy = training.options, training.policy
    asked = draw(training.questions, options.seed, training.progress.drawn, 2)
    prompts = [encode_prompt(policy, question.text) for question in asked]
    sampling = Sampling(2, min(options.max_response_length, 128), options.temperature)
    with torch.random.fork_rng(), training.autocast:
        few = sample(policy, prompts, sampling, keep_logp=True)
        scores = score_batch(policy.model, few, training.scoring._replace(chunk_tokens=128))
    difference = (few.sampling_logp - scores.logp).abs()
    mean = token_mean(difference, few.response_mask)
    if not mean <= MOST_DIFFERENT:
        raise InputError(
            f"--model: generation and the scorer disagree by {mean:.2g} in log-probability, on average "
            f"over tokens (expected far below {MOST_DIFFERENT}), so what would be trained is not what is "
            "sampled, and nothing was; choose a model of another type"
        )
    return difference.max().item()


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


# ----------------------------------------------------------------------------------- the alarms


MOST_SKIPPED = 5  # optimizer steps in a row


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


def sound_alarms(training, metrics: dict) -> None:
    """Say on stderr what is wrong, each thing once in a run. training: train.py's.

    Raises InputError after MOST_SKIPPED optimizer steps in a row that were not finite.
    """
    folder, progress, autocast = training.folder, training.progress, training.autocast
    with autocast:
        bfloat16 = torch.is_autocast_enabled(autocast.device)
    for name, sentence in alarms(metrics, training.options, bfloat16).items():
        if name not in progress.alarms:
            progress.alarms.append(name)
            tqdm.write(f"step {progress.step}: {sentence}", file=sys.stderr)
    if progress.skipped_in_a_row >= MOST_SKIPPED:
        raise InputError(
            f"--learning_rate: {progress.skipped_in_a_row} losses in a row were not finite, so the run "
            f"stops; its last checkpoint, {checkpoints(folder)[-1]}, is intact: go on with "
            f"--resume {folder} and a lower rate"
        )


# ------------------------------------------------------------------------------------- writing


def run_folder(options) -> Path:
    """The folder to go on in, or the one --run names, or a new one named after the model and the time."""
    if options.resume:
        return Path(options.resume)
    run = Path(options.run)
    if not options.run:
        name = f"{Path(options.model).name}-{time.strftime('%Y%m%d-%H%M%S')}"
        run, number = RUNS / name, 2
        while run.exists():
            run, number = RUNS / f"{name}-{number}", number + 1
    run.mkdir(parents=True, exist_ok=True)
    return run


def write_config(folder: Path, options) -> None:
    """config.json: every option but those that belong to one call of the program."""
    config = dataclasses.asdict(options)
    for name in ("run", "resume", "dry_run"):
        del config[name]
    write_text(folder / "config.json", json.dumps(config, indent=2) + "\n")


def write_metrics(folder: Path, metrics: dict) -> None:
    """A line more in metrics.jsonl."""
    with (folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(metrics) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_rollouts(folder: Path, step: int, batch: Batch, tokenizer) -> None:
    """rollouts/step_N.parquet: a row a rollout, its text, its outcome, a list per token measurement.

    The outcome is that of the grade, but "truncated" where a response without an answer was cut off.
    """
    import datasets  # slow to import, and needed only now

    rollouts, mask, scores = batch.rollouts, batch.mask, batch.scores
    asked = [q for q in batch.questions for _ in range(len(batch.grades) // len(batch.questions))]
    unknown = torch.full_like(batch.shaped, math.nan)
    change, control_change = batch.logp_change, batch.control_logp_change
    per_token = {
        "token_ids": rollouts.input_ids,
        "relative_position": relative_position(mask),
        "old_logp": scores.logp,
        "entropy": scores.entropy,
        "branching": scores.branching,
        "gradient": scores.gradient * batch.shaped.abs(),
        "logp_gradient": scores.gradient,
        "polarity": scores.polarity,
        "shaped_advantage": batch.shaped,
        "logp_change": unknown if change is None else change,
        "control_logp_change": unknown if control_change is None else control_change,
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
        "advantage": batch.advantages.tolist(),
        "tokens": [
            [tokenizer.decode([token]) for token in ids[row].tolist()]
            for ids, row in zip(rollouts.input_ids, mask, strict=True)
        ],
    }
    for name, values in per_token.items():  # as numpy arrays, which keep 32 bits
        columns[name] = [v[row].numpy() for v, row in zip(values.cpu(), mask.cpu(), strict=True)]
    path = folder / "rollouts" / f"step_{step}.parquet"
    path.parent.mkdir(exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    datasets.disable_progress_bars()
    datasets.Dataset.from_dict(columns).to_parquet(str(unfinished))
    os.replace(unfinished, path)


def write_summary(folder: Path, progress: Progress, entropy_change: dict | None) -> None:
    """summary.json: that the run has ended, and its evaluations before and after."""
    summary = {"steps": progress.step, "before": progress.before, "after": progress.latest}
    if entropy_change:
        summary["entropy_change"] = entropy_change
    write_text(folder / "summary.json", json.dumps(summary, indent=2) + "\n")


# -------------------------------------------------------------------------- stopping and going on


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


def save_checkpoint(training) -> None:
    """Write checkpoints/step_N beside the others, rename it into place, and drop the oldest.

    training: train.py's. A crash at any moment leaves the earlier ones as they were. Raises OSError
    where it cannot write.
    """
    folder, progress = training.folder, training.progress
    checkpoint = folder / "checkpoints" / f"step_{progress.step}"
    unfinished = checkpoint.with_name(f"unfinished_{progress.step}")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        save_policy(training.policy, unfinished)
        state = {
            "optimizer": training.optimizer.state_dict(),
            "random": random_states(),
            "progress": dataclasses.asdict(progress),
        }
        torch.save(state, unfinished / "training_state.pt")
    except Exception as error:  # safetensors and torch have their own for a full disk
        shutil.rmtree(unfinished, ignore_errors=True)
        raise OSError(f"the checkpoint {checkpoint} could not be written ({error})") from error
    unfinished.rename(checkpoint)
    for old in checkpoints(folder)[: -training.options.keep_checkpoints]:
        shutil.rmtree(old)


def load_checkpoint(checkpoint: Path, optimizer) -> Progress:
    """Put the optimizer's moments and the random states where they were; load_policy has the weights.

    What the options say of the optimizer stays, such as another weight decay. Raises CannotLoad.
    """
    file, given = checkpoint / "training_state.pt", copy.deepcopy(optimizer.state_dict())
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        given["state"] = state["optimizer"]["state"]
        optimizer.load_state_dict(given)
        set_random_states(state["random"])
        return Progress(**state["progress"])
    except Exception as error:  # noqa: BLE001 - torch, pickle and zip each raise their own kinds
        raise CannotLoad(f"{file} cannot be read ({one_line(error)})") from None


def checkpoint_to_go_on_from(folder: str) -> Path:
    """The last one of a run. Raises InputError where there is none."""
    if found := checkpoints(Path(folder)):
        return found[-1]
    raise InputError(f"--resume: {folder} holds no checkpoint; start again with another --run")


def damaged(checkpoint: Path, error: CannotLoad) -> InputError:
    """The sentence on a checkpoint that cannot be loaded, with the one before it."""
    *others, _ = checkpoints(checkpoint.parents[1])
    remedy = "there is none before it: start again with another --run"
    if others:
        remedy = f"delete that folder to go on from the one before it, {others[-1].name}"
    return InputError(f"--resume: the checkpoint {checkpoint} is damaged ({error}); {remedy}")


def check_progress(progress: Progress, options, questions, held_out) -> None:
    """Is this the run that the checkpoint is of, and is there something left to do?

    Questions that have changed since are told. Raises InputError where the run has made more steps.
    """
    if progress.step > options.steps:
        raise InputError(
            f"--steps {options.steps}: the run has made {progress.step} already; give more of them"
        )
    before, progress.questions = progress.questions, fingerprint(questions, held_out)
    if before and before != progress.questions:
        print(
            f"--data {options.data}: the questions, their gold answers or their order have changed since "
            "the last checkpoint; the run goes on with those there are now, and is not the same run",
            file=sys.stderr,
        )


def fingerprint(questions: list[Question], held_out: list[Question]) -> str:
    """Another one where a question or its gold answer is another, or stands elsewhere."""
    texts = json.dumps([questions, held_out]).encode()
    return hashlib.sha256(texts).hexdigest()


def forget_steps_after(folder: Path, step: int) -> None:
    """Cut what a killed run wrote beyond its last checkpoint: it will be written again."""
    lines = whole_lines(folder / "metrics.jsonl")
    kept = [line for line in lines if json.loads(line)["step"] <= step]
    write_text(folder / "metrics.jsonl", "".join(kept))
    for file in rollout_files(folder):
        if step_of(file) > step:
            file.unlink()


SHOWN_CHARACTERS = 1500  # of a response, half of them from its end


def show_rollout(step: int, batch: Batch) -> None:
    """One response of a step and what became of it, above the progress bar.

    The text of a model is untrusted, and a terminal obeys some characters: those are not passed on.
    """
    question, grade, text = batch.questions[0], batch.grades[0], batch.rollouts.texts[0]
    if len(text) > SHOWN_CHARACTERS:
        half = SHOWN_CHARACTERS // 2
        text = f"{text[:half]}\n[... {len(text) - 2 * half} characters ...]\n{text[-half:]}"
    told = grade.outcome if grade.answer is None else f"{grade.outcome}: {grade.answer}"
    lines = [f"step {step}, asked: {one_line(question.text)}", *text.splitlines()]
    lines.append(f"{told} (gold {one_line(question.gold)}), reward {batch.rewards[0].item():.2g}")
    shown = "\n    ".join(line for line in lines)
    tqdm.write("".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in shown) + "\n")


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


# ---------------------------------------------------------------------------------- reading back


READ_BACK = {"step", "accuracy", "entropy", "entropy_law", "eval_accuracy", "response_length"}
READ_BACK |= {"branching_factor", *ENTROPY_CHANGES}
READ_BACK |= {f"entropy_rollout_mean{rollouts}" for rollouts in ("", "_correct", "_wrong")}


class Run(NamedTuple):
    """What a run's folder holds beside its rollouts and checkpoints."""

    folder: Path
    config: dict  # every option
    lines: list[dict]  # of metrics.jsonl, one a step
    summary: dict  # {} until the run has ended


def read_run(folder: Path) -> Run:
    """A run as far as it has come; NaN reads as None.

    A last line that was cut off is left out, and so is a step without an entropy, whose policy was broken.
    Raises InputError where the folder is no run of train.py, or one of another version.
    """

    def read(text):
        return json.loads(text, parse_constant=lambda _: None)

    try:
        config = read((folder / "config.json").read_text(encoding="utf-8"))
        lines = [read(line) for line in whole_lines(folder / "metrics.jsonl")]
        summary = folder / "summary.json"
        summary = read(summary.read_text(encoding="utf-8")) if summary.exists() else {}
        if not {"temperature", "group_size", "seed"} <= config.keys():
            raise ValueError("config.json holds no options")
        if missing := {name for line in lines for name in READ_BACK - line.keys()}:
            raise ValueError(f"metrics.jsonl has lines without {min(missing)}")
        lines = [line for line in lines if line["entropy"] is not None]
        if summary and not {"steps", "before", "after"} <= summary.keys():
            raise ValueError("summary.json holds no evaluations")
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(
            f"{folder} has no config.json: name the folder of a run of train.py"
        ) from None
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(
            f"{folder} is not as this train.py writes a run ({error}): make it again, or name another"
        ) from None
    return Run(folder, config, lines, summary)


def read_rollouts(file: Path, columns: list[str], most: int | None = None):
    """Those columns of the first `most` rows of a rollouts/step_N.parquet, a pyarrow.Table.

    Raises InputError for a file that train.py has not written.
    """
    import pyarrow.parquet  # comes with datasets

    try:
        return pyarrow.parquet.read_table(file, columns=columns).slice(0, most)
    except pyarrow.ArrowException as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{file} cannot be read ({reason}): delete or mend it") from None


def rollout_files(folder: Path) -> list[Path]:
    """The saved rollouts of a run, by step."""
    return sorted((folder / "rollouts").glob("step_*.parquet"), key=step_of)


def checkpoints(folder: Path) -> list[Path]:
    """The finished checkpoints of a run, oldest first."""
    return sorted((folder / "checkpoints").glob("step_*"), key=step_of)


def step_of(path: Path) -> int:
    """The N of step_N or step_N.parquet."""
    return int(path.name.partition(".")[0].removeprefix("step_"))


def whole_lines(path: Path) -> list[str]:
    """The lines of a file but for a last one that was cut off; [] without the file."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [line for line in lines if line.endswith("\n")]
