"""What can be set: every option in words, with its default and its bounds, and what a wrong one ends in.

An option is a field of a dataclass, written by `option`: its default, its help and its bounds stand in one
place. `parse_options` turns such a dataclass into a command line by transformers' HfArgumentParser, checks
every value by its bounds, and says in one sentence what is wrong (`InputError`). `parse_train` and
`parse_eval` add the rules that join several options, and what `--model toy` puts in place of the defaults.

Equations named in the help are those of the docstrings in loss.py and entropy.py. All of it is ours.
"""

import argparse
import difflib
import json
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, make_dataclass
from pathlib import Path
from typing import Literal, get_type_hints

import torch


class InputError(Exception):
    """Something the person at the keyboard can mend; its text is one sentence with the remedy.

    Programs print it and exit with status 2. No traceback: the fault is not in the code.
    """


def option(default, text: str, **about):
    """A field of a dataclass of options.

    about: heading, under which --help lists it and those that follow; the bounds least and most, with
    them, and above, without it; infinite=True where an infinite number means something; toy, the
    default with --model toy; objectives, the only ones with which it does anything.
    """
    if "toy" in about:
        text += f" [with --model toy: {about['toy']}]"
    return field(default=default, metadata={"help": text, **about})


# ------------------------------------------------------------------------------- the options

HEADINGS = MODEL, RUN, SAMPLING, UPDATE, RESHAPING, MEMORY, KEPT = (
    "the model and its questions",
    "the run",
    "sampling",
    "the update",
    "reweighting the advantages",
    "memory and speed",
    "what is kept and looked at",
)


