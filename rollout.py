"""The policy and what it writes: load a model, ask it questions, sample answers with Hugging Face generate.

    questions -> prompts (chat template, or a plain one)
              -> left-padded, only inside generate
              -> Rollouts: right-padded at once, the one batch every other file reads

Three things go wrong silently in sampling, and each is ruled out here. A checkpoint's own generation
config (top-k 50, a repetition penalty) would make generate sample from another policy than the one
scored: it is replaced on loading. The end-of-sequence token is an action of the policy and belongs to
the response: the mask is built from recorded lengths, never from `!= pad`. Dropout and gradient
checkpointing are training-mode matters: generate always runs in evaluation mode.
"""

import dataclasses
import functools
import json
import sys
from pathlib import Path
from typing import NamedTuple

import torch
from tqdm import tqdm
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedTokenizerFast,
)

from data import Question, draw
from entropy import TokenScores
from options import InputError
from reward import Grade, grade, overlong_penalty

INSTRUCTION = "Please reason step by step, and put your final answer within \\boxed{}."
PLAIN_TEMPLATE = "Question: {question}\n{instruction}\nAnswer:\n"
PROMPT_FILE = "prompt.json"  # how a checkpoint's questions were asked, kept beside its weights
ANY_TEXT = (
    "7+8-3 =\n\\boxed{3}  so\t所以 é <b>\n\n  don't x_1"  # on which two tokenizers must agree
)


class Policy(NamedTuple):
    """A causal language model and how it is asked.

    template: "chat" for the tokenizer's own chat template, else a text in which {question} and
    {instruction} are replaced.
    """

    model: torch.nn.Module
    tokenizer: object
    template: str
    instruction: str
    eos_ids: tuple[int, ...]


class Sampling(NamedTuple):
    """How responses are sampled. The last two change which random numbers are used, not the distribution."""

    group_size: int  # responses to each prompt
    max_response_length: int  # tokens
    temperature: float = 1.0  # 0 is greedy
    top_p: float = 1.0
    batch_size: int = 256  # rollouts generated at a time
    round_length: int = 64  # tokens generated before the rows that have ended leave the batch


@dataclasses.dataclass
class Rollouts:
    """B sampled responses with their prompts, right-padded.

    input_ids      (B, T) long   prompt, response (its end-of-sequence token included), padding
    response_mask  (B, T) bool   true on every token the policy sampled
    truncated      (B,)   bool   the response ran into the length limit
    texts          B responses as text, special tokens removed
    sampling_logp  (B, T) or None: log-probability under the very distribution generate drew from,
                   for comparison with the scorer's; it is of the whole sample, and no part keeps it

    Row i answers question i // group_size: the rollouts of a question stand together.
    """

    input_ids: torch.Tensor
    response_mask: torch.Tensor
    truncated: torch.Tensor
    texts: list[str]
    sampling_logp: torch.Tensor | None = None

    @functools.cached_property
    def row_lengths(self):
        """(B,) tokens of prompt and response together: where the padding begins."""
        positions = torch.arange(1, self.response_mask.shape[1] + 1, device=self.input_ids.device)
        return (self.response_mask * positions).amax(1)

    @property
    def response_lengths(self):
        """(B,) tokens the policy sampled, the end-of-sequence token included."""
        return self.response_mask.sum(1)

    def rows(self, rows):
        """Those rows in that order, trimmed to the longest of them."""
        width = int(self.row_lengths[rows].max())
        return Rollouts(
            self.input_ids[rows, :width],
            self.response_mask[rows, :width],
            self.truncated[rows],
            [self.texts[row] for row in rows],
        )


