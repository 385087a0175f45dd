"""Evaluation: the estimators against brute force and by hand, one random stream, and the program."""

import itertools
import json
import math
import random
import subprocess
import sys
from pathlib import Path
from unittest.mock import MagicMock

import pytest
import torch
import transformers

import eval as evaluation
import toy
from data import Question
from options import EvalOptions, InputError
from policy import encode_prompt, load_policy, save_policy
from rollout import Sampling

ROOT = Path(evaluation.__file__).parent


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    """A tiny untrained model, and another one beside it."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    transformers.utils.logging.disable_progress_bar()
    save_policy(toy.untrained_policy(0), folder)
    save_policy(toy.untrained_policy(1), folder.with_name("other"))
    return folder


@pytest.fixture(scope="module")
def policy(model_folder):
    return load_policy(str(model_folder), "cpu")


def asked(policy, texts, n=2, temperature=1.0, seed=0, batch_size=4, **options):
    questions = [Question(text, toy.answer(text)) for text in texts]
    sampling = Sampling(n, 6, temperature, batch_size=batch_size)
    return evaluation.evaluate(policy, questions, sampling, seed, **options)


def record(correct, answers=None, **columns):
    """A record as `evaluate` makes it; wrong rollouts without answers given have none."""
    n = len(correct)
    answers = answers or ["7" if right else None for right in correct]
    outcomes = ["no answer" if a is None else "wrong" for a in answers]
    outcomes = ["correct" if c else o for c, o in zip(correct, outcomes, strict=True)]
    plain = {
        "entropy": [0.5] * n,
        "branching": [2.0] * n,
        "lengths": [4] * n,
        "truncated": [False] * n,
    }
    said = {"question": "3+4", "gold": "7", "texts": [""] * n}
    return {
        **said,
        "answers": answers,
        "outcomes": outcomes,
        "correct": correct,
        **plain,
        **columns,
    }


# ------------------------------------------------------------------------------- estimators


def test_fault_16_pass_at_k_is_the_mean_over_all_subsets_of_the_rollouts():
    for n in range(1, 8):
        for c, k in itertools.product(range(n + 1), range(1, n + 1)):
            rollouts = [1] * c + [0] * (n - c)
            subsets = list(itertools.combinations(rollouts, k))
            expected = sum(any(subset) for subset in subsets) / len(subsets)
            assert evaluation.pass_at_k(n, c, k) == pytest.approx(expected, abs=1e-12), (n, c, k)


def test_pass_at_k_refuses_what_cannot_be_estimated():
    for n, c, k in ((4, 1, 5), (4, 5, 1), (4, -1, 1), (4, 1, 0)):
        with pytest.raises(ValueError):
            evaluation.pass_at_k(n, c, k)


@pytest.mark.parametrize(
    "answers, correct, expected",
    [
        (["7", "1/2", "7", r"\frac12", "0.5"], [0, 1, 0, 1, 1], 1.0),  # 3 votes against 2
        (["7", "1/2", "7", r"\frac12", "7"], [0, 1, 0, 1, 0], 0.0),
        (["1/2", "0.5", "7", "7"], [1, 1, 0, 0], 0.5),
        (["1", "2", "3"], [0, 1, 0], 1 / 3),
        ([None, None, None, "3"], [0, 0, 0, 1], 1.0),  # no answer has no vote
        ([None, None], [0, 0], 0.0),
        (["7"], [1], 1.0),
        # Not transitive: 50% is 50 and is 1/2, which are not the same. The most frequent text leads.
        (["50", "1/2", "50%", "50%"], [0, 1, 1, 1], 1.0),
    ],
)
def test_majority_counts_equivalent_answers_together_in_any_order(answers, correct, expected):
    votes = list(zip(answers, correct, strict=True))
    for seed in range(5):
        random.Random(seed).shuffle(votes)
        assert evaluation.majority(*zip(*votes, strict=True)) == pytest.approx(expected)


def test_majority_compares_only_different_texts(monkeypatch):
    is_equivalent = MagicMock(side_effect=evaluation.is_equivalent)
    monkeypatch.setattr(evaluation, "is_equivalent", is_equivalent)
    assert evaluation.majority(["12"] * 30 + ["13"] * 20, [1] * 30 + [0] * 20) == 1
    assert is_equivalent.call_count <= 1


def mean_of(values, **how):
    ones = torch.ones(len(values))
    return evaluation.bootstrap(evaluation.ratio, torch.tensor(values), ones, **how)


def test_bootstrap_interval_covers_the_true_mean_about_95_times_in_100():
    rng, covered, trials = random.Random(0), 0, 300
    widths = []
    for trial in range(trials):
        values = [float(rng.random() < 0.3) for _ in range(60)]
        value, low, high = mean_of(values, draws=200, seed=trial)
        assert value == pytest.approx(sum(values) / 60)
        covered += low <= 0.3 <= high
        widths.append(high - low)
    assert 0.89 <= covered / trials <= 0.98
    theory = 2 * 1.96 * math.sqrt(0.3 * 0.7 / 60)
    assert sum(widths) / trials == pytest.approx(theory, rel=0.05)


def test_bootstrap_interval_has_a_generator_of_its_own():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = mean_of([0.0, 1.0, 1.0, 4.0])
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(4)
    assert mean_of([0.0, 1.0, 1.0, 4.0]) == first
    assert mean_of([2.5] * 3) == (2.5, 2.5, 2.5)


# --------------------------------------------------------------------------------- evaluate


def test_evaluate_leaves_the_random_state_alone_and_repeats_itself(policy):
    torch.manual_seed(5)
    state, python_state = torch.get_rng_state(), random.getstate()
    first = asked(policy, ["7-1", "3+4"])
    assert torch.equal(state, torch.get_rng_state())
    assert python_state == random.getstate()
    torch.manual_seed(6)
    assert asked(policy, ["7-1", "3+4"]) == first
    assert asked(policy, ["7-1", "3+4"], seed=1) != first


def test_fault_16_identical_questions_get_different_rollouts(policy):
    for batch_size in (2, 100):  # in batches of their own, and in one
        texts = [
            text
            for found in asked(policy, ["7-1"] * 4, batch_size=batch_size)
            for text in found["texts"]
        ]
        assert len(set(texts)) == len(texts) == 8


def test_evaluate_measures_entropy_at_the_temperature_of_the_sampling(policy, monkeypatch):
    sampled = []
    sample = evaluation.sample
    monkeypatch.setattr(evaluation, "sample", lambda *a: sampled.append(sample(*a)) or sampled[-1])
    for temperature, scored_at in ((0.5, 0.5), (0.0, 1.0)):
        sampled.clear()
        records = asked(policy, ["7-1", "3+4-2", "1+1"], temperature=temperature)
        assert [r["question"] for r in records] == ["7-1", "3+4-2", "1+1"]
        entropies, lengths = [], []
        for rollouts in sampled:
            for ids, mask in zip(rollouts.input_ids, rollouts.response_mask, strict=True):
                end = int(mask.nonzero().max()) + 1
                with torch.no_grad():
                    logits = policy.model(ids[None, :end]).logits[0, :-1] / scored_at
                entropy = torch.distributions.Categorical(logits=logits).entropy()
                entropies.append(entropy[mask[1:end]].mean().item())
                lengths.append(int(mask.sum()))
        found = [value for r in records for value in r["entropy"]]
        assert found == pytest.approx(entropies, rel=1e-4)
        assert [length for r in records for length in r["lengths"]] == lengths


def test_greedy_rollouts_of_a_question_are_one_and_the_same(policy):
    for found in asked(policy, ["7-1", "3+4"], n=3, temperature=0.0):
        assert len(set(found["texts"])) == 1


def test_rollouts_are_graded_against_their_own_question(policy, monkeypatch):
    def sample_right(policy, prompts, sampling):
        rollouts = sample(policy, prompts, sampling)
        questions = [policy.tokenizer.decode(p).strip() for p in prompts for _ in range(3)]
        rollouts.texts = [f"\\boxed{{{toy.answer(question)}}}" for question in questions]
        rollouts.texts[-1] = "I do not know"
        return rollouts

    sample = evaluation.sample
    monkeypatch.setattr(evaluation, "sample", sample_right)
    records = asked(policy, ["7-1", "3+4", "1-9", "2+2", "5+0"], n=3, batch_size=7)
    assert [r["correct"] for r in records] == [[1, 1, 1], [1, 1, 0]] * 2 + [[1, 1, 0]]
    assert [r["answers"][-1] for r in records] == ["6", None, "-8", None, None]
    assert records[1]["outcomes"] == ["correct", "correct", "no answer"]
    assert json.loads(json.dumps(records)) == records


def test_evaluate_opens_the_precision_around_every_batch(policy):
    precision = MagicMock()
    precision.__exit__.return_value = False
    asked(policy, ["7-1"] * 5, n=2, batch_size=4, autocast=precision)
    assert precision.__enter__.call_count == precision.__exit__.call_count == 3
    bfloat16 = torch.autocast("cpu", torch.bfloat16)
    assert asked(policy, ["7-1"] * 5, autocast=bfloat16) != asked(policy, ["7-1"] * 5)


def test_evaluate_leaves_out_long_prompts_and_says_so(policy, capsys):
    limit = len(encode_prompt(policy, "7-1"))
    records = asked(policy, ["7-1", "7-1+1", "3+4"], max_prompt_length=limit)
    assert [r["question"] for r in records] == ["7-1", "3+4"]
    assert "left out 1 of 3" in capsys.readouterr().err
    with pytest.raises(InputError, match="max_prompt_length"):
        asked(policy, ["7-1"], max_prompt_length=limit - 1)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_evaluate_refuses_a_model_whose_logits_are_not_finite(temperature):
    broken = toy.untrained_policy()
    torch.nn.init.constant_(broken.model.model.norm.weight, math.nan)
    state = torch.get_rng_state()
    with pytest.raises(InputError, match="not finite"):
        asked(broken, ["7-1"], temperature=temperature)
    assert torch.equal(state, torch.get_rng_state())


# ------------------------------------------------------------------- summaries, comparisons


def test_summarize_by_hand():
    records = [
        record([1, 0, 1, 0], ["7", "6", "7.0", "5"], lengths=[4, 6, 8, 10]),
        record([0, 0, 0, 0], truncated=[True, False, False, False], entropy=[1.5] * 4),
        record([1, 0, 0, 0], ["7", "8", "8", None], branching=[5.0] * 4),
    ]
    summary = evaluation.summarize(records)
    assert (summary["questions"], summary["samples"], summary["unsolved"]) == (3, 4, 1)
    expected = {
        "acc": 3 / 12,
        "maj": 1 / 3,  # 7 with two votes is right; nobody votes; 8 with two votes is wrong
        "entropy": 2.5 / 3,
        "branching": 3.0,
        "length": (7 + 4 + 4) / 3,
        "truncated_rate": 1 / 12,
        "no_answer_rate": 5 / 12,
    }
    for name, mean in expected.items():
        assert summary[name]["mean"] == pytest.approx(mean), name
        assert summary[name]["low"] <= mean <= summary[name]["high"], name
    passed = {k: value["mean"] for k, value in summary["pass"].items()}
    # Of 6 pairs of the first question's rollouts 1 holds no right one, of the third's 3; of 4 triples
    # 0 and 1.
    by_hand = {"1": 3 / 12, "2": (5 / 6 + 3 / 6) / 3, "3": (1 + 3 / 4) / 3, "4": 2 / 3}
    assert passed == pytest.approx(by_hand)
    assert (summary["acc"]["low"], summary["acc"]["high"]) == (0.0, 0.5)
    assert json.loads(json.dumps(summary)) == summary


def test_table_is_aligned():
    columns = {
        "before": evaluation.summarize([record([0, 1]), record([0, 1])]),
        "after training": evaluation.summarize([record([1, 1], lengths=[120, 121])] * 2),
    }
    assert evaluation.table(columns).splitlines() == [
        "                 before              after training",
        "Acc@2            0.500 [0.50, 0.50]  1.000 [1.00, 1.00]",
        "Maj@2            1.000 [1.00, 1.00]  1.000 [1.00, 1.00]",
        "Pass@2           1.000 [1.00, 1.00]  1.000 [1.00, 1.00]",
        "entropy (nats)   0.500 [0.50, 0.50]  0.500 [0.50, 0.50]",
        "length (tokens)  4.0 [4, 4]          120.5 [120, 120]",
        "no answer        0.500 [0.50, 0.50]  0.000 [0.00, 0.00]",
        "truncated        0.000 [0.00, 0.00]  0.000 [0.00, 0.00]",
    ]


def test_compare_is_paired():
    # 40 questions of very different difficulty, on each of which b has one more of 10 right.
    a = [record([1] * (i % 10) + [0] * (10 - i % 10), question=str(i)) for i in range(40)]
    b = [record([1] * (i % 10 + 1) + [0] * (9 - i % 10), question=str(i)) for i in range(40)]
    found = evaluation.compare(a, b)
    assert found["acc"]["mean"] == pytest.approx(0.1)
    assert found["acc"]["high"] - found["acc"]["low"] < 1e-9  # unpaired it would be 0.26 wide
    assert found["acc"]["resolved"]
    assert found["pass"]["mean"] == pytest.approx(0.1)  # 4 of 40 had no right rollout
    assert found["only_a"] == []
    assert found["only_b"] == ["0", "10", "20", "30"]
    back = evaluation.compare(b, a)
    assert back["acc"]["mean"] == pytest.approx(-0.1)
    assert back["acc"]["resolved"]
    assert back["only_a"] == found["only_b"]


def test_compare_does_not_resolve_what_is_noise():
    a = [record([i % 2, 0], question=str(i)) for i in range(20)]
    b = [record([(i + 1) % 2, 0], question=str(i)) for i in range(20)]
    found = evaluation.compare(a, b)
    assert found["acc"]["mean"] == 0
    assert not any(found[name]["resolved"] for name in ("acc", "maj", "pass"))
    assert len(found["only_a"]) == len(found["only_b"]) == 10


def test_compare_looks_at_shared_questions_only():
    a = [record([1], question="x"), record([1], question="y"), record([1], question="z")]
    b = [record([1], question="x"), record([0], question="z")]
    found = evaluation.compare(a, b)
    assert (found["questions"], found["acc"]["mean"], found["only_a"]) == (2, -0.5, ["z"])
    with pytest.raises(InputError):
        evaluation.compare(a, b[::-1])
    with pytest.raises(InputError):
        evaluation.compare(a[1:2], b)


# ------------------------------------------------------------------------------ the program


@pytest.fixture
def questions(tmp_path):
    path = tmp_path / "sums.jsonl"
    rows = [{"problem": f"{i}+1", "answer": str(i + 1)} for i in range(5)]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def end_of_main(monkeypatch, *arguments):
    """The status main() exits with; None for a run to the end."""
    monkeypatch.setattr(sys, "argv", ["eval.py", *map(str, arguments)])
    try:
        evaluation.main()
    except SystemExit as end:
        return end.code


def test_command_line_compares_two_models_on_two_sets(model_folder, questions, tmp_path):
    more = tmp_path / "more.jsonl"
    more.write_text('{"question": "2-2", "final_answer": 0}\n', encoding="utf-8")
    output = tmp_path / "new" / "out.jsonl"
    other = model_folder.with_name("other")
    command = f"--model {model_folder} --compare {other} --data {questions},{more} --n 3 --limit 4"
    command += f" --max_response_length 5 --device cpu --output {output}"
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "eval.py", *command.split()],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and "arning" not in done.stderr
    assert done.stderr.splitlines()[-1].strip() == ""  # the last progress bar has been wiped
    for expected in (
        "Acc@3",
        "Maj@3",
        "Pass@3",
        "entropy (nats)",
        "Pass@1 ",
        "Pass@2 ",
        str(output),
    ):
        assert expected in done.stdout
    assert "4 of 4 questions unsolved" in done.stdout
    assert "other less tiny, on the same 4 questions" in done.stdout
    assert "not resolved" in done.stdout
    lines = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert [(line["model"], line["set"], line["question"]) for line in lines] == [
        (str(model), str(name), question)
        for model in (model_folder, other)
        for name, texts in ((questions, ["0+1", "1+1", "2+1", "3+1"]), (more, ["2-2"]))
        for question in texts
    ]
    assert all(len(line["texts"]) == 3 and line["only_here"] is False for line in lines)
    assert lines[0]["texts"] != lines[5]["texts"]
    assert list(output.parent.iterdir()) == [output]


def test_report_lists_the_first_questions_only_one_model_solves():
    a = [record([1], question=f"question  {i}\nof many") for i in range(13)]
    b = [record([0], question=r["question"]) for r in a]
    text = evaluation.report_comparison("old", "new", evaluation.compare(a, b))
    assert "Acc@1    -1.000 [-1.000, -1.000]  resolved" in text
    assert "solved only by old: 13" in text and "solved only by new: 0" in text
    assert text.count("of many") == 10 and "and 3 more" in text


@pytest.mark.parametrize(
    "arguments, culprit",
    [
        ("", "--model"),
        ("--n 0", "--n 0"),
        ("--max_response_length -3", "--max_response_length -3"),
        ("--max_prompt_length 0", "--max_prompt_length 0"),
        ("--batch_size 0", "--batch_size 0"),
        ("--limit -1", "--limit -1"),
        ("--seed 99999999999999999999", "--seed"),
        ("--top_p 0", "--top_p"),
        ("--top_p 1.01", "--top_p"),
        ("--top_p nan", "--top_p"),
        ("--temperature -0.1", "--temperature"),
        ("--temperature inf", "--temperature"),
        ("--temperature nan", "--temperature"),
        ("--data a,,b", "--data"),
        ("--data nowhere.jsonl", "nowhere.jsonl"),
        ("--max_prompt_length 1", "--max_prompt_length"),
        ("--compare nowhere/at/all", "nowhere/at/all"),
        ("--compare MODEL", "--compare"),
        ("--model nowhere/at/all", "nowhere/at/all"),
        ("--output .", "--output"),
        ("--output FILE/in_a_file", "FILE"),
        ("--nn 3", "--nn"),
    ],
)
def test_bad_input_ends_in_one_sentence(
    arguments, culprit, model_folder, questions, tmp_path, monkeypatch, capsys
):
    arguments = arguments.replace("FILE", str(questions)).replace("MODEL", str(model_folder))
    defaults = ["--model", model_folder, "--data", questions, "--output", tmp_path / "out.jsonl"]
    given = [*defaults, *arguments.split()] if arguments else ["--data", questions]
    assert end_of_main(monkeypatch, *given) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("eval.py: ")
    assert culprit.replace("FILE", str(questions)) in err.splitlines()[-1]
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize(
    "fault, status", [(KeyboardInterrupt(), 130), (OSError(28, "No space left on device"), 2)]
)
def test_a_run_that_is_cut_short_leaves_the_old_file_alone(
    fault, status, model_folder, questions, tmp_path, monkeypatch, capsys
):
    def fail(*_, **__):
        raise fault

    output = tmp_path / "out.jsonl"
    output.write_text("old", encoding="utf-8")
    monkeypatch.setattr(evaluation, "json", MagicMock(dumps=fail))  # in the middle of writing
    given = ("--model", model_folder, "--data", questions, "--n", 1, "--max_response_length", 3)
    assert end_of_main(monkeypatch, *given, "--output", output) == status
    assert output.read_text(encoding="utf-8") == "old"
    assert sorted(tmp_path.iterdir()) == [output, questions]
    said = capsys.readouterr().err.rpartition("\r")[2]
    assert said == ("" if status == 130 else "eval.py: [Errno 28] No space left on device\n")


def test_default_output_is_a_plain_name_in_its_own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluation, "EVALS", tmp_path / "evals")
    options = EvalOptions(model="../a b/é/step_1", data="/x/y.jsonl,openai/gsm8k:main")
    path = evaluation.output_path(options)
    assert path == tmp_path / "evals" / "a-b-step_1-x-y.jsonl-openai-gsm8k-main.jsonl"
    assert list(path.parent.iterdir()) == []
    options = EvalOptions(model="m" * 500, compare="c" * 500, data="d" * 500)
    assert len(evaluation.output_path(options).name) < 200
