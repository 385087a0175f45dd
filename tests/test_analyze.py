"""The report on a run: what is planted is found, its opposite is not, and no odd run breaks it."""

import itertools
import json
import math
import subprocess
import sys
from types import SimpleNamespace

import pyarrow
import pyarrow.parquet
import pytest
import torch
from conftest import ROOT

import analyze
import rollout
import toy
import train
from analyze import FORMAL, LOGIC, META, REST, defects, token_words, words_of
from data import InputError, Question
from entropy import score_batch

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
    return found | {"branching_factor": 1 + mean, "response_length": 20.0 + noise}


def planted(step, knee=50, sign=1):
    """16 rollouts of a step in which every claim about tokens holds, with sign -1 its opposite."""
    generator = torch.Generator().manual_seed(step)
    rows = []
    for i in range(16):
        right = i % 2 == 0
        early = (step <= knee / 2) == (sign > 0)
        text = BAD if early and i % 4 == 1 else GOOD
        tokens = [*text, "<|endoftext|>"]
        n = len(tokens)
        position = torch.arange(n) / n
        noise = 0.01 * torch.rand(n, generator=generator)
        entropy = 0.1 + sign * 0.5 * (position - 0.5).abs() + noise + 2.0 * (text == BAD)
        change, gradient = 0.001 * torch.rand(n, generator=generator), torch.full((n,), 0.1)
        if i < 4 if sign > 0 else i >= 12:  # one token in a rollout of low perplexity is moved
            at = 3 if sign > 0 else text.find("b")
            change[at] = 0.3 * (1 if right == (sign > 0) else -1)
            entropy[at], gradient[at] = (1.5, 0.9) if sign > 0 else (0.0, 0.0)
        row = {"step": step, "question": f"{i // 4}+1", "gold": "2", "text": text, "tokens": tokens}
        row |= {"outcome": "no answer" if text == BAD else "correct" if right else "wrong"}
        row |= {"truncated": False, "perplexity": 1.1 + i / 100, "entropy": entropy.tolist()}
        row |= {"gradient": gradient.tolist(), "relative_position": position.tolist()}
        rows.append(row | {"old_logp": [-0.7] * n, "logp_change": change.tolist()})
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
    options = {"report": None, "intervene": False, "questions": 3, "continuations": 2}
    options |= {"runs": [folder], **dict(arguments)}
    analyze.report_on(SimpleNamespace(**options))
    found = json.loads(((options["report"] or folder / "report") / "findings.json").read_text())
    return {finding["name"]: finding for finding in found}


def verdicts(found):
    return {name: finding["verdict"] for name, finding in found.items()}


def value(finding, label):
    return next(e for e in finding["effects"] if e["label"].startswith(label))


# ------------------------------------------------------------------------------ facts about text


@pytest.mark.parametrize(
    "text, kinds",
    [
        (r"\frac{1}{2} + 3,000.5 = x", [FORMAL] * 10 + [REST]),
        ("x=2 sin(y)", [FORMAL, FORMAL, FORMAL, FORMAL, REST, FORMAL, REST]),
        ("Because A, so therefore if", [LOGIC, REST, REST, LOGIC, LOGIC, LOGIC]),
        ("Wait, let me double-check", [META, REST, META, META]),
        ("因为三等等", [LOGIC, REST, META]),
        ("sold résumé don't", [REST, REST, REST]),
    ],
)
def test_kinds_of_words(text, kinds):
    words = [(kind, word) for _, _, kind, word in words_of(text) if not word.isspace()]
    assert [kind for kind, _ in words] == kinds, words
    assert "".join(text[a:b] for a, b, _, _ in words_of(text)) == text


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


