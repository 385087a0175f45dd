"""What the policy writes: answers sampled with Hugging Face generate, graded, and carried to the update.

    questions -> prompts (policy.py)
              -> left-padded, only inside generate
              -> Rollouts: right-padded at once
              -> Batch: with their grades, the one batch every other file reads

Three things go wrong silently in sampling, and each is ruled out here. The end-of-sequence token is an
action of the policy and belongs to the response: the mask is built from recorded lengths, never from
`!= pad`. Dropout and gradient checkpointing are training-mode matters: generate always runs in evaluation
mode. A text is graded with its special tokens, since a turn that the policy invents begins with one.
"""

import dataclasses
import functools
import sys
from typing import NamedTuple

import torch
from tqdm import tqdm
from transformers import DynamicCache, GenerationConfig
from transformers.generation import GenerateDecoderOnlyOutput

from data import Question, draw
from entropy import TokenScores
from options import InputError
from policy import Policy, encode_prompt, opened_by_prompt
from reward import Grade, grade, overlong_penalty

# Under which name generate takes a cache and gives it back; since transformers 5.24 it is the first.
CACHE = "cache" if "cache" in GenerateDecoderOnlyOutput.__annotations__ else "past_key_values"


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
    texts          B responses as text, special tokens and all, but for the one that ended it
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


def sample(policy: Policy, prompts: list[list[int]], sampling, keep_logp=False) -> Rollouts:
    """Sample responses to prompts, each a list of token ids; `sampling` is a Sampling.

    generate works for as long as the longest row of its batch, and most rows end long before: so it is
    called for round_length tokens at a time, and between the calls the rows that have ended leave the
    batch and its cache. Where rows cannot leave the cache, the rest is written by one more call.

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
    round_length = sampling.round_length
    while rows and length < sampling.max_response_length:
        left = sampling.max_response_length - length
        settings.max_new_tokens = min(round_length, left)
        try:
            output = policy.model.generate(
                ids, attention_mask=mask, generation_config=settings, **{CACHE: cache}
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
        ids, cache = output.sequences[going_on], output.get(CACHE)
        mask = torch.cat([mask[going_on], mask.new_ones(len(rows), new.shape[1])], 1)
        if not gives_up_rows(cache):  # read again from the start, and written to the end
            cache, round_length = None, sampling.max_response_length
        elif rows and ended.any():
            cache.reorder_cache(going_on)
    return responses, logps


def gives_up_rows(cache) -> bool:
    """Whether rows can be taken out of a cache, and generate can go on with what is left.

    The library's own layers can be put into another order for a beam search, the recurrent states of
    hybrid models among them, and an order may leave rows out. A layer of a family's own keeps what
    nobody here knows of, and one that holds nothing keeps it elsewhere.
    """
    if type(cache) is not DynamicCache:
        return False
    layers = [layer for layer in cache.layers if type(layer).__name__ != "DummyLayer"]
    return all(
        type(layer).__module__ == DynamicCache.__module__
        and hasattr(layer, "reorder_cache")
        and any(map(holds_a_tensor, vars(layer).values()))
        for layer in layers
    ) and any(hasattr(layer, "keys") for layer in layers)  # without them generate finds no length


def holds_a_tensor(value) -> bool:
    """Whether it is one, or a dict with one among its values."""
    return any(
        isinstance(x, torch.Tensor)
        for x in (value.values() if isinstance(value, dict) else [value])
    )


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
        texts=texts_of(policy, responses),
        sampling_logp=sampling_logp,
    )


def texts_of(policy, responses: list[list[int]]) -> list[str]:
    """Responses as text, with all special tokens but the one that ended it."""
    written = [r[:-1] if r[-1:] and r[-1] in policy.eos_ids else r for r in responses]
    return policy.tokenizer.batch_decode(written, skip_special_tokens=False)


def grade_rollouts(policy, asked: list[Question], rollouts: Rollouts, grade=grade) -> list[Grade]:
    """A grade each: of what the prompt has opened of the response, and what the policy wrote.

    Where the prompt ends with <think>, only so it shows that a response is a thought at first.
    """
    opened = opened_by_prompt(policy)
    each = (question for question in asked for _ in range(len(rollouts.texts) // len(asked)))
    return [
        grade(opened + text, question.gold, question.text)
        for text, question in zip(rollouts.texts, each, strict=True)
    ]


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
    logp_change: torch.Tensor | None = None  # (B, T) what the updates did; None: not probed
    control_logp_change: torch.Tensor | None = None  # (B, T) what the control's did, see probe.py

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
    """group_size rollouts of each question, and their rewards. grade: (text, gold, question) -> Grade.

    The reward is that of the grade, 1 for a right answer and 0 for any other unless it says otherwise,
    less the overlong penalty.
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
    grades = grade_rollouts(policy, asked, rollouts, grade)
    limits = (options.max_response_length, options.overlong_buffer, options.overlong_penalty)
    rewards = [
        g.worth - overlong_penalty(length, *limits)
        for g, length in zip(grades, rollouts.response_lengths.tolist(), strict=True)
    ]
    return Batch(asked, rollouts, grades, torch.tensor(rewards, device=policy.model.device))


def sample_batch(policy, questions, options, progress, grade=grade) -> tuple[list[Batch], Batch]:
    """Sample and grade the next questions. Returns all that was sampled, and the part to train on.

    With dynamic sampling (DAPO) the groups whose grades are all worth the same are dropped and further
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
        worth = torch.tensor([g.worth for g in batch.grades]).view(-1, options.group_size)
        mixed = (worth.amax(1) > worth.amin(1)).nonzero().flatten().tolist()
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
