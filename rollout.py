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

from data import InputError, Question, draw
from reward import Grade, grade, overlong_penalty

INSTRUCTION = "Please reason step by step, and put your final answer within \\boxed{}."
PLAIN_TEMPLATE = "Question: {question}\n{instruction}\nAnswer:\n"
PROBE = "7+8-3 =\n\\boxed{3}  so\t所以 é <b>\n\n  don't x_1"  # tokenized to see whether two tokenizers agree
PROMPT_FILE = "prompt.json"  # how a checkpoint's questions were asked, kept beside its weights


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
    def lengths(self):
        """(B,) tokens of prompt and response together: where the padding begins."""
        positions = torch.arange(1, self.response_mask.shape[1] + 1, device=self.input_ids.device)
        return (self.response_mask * positions).amax(1)

    @property
    def response_lengths(self):
        """(B,) tokens the policy sampled, the end-of-sequence token included."""
        return self.response_mask.sum(1)

    def rows(self, rows):
        """Those rows in that order, trimmed to the longest of them."""
        width = int(self.lengths[rows].max())
        return Rollouts(
            self.input_ids[rows, :width],
            self.response_mask[rows, :width],
            self.truncated[rows],
            [self.texts[row] for row in rows],
        )


def join(batches: list[Rollouts]) -> Rollouts:
    """Several batches one below the other, padded to the widest."""
    width = max(batch.input_ids.shape[1] for batch in batches)

    def stack(name):
        columns = [getattr(batch, name) for batch in batches]
        return torch.cat([torch.nn.functional.pad(c, (0, width - c.shape[1])) for c in columns])

    return Rollouts(
        stack("input_ids"),
        stack("response_mask"),
        torch.cat([batch.truncated for batch in batches]),
        [text for batch in batches for text in batch.texts],
    )


def load_policy(name, device, template=None, instruction=None) -> Policy:
    """Load a model id, a folder, or "toy", in float32 with its tokenizer.

    Weights stay float32: at a learning rate of 1e-6 an update to a bf16 weight rounds away; on a GPU
    the caller opens a bf16 autocast. Dropout is set to zero, because old and new log-probabilities
    must differ by the update alone. template and instruction: those given, else those the checkpoint
    was trained with, else the tokenizer's chat template or a plain one.

    Raises InputError for a folder or id that cannot be loaded.
    """
    if name == "toy":
        import toy  # which imports this file

        name = toy.model_folder()
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
    try:
        config = AutoConfig.from_pretrained(name)
        for key, value in config.to_dict().items():
            if ("dropout" in key or "pdrop" in key) and isinstance(value, float):
                setattr(config, key, 0.0)
        model = AutoModelForCausalLM.from_pretrained(name, config=config, dtype=torch.float32)
        asked = {}
        if (path / PROMPT_FILE).is_file():
            asked = json.loads((path / PROMPT_FILE).read_text(encoding="utf-8"))
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
        plain = "chat" if tokenizer.chat_template else PLAIN_TEMPLATE
        template = asked.get("template", plain)
    if template == "chat" and not tokenizer.chat_template:
        raise InputError(f"--template chat: the tokenizer of {name} has no chat template")
    if template != "chat" and "{question}" not in template:
        raise InputError("--template: it must be 'chat' or a text that contains {question}")
    if instruction is None:
        instruction = asked.get("instruction", INSTRUCTION)
    return Policy(model.to(device).eval(), tokenizer, template, instruction, tuple(sorted(eos_ids)))


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
    if read_back(PROBE)["input_ids"] != policy.tokenizer(PROBE)["input_ids"]:
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


def sample(
    policy: Policy,
    prompts: list[list[int]],
    group_size: int,
    max_response_length: int,
    temperature: float = 1.0,
    top_p: float = 1.0,
    batch_size: int = 256,
    round_length: int = 64,
    min_response_length: int = 0,
    keep_logp: bool = False,
) -> Rollouts:
    """Sample group_size responses to each prompt (a list of token ids). Temperature 0 is greedy.

    At most batch_size rollouts are generated at a time. generate works for as long as the longest row
    of its batch, and most rows end long before: so it is called for round_length tokens at a time,
    and between the calls the rows that have ended leave the batch and its cache.

    keep_logp also records the log-probability of each sampled token under the very distribution
    generate drew it from, at the cost of holding all its scores: meant for a few rollouts. Raises
    InputError where the model's logits are not finite.
    """
    policy.model.eval()
    settings = GenerationConfig(
        do_sample=temperature > 0,
        temperature=temperature or None,
        top_p=top_p if temperature else None,
        top_k=0 if temperature else None,
        min_new_tokens=min_response_length or None,
        eos_token_id=list(policy.eos_ids),
        pad_token_id=policy.tokenizer.pad_token_id,
        output_scores=keep_logp,
        return_dict_in_generate=True,
    )
    prompts = [prompt for prompt in prompts for _ in range(group_size)]
    responses, logps = [], []
    for start in range(0, len(prompts), batch_size):
        asked = prompts[start : start + batch_size]
        written = _generate(policy, asked, settings, max_response_length, round_length)
        responses += written[0]
        logps += written[1]
    return _right_padded(policy, prompts, responses, logps if keep_logp else None)


