"""Made-up runs, in which what a finding claims was planted: shared by the tests of analysis/."""

import json
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import NamedTuple

import pyarrow
import pyarrow.parquet
import torch
from conftest import ROOT

import analyze
from analysis.sampled import Sampled
from record import ENTROPY_CHANGES

CONFIG = {
    "seed": 0,
    "temperature": 1.0,
    "group_size": 4,
    "max_response_length": 24,
    "device": "cpu",
}
CONFIG |= {"sample_batch_size": 64, "sample_round_length": 8, "micro_batch_tokens": 2048}
CONFIG |= {"chunk_tokens": 4096, "precision": "auto", "template": None, "instruction": None}
GOOD, BAD = "1+1=2\n" * 7 + "so \\boxed{2}", "xqzt wvkp\n所以答案是：2。" + "\n1+1=2" * 2


def line(step, knee=50, right=1.0, wrong=1.0):
    """Of metrics.jsonl, with a knee; right and wrong scale how far their entropies fall."""
    risen = min(step, knee) / knee
    noise = 0.01 * math.sin(7.0 * step)
    share = 0.3 + 0.3 * risen + noise
    h = {"correct": 0.15 - 0.02 * right * risen, "wrong": 0.35 - 0.2 * wrong * risen + noise}
    mean = share * h["correct"] + (1 - share) * h["wrong"]
    found = {"step": step, "accuracy": share, "entropy": mean, "entropy_rollout_mean": mean}
    found |= {f"entropy_rollout_mean_{name}": value for name, value in h.items()}
    found |= {"entropy_law": mean, "eval_accuracy": None} | dict.fromkeys(ENTROPY_CHANGES)
    return found | {"branching_factor": 1 + mean, "response_length": 20.0 + noise}


def planted(step, knee=50, sign=1):
    """16 rollouts of a step in which every claim about tokens holds, with sign -1 its opposite."""
    generator = torch.Generator().manual_seed(step)
    rows = []
    for i in range(16):
        right = i % 2 == 0
        early = (step <= knee / 2) == (sign > 0)
        bad = i % 4 == 1 if early else i == 5
        text = BAD if bad else GOOD
        tokens = [*text, "<|endoftext|>"]
        n = len(tokens)
        position = torch.arange(n) / n
        noise = 0.01 * torch.rand(n, generator=generator)
        entropy = 0.1 + sign * 0.5 * (position - 0.5).abs() + noise + (2.0 if early else 0.5) * bad
        change, gradient = 0.001 * torch.rand(n, generator=generator), torch.full((n,), 0.1)
        control = 0.001 * torch.rand(n, generator=generator)
        if i < 4 if sign > 0 else i >= 12:  # one token in a rollout of low perplexity is moved
            at = 3 if sign > 0 else text.find("b")
            change[at] = 0.3 * (1 if right == (sign > 0) else -1)
            entropy[at], gradient[at] = (1.5, 0.9) if sign > 0 else (0.0, 0.0)
        row = {"step": step, "question": f"{i // 4}+1", "gold": "2", "text": text, "tokens": tokens}
        row |= {"outcome": "no answer" if text == BAD else "correct" if right else "wrong"}
        row |= {"truncated": False, "perplexity": 1.1 + i / 100, "entropy": entropy.tolist()}
        row |= {"logp_gradient": gradient.tolist(), "relative_position": position.tolist()}
        row |= {"old_logp": [-0.7] * n, "logp_change": change.tolist()}
        row |= {"control_logp_change": control.tolist()}
        rows.append(row)
    return rows


def write_run(folder, lines=(), files=None, summary=None, config=CONFIG):
    """A run's folder. files: {step: rows}."""
    (folder / "rollouts").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    if summary:
        (folder / "summary.json").write_text(json.dumps(summary))
    for step, rows in (files or {}).items():
        table = pyarrow.Table.from_pylist(rows)
        pyarrow.parquet.write_table(table, folder / "rollouts" / f"step_{step}.parquet")
    return folder


def report(folder, *arguments):
    """{name: finding} of findings.json, through the command line's own function."""
    options = {"runs": [folder], "report": None, "intervene": None, "law": None}
    options |= {"questions": 3, "continuations": 2, **dict(arguments)}
    analyze.report_on(SimpleNamespace(**options))
    found = json.loads(((options["report"] or folder / "report") / "findings.json").read_text())
    return {finding["name"]: finding for finding in found}


def verdicts(found):
    return {name: finding["verdict"] for name, finding in found.items()}


def value(finding, label):
    """The effect of an entry of findings.json whose label begins so."""
    return next(e for e in finding["effects"] if e["label"].startswith(label))


def values(finding):
    """{label: value} of a `Finding`."""
    return {effect.label: effect.value for effect in finding.effects}


def bpe():
    """A byte-level BPE tokenizer trained on the README, whose pieces are parts of words."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|end|>", "<|pad|>"]
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, special_tokens=special)
    tokenizer.train([str(ROOT / "README.md")], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|pad|>"
    )
    fast.chat_template = "{% for m in messages %}user: {{ m.content }}\n{% endfor %}assistant:"
    return fast


def sampled(step, right=None, group=None, lengths=None, **columns):
    """A `Sampled` of rollouts by hand, in as many groups as rollouts; what is not given is 0."""
    count = len(step)
    lengths = lengths or [1] * count
    tokens = torch.zeros(sum(lengths))
    measured = ("entropy", "gradient", "position", "moved", "control_moved")
    found = dict.fromkeys(measured, tokens)
    found |= {name: tokens.long() for name in ("kind", "word")} | {"beside": tokens.bool()}
    found |= {"perplexity": torch.ones(count), "defects": torch.zeros(count, 4).bool()}
    found |= {name: torch.as_tensor(values) for name, values in columns.items() if name in found}
    return Sampled(
        step=torch.tensor(step),
        group=torch.tensor(group or list(range(count))),
        right=torch.tensor(right or [False] * count),
        row=torch.arange(count).repeat_interleave(torch.tensor(lengths)),
        vocabulary=columns.get("vocabulary", []),
        **found,
    )


class World(NamedTuple):
    """A made-up world in which the truth about a finding is known, for tests/simulate_verdicts.py.

    draw: seed -> the verdict on one made-up run of it. error: the verdict that would be wrong there.
    true: whether the claim is; where nothing is said, it is where its refutal would be wrong.
    """

    finding: str
    about: str
    draw: Callable[[int], str]
    error: str
    true: bool | None = None

    def is_true(self) -> bool:
        return self.error != "holds here" if self.true is None else self.true