@pytest.mark.parametrize("make", [toy.tokenizer, bpe])
def test_pieces_of_words_count_for_the_word(make):
    tokenizer = make()
    text = "wait, because 123 ≤ \\frac{1}{2}, 所以 le café 🙂 is 7"
    ids = [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]
    tokens = [tokenizer.decode([i]) for i in ids]
    assert any("\ufffd" in token for token in tokens)
    found = token_words(tokens, text)
    assert len(found) == len(tokens) and found[-1] == (REST, "")
    joined = [word for i, word in enumerate(found) if i == 0 or word != found[i - 1]]
    expected = [
        (META, "wait"),
        (LOGIC, "because"),
        (FORMAL, "123"),
        (FORMAL, "≤"),
        (FORMAL, "\\frac"),
    ]
    expected += [(LOGIC, "所以"), (REST, "café"), (REST, "🙂"), (FORMAL, "7")]
    order = [joined.index(word) for word in expected]
    assert order == sorted(order)


def test_tokens_without_their_leading_space_are_found():
    assert [w for _, w in token_words(["be", "cause", "of", "<s>", "12"], "because of 12")] == [
        *["because"] * 2,
        *["of", "", "12"],
    ]


@pytest.mark.parametrize(
    "question, text, expected",
    [
        ("7+8", "7+8=15\n\\boxed{15}", ""),
        ("What is the sum of two and three?", "The sum of two and three is \\boxed{5}.", ""),
        ("Find x.", "$$\n\\frac{a}{b}\n$$\nHence **x**\n\\[ \\boxed{\\text{miles}} \\]", ""),
        ("求和", "因为一加一，所以 \\boxed{2}", ""),
        ("7+8", "7+8=15\nkq xwzv\n\\boxed{15}", "irrelevant content"),
        ("7+8", "\\boxed{15}\nUser: next?", "irrelevant content"),
        ("7+8", "\\boxed{15} " + "and then more of it " * 8, "irrelevant content"),
        ("7+8", "so we go on " * 20, "irrelevant content"),
        ("7+8", "所以答案是 \\boxed{15}", "language mixing"),
        ("What is 7+8?", "Это \\boxed{15}", "language mixing"),
        ("求和", "The answer is then \\boxed{2} because that works", "language mixing"),
    ],
)
def test_defects(question, text, expected):
    found = defects(question, text, "wrong", False)
    assert [name for name, bad in zip(analyze.DEFECTS, found, strict=True) if bad] == [
        name for name in [expected] if name
    ]


def test_defects_of_the_outcome():
    assert defects("1+1", "1+1=2", "no answer", False) == [True, False, False, False]
    assert defects("1+1", "1+1=2", "truncated", True) == [False, False, False, True]


def test_the_toys_own_gibberish_and_chinese_are_found():
    import random

    rng, right, wrong = random.Random(0), 0, 0
    for _ in range(300):
        question = toy.chain(rng)
        text = toy.worked_solution(question, rng)
        found = dict(zip(analyze.DEFECTS, defects(question, text, "", False), strict=True))
        lines = text.splitlines()
        noise = any(
            sum(c.isalpha() for c in x) >= 4 and x.replace(" ", "").isalpha() for x in lines
        )
        assert found["language mixing"] == ("所" in text)
        right += found["irrelevant content"] == noise
        wrong += found["irrelevant content"] and not noise
    assert right >= 294 and not wrong  # a short line may hold a real word by chance


# ----------------------------------------------------------------------------- effects, verdicts


def test_the_bootstrap_covers():
    covered = 0
    for seed in range(100):
        numbers = torch.randn(40, generator=torch.Generator().manual_seed(seed))
        _, low, high = analyze.bootstrap(analyze.ratio, numbers, torch.ones(40), draws=400)
        covered += low < 0 < high
    assert 87 <= covered <= 99