@torch.inference_mode()
def _generate(policy, prompts, settings, max_length, round_length):
    """What generate adds to each prompt, the end-of-sequence token included: (token ids, their logp).

    The prompts are padded on the left, with a mask, so that all of them end where the next token goes.
    """
    device, pad = policy.model.device, policy.tokenizer.pad_token_id
    eos = torch.tensor(policy.eos_ids, device=device)
    width = max(map(len, prompts))
    ids = torch.tensor([[pad] * (width - len(p)) + p for p in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=device)
    responses, logps = [[] for _ in prompts], [[] for _ in prompts]
    rows, cache, length = range(len(prompts)), None, 0  # the rows still being written
    while rows and length < max_length:
        settings.max_new_tokens = min(round_length, max_length - length)
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
        counts = torch.where(ended, is_end.int().argmax(1) + 1, new.shape[1]).tolist()
        for row, tokens, count in zip(rows, new.tolist(), counts, strict=True):
            responses[row] += tokens[:count]
        if settings.output_scores:
            scores = torch.stack(output.scores, 1).log_softmax(-1)  # (rows, new tokens, V)
            drawn = scores.gather(2, new[:, :, None]).squeeze(2).tolist()
            for row, values, count in zip(rows, drawn, counts, strict=True):
                logps[row] += values[:count]

        going_on = (~ended).nonzero().flatten()
        rows = [rows[i] for i in going_on.tolist()]
        ids, cache = output.sequences[going_on], output.past_key_values
        mask = torch.cat([mask[going_on], mask.new_ones(len(rows), new.shape[1])], 1)
        if cache is not None and rows and ended.any():
            cache.batch_select_indices(going_on)
    return responses, logps


def _right_padded(policy, prompts, responses, logps) -> Rollouts:
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


class Batch(NamedTuple):
    """Questions, group_size rollouts of each, and what those are worth."""

    questions: list[Question]
    rollouts: Rollouts
    grades: list[Grade]
    rewards: torch.Tensor  # (B,)

    @property
    def correct(self):
        """(B,) bool."""
        return torch.tensor([g.correct for g in self.grades], device=self.rewards.device)


def sample_and_grade(policy, asked: list[Question], options) -> Batch:
    """group_size rollouts of each question, and their rewards."""
    rollouts = sample(
        policy,
        [encode_prompt(policy, question.text) for question in asked],
        options.group_size,
        options.max_response_length,
        options.temperature,
        batch_size=options.sample_batch_size,
        round_length=options.sample_round_length,
    )
    golds = [question.gold for question in asked for _ in range(options.group_size)]
    grades = [grade(text, gold) for text, gold in zip(rollouts.texts, golds, strict=True)]
    rewards = [
        float(g.correct)
        - overlong_penalty(
            length, options.max_response_length, options.overlong_buffer, options.overlong_penalty
        )
        for g, length in zip(grades, rollouts.response_lengths.tolist(), strict=True)
    ]
    return Batch(asked, rollouts, grades, torch.tensor(rewards, device=policy.model.device))


def gather(policy, questions, options, progress) -> tuple[list[Batch], Batch]:
    """Sample and grade until a batch is full. Returns all that was sampled, and the part to train on.

    With dynamic sampling (DAPO) the groups that are all right or all wrong are dropped and further
    questions are sampled until the batch is full or max_gen_batches were made; what is beyond a full
    batch is dropped too. Where no group at all has a signal, the last batch is trained on as it is:
    its gradient is 0.
    """
    sampled, kept = [], []
    for _ in range(options.max_gen_batches if options.dynamic_sampling else 1):
        asked = draw(questions, options.seed, progress.drawn, options.questions_per_step)
        progress.drawn += len(asked)
        batch = sample_and_grade(policy, asked, options)
        sampled.append(batch)
        if not options.dynamic_sampling:
            return sampled, batch
        right = batch.correct.view(len(asked), -1).sum(1)
        mixed = ((right > 0) & (right < options.group_size)).nonzero().flatten().tolist()
        room = options.questions_per_step - sum(len(part.questions) for part in kept)
        if mixed:
            kept.append(take_groups(batch, mixed[:room], options.group_size))
        if len(mixed) >= room:
            break
    else:
        tqdm.write(
            f"step {progress.step}: {sum(len(part.questions) for part in kept)} of "
            f"{options.questions_per_step} groups have a signal after {len(sampled)} batches; "
            "training on those there are.",
            file=sys.stderr,
        )
    if not kept:
        return sampled, batch
    questions, rollouts, grades, rewards = zip(*kept, strict=True)
    return sampled, Batch(
        [q for part in questions for q in part],
        join(rollouts),
        [g for part in grades for g in part],
        torch.cat(rewards),
    )


def take_groups(batch: Batch, groups: list[int], size: int) -> Batch:
    """Those groups of a batch, in that order."""
    rows = [row for group in groups for row in range(group * size, (group + 1) * size)]
    return Batch(
        [batch.questions[group] for group in groups],
        batch.rollouts.rows(torch.tensor(rows)),
        [batch.grades[row] for row in rows],
        batch.rewards[rows],
    )