def load_policy(name, device, template=None, instruction=None) -> Policy:
    """Load a model id or a folder, in float32, with its tokenizer.

    Weights stay float32: at a learning rate of 1e-6 an update to a bf16 weight rounds away; on a GPU
    the caller opens a bf16 autocast. Dropout is set to zero, because old and new log-probabilities
    must differ by the update alone. template and instruction: those given, else those the checkpoint
    was trained with, else the tokenizer's chat template or a plain one.

    Raises InputError for a folder or id that cannot be loaded.
    """
    check_model_name(name)
    try:
        config = AutoConfig.from_pretrained(name)
        for key, value in config.to_dict().items():
            if ("dropout" in key or "pdrop" in key) and isinstance(value, float):
                setattr(config, key, 0.0)
        model = AutoModelForCausalLM.from_pretrained(name, config=config, dtype=torch.float32)
        file, asked = Path(name) / PROMPT_FILE, {}
        if file.is_file():
            asked = json.loads(file.read_text(encoding="utf-8"))
        reader = PreTrainedTokenizerFast if asked.get("generic_tokenizer") else AutoTokenizer
        tokenizer = reader.from_pretrained(name, padding_side="left")
    except Exception as error:  # noqa: BLE001 - files, hub and libraries each raise their own kinds
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"--model: cannot load {name!r}: {reason} Where no hub can be reached, give the path of a "
            "local model folder"
        ) from None

    eos = model.generation_config.eos_token_id
    eos_ids = {*(eos if isinstance(eos, list) else [eos]), tokenizer.eos_token_id} - {None}
    if not eos_ids:
        raise InputError(
            f"--model: {name} has no end-of-sequence token, so no response would ever end"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token_id = min(eos_ids)
    model.generation_config = GenerationConfig(
        eos_token_id=sorted(eos_ids), pad_token_id=tokenizer.pad_token_id
    )
    if template is None:
        template = asked.get("template", "chat" if tokenizer.chat_template else PLAIN_TEMPLATE)
    if template == "chat" and not tokenizer.chat_template:
        raise InputError(f"--template chat: the tokenizer of {name} has no chat template")
    if template != "chat" and "{question}" not in template:
        raise InputError("--template: it must be 'chat' or a text that contains {question}")
    if instruction is None:
        instruction = asked.get("instruction", INSTRUCTION)
    return Policy(model.to(device).eval(), tokenizer, template, instruction, tuple(sorted(eos_ids)))


def check_model_name(name: str) -> None:
    """Raises InputError where a name is that of a folder, and this is none of a model."""
    path = Path(name)
    a_path = path.is_absolute() or name.startswith(".") or name.count("/") > 1
    if a_path and not path.is_dir():
        raise InputError(
            f"--model: there is no model folder {name}; give one written by save_pretrained, or a "
            "model id such as Qwen/Qwen2.5-0.5B-Instruct"
        )
    if path.is_dir() and not (path / "config.json").is_file():
        raise InputError(
            f"--model: the folder {name} holds no config.json, so it is no model folder"
        )


def save_policy(policy: Policy, folder) -> None:
    """Write the weights, the tokenizer and the way of asking as a folder that the Auto classes load.

    For some model types AutoTokenizer takes the type's own class whatever the folder says, and
    tokenizes otherwise than what was saved. That is looked for here, told, and remembered for
    load_policy.
    """
    folder = Path(folder)
    policy.model.save_pretrained(folder)
    policy.tokenizer.save_pretrained(folder)
    asked = {"template": policy.template, "instruction": policy.instruction}
    read_back = AutoTokenizer.from_pretrained(folder)
    if read_back(ANY_TEXT)["input_ids"] != policy.tokenizer(ANY_TEXT)["input_ids"]:
        asked["generic_tokenizer"] = True
        print(
            f"{folder}: AutoTokenizer does not read this tokenizer as it is; elsewhere load it with "
            "PreTrainedTokenizerFast.from_pretrained",
            file=sys.stderr,
        )
    (folder / PROMPT_FILE).write_text(json.dumps(asked, indent=2), encoding="utf-8")


def encode_prompt(policy: Policy, question: str) -> list[int]:
    """A question as the tokens the policy is asked with."""
    tokenizer = policy.tokenizer
    if policy.template == "chat":
        content = f"{question}\n{policy.instruction}" if policy.instruction else question
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )
        return tokenizer(text, add_special_tokens=False)["input_ids"]
    before, _, after = policy.template.partition("{question}")
    text = question.join(
        part.replace("{instruction}", policy.instruction) for part in (before, after)
    )
    return tokenizer(text)["input_ids"]


def short_enough(
    policy: Policy, questions: list[Question], longest: int, kind=""
) -> list[Question]:
    """Those with a prompt of at most `longest` tokens; the others are counted on stderr.

    kind: a word for the sentences, such as "training ". Raises InputError where none is left.
    """
    short = [q for q in questions if len(encode_prompt(policy, q.text)) <= longest]
    if not short:
        raise InputError(
            f"--max_prompt_length {longest}: no {kind}question is that short, or there is none"
        )
    if left_out := len(questions) - len(short):
        print(
            f"left out {left_out} of {len(questions)} {kind}questions: longer than "
            f"--max_prompt_length {longest}",
            file=sys.stderr,
        )
    return short