@pytest.mark.parametrize(
    "effects, verdict, why",
    [
        ([], "not enough data", ""),
        ([(1, 0.5, 1.5, 0)], "holds here", ""),
        ([(1, 0.5, 1.5, 0), (-1, -1.5, -0.5, None)], "holds here", ""),
        ([(1, 0.5, 1.5, 0), (-1, -1.5, -0.5, 0)], "does not hold here", "against it: 1"),
        ([(0, 0, 0, 0)], "does not hold here", "against it: 0"),
        ([(1, -1, 3, 0)], "not enough data", "4 times as many questions"),
        ([(0.01, -1, 1, 0)], "not enough data", "over 100 times as many questions"),
        ([(1, math.nan, math.nan, 0)], "not enough data", "no interval for: 0"),
    ],
)
def test_verdicts(effects, verdict, why):
    named = [analyze.Effect(str(i), *effect) for i, effect in enumerate(effects)]
    found = analyze.Finding("S0", "", effects=named).verdict()
    assert found[0] == verdict and found[1].endswith(why)


def test_ends_of_the_rising_stage():
    steps = torch.tensor([10, 20, 20, 30, 40, 50, 60])
    first, last = analyze.Stages(50, 60).ends_of_rise(steps, least=1)
    assert (steps[first].tolist(), steps[last].tolist()) == ([10], [50])
    first, last = analyze.Stages(50, 60).ends_of_rise(steps, least=2)
    assert (steps[first].tolist(), steps[last].tolist()) == ([10, 20, 20], [40, 50])
    assert analyze.Stages(50, 60).ends_of_rise(steps, least=3) is None
    every = torch.arange(1, 201)
    first, last = analyze.Stages(100, 200).ends_of_rise(every, least=2)
    assert (every[first].tolist(), every[last].tolist()) == ([*range(1, 11)], [*range(91, 101)])


# -------------------------------------------------------------------------------- whole reports


def test_what_is_planted_holds_and_its_opposite_does_not(tmp_path):
    steps = range(5, 121, 5)
    holds = write_run(
        tmp_path / "a", [line(s) for s in range(1, 121)], {s: planted(s) for s in steps}
    )
    found = report(holds)
    assert value(found["S1"], "last step")["value"] == pytest.approx(50, abs=6)
    judged = ("S1", "S2", "S3", "S4", "S5", "S6", "I1", "T1")
    assert {name: verdicts(found)[name] for name in judged} == dict.fromkeys(judged, "holds here")
    fall = [
        value(found["S2"], f"share of it {part}")["value"]
        for part in ("within wrong", "within right", "by")
    ]
    assert sum(fall) == pytest.approx(100)
    assert {path.name for path in (holds / "report").glob("*.png")} == {f"{n}.png" for n in judged}
    text = (holds / "report" / "report.md").read_text()
    assert all(f"![{name}]({name}.png)" in text for name in judged)
    assert "steps 5" in text and "xqzt" in text

    lines = [line(s, right=5.0, wrong=0.1) for s in range(1, 121)]
    found = report(write_run(tmp_path / "b", lines, {s: planted(s, sign=-1) for s in steps}))
    judged = ("S2", "S3", "S4", "S5", "S6", "I1", "T1")
    expected = dict.fromkeys(judged, "does not hold here")
    assert {name: verdicts(found)[name] for name in judged} == expected


def one_kind(rows, outcome):
    return [row | {"outcome": outcome} for row in rows]


def without(found, name):
    return found | {f"entropy_rollout_mean_{name}": None, "entropy_rollout_mean": 0.1}