@dataclass
class Asked:
    """What training and evaluation have in common: how which model is asked, and on what it runs."""

    model: str = option(
        "toy", "model id or folder of a causal language model, or toy", heading=MODEL
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
    system: str | None = option(
        None, "text of the system's turn, with a chat template; default: as trained with, else none"
    )
    chat_template_kwargs: str | None = option(
        None,
        "a JSON object of what the chat template itself takes, such as '{\"enable_thinking\": false}'; "
        "default: as trained with, else nothing",
    )
    reward: str = option(
        "",
        "file.py:function, a reward of one's own: it gets (response, gold, question) and returns a "
        "number, 1 or more for a right answer, or a reward.Grade; empty: is the final answer right?",
    )
    max_response_length: int = option(
        2048, "L, tokens; longer responses are truncated", least=1, toy=64, heading=SAMPLING
    )
    device: Literal["auto", "cuda", "mps", "cpu"] = option(
        "auto", "auto: cuda, else mps, else cpu", heading=MEMORY
    )
    precision: Literal["auto", "float32", "bfloat16"] = option(
        "auto", "of activations; weights are float32 always; auto: bfloat16 on cuda, else float32"
    )


@dataclass
class TrainOptions(Asked):
    """GRPO with verifiable rewards, seen through entropy.

    python train.py                                           the embedded toy, on a CPU, in minutes
    python train.py --model Qwen/Qwen2.5-0.5B-Instruct --data gsm8k --dry_run      does it fit?
    python train.py --resume runs/NAME --steps 400            go on with a run
    """

    data: str = option(
        "",
        "training questions: a known name (gsm8k, still3, dapo, ...), a hub id[:config[:split]], or "
        "a .jsonl, .json, .csv or .parquet file",
        toy="toy",
        heading=MODEL,
    )
    eval_data: str = option(
        "", "questions for evaluation, named like --data; empty: a share of --data is held out"
    )
    held_out_fraction: float = option(
        0.1,
        "share of --data held out for evaluation, chosen by a hash of the question",
        above=0,
        most=1,
    )

    run: str = option("", "folder of the run; empty: a fresh one under runs/", heading=RUN)
    resume: str = option("", "folder of a run to go on with from its last checkpoint")
    dry_run: bool = option(
        False, "one step at the longest lengths allowed, its peak memory and times, and no run"
    )
    seed: int = option(0, "the one seed of all randomness", least=0)
    steps: int = option(500, "training steps: batches sampled and trained on", least=1, toy=300)

    questions_per_step: int = option(64, "questions of a batch", least=1, toy=16, heading=SAMPLING)
    group_size: int = option(
        8, "G, rollouts of a question, compared with each other (group_advantages)", least=2
    )
    temperature: float = option(
        1.0,
        "of sampling, p = softmax(z / temperature), and of all log-probabilities and entropies",
        above=0,
    )
    max_prompt_length: int = option(
        1024, "tokens; questions with longer prompts are left out", least=1
    )
    dynamic_sampling: bool = option(
        False, "drop groups that are all right or all wrong, and sample more questions instead"
    )
    max_gen_batches: int = option(
        10,
        "with --dynamic_sampling: batches sampled for a step before it trains on what there is",
        least=1,
    )
    overlong_buffer: int = option(
        0, "b, tokens before the limit where the penalty begins; 0 = off", least=0
    )
    overlong_penalty: float = option(
        0.5,
        "beyond L - b tokens the reward loses this times (length - (L - b)) / b; at 1 a right answer at "
        "the limit is worth no more than a short wrong one",
        least=0,
    )

    updates_per_step: int = option(
        4,
        "optimizer steps a batch is cut into; questions_per_step must be a multiple of it",
        least=1,
        toy=2,
        heading=UPDATE,
    )
    learning_rate: float = option(
        1e-6, "of AdamW, per optimizer step, constant after the warm-up", above=0, toy=1e-4
    )
    warmup_steps: int = option(10, "training steps of linear learning-rate warm-up", least=0, toy=0)
    weight_decay: float = option(0.1, "of AdamW", least=0, toy=0.0)
    max_grad_norm: float = option(1.0, "the norm of the whole gradient is clipped to this", above=0)
    objective: Literal["clip", "clip_cov", "kl_cov"] = option(
        "clip",
        "clip: PPO's; clip_cov: and a few tokens of high covariance give no gradient; kl_cov: no clip, "
        "and the tokens of highest covariance are held back by a penalty",
    )
    clip_low: float | None = option(
        None,
        "eps_low: rho = exp(logp - old logp) is clamped to at least 1 - eps_low; default: 0.2 with "
        "clip, 1 with clip_cov; kl_cov has no clip",
        least=0,
        most=1,
        objectives=("clip", "clip_cov"),
    )
    clip_high: float | None = option(
        None,
        "eps_high: rho is clamped to at most 1 + eps_high (clip-higher); default: 0.28 with clip, 1 "
        "with clip_cov",
        least=0,
        objectives=("clip", "clip_cov"),
    )
    # Of 2000 tokens the papers' shares would be 0 and 4, and in the toy only unlikely tokens reach a
    # covariance of 1: hence its own shares and bounds.
    clip_cov_ratio: float = option(
        2e-4,
        "r of clip_cov: this share of a minibatch's tokens is taken, among those within bounds",
        above=0,
        most=1,
        toy=0.03,
        objectives=("clip_cov",),
    )
    cov_lower: float | None = option(
        None,
        "clip_cov: only tokens with a covariance above this are taken; default: --cov_lower_quantile "
        "where set, else 1",
        infinite=True,
        objectives=("clip_cov",),
    )
    cov_upper: float | None = option(
        None,
        "... and below this; default: --cov_upper_quantile where set, else 5",
        infinite=True,
        objectives=("clip_cov",),
    )
    cov_lower_quantile: float | None = option(
        None,
        "clip_cov: the lower bound as a quantile of the minibatch's covariances, such as 0.8, where "
        "an absolute one would select nothing",
        least=0,
        most=1,
        toy=0.95,
        objectives=("clip_cov",),
    )
    cov_upper_quantile: float | None = option(
        None,
        "... and the upper bound, such as 0.999; 1 leaves out only the largest",
        least=0,
        most=1,
        toy=1.0,
        objectives=("clip_cov",),
    )
    kl_cov_ratio: float = option(
        2e-3,
        "k of kl_cov: this share of a minibatch's tokens, those of highest covariance, is taken",
        above=0,
        most=1,
        toy=0.05,
        objectives=("kl_cov",),
    )
    kl_cov_beta: float = option(
        1.0, "beta of kl_cov's penalty beta |logp - old logp|", least=0, objectives=("kl_cov",)
    )

    ppl_alpha: float = option(
        0.0,
        "alpha of A (1 - alpha w_ppl): 0 = off, the paper's method is 0.01, negative = its contrast, "
        "which favours high perplexity",
        heading=RESHAPING,
    )
    position_gamma: float = option(
        0.0,
        "gamma of the bonus gamma sigmoid(k (r - 0.5)): 0 = off, the paper's method is 0.1; the sign is "
        "that of --position_steepness",
        least=0,
    )
    position_steepness: float = option(
        15.0, "k of that bonus: positive favours late tokens, negative early ones (the contrast)"
    )
    polarity_expand: float = option(
        1.0,
        "advantages of tokens whose update expands entropy are multiplied by this; 1 = off",
        least=0,
    )
    polarity_contract: float = option(
        1.0, "... and of tokens whose update contracts entropy by this; 1 = off", least=0
    )
    shaping_start: str = option(
        "0",
        "step from which on perplexity, position and polarity reweight the advantages, or plateau: "
        "once the rising stage is seen to have ended (plateau_has_begun in analysis/stages.py)",
    )

    # The first two change which random numbers are drawn, none of them the distribution.
    sample_batch_size: int = option(256, "rollouts generated at a time", least=1, heading=MEMORY)
    sample_round_length: int = option(
        64, "tokens generated before the rollouts that have ended leave the batch", least=1, toy=16
    )
    micro_batch_tokens: int = option(16384, "padded tokens in one forward pass", least=1, toy=2048)
    chunk_tokens: int = option(1024, "tokens whose logits are held at a time", least=1, toy=65536)
    gradient_checkpointing: bool = option(
        False, "recompute activations in the update: a third slower, much less memory"
    )

    eval_every: int = option(
        50, "steps between evaluations on held-out questions; 0 = ends only", least=0, heading=KEPT
    )
    eval_questions: int = option(200, "held-out questions of an evaluation", least=1)
    eval_samples: int = option(8, "n, rollouts of each in Acc@n, Maj@n and Pass@n", least=1)
    eval_temperature: float = option(0.6, "of evaluation; 0 = greedy", least=0, toy=1.0)
    eval_top_p: float = option(
        0.95,
        "of evaluation: tokens are drawn from the likeliest with this mass",
        above=0,
        most=1,
        toy=1.0,
    )
    checkpoint_every: int = option(
        50, "steps between checkpoints; 0 = first and last only", least=0
    )
    keep_checkpoints: int = option(2, "how many of the last checkpoints are kept", least=1)
    save_rollouts_every: int = option(
        10, "steps between parquet files of rollouts, from the first; 0 = never", least=0
    )
    show_every: int | None = option(
        None,
        "steps between showing one sampled response with its outcome, from the first; 0 = never; "
        "default: 50 on a terminal, else 0",
        least=0,
    )
    probe_every: int = option(
        10,
        "steps between probes of what an update did to the tokens it was made of, from the first; "
        "0 = never",
        least=0,
    )
    probe_control: bool = option(
        True,
        "on probe steps make updates with permuted advantages too, and undo them: what any update does; "
        "weights and optimizer wait in the CPU's memory meanwhile",
    )
    probe_rollouts: int = option(
        128,
        "rollouts of a batch in whose states a probe compares the entropy before and after; what the "
        "model knew there waits in the CPU's memory meanwhile",
        least=1,
    )

    @property
    def shown_every(self) -> int:
        """show_every, or what it is by default where the output goes."""
        default = 50 if sys.stdout.isatty() else 0
        return default if self.show_every is None else self.show_every

    @property
    def clip_range(self) -> tuple[float, float]:
        """(eps_low, eps_high): what was given, else what the papers use with the objective."""
        low, high = (1.0, 1.0) if self.objective == "clip_cov" else (0.2, 0.28)
        return (
            low if self.clip_low is None else self.clip_low,
            high if self.clip_high is None else self.clip_high,
        )


@dataclass
class EvalOptions(Asked):
    """Acc@n, Maj@n, Pass@k of a model on question sets.

    python eval.py --model toy                                          the embedded toy
    python eval.py --model Qwen/Qwen2.5-1.5B-Instruct --data math500,aime24 --n 8
    python eval.py --model runs/NAME/checkpoints/step_0 --compare runs/NAME/checkpoints/step_300
    """

    model: str = option(
        "", "model id or folder of a causal language model, or toy; required", heading=MODEL
    )
    compare: str = option("", "a second model, asked the same questions and compared with --model")
    data: str = option(
        "toy",
        "question sets between commas: known names (math500, aime24, ...), hub ids[:config[:split]], "
        ".jsonl, .json, .csv or .parquet files",
    )
    limit: int = option(
        0, "only so many questions of each set, from its beginning; 0 = all", least=0
    )
    n: int = option(
        8,
        "rollouts of each question, in Acc@n, Maj@n and Pass@k = 1 - C(n-c,k)/C(n,k)",
        least=1,
        heading=SAMPLING,
    )
    temperature: float = option(
        0.6,
        "of sampling, and of the entropy; 0 = greedy, with one rollout and the entropy at 1",
        least=0,
    )
    top_p: float = option(
        0.95,
        "tokens are drawn from the likeliest with this much probability; 1 = from all",
        above=0,
        most=1,
    )
    max_prompt_length: int | None = option(
        None, "tokens; questions with longer prompts are left out; default: none is", least=1
    )
    seed: int = option(0, "of the one stream that all tokens of a set are drawn from", least=0)
    batch_size: int = option(256, "rollouts generated at a time", least=1, heading=MEMORY)
    output: str = option(
        "",
        "file of JSON lines, one a question, with all rollouts; replaced where there is one; "
        "empty: evals/MODEL-DATA.jsonl beside eval.py",
        heading=KEPT,
    )


# ---------------------------------------------------------------- the rules that join several


# What the questions are and what an evaluation is: with others a run would not be one run. All other options
# act from the step after the checkpoint on.
KEPT_ON_RESUME = (
    "model",
    "data",
    "eval_data",
    "question_column",
    "answer_column",
    "held_out_fraction",
)
KEPT_ON_RESUME += ("seed", "eval_questions", "eval_samples", "eval_temperature", "eval_top_p")


def parse_train(argv: Sequence[str]) -> TrainOptions:
    """Options from the command line, over those of the resumed run, over the toy's. Raises InputError."""
    options = parse_options(TrainOptions, argv)
    if options.resume:
        argv = [str(resumed_config(options)), *argv]
        before, options = parse_options(TrainOptions, argv[:1]), parse_options(TrainOptions, argv)
        for name in KEPT_ON_RESUME:
            if getattr(before, name) != getattr(options, name):
                raise InputError(
                    f"--{name}: a resumed run keeps its {name}, {getattr(before, name)!r}; "
                    "leave the option out or start a new run"
                )
    if options.model == "toy":
        options = parse_options(TrainOptions, argv, toy_defaults(TrainOptions))
    typed = {word[2:].partition("=")[0].replace("-", "_") for word in argv if word[:2] == "--"}
    check_objective(options, typed)
    check_batch(options)
    check_template_kwargs(options)
    run = Path(options.run)
    if options.run and run.exists() and (not run.is_dir() or any(run.iterdir())):
        raise InputError(
            f"--run: {run} already holds something; choose another name, or go on with a run by "
            f"--resume {run}"
        )
    if not options.data:
        raise InputError("--data: name the training questions, such as gsm8k or a .jsonl file")
    return options


def resumed_config(options: TrainOptions) -> Path:
    """The file with the options of the run to go on with."""
    config = Path(options.resume) / "config.json"
    if options.run:
        raise InputError("--run: a resumed run stays in its folder; leave the option out")
    if not config.is_file():
        raise InputError(f"--resume: {options.resume} is no run folder, it holds no config.json")
    return config


def check_objective(options: TrainOptions, typed: set[str]) -> None:
    """Options given that do nothing with the objective, or contradict each other."""
    for each in fields(options):
        chosen = each.metadata.get("objectives", (options.objective,))
        if each.name in typed and options.objective not in chosen:
            raise InputError(
                f"--{each.name}: it does nothing with --objective {options.objective}; leave it out, or "
                f"choose --objective {chosen[-1]}"
            )
    for name in ("cov_lower", "cov_upper"):
        if {name, f"{name}_quantile"} <= typed:
            raise InputError(f"--{name}, --{name}_quantile: they are one bound; give only one")
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


def check_template_kwargs(options: Asked) -> None:
    """That they are an object, as text."""
    given = options.chat_template_kwargs
    try:
        if given is None or isinstance(json.loads(given), dict):
            return
    except ValueError:
        pass
    raise InputError(
        f"--chat_template_kwargs {given}: give a JSON object, such as '{{\"enable_thinking\": false}}'"
    )


def check_batch(options: TrainOptions) -> None:
    """How the batch is cut, the overlong buffer, and when shaping begins."""
    if options.questions_per_step % options.updates_per_step:
        raise InputError(
            f"--updates_per_step {options.updates_per_step} does not divide --questions_per_step "
            f"{options.questions_per_step}; every update takes the same number of questions"
        )
    if options.overlong_buffer > options.max_response_length:
        raise InputError("--overlong_buffer: it must not exceed --max_response_length")
    if options.shaping_start != "plateau" and not options.shaping_start.isdecimal():
        raise InputError(f"--shaping_start {options.shaping_start}: give a step, or plateau")


def parse_eval(argv: Sequence[str]) -> EvalOptions:
    """Options from the command line, over the toy's. Raises InputError."""
    options = parse_options(EvalOptions, argv)
    if options.model == "toy":
        options = parse_options(EvalOptions, argv, toy_defaults(EvalOptions))
    if not options.model:
        raise InputError("--model is missing: name a model id, a model folder, or toy")
    check_template_kwargs(options)
    if options.compare == options.model:
        raise InputError(f"--compare {options.compare}: it must differ from --model")
    if not all(name.strip() for name in options.data.split(",")):
        raise InputError(f"--data {options.data!r}: name question sets, with one comma between two")
    if options.temperature == 0 and options.n > 1:
        print(f"temperature 0 gives one rollout only: --n is 1, not {options.n}", file=sys.stderr)
        options.n = 1
    return options


def ways_of_asking(options: dict) -> dict:
    """What load_policy takes of some options, None where nothing was given.

    >>> ways_of_asking({"system": "Be brief.", "chat_template_kwargs": '{"thinking": false}'})["system"]
    'Be brief.'
    """
    ways = ("template", "instruction", "system", "chat_template_kwargs")
    found = {way: options.get(way) for way in ways}
    if found["chat_template_kwargs"] is not None:
        found["chat_template_kwargs"] = json.loads(found["chat_template_kwargs"])
    return found


def toy_defaults(options_class) -> dict:
    """What --model toy puts in place of the defaults; what is given by hand still wins."""
    return {f.name: f.metadata["toy"] for f in fields(options_class) if "toy" in f.metadata}


def choose_device(name: str) -> torch.device:
    """auto, cuda, mps or cpu -> a device there is; auto takes the first. Raises InputError."""
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(kind for kind in there if there[kind])
    if not there[name]:
        raise InputError(f"--device {name}: there is none here, use auto or cpu")
    return torch.device(name)


def choose_autocast(precision: str, device: torch.device) -> torch.autocast:
    """auto, float32 or bfloat16 -> the context of a forward pass; auto is bfloat16 on cuda alone."""
    bfloat16 = precision == "bfloat16" or (precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, torch.bfloat16, enabled=bfloat16)


# ---------------------------------------------------------------------- from text to a dataclass


def parse_options(options_class, argv: Sequence[str], defaults: dict | None = None):
    """An instance of the dataclass `options_class`, whose every field is an option.

    argv: the command line without the program's name. Its first item may be a .json file, an object
        of option names and values.
    defaults: what the program itself puts in place of the dataclass's defaults.

    Values are taken from the dataclass, `defaults`, the file and the command line; the later wins,
    and a None among them says nothing. Raises InputError, also for a value beyond its bounds, and
    SystemExit(0) after printing the help that --help asks for: the docstring of the class, what is
    below its first line as examples.

    >>> @dataclass
    ... class Options:
    ...     "How long to train."
    ...     steps: int = option(100, "optimizer steps", least=1)
    >>> parse_options(Options, ["--steps", "3"])
    Options(steps=3)
    >>> parse_options(Options, ["--step", "3"])
    Traceback (most recent call last):
    options.InputError: unknown option --step, did you mean --steps?
    >>> parse_options(Options, ["--steps", "0"])
    Traceback (most recent call last):
    options.InputError: --steps 0: it must be at least 1
    """
    parser = make_parser(options_class)
    defaults = {name: value for name, value in (defaults or {}).items() if value is not None}
    parser.set_defaults(**defaults)  # for --help to show

    # What did not come from the command line is written as if it had, before what did: argparse
    # then checks all of it alike, and takes the last of several values.
    argv, settings = list(argv), list(defaults.items())
    if argv and argv[0].endswith(".json") and not argv[0].startswith("-"):
        settings += read_options_file(Path(argv.pop(0)).expanduser()).items()
    items = [f"--{name}={value}" for name, value in settings if value is not None]
    for item in argv:
        # argparse takes -1e-3 for an option; in --alpha=-1e-3 it is a value.
        if re.match(r"-\.?\d", item) and items and re.fullmatch(r"--[\w-]+", items[-1]):
            items[-1] += f"={item}"
        else:
            items.append(item)

    *parts, unknown = parser.parse_args_into_dataclasses(
        items, return_remaining_strings=True, look_for_args_file=False
    )
    if named := [item.partition("=")[0] for item in unknown if item.startswith("-")]:
        names = [field.name for field in fields(options_class)]
        name = named[0].lstrip("-").replace("-", "_")
        remedy = did_you_mean(name, names, "--") or ": --help lists all there are"
        raise InputError(f"unknown option {named[0]}{remedy}")
    if unknown:
        raise InputError(f"{unknown[0]!r} is the value of no option: write --name value")
    options = options_class(**{name: x for part in parts for name, x in vars(part).items()})
    check_bounds(options)
    return options


def make_parser(options_class):
    """An HfArgumentParser of one dataclass, its help grouped under the headings of its fields."""
    from transformers import HfArgumentParser  # here, because it is slow to import

    heading, groups, types = "options of its own", {}, get_type_hints(options_class)
    for each in fields(options_class):
        heading = each.metadata.get("heading", heading)
        # Metadata all go to argparse's add_argument, which knows help alone.
        copied = field(default=each.default, metadata={"help": each.metadata.get("help", "")})
        groups.setdefault(heading, []).append((each.name, types[each.name], copied))
    ranked = sorted(groups, key=lambda name: HEADINGS.index(name) if name in HEADINGS else -1)
    # HfArgumentParser makes a group of each dataclass that has a name for it.
    parts = [
        make_dataclass(f"Part{i}", groups[name], namespace={"_argument_group_name": name})
        for i, name in enumerate(ranked)
    ]
    description, _, examples = options_class.__doc__.partition("\n\n")
    parser = HfArgumentParser(
        parts,
        allow_abbrev=False,
        usage="python %(prog)s [OPTIONS.json] [--option value ...]",
        description=description,
        epilog=f"examples:\n{examples.rstrip()}" if examples else None,
        formatter_class=HelpFormatter,
    )
    parser.error = refuse
    return parser


def check_bounds(options) -> None:
    """Raises InputError for a number beyond the bounds that its `option` states."""
    for each in fields(options):
        value, about = getattr(options, each.name), each.metadata
        if not isinstance(value, (int, float)):
            continue
        least, most, above = (about.get(name) for name in ("least", "most", "above"))
        if math.isnan(value) or (math.isinf(value) and not about.get("infinite")):
            wrong = "it must be a finite number"
        elif least is not None and value < least:
            wrong = f"it must be at least {least}"
        elif above is not None and value <= above:
            wrong = f"it must be above {above}"
        elif most is not None and value > most:
            wrong = f"it must be at most {most}"
        elif isinstance(value, int) and value >= 2**63:
            wrong = "it must be below 2^63"
        else:
            continue
        raise InputError(f"--{each.name} {value}: {wrong}")


def read_options_file(path: Path) -> dict:
    """What a .json file of options holds."""
    try:
        options = json.loads(path.read_text(encoding="utf-8-sig"))
        if not isinstance(options, dict):
            raise TypeError("not an object")
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"cannot read options from {path} ({one_line(error)}): "
            'give a file that holds {"option": value, ...}'
        ) from None
    return options


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """One spelling an option, its default, and help taken for plain text, in which a % is a %."""

    def __init__(self, prog):
        super().__init__(prog, max_help_position=32, width=100)

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help.replace("%", "%%")
        has_default = action.nargs != 0 and action.default not in (None, "", argparse.SUPPRESS)
        return f"{text} (default: %(default)s)" if has_default else text

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        kind = {int: " N", float: " X", str: " TEXT"}.get(action.type, "")
        kind = f" {{{','.join(map(str, action.choices))}}}" if action.choices else kind
        return f"--{action.dest}{kind}"


