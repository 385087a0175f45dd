"""The embedded default: a world small enough to train in minutes on a laptop's CPU.

A question is a chain of one-digit numbers such as 7+8-3-9. A worked solution writes one line per
partial sum and boxes the last:

    7+8=15
    15-3=12
    12-9=3
    \\boxed{3}

The policy is a Qwen2 of a third of a million parameters whose tokens are characters. Before GRPO it
is warmed up by supervised learning on worked solutions of which some are defective in the ways that
real base models are: slips of arithmetic, gibberish, an answer outside the box, another language.
GRPO then has something to repair, and the defects fall one by one as they do in the rising stage of
arXiv 2508.02260. Everything here is ours.
"""

import hashlib
import os
import random
import shutil
from pathlib import Path

import torch
import transformers
from tqdm import tqdm
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen2Tokenizer

from data import Question, is_held_out, load_questions
from entropy import Scoring, score
from policy import Policy, save_policy

CACHE = Path(__file__).parent / "runs" / "cache"

SLIP = 0.08  # probability that one partial sum is wrong by 1 or 2
GIBBERISH = 0.10  # ... that a solution holds a line that has nothing to do with the question
UNBOXED = 0.10  # ... that it ends "so 3"
OTHER_LANGUAGE = 0.08  # ... that it ends in Chinese

WARMUP_STEPS = 1000
WARMUP_BATCH = 32
WARMUP_LEARNING_RATE = 4e-3


def chain(rng: random.Random) -> str:
    """A random question: 2 to 5 one-digit numbers joined by + and -."""
    text = str(rng.randint(0, 9))
    for _ in range(rng.randint(1, 4)):
        text += rng.choice("+-") + str(rng.randint(0, 9))
    return text


def partial_sums(question: str, rng: random.Random | None = None) -> list[tuple[str, int]]:
    """The lines of a solution: the left side of each, and its value. With an rng some values slip.

    >>> partial_sums("7+8-3")
    [('7+8', 15), ('15-3', 12)]
    """
    total, lines = int(question[0]), []
    for sign, digit in zip(question[1::2], question[2::2], strict=True):
        left = f"{total}{sign}{digit}"
        total += int(digit) if sign == "+" else -int(digit)
        if rng and rng.random() < SLIP:
            total += rng.choice([-2, -1, 1, 2])
        lines.append((left, total))
    return lines


def answer(question: str) -> str:
    """The right answer.

    >>> answer("7+8-3-9")
    '3'
    """
    return str(partial_sums(question)[-1][1])


def worked_solution(question: str, rng: random.Random) -> str:
    """A solution of the kind the warm-up imitates, defects included."""
    sums = partial_sums(question, rng)
    lines, total = [f"{left}={value}" for left, value in sums], sums[-1][1]
    if rng.random() < GIBBERISH:
        noise = "".join(
            rng.choice("abcdefghijklmnopqrstuvwxyz ") for _ in range(rng.randint(4, 12))
        )
        lines.insert(rng.randint(0, len(lines)), noise)
    ending = rng.random()
    if ending < UNBOXED:
        lines.append(f"so {total}")
    elif ending < UNBOXED + OTHER_LANGUAGE:
        lines.append(f"所以答案是：{total}。")
    else:
        lines.append(f"\\boxed{{{total}}}")
    return "\n".join(lines)


def chains(count: int, held_out: bool, seed: int) -> list[str]:
    """`count` questions from one side of the split by hash; the short ones, being few, recur."""
    rng, found = random.Random(seed), []
    while len(found) < count:
        question = chain(rng)
        if is_held_out(question) == held_out:
            found.append(question)
    return found


def training_questions(count: int = 20_000) -> list[Question]:
    """Questions for GRPO, none of them held out."""
    return [Question(q, answer(q)) for q in chains(count, held_out=False, seed=1)]


def held_out_questions(count: int = 400) -> list[Question]:
    """Different questions for evaluation: neither the warm-up nor GRPO ever sees one of them."""
    different = dict.fromkeys(chains(2 * count, held_out=True, seed=2))
    return [Question(q, answer(q)) for q in list(different)[:count]]