def test_odd_runs_are_reported_too(tmp_path):
    lines = [line(s) for s in range(1, 61)]
    files = {s: planted(s) for s in (10, 20, 30, 40)}
    cases = {
        "no step": ([], None),
        "one step": (lines[:1], {1: planted(1)}),
        "two steps": (lines[:2], {1: planted(1), 2: planted(2)}),
        "none right": (
            [without(x, "correct") for x in lines],
            {s: one_kind(r, "wrong") for s, r in files.items()},
        ),
        "none wrong": (
            [without(x, "wrong") for x in lines],
            {s: one_kind(r, "correct") for s, r in files.items()},
        ),
        "not probed": (
            lines,
            {
                s: [r | {"logp_change": [math.nan] * len(r["tokens"])} for r in rows]
                for s, rows in files.items()
            },
        ),
        "no rollouts": (lines, None),
    }
    for name, (some, rollouts) in cases.items():
        found = report(write_run(tmp_path / name, some, rollouts))
        assert len(found) == 11, name
        assert all(f["why"] for f in found.values() if f["verdict"] == "not enough data"), name
    assert "--probe_every" in report(tmp_path / "not probed")["S5"]["why"]
    assert "--save_rollouts_every" in report(tmp_path / "no rollouts")["T1"]["why"]
    assert report(tmp_path / "one step")["S1"]["verdict"] == "not enough data"
    flat = [line(1) | {"step": s} for s in range(1, 121)]
    found = report(write_run(tmp_path / "flat", flat, files))
    assert found["S1"]["verdict"] == "does not hold here"
    assert "plateau" in found["S5"]["why"] and "plateau" in found["S6"]["why"]


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    folder = write_run(tmp_path / "run", [line(1)], {1: planted(1)})
    file = folder / "rollouts" / "step_1.parquet"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InputError, match="step_1.parquet cannot be read"):
        report(folder)


def test_a_line_that_was_cut_off_is_left_out(tmp_path):
    folder = write_run(tmp_path / "run", [line(s) for s in range(1, 10)])
    with (folder / "metrics.jsonl").open("a") as log:
        log.write('{"step": 10, "accur')
    assert len(analyze.read_run(folder).lines) == 9
    with (folder / "metrics.jsonl").open("a") as log:
        log.write("1}\n")
    with pytest.raises(InputError, match="not as train.py writes a run"):
        analyze.read_run(folder)
    (folder / "metrics.jsonl").write_text(json.dumps(line(1) | {"entropy": math.nan}) + "\n")
    assert analyze.read_run(folder).lines == []
    (folder / "metrics.jsonl").write_text('{"step": 1}\n')
    with pytest.raises(InputError, match="lines without accuracy"):
        analyze.read_run(folder)


def test_exploration_tells_the_questions_apart(tmp_path):
    interval = {"mean": 0.5, "low": 0.4, "high": 0.6}
    ends = {
        name: {"samples": 2, "questions": 40, "unsolved": u, "right": right, "acc": interval}
        | {"pass": {"1": interval, "2": interval}}
        for name, u, right in (
            ("before", 10, [0] * 10 + [1] * 30),
            ("after", 9, [0] * 9 + [2] * 31),
        )
    }
    run = write_run(tmp_path / "run", [line(1)], summary=ends | {"steps": 1})
    found = report(run)["X1"]
    assert value(found, "... before and after")["value"] == 9
    assert value(found, "gain of Pass@1")["value"] == pytest.approx((1 * 2 + 30 * 1) / 2 / 40)
    assert value(found, "gain of Pass@2")["value"] == pytest.approx(1 / 40)
    assert found["verdict"] == "holds here"


def a_sampled_run(folder, policy, questions, steps):
    """A run of what a policy really writes, by train.py's own functions."""
    options = SimpleNamespace(**CONFIG, overlong_buffer=0, overlong_penalty=0.0)
    folder.mkdir()
    for step in steps:
        torch.manual_seed(step)
        batch = rollout.sample_and_grade(policy, questions, options)
        scores = score_batch(policy.model, batch.rollouts)
        advantages = torch.linspace(-1, 1, len(batch.rewards))
        shaped = advantages[:, None] * batch.rollouts.response_mask
        change = 0.1 * torch.randn(shaped.shape)
        path = folder / "rollouts" / f"step_{step}.parquet"
        train.write_rollouts(path, step, policy, batch, scores, advantages, shaped, change)
    rollout.save_policy(policy, folder / "checkpoints" / "step_4")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line(s)) + "\n" for s in range(1, 5)))
    return folder


def asked_of(function, questions):
    """The function, which notes its questions."""

    def noted(policy, question, *rest):
        questions.append(question.text)
        return function(policy, question, *rest)

    return noted