def sample(policy: Policy, prompts: list[list[int]], sampling, keep_logp=False) -> Rollouts:
    """Sample responses to prompts, each a list of token ids; `sampling` is a Sampling.

    generate works for as long as the longest row of its batch, and most rows end long before: so it is
    called for round_length tokens at a time, and between the calls the rows that have ended leave the
    batch and its cache.

    keep_logp also records the log-probability of each sampled token under the very distribution
    generate drew it from, at the cost of holding all its scores: meant for a few rollouts. Raises
    InputError where the model's logits are not finite.
    """
    policy.model.eval()
    at_random = sampling.temperature > 0
    settings = GenerationConfig(
        do_sample=at_random,
        temperature=sampling.temperature if at_random else None,
        top_p=sampling.top_p if at_random else None,
        top_k=0 if at_random else None,
        eos_token_id=list(policy.eos_ids),
        pad_token_id=policy.tokenizer.pad_token_id,
        output_scores=keep_logp,
        return_dict_in_generate=True,
    )
    prompts = [prompt for prompt in prompts for _ in range(sampling.group_size)]
    responses, logps = [], []
    for start in range(0, len(prompts), sampling.batch_size):
        asked = prompts[start : start + sampling.batch_size]
        new_responses, new_logps = generate_in_rounds(policy, asked, settings, sampling)
        responses += new_responses
        logps += new_logps
    return right_padded(policy, prompts, responses, logps if keep_logp else None)