def tokenizer() -> Qwen2Tokenizer:
    """One token a byte, so one a character of all but the Chinese: Qwen2's tokenizer with no merges.

    Any text can be written with it. A byte that is not printable goes by a letter beyond 255, as
    everywhere in byte-level tokenizers. Being of the model's own class, it is what AutoTokenizer makes
    of a saved folder.
    """
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(byte) for byte in printable]
    letters += [chr(256 + i) for i in range(256 - len(printable))]
    vocab = {token: i for i, token in enumerate(["<|endoftext|>", "<|pad|>", *letters])}
    return Qwen2Tokenizer(vocab=vocab, merges=[], pad_token="<|pad|>", padding_side="left")


def untrained_policy(seed: int = 0) -> Policy:
    """The tiny Qwen2 with random weights, asked with the bare question and a line break."""
    torch.manual_seed(seed)
    text = tokenizer()
    config = Qwen2Config(
        vocab_size=len(text),
        hidden_size=96,
        intermediate_size=256,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
        initializer_range=0.1,  # about 1 / sqrt(hidden_size): at 0.02 so small a model learns late
        eos_token_id=text.eos_token_id,
        pad_token_id=text.pad_token_id,
    )
    return Policy(Qwen2ForCausalLM(config), text, "{question}\n", "", (text.eos_token_id,))


def warm_up(policy: Policy, seed: int = 0) -> None:
    """Supervised learning on worked solutions, in place: AdamW, cosine decay, mean over solution tokens."""
    rng = random.Random(seed)
    eos, pad = policy.tokenizer.eos_token, policy.tokenizer.pad_token_id
    questions = list(dict.fromkeys(chains(60_000, held_out=False, seed=seed)))
    optimizer = torch.optim.AdamW(policy.model.parameters(), WARMUP_LEARNING_RATE, fused=True)
    scoring = Scoring(chunk_tokens=65536)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, WARMUP_STEPS)
    for step in (bar := tqdm(range(WARMUP_STEPS), desc="warm-up", unit="step")):
        asked = rng.choices(questions, k=WARMUP_BATCH)
        texts = [f"{q}\n{worked_solution(q, rng)}{eos}" for q in asked]
        rows = policy.tokenizer(texts)["input_ids"]
        width = max(map(len, rows))
        input_ids = torch.tensor([row + [pad] * (width - len(row)) for row in rows])
        positions = torch.arange(width)
        begin = torch.tensor([len(q) + 1 for q in asked])[:, None]
        end = torch.tensor([len(row) for row in rows])[:, None]
        solution = (positions >= begin) & (positions < end)
        logp = score(policy.model, input_ids, solution, scoring, logp_only=True).logp
        loss = -logp.sum() / solution.sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step % 10 == 0:
            bar.set_postfix(loss=f"{loss.item():.3f}")


def model_folder() -> str:
    """The folder of the warmed-up policy: made once, on the CPU, and found again from then on.

    Its name holds a hash of everything it depends on: the sources it is made with, the versions of
    the libraries, and the number of threads, which changes the order of sums.
    """
    files = [
        Path(__file__).with_name(f"{name}.py") for name in ("toy", "entropy", "data", "policy")
    ]
    sources = "".join(file.read_text(encoding="utf-8") for file in files)
    versions = (torch.__version__, transformers.__version__, torch.get_num_threads())
    key = hashlib.sha256(f"{sources}{versions}".encode()).hexdigest()[:12]
    folder = CACHE / f"toy-{key}"
    if not folder.is_dir():
        policy = untrained_policy()
        warm_up(policy)
        unfinished = folder.with_name(f"{folder.name}.{os.getpid()}")
        save_policy(policy, unfinished)
        try:
            unfinished.rename(folder)
        except OSError:  # another process was faster, and made the same
            shutil.rmtree(unfinished)
    return str(folder)


def find_model(name: str) -> str:
    """What `--model` names: the folder of the toy, or the model id or folder given."""
    return model_folder() if name == "toy" else name


def find_questions(source: str, training: bool, *columns: str | None) -> list[Question]:
    """What `--data` names: the toy's questions, or those that `data.load_questions` finds."""
    if source == "toy":
        return training_questions() if training else held_out_questions()
    return load_questions(source, training, *columns)