def a_bpe_policy():
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    tokenizer = bpe()
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    sizes |= {"num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": len(tokenizer)}
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    model = Qwen2ForCausalLM(Qwen2Config(**sizes, **ends)).eval()
    return rollout.Policy(model, tokenizer, "chat", "Box it.", (tokenizer.eos_token_id,))


def test_real_rollouts_of_a_chat_model_are_reported_and_replaced(tmp_path, monkeypatch, capsys):
    questions = [Question("What is 1+1?", "2"), Question("所以 é?", "3"), Question("2-2", "0")]
    folder = a_sampled_run(tmp_path / "run", a_bpe_policy(), questions, (1, 2, 3, 4))
    found = report(folder)
    assert verdicts(found)["I1"] != ""
    assert found["T1"]["effects"] and found["S6"]["effects"]
    assert "--intervene" in found["T2"]["why"]

    found = report(folder, ("intervene", True))
    lines = [json.loads(x) for x in (folder / "report" / analyze.REPLACED).read_text().splitlines()]
    assert {x["question"] for x in lines} == {q.text for q in questions}
    about = {"checkpoint": "step_4", "continuations": 2}
    assert all(about.items() <= x.items() for x in lines)
    assert sum(len(x["replaced"]) for x in lines) > 10
    for x in itertools.chain.from_iterable(line["replaced"] for line in lines):
        assert x["place"] in analyze.PLACES and x["perplexity"] in ("low", "high")
        third = analyze.PLACES.index(x["place"])
        assert third / 3 <= x["position"] < (third + 1) / 3 + 1e-9
        assert {x["with_original"], x["with_replacement"]} <= {0.0, 0.5, 1.0}
    assert value(found["T2"], "impact, place start")["value"] == 0  # it never answers rightly

    # What is there is not done again; what was cut off is, and comes out the same.
    path = folder / "report" / analyze.REPLACED
    whole = path.read_text()
    path.write_text(whole[:-40])
    monkeypatch.setattr(analyze, "replace_tokens", asked_of(analyze.replace_tokens, again := []))
    report(folder, ("intervene", True))
    assert path.read_text() == whole and again == [lines[-1]["question"]]


def test_impact_is_what_the_replacement_costs(tmp_path):
    (tmp_path / "report").mkdir()
    about, lines = {"checkpoint": "step_9", "continuations": 4}, []
    for i in range(30):
        tokens = []
        for place, lost in (("start", 0.5), ("middle", 0.25), ("end", 0.0)):
            for perplexity, more in (("low", 0.0), ("high", 0.25)):
                token = {"place": place, "perplexity": perplexity, "with_original": 1.0}
                tokens.append(token | {"with_replacement": 1 - lost - more})
        lines.append(about | {"question": str(i), "replaced": tokens})
    lines.append(about | {"question": "x", "replaced": []})
    lines.insert(0, about | {"question": "old", "checkpoint": "step_1", "replaced": tokens * 9})
    text = "".join(json.dumps(x) + "\n" for x in lines)
    (tmp_path / "report" / analyze.REPLACED).write_text(text + '{"cut')
    i2, t2 = analyze.replacement_findings(tmp_path / "report")
    assert (i2.verdict()[0], t2.verdict()[0]) == ("holds here", "holds here")
    assert [round(e.value, 6) for e in t2.effects[:3]] == [62.5, 37.5, 12.5]
    assert [round(e.value, 6) for e in i2.effects[:2]] == [50.0, 25.0]


# ---------------------------------------------------------------------------------- several runs


SETTINGS = {
    "plain": ({}, 0.80, 0.05, 20),
    "low": ({"ppl_alpha": 0.1}, 0.85, 0.04, 20),
    "high": ({"ppl_alpha": -0.1}, 0.75, 0.09, 20),
    "late": ({"position_gamma": 0.1, "position_steepness": 15.0}, 0.82, 0.05, 24),
    "early": ({"position_gamma": 0.1, "position_steepness": -15.0}, 0.78, 0.05, 20),
    "other": ({"clip_high": 0.2}, 0.79, 0.05, 20),
}


