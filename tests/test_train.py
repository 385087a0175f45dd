"""The program: learning, resuming, stopping, what it writes, and what it says when something is off."""

import contextlib
import errno
import json
import math
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from conftest import ROOT, refusal
from transformers import AutoModelForCausalLM, AutoTokenizer

import loss
import record
import rollout
import toy
import train
from data import Question, is_held_out
from entropy import Scoring, log_perplexity, score, score_batch
from loss import kl_cov_tokens, policy_loss, token_covariance
from options import InputError, parse_train
from policy import encode_prompt, load_policy
from record import read_rollouts
from reward import Grade
from rollout import Sampling


@pytest.fixture(scope="session")
def warm_folder():
    """The warmed-up toy, made once and kept in the cache beside the runs."""
    return toy.model_folder()


@pytest.fixture
def small(warm_folder, tmp_path):
    """Arguments of a run of seconds, in a fresh folder."""
    sizes = "--questions_per_step 4 --group_size 4 --eval_questions 8 --eval_samples 2"
    return ["--model", "toy", "--run", str(tmp_path / "run"), *sizes.split(), "--eval_every", "2"]


def run(*arguments):
    train.train(parse_train([str(argument) for argument in arguments]))


def command(*arguments, **how):
    return subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **how,
    )


def metrics_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def without_times(folder):
    """metrics.jsonl as text, its times and memory figures taken out."""
    text = (folder / "metrics.jsonl").read_text()
    return re.sub(r'"\w+_(seconds|per_second|memory)": [^,}]+', "", text)


def wait_for_lines(process, folder, count):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        file = folder / "metrics.jsonl"
        if file.exists() and file.read_text().count("\n") >= count:
            return
        time.sleep(0.02)
    raise AssertionError(process.communicate()[1])


# ---------------------------------------------------------------------------------- it learns


def test_the_command_line_learns(warm_folder, tmp_path):
    process = command("--steps", 60, "--eval_every", 0, "--run", tmp_path / "run")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    before, after = summary["before"], summary["after"]
    assert after["acc"]["low"] > before["acc"]["high"]  # resolved by their 95 % intervals
    assert after["entropy"]["high"] < before["entropy"]["low"]
    assert after["no_answer_rate"]["mean"] < 0.5 * before["no_answer_rate"]["mean"]
    assert "Acc@8" in out and "Maj@8" in out and "Pass@8" in out
    assert str(tmp_path / "run") in out
    for figure in ("training.png", "entropy_change.png"):
        assert (tmp_path / "run" / "report" / figure).stat().st_size > 10_000
    assert summary["entropy_change"]["probes"] == 7
    assert summary["entropy_change"]["entropy_change_from_logits"]["correlation"] > 0.9
    lines = metrics_of(tmp_path / "run")
    assert [line["step"] for line in lines] == list(range(1, 61))
    assert lines[0]["sampling_logp_difference"] < 1e-3


def test_every_fixed_metric_is_in_every_line_and_in_its_range(small, tmp_path):
    run(*small, "--steps", 3)
    for line in metrics_of(tmp_path / "run"):
        for name in [
            "step",
            "accuracy",
            "reward",
            "entropy",
            "entropy_correct",
            "entropy_wrong",
            "perplexity",
            "no_answer_rate",
            "truncated_rate",
            "response_length",
            "clip_fraction",
            "grad_norm",
            "zero_signal_groups",
        ]:
            assert name in line
        for name in ("accuracy", "no_answer_rate", "truncated_rate", "clip_fraction"):
            assert 0 <= line[name] <= 1
        assert 0 < line["entropy"] < math.log(258) and line["perplexity"] >= 1
        tops = [line[f"covariance{top}"] for top in ("", "_top50", "_top20", "_top2", "_top0.02")]
        assert tops == sorted(tops) and tops[0] < tops[-1]
        right, wrong = line["covariance_correct"], line["covariance_wrong"]
        assert min(right, wrong) <= tops[0] <= max(right, wrong)
        assert line["expanding_tokens"] + line["contracting_tokens"] < 1 + 1e-6
        assert 0 < line["contracting_advantage"] <= 1
        assert line["cov_eligible"] == line["cov_taken"] == 0  # of the clip objective
        assert 0 < line["response_length"] <= 64
        right = [line["entropy_correct"] is None, line["entropy_wrong"] is None]
        assert right == [line["accuracy"] == 0, line["accuracy"] == 1]
        for name in line:
            if "second" in name or "memory" in name:
                assert re.search("(_seconds|_per_second|_memory)$", name)


def test_the_learning_rate_warms_up_in_the_metrics_and_in_the_weights(small, tmp_path):
    options = ["--warmup_steps", 4, "--learning_rate", 1e-3, "--updates_per_step", 1]
    run(*small, *options, "--steps", 5, "--checkpoint_every", 1, "--keep_checkpoints", 9)
    rates = [line["learning_rate"] for line in metrics_of(tmp_path / "run")]
    assert rates == pytest.approx([0.25e-3, 0.5e-3, 0.75e-3, 1e-3, 1e-3])
    # The first step of Adam moves a weight by the learning rate, whatever its gradient.
    before, after = (
        AutoModelForCausalLM.from_pretrained(folder).state_dict()
        for folder in record.checkpoints(tmp_path / "run")[:2]
    )
    moved = max((after[name] - before[name]).abs().max().item() for name in before)
    assert moved == pytest.approx(0.25e-3, rel=0.02)


# ------------------------------------------------------------------------- stopping and going on