def refuse(message: str) -> None:
    """Raises, in plain words, what argparse would print before it ends the program."""
    for pattern, plain in (
        # It names an option by all its spellings, as in "argument --max_steps/--max-steps: ...".
        (r"^argument (--?\w+)[^:]*", r"\1"),
        (r"invalid int value: (.*)", r"\1 is not an integer"),
        (r"invalid float value: (.*)", r"\1 is not a number"),
        (r"Truthy value expected: got (.*) but expected.*", r"'\1' is neither true nor false"),
        (r"invalid choice: (.*) \(choose from (.*)\)", r"\1 is not one of \2"),
        (r"expected (one|at least one) argument", "a value must follow"),
        (r"ignored explicit argument (.*)", r"takes no value, but was given \1"),
    ):
        message = re.sub(pattern, plain, message, flags=re.DOTALL)
    raise InputError(message) from None


def did_you_mean(name: str, known: list[str], prefix: str = "") -> str:
    """
    >>> did_you_mean("mth500", ["math500", "toy"])
    ', did you mean math500?'
    """
    close = difflib.get_close_matches(name, known, 1)
    return f", did you mean {prefix}{close[0]}?" if close else ""


def one_line(error: Exception) -> str:
    """What an exception says, fit to stand between brackets in a sentence."""
    return " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__


def quiet_libraries() -> None:
    """No warnings and progress bars but our own: what is wrong is told by an InputError."""
    import logging

    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it tells of every retry