@torch.inference_mode()
def generate_in_rounds(policy, prompts, settings, sampling):
    """What generate adds to each prompt, the end-of-sequence token included: (token ids, their logp).

    Two lists with a list a prompt; those of logp stay empty unless settings.output_scores. The prompts
    are padded on the left, with a mask, so that all of them end where the next token goes.
    """
    device, pad = policy.model.device, policy.tokenizer.pad_token_id
    eos = torch.tensor(policy.eos_ids, device=device)
    width = max(map(len, prompts))
    ids = torch.tensor([[pad] * (width - len(p)) + p for p in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=device)
    responses, logps = [[] for _ in prompts], [[] for _ in prompts]
    rows, cache, length = range(len(prompts)), None, 0  # the rows still being written
    while rows and length < sampling.max_response_length:
        left = sampling.max_response_length - length
        settings.max_new_tokens = min(sampling.round_length, left)
        try:
            output = policy.model.generate(
                ids, attention_mask=mask, past_key_values=cache, generation_config=settings
            )
        except RuntimeError as error:
            if "probability tensor" not in str(error):
                raise
            raise InputError(
                "--model: its logits are not finite, so nothing can be sampled"
            ) from None
        new = output.sequences[:, ids.shape[1] :]  # (rows, up to round_length)
        length += new.shape[1]
        is_end = torch.isin(new, eos)
        ended = is_end.any(1)
        first_end = is_end.int().argmax(1) + 1  # how many tokens there are with the first end
        counts = torch.where(ended, first_end, new.shape[1]).tolist()
        for row, tokens, count in zip(rows, new.tolist(), counts, strict=True):
            responses[row] += tokens[:count]
        if settings.output_scores:
            log_probs = torch.stack(output.scores, 1).log_softmax(-1)  # (rows, new tokens, V)
            drawn = log_probs.gather(2, new[:, :, None]).squeeze(2).tolist()
            for row, values, count in zip(rows, drawn, counts, strict=True):
                logps[row] += values[:count]

        going_on = (~ended).nonzero().flatten()
        rows = [rows[i] for i in going_on.tolist()]
        ids, cache = output.sequences[going_on], output.past_key_values
        mask = torch.cat([mask[going_on], mask.new_ones(len(rows), new.shape[1])], 1)
        if cache is not None and rows and ended.any():
            cache.batch_select_indices(going_on)
    return responses, logps


def right_padded(policy, prompts, responses, logps) -> Rollouts:
    """Lists of tokens -> the batch every other file reads. The mask comes from the lengths alone."""
    device, pad = policy.model.device, policy.tokenizer.pad_token_id
    begin = torch.tensor([len(prompt) for prompt in prompts], device=device)[:, None]
    end = begin + torch.tensor([len(response) for response in responses], device=device)[:, None]
    width = int(end.max())
    rows = [
        p + r + [pad] * (width - len(p) - len(r)) for p, r in zip(prompts, responses, strict=True)
    ]
    positions = torch.arange(width, device=device)
    response_mask = (positions >= begin) & (positions < end)
    sampling_logp = None
    if logps is not None:
        drawn = torch.tensor([x for row in logps for x in row], device=device)
        sampling_logp = torch.zeros(response_mask.shape, device=device)
        sampling_logp = sampling_logp.masked_scatter(response_mask, drawn)
    return Rollouts(
        input_ids=torch.tensor(rows, device=device),
        response_mask=response_mask,
        truncated=torch.tensor([r[-1] not in policy.eos_ids for r in responses], device=device),
        texts=policy.tokenizer.batch_decode(responses, skip_special_tokens=True),
        sampling_logp=sampling_logp,
    )


@dataclasses.dataclass
class Batch:
    """Questions and their rollouts, and all that becomes known of them on the way to the update.

    In the order in which it is filled, B rollouts of T tokens: graded by `sample_and_grade`, scored and
    weighed by train.py, and on probe steps scored again after the update.
    """

    questions: list[Question]
    rollouts: Rollouts
    grades: list[Grade]
    rewards: torch.Tensor  # (B,)
    # Under the policy that sampled: logp, entropy, branching, gradient, polarity, each (B, T). This logp
    # is the old_logp of the papers.
    scores: TokenScores | None = None
    advantages: torch.Tensor | None = None  # (B,) how much better than its group
    shaped: torch.Tensor | None = None  # (B, T) the advantage of each token, after reweighting
    logp_change: torch.Tensor | None = None  # (B, T) what the update did; None: not probed

    @property
    def mask(self):
        """(B, T) bool, the response tokens."""
        return self.rollouts.response_mask

    @property
    def correct(self):
        """(B,) bool."""
        return torch.tensor([g.correct for g in self.grades], device=self.rewards.device)

    def groups(self, groups: list[int]) -> "Batch":
        """Those groups, in that order, of a batch that is graded but not yet scored."""
        size = len(self.grades) // len(self.questions)
        rows = [row for group in groups for row in range(group * size, (group + 1) * size)]
        return Batch(
            [self.questions[group] for group in groups],
            self.rollouts.rows(torch.tensor(rows)),
            [self.grades[row] for row in rows],
            self.rewards[rows],
        )


def sample_and_grade(policy, asked: list[Question], options, grade=grade) -> Batch:
    """group_size rollouts of each question, and their rewards. grade: (text, gold) -> Grade.

    The reward is 1 for a right answer and 0 for any other, less the overlong penalty.
    """
    sampling = Sampling(
        options.group_size,
        options.max_response_length,
        options.temperature,
        batch_size=options.sample_batch_size,
        round_length=options.sample_round_length,
    )
    prompts = [encode_prompt(policy, question.text) for question in asked]
    rollouts = sample(policy, prompts, sampling)
    golds = [question.gold for question in asked for _ in range(options.group_size)]
    grades = [grade(text, gold) for text, gold in zip(rollouts.texts, golds, strict=True)]
    limits = (options.max_response_length, options.overlong_buffer, options.overlong_penalty)
    rewards = [
        float(g.correct) - overlong_penalty(length, *limits)
        for g, length in zip(grades, rollouts.response_lengths.tolist(), strict=True)
    ]
    return Batch(asked, rollouts, grades, torch.tensor(rewards, device=policy.model.device))


def sample_batch(policy, questions, options, progress, grade=grade) -> tuple[list[Batch], Batch]:
    """Sample and grade the next questions. Returns all that was sampled, and the part to train on.

    With dynamic sampling (DAPO) the groups that are all right or all wrong are dropped and further
    questions are sampled until the batch is full or max_gen_batches were made; what is beyond a full
    batch is dropped too. Where no group at all is mixed, the last batch is trained on as it is: it
    teaches nothing, unless the overlong penalty tells its rollouts apart.

    progress.drawn counts the questions taken from the endless stream of `data.draw`.
    """

    def next_batch():
        asked = draw(questions, options.seed, progress.drawn, options.questions_per_step)
        progress.drawn += len(asked)
        return sample_and_grade(policy, asked, options, grade)

    if not options.dynamic_sampling:
        batch = next_batch()
        return [batch], batch
    sampled, mixed, full = [], [], options.questions_per_step
    while len(mixed) < full and len(sampled) < options.max_gen_batches:
        sampled.append(next_batch())
        batch = join(sampled)
        right = batch.correct.view(-1, options.group_size).sum(1)
        mixed = ((right > 0) & (right < options.group_size)).nonzero().flatten().tolist()
    if len(mixed) < full:
        tqdm.write(
            f"step {progress.step}: {len(mixed)} of {full} groups have a signal after {len(sampled)} "
            "batches; training on those there are.",
            file=sys.stderr,
        )
    return sampled, batch.groups(mixed[:full]) if mixed else sampled[-1]


def join(batches: list[Batch]) -> Batch:
    """One below the other, padded to the widest: batches that are graded but not yet scored."""
    width = max(batch.mask.shape[1] for batch in batches)

    def stack(name):
        columns = [getattr(batch.rollouts, name) for batch in batches]
        return torch.cat([torch.nn.functional.pad(c, (0, width - c.shape[1])) for c in columns])

    return Batch(
        [question for batch in batches for question in batch.questions],
        Rollouts(
            stack("input_ids"),  # padded with 0, since nothing reads the padding
            stack("response_mask"),
            torch.cat([batch.rollouts.truncated for batch in batches]),
            [text for batch in batches for text in batch.rollouts.texts],
        ),
        [grade for batch in batches for grade in batch.grades],
        torch.cat([batch.rewards for batch in batches]),
    )