def test_fault_14_a_killed_and_resumed_run_writes_the_same_metrics_byte_for_byte(small, tmp_path):
    where = small.index("--run") + 1
    options = [
        "--steps",
        9,
        "--checkpoint_every",
        3,
        "--save_rollouts_every",
        2,
        "--probe_every",
        2,
    ]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    small[where] = str(whole)
    process = command(*small, *options)
    small[where] = str(killed)
    other = command(*small, *options)
    wait_for_lines(other, killed, 5)  # between two checkpoints
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert process.wait(timeout=120) == 0
    with (killed / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "accur')  # a line cut in the middle
    again = command("--resume", killed)
    _, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    assert without_times(killed) == without_times(whole)
    assert without_times(killed).count("\n") == 9
    summaries = [json.loads((folder / "summary.json").read_text()) for folder in (whole, killed)]
    assert summaries[0] == summaries[1]
    weights = [
        AutoModelForCausalLM.from_pretrained(folder / "checkpoints" / "step_9").state_dict()
        for folder in (whole, killed)
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_on_resume_an_option_acts_or_is_refused(small, tmp_path):
    folder = tmp_path / "run"
    run(*small, "--steps", 2)
    for name, value in (
        ("seed", 5),
        ("eval_questions", 3),
        ("eval_samples", 3),
        ("eval_temperature", 0.5),
        ("eval_top_p", 0.5),
        ("held_out_fraction", 0.5),
        ("question_column", "text"),
        ("answer_column", "text"),
    ):
        kept = refusal(run, "--resume", folder, f"--{name}", value)
        assert kept.startswith(f"--{name}: a resumed run keeps its {name}, ")
    assert "made 2 already" in refusal(run, "--resume", folder, "--steps", 1)

    def groups_of(*arguments):
        training = train.start(
            parse_train(["--resume", str(folder), "--steps", "3", *map(str, arguments)])
        )
        moments = training.optimizer.state_dict()["state"]
        assert len(moments) and all(float(state["step"]) == 4 for state in moments.values())
        return training.optimizer.param_groups

    assert [group["weight_decay"] for group in groups_of()] == [0.0]
    assert [group["weight_decay"] for group in groups_of("--weight_decay", 0.25)] == [0.25]
    run("--resume", folder, "--steps", 3, "--learning_rate", 7e-5)
    assert [line["learning_rate"] for line in metrics_of(folder)] == [1e-4, 1e-4, 7e-5]


def test_questions_that_have_changed_since_are_told(small, tmp_path, capsys):
    file = tmp_path / "questions.jsonl"
    rows = [{"problem": f"What is {i} plus {i}?", "answer": str(2 * i)} for i in range(40)]
    file.write_text("\n".join(map(json.dumps, rows)))
    run(*small, "--data", file, "--steps", 1)
    run("--resume", tmp_path / "run", "--steps", 2)
    assert "have changed" not in capsys.readouterr().err
    rows[11]["answer"] = "23"
    file.write_text("\n".join(map(json.dumps, rows)))
    run("--resume", tmp_path / "run", "--steps", 3)
    assert f"--data {file}: the questions, their gold answers or their order have changed" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("damage", ["training_state.pt", "model.safetensors", "config.json"])
def test_a_damaged_checkpoint_is_named_with_the_one_before_it(small, tmp_path, damage):
    folder = tmp_path / "run"
    run(*small, "--steps", 1)
    last = folder / "checkpoints" / "step_1"
    file = last / damage
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    sentence = refusal(run, "--resume", folder, "--steps", 2)
    assert f"the checkpoint {last} is damaged" in sentence and "space" not in sentence
    assert sentence.endswith("delete that folder to go on from the one before it, step_0")
    assert len(metrics_of(folder)) == 1  # nothing is lost by trying
    shutil.rmtree(last)
    run("--resume", folder, "--steps", 2)
    assert len(metrics_of(folder)) == 2
    for checkpoint in record.checkpoints(folder):
        (checkpoint / damage).write_bytes(b"")
    shutil.rmtree(record.checkpoints(folder)[0])
    assert "none before it" in refusal(run, "--resume", folder, "--steps", 3)


@pytest.mark.parametrize("objective", ["clip_cov", "kl_cov"])
def test_each_objective_takes_tokens_and_resumes_to_the_same_numbers(small, tmp_path, objective):
    where = small.index("--run") + 1
    options = ["--objective", objective, "--checkpoint_every", 2]
    whole, halved = tmp_path / "whole", tmp_path / "halved"
    small[where] = str(whole)
    run(*small, *options, "--steps", 4)
    small[where] = str(halved)
    run(*small, *options, "--steps", 2)
    torch.manual_seed(99)  # what the checkpoint must undo
    run("--resume", halved, "--steps", 4)
    assert without_times(halved) == without_times(whole)
    lines = metrics_of(whole)
    assert sum(line["cov_taken"] for line in lines) > 10
    assert all(line["cov_taken"] <= line["cov_eligible"] for line in lines)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_step_saves_and_says_how_to_resume(small, tmp_path, number):
    folder = tmp_path / "run"
    process = command(*small, "--steps", 10_000, "--checkpoint_every", 0)
    wait_for_lines(process, folder, 2)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert f"--resume {folder}" in out and "Traceback" not in err
    done = metrics_of(folder)[-1]["step"]
    assert (folder / "checkpoints" / f"step_{done}").is_dir()
    run("--resume", folder, "--steps", done + 1)
    assert [line["step"] for line in metrics_of(folder)] == list(range(1, done + 2))


def test_a_crash_while_saving_leaves_the_previous_checkpoint(small, tmp_path, monkeypatch):
    folder, save = tmp_path / "run", torch.save

    def full(state, path):
        if state["progress"]["step"] == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        save(state, path)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        run(*small, "--steps", 4, "--checkpoint_every", 1)
    assert sorted(p.name for p in (folder / "checkpoints").iterdir()) == ["step_0", "step_1"]
    monkeypatch.setattr(torch, "save", save)
    run("--resume", folder)
    assert [line["step"] for line in metrics_of(folder)] == [1, 2, 3, 4]


def test_a_full_disk_is_one_sentence_and_status_2(small, monkeypatch, capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    monkeypatch.setattr(sys, "argv", ["train.py", *small, "--steps", "1"])
    with pytest.raises(SystemExit) as end:
        train.main()
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert end.value.code == 2 and "No space left" in said and said.startswith("train.py: ")


@pytest.mark.parametrize(
    ("fault", "status", "word"),
    [
        (KeyboardInterrupt(), 130, ""),
        (torch.cuda.OutOfMemoryError("Tried to allocate 9 GiB.\nmore"), 2, "--micro_batch_tokens"),
    ],
)
def test_other_ends_have_their_own_status(fault, status, word, monkeypatch, capsys):
    def fail(_):
        raise fault

    monkeypatch.setattr(train, "train", fail)
    monkeypatch.setattr(sys, "argv", ["train.py"])
    with pytest.raises(SystemExit) as end:
        train.main()
    said = capsys.readouterr().err
    assert end.value.code == status and word in said and said.count("\n") == (status == 2)


def test_only_the_last_checkpoints_are_kept_and_the_auto_classes_load_them(small, tmp_path):
    run(*small, "--steps", 5, "--checkpoint_every", 1, "--keep_checkpoints", 3)
    kept = record.checkpoints(tmp_path / "run")
    assert [folder.name for folder in kept] == ["step_3", "step_4", "step_5"]
    text = "7+8-3\n7+8=15 \\boxed{3} 所以"
    assert (
        AutoTokenizer.from_pretrained(kept[-1])(text).input_ids == toy.tokenizer()(text).input_ids
    )
    before = AutoModelForCausalLM.from_pretrained(kept[0]).state_dict()
    after = AutoModelForCausalLM.from_pretrained(kept[-1]).state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_five_losses_in_a_row_that_are_not_finite_stop_the_run(small, tmp_path, monkeypatch):
    real, calls = loss.policy_loss, []

    def broken(*arguments):
        calls.append(1)
        value, clipped = real(*arguments)
        return (value if len(calls) in (1, 2, 4) else value * math.nan), clipped

    monkeypatch.setattr(loss, "policy_loss", broken)
    with pytest.raises(InputError, match=r"5 losses in a row .*--resume"):
        run(*small, "--steps", 20, "--checkpoint_every", 1, "--updates_per_step", 1)
    assert len(calls) == 9  # the 3rd is skipped; the 4th is fine; the 5th to the 9th end the run
    lines = metrics_of(tmp_path / "run")
    assert sum(line["skipped_updates"] for line in lines) == 6
    last = record.checkpoints(tmp_path / "run")[-1]
    weights = AutoModelForCausalLM.from_pretrained(last).state_dict()
    assert all(torch.isfinite(weight).all() for weight in weights.values())
    assert '"loss": null' in (tmp_path / "run" / "metrics.jsonl").read_text()


# ------------------------------------------------------------------------------ what is written


def test_the_change_of_entropy_is_measured_and_predicted_on_probe_steps_and_disturbs_nothing(
    small, tmp_path
):
    where, texts = small.index("--run") + 1, []
    slow = ["--learning_rate", 1e-5]  # at the toy's own rate the second order may be a third of it
    for name, options in (("never", [0]), ("second", [2]), ("few", [2, "--probe_rollouts", 5])):
        small[where] = str(tmp_path / name)
        run(*small, *slow, "--steps", 4, "--save_rollouts_every", 0, "--probe_every", *options)
        texts.append(without_times(tmp_path / name))
    whole, few = (metrics_of(tmp_path / name) for name in ("second", "few"))
    for line in whole:
        values = [line[name] for name in record.ENTROPY_CHANGES]
        probed = line["step"] in (1, 2, 4)
        assert all((value is not None) == probed for value in values)
        if line["step"] in (2, 4):  # Adam's first step is too large for the first order
            assert values[1] == pytest.approx(values[0], rel=0.2, abs=3e-5)
            assert values[2] == pytest.approx(1e-5 * line["advantage_polarity"], rel=1e-4)
    assert max(abs(whole[i]["entropy_change"]) for i in (1, 3)) > 1e-4  # of 3e-5 that may be off
    assert whole[1]["entropy_change"] != few[1]["entropy_change"]
    small[where] = str(tmp_path / "bfloat16")
    run(
        *small, "--steps", 3, "--probe_every", 1, "--precision", "bfloat16", "--learning_rate", 1e-6
    )
    for line in metrics_of(tmp_path / "bfloat16"):
        measured, from_logits, _ = (line[name] for name in record.ENTROPY_CHANGES)
        # Rounding in float32 is some 3e-7 nats; under autocast it is larger than the change.
        assert measured == pytest.approx(from_logits, rel=0.05, abs=1e-6)
    probe = r'"(entropy_change|logp_change|control_logp_change)\w*": [^,}]+'
    assert len({re.sub(probe, "", text) for text in texts}) == 1


def test_rollouts_are_written_with_their_measurements(small, tmp_path):
    import datasets

    run(
        *small,
        "--steps",
        3,
        "--save_rollouts_every",
        1,
        "--probe_every",
        3,
        "--position_gamma",
        0.1,
    )
    folder = tmp_path / "run" / "rollouts"
    first, second = (
        list(datasets.Dataset.from_parquet(str(folder / f"step_{step}.parquet"), streaming=True))
        for step in (2, 3)
    )
    assert len(first) == 16
    line = metrics_of(tmp_path / "run")[1]
    tokens = [h for row in first for h in row["entropy"]]
    assert sum(tokens) / len(tokens) == pytest.approx(line["entropy"], rel=1e-5)
    assert sum(row["outcome"] == "correct" for row in first) / 16 == line["accuracy"]
    for row in first + second:
        text = toy.tokenizer().decode(row["token_ids"], skip_special_tokens=True)
        assert row["text"] == text and "".join(row["tokens"])[:5] == text[:5]
        assert row["outcome"] in ("correct", "wrong", "no answer", "truncated")
        assert row["perplexity"] == pytest.approx(
            math.exp(-sum(row["old_logp"]) / row["length"]), rel=1e-4
        )
        for name in [
            "token_ids",
            "tokens",
            "relative_position",
            "old_logp",
            "entropy",
            "branching",
            "gradient",
            "polarity",
            "shaped_advantage",
            "logp_change",
            "control_logp_change",
            "logp_gradient",
        ]:
            assert len(row[name]) == row["length"]
        if row["advantage"]:
            late = abs(row["shaped_advantage"][-1]) - abs(row["advantage"])
            assert late > 0.05
    assert all(math.isnan(c) for row in first for c in row["logp_change"])
    change = [c for row in second for c in row["logp_change"]]
    assert 0 < max(map(abs, change)) < 5
    line = metrics_of(tmp_path / "run")[2]
    assert sum(map(abs, change)) / len(change) == pytest.approx(line["logp_change"], rel=1e-4)


def test_held_out_questions_are_in_no_training_set(tmp_path):
    held_out = {q.text for q in toy.held_out_questions()}
    assert len(held_out) == 400 and all(map(is_held_out, held_out))
    assert not held_out & {q.text for q in toy.training_questions()}
    assert not held_out & set(toy.chains(20_000, held_out=False, seed=0))  # the warm-up's


def test_toy_questions_have_right_answers_and_solutions_the_intended_defects():
    import random

    from reward import grade

    rng, outcomes = random.Random(0), []
    for question in toy.training_questions(2000):
        assert question.gold == str(sum(map(int, re.findall(r"[+-]?\d", question.text))))
        outcomes.append(grade(toy.worked_solution(question.text, rng), question.gold).outcome)
    assert 0.14 < outcomes.count("no answer") / 2000 < 0.22
    assert 0.5 < outcomes.count("correct") / 2000 < 0.75


# -------------------------------------------------------------------------------- objectives


def training_of(policy, options, optimizer=None):
    """What the functions of the algorithm take, without a folder or questions."""
    plain = contextlib.nullcontext()
    return train.Training(options, None, policy, optimizer, plain, [], [], record.Progress())


def updated(folder, monkeypatch, *arguments, rewards=None):
    """Three updates of a fresh policy on one batch of 6 x 4 rollouts, by plain gradient descent.

    Returns the weights after it, what was counted, the tokens chosen in each minibatch, and those among
    the rows of each call of kl_cov_loss, (rows, T) bool.
    """
    options = ["--questions_per_step", "6", "--group_size", "4", "--updates_per_step", "3"]
    options = parse_train([*options, *map(str, arguments)])
    policy = load_policy(folder, "cpu")
    torch.manual_seed(1)
    prompts = [encode_prompt(policy, q) for q in ("7+8", "1+2-3+4-5", "9-9-9") * 2]
    rollouts = rollout.sample(policy, prompts, Sampling(4, 12))
    if rewards is None:
        rewards = torch.tensor([1.0, 0, 0, 1] * 2 + [0.0] * 4 + [1.0, 0, 0, 0] * 3)
    batch = rollout.Batch([None] * 6, rollouts, [None] * 24, rewards)
    batch.scores = score_batch(policy.model, rollouts)
    batch.advantages = loss.group_advantages(batch.rewards, options.group_size)
    batch.shaped = train.weigh(batch, options, True)
    optimizer = torch.optim.SGD(policy.model.parameters(), 1.0)
    training = training_of(policy, options, optimizer)
    chosen, in_losses = [], []
    choose, kl_cov_loss = train.choose_tokens, loss.kl_cov_loss
    with monkeypatch.context() as patch:
        patch.setattr(train, "choose_tokens", lambda *a: chosen.append(choose(*a)) or chosen[-1])
        patch.setattr(loss, "kl_cov_loss", lambda *a: in_losses.append(a[4]) or kl_cov_loss(*a))
        counts = record.update_metrics(train.update(training, batch))
    weights = torch.cat([weight.detach().flatten() for weight in policy.model.parameters()])
    return weights, counts, [taken for _, taken in chosen], in_losses


CLIP_COV = ("--objective", "clip_cov", "--clip_cov_ratio", 0.1, "--cov_lower_quantile", 0.5)
KL_COV = ("--objective", "kl_cov", "--kl_cov_ratio", 0.1, "--kl_cov_beta", 3)


@pytest.mark.parametrize("options", [("--objective", "clip"), CLIP_COV, KL_COV])
def test_neither_the_update_nor_its_tokens_depend_on_how_the_minibatch_is_cut(
    rotary_folder, monkeypatch, options
):
    weights, counts, chosen, _ = updated(
        rotary_folder, monkeypatch, *options, "--micro_batch_tokens", 10_000
    )
    others, other_counts, others_chosen, in_losses = updated(
        rotary_folder, monkeypatch, *options, "--micro_batch_tokens", 40, "--chunk_tokens", 7
    )
    assert all(map(torch.equal, chosen, others_chosen))
    assert counts["cov_taken"] == other_counts["cov_taken"] == sum(int(t.sum()) for t in chosen)
    before = load_policy(rotary_folder, "cpu").model.parameters()
    moved = weights - torch.cat([weight.detach().flatten() for weight in before])
    assert moved.norm() > 0.1
    assert (weights - others).norm() < 1e-4 * moved.norm()
    # Clip-Cov takes in all three updates, KL-Cov not in the first, before the policy has moved.
    taken = [int(tokens.sum()) > 2 for tokens in chosen]
    assert taken == [
        options is CLIP_COV,
        options in (CLIP_COV, KL_COV),
        options in (CLIP_COV, KL_COV),
    ]
    if options is KL_COV:  # rollouts without an advantage are run for the sake of its tokens
        assert sum(int(tokens.sum()) for tokens in in_losses) == counts["cov_taken"]
        assert not torch.equal(weights, updated(rotary_folder, monkeypatch, *KL_COV[:-1], 0)[0])


def test_kl_cov_runs_a_rollout_without_an_advantage_that_holds_one_of_its_tokens(
    rotary_folder, monkeypatch
):
    rewards = torch.tensor([1.0, 0, 0, 0] * 5 + [1.0] * 4)  # the last group has no signal
    for ratio, rows_run in ((1, 24), (1e-9, 20)):
        _, _, chosen, in_losses = updated(
            rotary_folder, monkeypatch, *KL_COV, "--kl_cov_ratio", ratio, rewards=rewards
        )
        assert bool(chosen[2][4:].any()) == (ratio == 1)
        assert sum(len(tokens) for tokens in in_losses) == rows_run


def test_the_bounds_of_clip_cov_as_quantiles_of_the_covariance(rotary_folder):
    policy = load_policy(rotary_folder, "cpu")
    torch.manual_seed(1)
    batch = rollout.sample(policy, [encode_prompt(policy, "7+8")], Sampling(8, 12))
    mask, old = batch.response_mask, score_batch(policy.model, batch).logp
    advantages = torch.randn(8, 1).expand(mask.shape) * mask
    covariance = token_covariance(old, advantages, mask)
    ranked = sorted(covariance[mask].tolist())

    def eligible(*arguments):
        options = parse_train(["--objective", "clip_cov", *map(str, arguments)])
        minibatch = train.Minibatch(batch, advantages, old, torch.zeros_like(mask))
        found, _ = train.choose_tokens(training_of(policy, options), minibatch, False)
        return set(covariance[found].tolist())

    low, high = (ranked[round(q * (len(ranked) - 1))] for q in (0.2, 0.7))
    quantiles = ("--cov_lower_quantile", 0.2, "--cov_upper_quantile", 0.7)
    assert eligible(*quantiles) == {c for c in ranked if low < c < high}
    absolute = eligible("--cov_lower", -0.5, "--cov_upper", 0.5)
    assert absolute == {c for c in ranked if -0.5 < c < 0.5} and absolute != eligible(*quantiles)
    papers = eligible(
        "--model", "./other", "--data", "questions.jsonl"
    )  # without the toy's quantiles
    assert papers == {c for c in ranked if 1 < c < 5} and papers
    mixed = eligible("--cov_lower", 0, "--cov_upper_quantile", 0.7)
    assert mixed == {c for c in ranked if 0 < c < high}


def test_tokens_are_chosen_by_the_covariance_under_the_policy_as_it_is_now(rotary):
    torch.manual_seed(1)
    batch = rollout.sample(rotary, [encode_prompt(rotary, "7+8")], Sampling(8, 12))
    mask = batch.response_mask
    old, advantages = -5 * torch.rand(mask.shape), torch.randn(8, 1).expand(mask.shape)
    now = score(rotary.model, batch.input_ids, mask).logp.detach()
    for arguments in (
        "--objective clip_cov --cov_lower 0.1 --cov_upper 5 --clip_cov_ratio 1",
        "--objective kl_cov --kl_cov_ratio 0.2",
    ):
        options = parse_train(arguments.split())
        minibatch = train.Minibatch(batch, advantages, old, torch.zeros_like(mask))
        eligible, taken = train.choose_tokens(training_of(rotary, options), minibatch, True)
        covariance = token_covariance(now, advantages, mask)
        if options.objective == "kl_cov":
            assert torch.equal(taken, kl_cov_tokens(covariance, mask, 0.2))
        else:  # what the clip has stopped is not eligible
            clipped = policy_loss(now, old, advantages, mask, 1, 1)[1]
            inside = mask & (covariance > 0.1) & (covariance < 5)
            assert (inside & clipped).any() and torch.equal(eligible, inside & ~clipped)
            assert torch.equal(taken, eligible)


# ----------------------------------------------------------------------- what a run starts with


def test_no_question_is_asked_twice_over_or_on_both_sides(tmp_path):
    def write(name, texts):
        lines = (json.dumps({"problem": text, "answer": "1"}) for text in texts)
        (tmp_path / name).write_text("\n".join(lines))
        return str(tmp_path / name)

    many = write("many.jsonl", [f"question {i % 40}" for i in range(80)])
    held = write("held.jsonl", ["question  7", "another one"])
    given = ["--model", "./none", "--data", many, "--eval_data", held]
    questions, held_out = train.load_data(parse_train(given))
    assert [q.text for q in questions] == [f"question {i}" for i in range(40) if i != 7]
    assert [q.text for q in held_out] == ["question  7", "another one"]
    questions, held_out = train.load_data(parse_train(given[:4]))  # a tenth by the hash
    assert len(questions) + len(held_out) == 40 and held_out
    assert not {q.text for q in questions} & {q.text for q in held_out}
    toys, held_out = train.load_data(parse_train([]))
    assert toys == toy.training_questions() and held_out == toy.held_out_questions()


def test_a_run_draws_from_its_seed(small):
    training = train.start(parse_train([*small, "--seed", "5"]))
    known = record.fingerprint(training.questions, training.held_out)
    assert torch.initial_seed() == 5 and training.progress == record.Progress(questions=known)


# ------------------------------------------------------------------------------- the parts of a step


def batch_of(policy, group_size=4, temperature=1.0):
    """Three questions, their rollouts with random rewards, and the scores of these."""
    torch.manual_seed(1)
    prompts = [encode_prompt(policy, q) for q in ("7+8", "1+2-3+4-5", "9-9-9")]
    rollouts = rollout.sample(policy, prompts, Sampling(group_size, 12, temperature))
    count = 3 * group_size
    rewards = (torch.rand(count) > 0.5).float()
    questions = [Question("", "")] * 3
    batch = rollout.Batch(questions, rollouts, [Grade(False, "wrong", "")] * count, rewards)
    batch.scores = score_batch(policy.model, rollouts, Scoring(temperature))
    return batch


def test_weigh_shapes_by_perplexity_then_position_then_polarity(rotary):
    batch = batch_of(rotary)
    mask, scores = batch.mask, batch.scores
    batch.advantages = loss.group_advantages(batch.rewards, 4)
    every = batch.advantages[:, None].expand(mask.shape)
    log_ppl = log_perplexity(scores.logp, mask)

    def weighed(*arguments, shaping=True):
        options = parse_train(["--group_size", "4", *map(str, arguments)])
        return train.weigh(batch, options, shaping)

    ppl, position = ("--ppl_alpha", 0.5), ("--position_gamma", 0.3, "--position_steepness", -7)
    polarity = ("--polarity_expand", 0.5, "--polarity_contract", 3)
    by_ppl = loss.ppl_shaping(every, log_ppl, 4, 0.5)
    by_position = loss.position_shaping(every, mask, 0.3, -7)
    by_polarity = loss.polarity_shaping(every, scores.polarity, 0.5, 3)
    for given, expected in ((ppl, by_ppl), (position, by_position), (polarity, by_polarity)):
        assert torch.equal(weighed(*given), expected) and not torch.equal(expected, every)
        assert torch.equal(weighed(*given, shaping=False), every)
    together = loss.position_shaping(by_ppl, mask, 0.3, -7)
    together = loss.polarity_shaping(together, scores.polarity, 0.5, 3)
    assert torch.equal(weighed(*ppl, *position, *polarity), together)


def test_shaping_starts_with_its_step_or_after_the_plateau_was_seen():
    progress, options = record.Progress(step=4), parse_train(["--shaping_start", "4"])
    assert train.shaping_is_on(progress, options)
    progress.step = 3
    assert not train.shaping_is_on(progress, options)
    options = parse_train(["--shaping_start", "plateau"])
    assert not train.shaping_is_on(progress, options)
    progress.plateau = 3
    assert train.shaping_is_on(progress, options)


@pytest.mark.parametrize("objective", ["clip", "clip_cov", "kl_cov"])
def test_the_loss_of_each_objective_is_that_of_loss_py_with_the_options_given(rotary, objective):
    batch = batch_of(rotary)
    mask, old = batch.mask, batch.scores.logp
    logp, advantages = old + 0.5 * torch.randn(mask.shape), torch.randn(mask.shape)
    taken = mask & (torch.rand(mask.shape) > 0.5)
    part = train.Minibatch(batch.rollouts, advantages, old, taken)
    given = {"kl_cov": ["--kl_cov_beta", "3"]}.get(objective, ["--clip_low=0.1", "--clip_high=0.4"])
    options = parse_train(["--objective", objective, *given])
    tokens = (logp, old, advantages, mask)
    expected = {
        "clip": lambda: loss.policy_loss(*tokens, 0.1, 0.4, 99),
        "clip_cov": lambda: loss.clip_cov_loss(*tokens, taken, 0.1, 0.4, 99),
        "kl_cov": lambda: loss.kl_cov_loss(*tokens, taken, 3.0, 99),
    }
    values = {name: each()[0].item() for name, each in expected.items()}
    found, clipped = train.objective_loss(options, logp, part, 99)
    assert found.item() == values[objective] and len(set(values.values())) == 3
    assert torch.equal(clipped, expected[objective]()[1])


def test_an_update_counts_what_it_did_and_clips_the_gradient(rotary):
    batch = batch_of(rotary)
    batch.rewards = torch.tensor(
        [1.0, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 1]
    )  # the last without a signal
    given = ["--group_size", "4", "--questions_per_step", "3", "--updates_per_step", "3"]
    options = parse_train([*given, "--max_grad_norm", "0.01", "--micro_batch_tokens", "40"])
    batch.advantages = loss.group_advantages(batch.rewards, 4)
    batch.shaped = train.weigh(batch, options, False)
    before = torch.cat([w.detach().flatten() for w in rotary.model.parameters()])
    optimizer = torch.optim.SGD(rotary.model.parameters(), 1.0)
    training = training_of(rotary, options, optimizer)
    training.progress.skipped_in_a_row = 4
    updates = train.update(training, batch)
    sizes = [int(batch.mask[rows].sum()) for rows in (slice(0, 4), slice(4, 8), slice(8, 12))]
    assert [stats.tokens for stats in updates] == sizes
    assert [stats.tokens_run for stats in updates] == [*sizes[:2], 0]
    assert updates[0].grad_norm > 0.01 and updates[2].grad_norm == updates[2].loss == 0
    after = torch.cat([w.detach().flatten() for w in rotary.model.parameters()])
    # Two steps of plain gradient descent at a rate of 1, each of a gradient of norm 0.01.
    assert 0.01 < (after - before).norm().item() < 0.0201
    assert all(weight.grad is None for weight in rotary.model.parameters())
    assert training.progress.skipped_in_a_row == 0
    batch.shaped = torch.zeros_like(batch.shaped)  # it is the shaped advantage that acts
    assert all(stats.tokens_run == 0 for stats in train.update(training, batch))
    # At the first update the policy is the one that sampled: the ratio is 1 and nothing has moved.
    assert sum(updates[0].kl_sums) == pytest.approx(0, abs=1e-3) and updates[0].clipped == 0
    logp = score_batch(rotary.model, batch.rollouts).logp
    assert sum(updates[1].kl_sums) != 0 and not torch.equal(logp, batch.scores.logp)


def test_approx_kl_is_old_less_new_log_probability(rotary):
    batch = batch_of(rotary)
    options = parse_train(["--group_size", "4"])
    batch.advantages = loss.group_advantages(batch.rewards, 4)
    batch.shaped = train.weigh(batch, options, False)
    lower = batch.scores.logp - 0.5 * batch.mask
    minibatch = train.Minibatch(batch.rollouts, batch.shaped, lower, torch.zeros_like(batch.mask))
    stats = train.backward(training_of(rotary, options), minibatch)
    assert sum(stats.kl_sums) / stats.tokens_run == pytest.approx(-0.5, abs=1e-4)


def test_training_mode_is_for_gradient_checkpointing_alone_and_ends_with_the_update(rotary):
    batch, modes = batch_of(rotary), []
    rotary.model.register_forward_pre_hook(lambda module, _: modes.append(module.training))
    rotary.model.base_model.register_forward_pre_hook(lambda m, _: modes.append(m.training))
    for given, expected in (([], False), (["--gradient_checkpointing"], True)):
        options = parse_train(["--group_size", "4", "--updates_per_step", "1", *given])
        batch.advantages = loss.group_advantages(batch.rewards, 4)
        batch.shaped = train.weigh(batch, options, False)
        optimizer = torch.optim.SGD(rotary.model.parameters(), 0.0)
        modes.clear()
        train.update(training_of(rotary, options, optimizer), batch)
        assert modes and set(modes) == {expected} and not rotary.model.training


def test_a_run_is_scored_and_evaluated_at_its_own_temperatures(small, tmp_path):
    given = "--temperature 0.7 --eval_temperature 0 --eval_samples 3 --weight_decay 0.3"
    given += " --learning_rate 1e-12"  # so that the policy can be scored again
    training = train.start(parse_train([*small, *given.split()]))
    assert training.scoring.temperature == 0.7 and len(training.held_out) == 8
    assert training.optimizer.param_groups[0]["weight_decay"] == 0.3
    metrics, batch, _ = train.training_step(training)
    assert metrics["sampling_logp_difference"] < 1e-3
    again = score_batch(training.policy.model, batch.rollouts, Scoring(0.7))
    assert (again.logp - batch.scores.logp).abs().max() < 1e-3
    assert training.progress.curves == [(metrics["entropy"], metrics["accuracy"])]
    found = train.evaluation(training)
    assert found["samples"] == 3 and found["questions"] == 8
    assert all(right in (0, 3) for right in found["right"])  # greedy: all three alike


def test_evaluation_draws_from_the_top_p_of_its_own(small, monkeypatch):
    seen = []
    monkeypatch.setattr(train, "evaluate", lambda *a: seen.append(a))
    monkeypatch.setattr(train, "summarize", lambda records: records)
    training = train.start(parse_train([*map(str, small), "--eval_top_p", "0.5"]))
    train.evaluation(training)
    ((_, held_out, sampling, seed, *_, scoring, _),) = seen
    assert sampling == Sampling(2, 64, 1.0, 0.5, 256, 16) and seed == 0
    assert held_out is training.held_out and scoring == training.scoring


# --------------------------------------------------------------------------------- ablations


def test_strength_zero_and_a_start_never_reached_are_grpo_bit_for_bit(small, tmp_path):
    texts = []
    for i, options in enumerate(
        (
            [],
            ["--ppl_alpha", "0.5", "--position_gamma", "0.5", "--shaping_start", "99"],
            ["--ppl_alpha", "0.5", "--position_gamma", "0.5", "--shaping_start", "2"],
            ["--polarity_expand", "0", "--polarity_contract", "2", "--shaping_start", "99"],
            ["--polarity_expand", "0", "--polarity_contract", "2", "--shaping_start", "2"],
        )
    ):
        small[small.index("--run") + 1] = str(tmp_path / str(i))
        run(*small, "--steps", 3, *options)
        texts.append(without_times(tmp_path / str(i)))
    assert texts[0] == texts[1] == texts[3]
    one = texts[0].splitlines()
    for other in (texts[2].splitlines(), texts[4].splitlines()):
        assert one[0] == other[0] and one[1] != other[1]
    assert metrics_of(tmp_path / "4")[1]["expanding_tokens"] == 0  # advantages times 0


def test_shaping_may_wait_for_the_plateau_and_a_resumed_run_remembers_it(
    small, tmp_path, monkeypatch
):
    """The plateau, as seen after step 2, is step 3 of an ordinary start, also across a resume."""
    monkeypatch.setattr(
        train, "plateau_has_begun", lambda entropies, accuracies: len(entropies) == 2
    )
    shaping = ["--ppl_alpha", "0.5", "--position_gamma", "0.5", "--shaping_start"]
    runs = {name: tmp_path / name for name in ("step", "plateau", "resumed")}
    for name, options in (
        ("step", [*shaping, "3", "--steps", 4]),
        ("plateau", [*shaping, "plateau", "--steps", 4]),
        ("resumed", [*shaping, "plateau", "--steps", 3]),
    ):
        small[small.index("--run") + 1] = str(runs[name])
        run(*small, *options)
    run("--resume", runs["resumed"], "--steps", 4)
    assert [line["shaping_change"] > 0 for line in metrics_of(runs["plateau"])][:2] == [
        False,
        False,
    ]
    assert without_times(runs["plateau"]) == without_times(runs["step"])
    lines = [metrics_of(runs[name]) for name in ("plateau", "resumed")]
    assert [line["loss"] for line in lines[0]] == [line["loss"] for line in lines[1]]


def test_the_trajectory_does_not_depend_on_micro_batches_chunks_or_checkpointing(small, tmp_path):
    curves = []
    for i, options in enumerate(
        (
            [],
            ["--micro_batch_tokens", 150, "--chunk_tokens", 64],
            ["--gradient_checkpointing", "--sample_batch_size", 256],
        )
    ):
        small[small.index("--run") + 1] = str(tmp_path / str(i))
        run(*small, "--steps", 3, *options)
        curves.append(metrics_of(tmp_path / str(i)))
    for other in curves[1:]:
        for line, same in zip(curves[0], other, strict=True):
            for name in ("loss", "grad_norm", "entropy", "reward", "perplexity"):
                assert same[name] == pytest.approx(line[name], rel=1e-3, abs=1e-5)


# ------------------------------------------------------------------------ what it says in words


def test_an_alarm_sounds_once(small, capsys):
    run(*small, "--steps", 3, "--max_response_length", 6)
    assert capsys.readouterr().err.count("cut off at --max_response_length") == 1


def test_a_dry_run_is_a_step_at_the_longest_lengths_with_a_signal(small, monkeypatch):
    batches, load = [], train.load

    def ends_soon(options):
        policy, *others = load(options)
        likelier_end = torch.zeros(len(policy.tokenizer))
        likelier_end[policy.eos_ids[0]] = 20.0
        policy.model.get_output_embeddings().register_forward_hook(lambda *a: a[2] + likelier_end)
        return policy, *others

    monkeypatch.setattr(train, "load", ends_soon)
    monkeypatch.setattr(record, "write_rollouts", lambda *a: batches.append(a[2]))
    run(*small, "--dry_run", "--max_prompt_length", 30, "--max_response_length", 20)
    (batch,) = batches
    assert batch.rollouts.response_lengths.tolist() == [20] * 16
    assert batch.rollouts.row_lengths.tolist() == [50] * 16
    assert batch.correct.tolist() == [True, False] * 8 and (batch.shaped[batch.mask] != 0).all()
    assert batch.logp_change is not None  # the probe is in the memory, too


def test_dry_run_tells_memory_and_times_and_makes_no_run(small, tmp_path, capsys):
    lengths = ["--max_prompt_length", 30, "--max_response_length", 20]
    run(*small, "--dry_run", *lengths)
    out = capsys.readouterr().out
    assert "16 rollouts of 30 + 20 tokens" in out
    for phase in ("sample", "score", "probe", "update"):
        assert re.search(rf"{phase} +\d+\.\d\d s   peak memory \d+\.\d\d GiB", out)
    assert not (tmp_path / "run").exists()


def test_a_policy_that_is_not_the_one_sampled_is_not_trained(small, tmp_path, monkeypatch):
    score_batch = record.score_batch
    off = 0.09

    def scored(*arguments, **named):
        scores = score_batch(*arguments, **named)
        return scores._replace(logp=scores.logp + off)

    monkeypatch.setattr(record, "score_batch", scored)
    run(*small, "--steps", 1)  # a warning, and it goes on
    (line,) = metrics_of(tmp_path / "run")
    assert line["sampling_logp_difference"] == pytest.approx(0.09, abs=1e-3)
    small[small.index("--run") + 1], off = str(tmp_path / "off"), 0.11
    sentence = refusal(run, *small, "--steps", 1)
    assert sentence.startswith("--model: generation and the scorer disagree by 0.11")
    assert not (tmp_path / "off" / "metrics.jsonl").exists()
    off = math.nan
    small[small.index("--run") + 1] = str(tmp_path / "nan")
    assert "disagree by nan" in refusal(run, *small, "--steps", 1)


def test_a_dry_run_lets_rows_leave_a_batch_as_a_run_does(small, monkeypatch):
    lengths, sample = [], rollout.sample

    def noted(*arguments, **named):
        rollouts = sample(*arguments, **named)
        lengths.append(rollouts.response_lengths.tolist())
        return rollouts

    monkeypatch.setattr(rollout, "sample", noted)
    run(*small, "--dry_run", "--max_prompt_length", 30, "--max_response_length", 20)
    assert len(set(lengths[0])) > 2


HALF = '''
from reward import Grade, grade

def half(response, gold, question):
    """Half a point for a box, and the other for what is in it."""
    if grade(response, gold, question).correct:
        return 1.0
    return 0.5 if "boxed" in response else 0.0

def shout(response, gold, question):
    return Grade(True, "correct", question, 2.0)

def broken(response, gold, question):
    return response[len(response) + len(gold)]
'''


def test_a_reward_of_ones_own(small, tmp_path, capsys):
    file, folder = tmp_path / "mine.py", tmp_path / "run"
    file.write_text(HALF)
    run(*small, "--steps", 1, "--reward", f"{file}:half", "--max_response_length", 40)
    rows = read_rollouts(folder / "rollouts" / "step_1.parquet", ["text", "reward", "outcome"])
    seen = set()
    for row in rows.to_pylist():
        boxed, right = "boxed" in row["text"], row["outcome"] == "correct"
        assert row["reward"] == (1.0 if right else 0.5 if boxed else 0.0)
        seen.add(row["reward"])
    assert len(seen) > 1
    (line,) = metrics_of(folder)
    assert line["reward"] > line["accuracy"] or seen == {1.0}
    # On resume it acts as well: every answer is right from here on, in the evaluation too.
    run("--resume", folder, "--steps", 2, "--reward", f"{file}:shout", "--eval_every", 1)
    line = metrics_of(folder)[1]
    assert (line["reward"], line["accuracy"], line["eval_accuracy"]) == (2.0, 1.0, 1.0)
    assert line["zero_signal_groups"] == line["groups"]
    sentence = refusal_of(run, "--resume", folder, "--steps", 3, "--reward", f"{file}:broken")
    assert "mine.py" in sentence and "line 14" in sentence and "IndexError" in sentence


def refusal_of(function, *arguments):
    with pytest.raises(InputError) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_response_is_shown_now_and_then(small, tmp_path, capsys):
    run(*small, "--steps", 3, "--show_every", 2)
    out = capsys.readouterr().out
    assert re.findall(r"^step (\d+), asked: [\d+-]+$", out, re.MULTILINE) == ["1", "2"]
    assert re.search(
        r"^    (correct|wrong|no answer)(: \S+)? \(gold -?\d+\), reward [01]$", out, re.MULTILINE
    )
    small[small.index("--run") + 1] = str(tmp_path / "quiet")
    run(*small, "--steps", 1)  # no terminal
    assert "asked:" not in capsys.readouterr().out


BAD = {
    "unknown option": (["--stepz", "3"], "--stepz"),
    "no number": (["--steps", "many"], "--steps"),
    "does not divide": (
        ["--questions_per_step", "4", "--updates_per_step", "3"],
        "does not divide",
    ),
    "group of one": (["--group_size", "1"], "--group_size"),
    "negative length": (["--max_response_length", "-5"], "--max_response_length"),
    "zero temperature": (["--temperature", "0"], "--temperature"),
    "nan": (["--learning_rate", "nan"], "--learning_rate"),
    "missing file": (["--data", "nowhere.jsonl"], "nowhere.jsonl"),
    "missing model": (["--model", "./nowhere", "--data", "toy"], "./nowhere"),
    "unreachable hub": (["--model", "nobody/nothing", "--data", "toy"], "nobody/nothing"),
    "no such resume": (["--resume", "nowhere"], "nowhere"),
    "no data": (["--model", "./nowhere"], "--data"),
    "device": (["--device", "gpu"], "--device"),
    "objective": (["--objective", "clipcov"], "--objective"),
    "quantile": (["--objective", "clip_cov", "--cov_lower_quantile", "1.5"], "at most 1"),
    "quantiles in the wrong order": (
        ["--objective", "clip_cov", "--cov_lower_quantile", "0.9", "--cov_upper_quantile", "0.8"],
        "below --cov_upper_quantile",
    ),
    "bounds in the wrong order": (
        ["--objective", "clip_cov", "--cov_lower", "3", "--cov_upper", "2"],
        "below --cov_upper 2",
    ),
    "one bound twice": (
        ["--objective", "clip_cov", "--cov_lower", "1", "--cov_lower_quantile", "0.5"],
        "only one",
    ),
    "negative ratio": (["--objective", "clip_cov", "--clip_cov_ratio", "-1e-3"], "above 0"),
    "another objective's option": (["--kl_cov_beta", "2"], "--objective kl_cov"),
    "kl_cov has no clip": (["--objective", "kl_cov", "--clip_high=0.3"], "--clip_high"),
    "kl_cov in one update": (
        ["--objective", "kl_cov", "--updates_per_step", "1"],
        "--updates_per_step 2",
    ),
    "negative strength": (["--polarity_expand", "-1"], "--polarity_expand"),
    "no object": (["--chat_template_kwargs", "[1]"], "--chat_template_kwargs [1]: give a JSON"),
    "no JSON": (["--chat_template_kwargs", "{thinking: no}"], "give a JSON object"),
    "a place it has not": (["--system", "Be brief."], "--system: only a chat template"),
    "no such reward": (["--reward", "nowhere.py:half"], "--reward nowhere.py"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_and_status_2(case, monkeypatch, capsys, tmp_path, warm_folder):
    arguments, word = BAD[case]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
    with pytest.raises(SystemExit) as end:
        train.main()
    said = capsys.readouterr().err.strip().splitlines()
    assert end.value.code == 2
    assert len(said) == 1 and said[0].startswith("train.py: ") and word in said[0]
    assert not list(tmp_path.iterdir())


def test_a_run_folder_in_use_and_one_without_a_checkpoint_are_refused(small, tmp_path):
    run(*small, "--steps", 1)
    with pytest.raises(InputError, match=r"already holds.*--resume"):
        run(*small, "--steps", 1)
    with pytest.raises(InputError, match="--seed"):
        run("--resume", tmp_path / "run", "--seed", 5)
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "config.json").write_text("{}")
    with pytest.raises(InputError, match="no checkpoint"):
        run("--resume", tmp_path / "bare")


def test_a_local_file_of_questions_trains_the_tiny_model(small, tmp_path, capsys):
    file = tmp_path / "questions.jsonl"
    rows = [{"problem": f"What is {i} plus {i}?", "answer": str(2 * i)} for i in range(40)]
    rows[7]["answer"] = None
    rows[8]["problem"] = "long " * 200
    file.write_text("\n".join(map(json.dumps, rows)))
    run(*small, "--data", file, "--steps", 2, "--max_prompt_length", 100)
    said = capsys.readouterr().err
    assert "skipped 1 of 40" in said and "left out 1 of" in said
    assert len(metrics_of(tmp_path / "run")) == 2
    with pytest.raises(InputError, match="--max_prompt_length"):
        small[small.index("--run") + 1] = str(tmp_path / "other")
        run(*small, "--data", file, "--max_prompt_length", 3)