def several(folder, seeds=3):
    base = CONFIG | {"ppl_alpha": 0.0, "position_gamma": 0.0, "position_steepness": 15.0}
    base |= {"clip_high": None, "objective": "clip"}
    for name, (options, accuracy, entropy, length) in SETTINGS.items():
        for seed in range(seeds):
            off = 0.01 * seed
            tail = {
                "accuracy": accuracy + off,
                "entropy": entropy + off / 10,
                "response_length": length + off,
            }
            summary = {"after": {"acc": {"mean": accuracy + off}}, "steps": 30}
            lines = [line(s) | tail for s in range(1, 31)]
            write_run(
                folder / f"{name}-{seed}",
                lines,
                summary=summary,
                config=base | options | {"seed": seed},
            )
    return sorted(folder.iterdir())


def test_several_runs_are_compared_seed_by_seed(tmp_path):
    folders = several(tmp_path / "runs")
    out = tmp_path / "out"
    found = report(None, ("runs", folders), ("report", out))
    assert verdicts(found) == {"I3": "holds here", "T3": "holds here"}
    low = value(found["I3"], "accuracy, low")
    assert (low["value"], low["low"], low["high"]) == pytest.approx((0.05, 0.05, 0.05))
    text = (out / "report.md").read_text()
    assert "| ppl_alpha -0.1 | 3 |" in text and "| clip_high 0.2 | 3 |" in text
    cut = tmp_path / "runs" / "low-1" / "metrics.jsonl"  # a run that is still under way is left out
    lines = cut.read_text().replace('"accuracy": 0.86', '"accuracy": 0.1').splitlines(keepends=True)
    cut.write_text("".join(lines[:9]))
    (tmp_path / "runs" / "low-1" / "summary.json").unlink()
    again = report(None, ("runs", folders), ("report", out))
    assert value(again["I3"], "accuracy, low")["value"] == pytest.approx(0.05)
    assert "| GRPO | 3 |" in text and (out / "I3.png").exists()


def test_several_runs_without_what_a_claim_needs(tmp_path):
    folders = [f for f in several(tmp_path / "runs") if "low" in f.name or "high" in f.name]
    found = report(None, ("runs", folders), ("report", tmp_path / "out"))
    assert verdicts(found) == dict.fromkeys(("I3", "T3"), "not enough data")
    with pytest.raises(InputError, match="another run"):
        report(None, ("runs", folders + folders[:1]), ("report", tmp_path / "out"))


# ------------------------------------------------------------------------------ the command line


@pytest.mark.parametrize(
    "arguments", [["nowhere"], ["."], ["RUN", "--questions", "0"], ["RUN", "--intervene"]]
)
def test_bad_input_ends_in_one_sentence(arguments, tmp_path, monkeypatch, capsys):
    run = write_run(tmp_path / "run", [line(1)])
    given = [
        str(run) if a == "RUN" else str(tmp_path / a) if a in ("nowhere", ".") else a
        for a in arguments
    ]
    monkeypatch.setattr(sys, "argv", ["analyze.py", *given])
    with pytest.raises(SystemExit) as end:
        analyze.main()
    assert end.value.code == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("analyze.py: ") and err.count("\n") == 1


def test_without_matplotlib_all_but_the_figures_is_there(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    run = write_run(tmp_path / "run", [line(s) for s in range(1, 121)])
    assert verdicts(report(run))["S1"] == "holds here"
    text = (run / "report" / "report.md").read_text()
    assert "matplotlib is not installed" in text and "![" not in text


def test_the_command_line(tmp_path):
    run = write_run(tmp_path / "run", [line(s) for s in range(1, 121)])
    command = [sys.executable, "-W", "error::UserWarning", "analyze.py", str(run)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "" and "S1  holds here" in done.stdout
    assert str(run / "report" / "report.md") in done.stdout
