"""A run's folder: alarms, the metrics of a step, what is written, and the one way to read it back."""

import errno
import json
import math
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import pyarrow
import pyarrow.parquet
import pytest
import torch

import record
from data import Question
from entropy import TokenScores
from options import InputError, parse_train
from reward import Grade
from rollout import Batch, Rollouts
from train import Update


def graded(outcomes, rewards, lengths, truncated=None):
    """A batch of one-token prompts, two rollouts a question, with these outcomes, rewards, lengths."""
    width, count = 1 + max(lengths), len(outcomes)
    positions = torch.arange(width)
    mask = (positions >= 1) & (positions < 1 + torch.tensor(lengths)[:, None])
    cut = torch.tensor(truncated or [False] * count)
    rollouts = Rollouts(torch.zeros(count, width, dtype=torch.long), mask, cut, ["text"] * count)
    grades = [Grade(outcome == "correct", outcome, None) for outcome in outcomes]
    questions = [Question(str(i), "") for i in range(count // 2)]
    return Batch(questions, rollouts, grades, torch.tensor(rewards))


@pytest.fixture
def batch():
    """Two questions, two rollouts each, of 2, 1, 1 and 2 tokens, with all that a step finds out."""
    batch = graded(["correct", "wrong", "wrong", "no answer"], [1.0, 0, 0, 0], [2, 1, 1, 2])
    place = lambda *rows: torch.tensor([[0.0, *row] for row in rows])
    batch.scores = TokenScores(
        logp=-place((1, 3), (2, 0), (4, 0), (1, 1)),
        entropy=place((0.5, 1.5), (2, 0), (3, 0), (1, 1)),
        branching=place((1, 2), (3, 0), (4, 0), (5, 6)),
        gradient=place((1, 1), (2, 0), (3, 0), (1, 3)),
        polarity=place((1, -1), (2, 0), (0, 0), (0, 0)),
    )
    batch.advantages = torch.tensor([1.0, -1.0, 0.0, 0.0])
    batch.shaped = place((1, 2), (-1, 0), (0, 0), (0, 0))
    return batch


# ------------------------------------------------------------------------------- the metrics of a step


def test_metrics_of_what_was_sampled_by_hand():
    outcomes = ["correct", "wrong", "no answer", "correct"]
    first = graded(outcomes, [1.0, 0, 0, 0.5], [1, 2, 3, 4], [False, False, True, False])
    second = graded(["wrong", "wrong"], [0.25, 0.25], [7, 1])
    assert record.sampling_metrics([first, second]) == {
        "accuracy": 2 / 6,
        "reward": pytest.approx(2 / 6),
        "no_answer_rate": 1 / 6,
        "truncated_rate": pytest.approx(1 / 6),
        "response_length": 3.0,
        "zero_signal_groups": 1,
        "groups": 3,
    }


def test_metrics_of_what_was_trained_on_by_hand(batch):
    found = record.token_metrics(batch)
    expected = {
        "entropy": 9 / 6,
        "entropy_correct": 1.0,
        "entropy_wrong": 7 / 4,
        "entropy_rollout_mean": (1 + 2 + 3 + 1) / 4,
        "entropy_rollout_mean_wrong": 2.0,
        "entropy_law": 1.5,  # of the first question alone: the second has no right answer
        "perplexity": (math.e**2 + math.e**2 + math.e**4 + math.e) / 4,
        "perplexity_correct": math.e**2,
        "branching_factor": 21 / 6,
        "token_gradient": (1 + 2 + 2) / 6,
        "advantage_polarity": (1 - 2 - 2) / 6,
        "expanding_tokens": 1 / 6,
        "contracting_tokens": 2 / 6,
        "expanding_advantage": 1 / 4,
        "contracting_advantage": 3 / 4,
        "shaping_change": (1 / 6) / (3 / 6),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    # c = (logp + 2) (A - 1/3): 2/3, -5/3, 0, 2/3, -1/3, -1/3 in the order of the tokens.
    assert found["covariance"] == pytest.approx(-1 / 6)
    assert found["covariance_correct"] == pytest.approx(-1 / 2)
    assert found["covariance_top50"] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert found["covariance_top0.02"] == pytest.approx(2 / 3)
    batch.grades = [Grade(True, "correct", "")] * 4
    found = record.token_metrics(batch)
    assert found["entropy_wrong"] is found["perplexity_wrong"] is found["entropy_law"] is None
    batch.advantages, batch.shaped = torch.zeros(4), torch.zeros(4, 3)
    found = record.token_metrics(batch)
    assert found["shaping_change"] == 0 and found["expanding_advantage"] is None


def test_metrics_of_the_updates_by_hand():
    made = Update(tokens=10, tokens_run=8, loss=0.5, grad_norm=2.0, clipped=1, kl_sums=[0.25, 0.5])
    skipped = Update(tokens=6, tokens_run=2, loss=math.nan, grad_norm=9.0, skipped=True, kl_sums=[])
    covariant = Update(tokens=4, tokens_run=0, eligible=3, taken=2)  # without a gradient: no step
    other = Update(tokens=10, tokens_run=10, loss=0.1, grad_norm=1.0)
    assert record.update_metrics([made, skipped, covariant, other]) == {
        "loss": pytest.approx(0.3),
        "grad_norm": 1.5,
        "clip_fraction": 1 / 30,
        "cov_eligible": 3,
        "cov_taken": 2,
        "approx_kl": 0.0375,
        "skipped_updates": 1,
    }
    found = record.update_metrics([skipped])
    assert found["loss"] is found["grad_norm"] is None
    skipped.kl_sums = [math.inf]
    assert record.update_metrics([skipped])["approx_kl"] is None


def test_the_clock_adds_up_the_seconds_of_a_phase_and_keeps_its_peak(monkeypatch):
    peaks = iter([1.0, 3.0, 2.0, 0.5])
    monkeypatch.setattr(record, "peak_memory", lambda device: next(peaks))
    clock = record.Clock(torch.device("cpu"))
    for phase in ("sample", "score", "score", "update"):
        with clock(phase):
            time.sleep(0.01)
    assert clock.memory == {"sample": 1.0, "score": 3.0, "update": 0.5}
    assert 0.01 <= clock.seconds["sample"] < clock.seconds["score"]
    found = clock.metrics([graded(["wrong", "wrong"], [0.0, 0.0], [5, 7])])
    assert found["peak_memory"] == 3.0 and found["score_seconds"] == clock.seconds["score"]
    assert found["tokens_per_second"] == pytest.approx(12 / found["step_seconds"])
    assert found["step_seconds"] >= sum(clock.seconds.values())


def test_probes_and_files_are_due_on_the_first_step_and_on_every_so_many():
    assert [step for step in range(1, 10) if record.is_due(4, step)] == [1, 4, 8]
    assert not any(record.is_due(0, step) for step in range(1, 10))


# ------------------------------------------------------------------------------------- the alarms


def test_alarms_speak_in_words_and_only_when_something_is_off():
    fine = {
        "sampling_logp_difference": 1e-6,
        "truncated_rate": 0.5,
        "zero_signal_groups": 8,
        "groups": 10,
        "no_answer_rate": 0.2,
        "skipped_updates": 0,
    }
    options = parse_train(["--device", "cpu"])
    assert record.alarms(fine, options, bfloat16=False) == {}
    for name, value, word in (
        ("sampling_logp_difference", 2e-3, "disagree"),
        ("truncated_rate", 0.51, "--max_response_length"),
        ("zero_signal_groups", 9, "--dynamic_sampling"),
        ("no_answer_rate", 0.21, "--instruction"),
        ("skipped_updates", 1, "skipped"),
    ):
        found = record.alarms(fine | {name: value}, options, bfloat16=False)
        assert len(found) == 1 and word in next(iter(found.values()))
    none_taken = parse_train(["--device", "cpu", "--objective", "clip_cov"])
    assert (
        "--cov_lower_quantile"
        in record.alarms(fine | {"cov_taken": 0}, none_taken, False)["clip_cov"]
    )
    assert record.alarms(fine | {"cov_taken": 1}, none_taken, False) == {}
    # A disagreement of 0.002 is rounding in bf16, and one of 0.2 is not.
    assert record.alarms(fine | {"sampling_logp_difference": 2e-3}, options, bfloat16=True) == {}
    assert record.alarms(fine | {"sampling_logp_difference": 0.2}, options, bfloat16=True)


def test_an_alarm_sounds_once_and_five_broken_steps_end_the_run(tmp_path, capsys):
    (tmp_path / "checkpoints" / "step_3").mkdir(parents=True)
    fine = {"sampling_logp_difference": None, "zero_signal_groups": 0, "groups": 1}
    fine |= {"truncated_rate": 0.9, "no_answer_rate": 0.0, "skipped_updates": 0}
    progress, autocast = record.Progress(step=7), torch.autocast("cpu", enabled=False)
    training = SimpleNamespace(folder=tmp_path, progress=progress, autocast=autocast)
    training.options = parse_train([])
    record.sound_alarms(training, fine)
    record.sound_alarms(training, fine)
    assert capsys.readouterr().err.count("step 7: 90% of the rollouts were cut off") == 1
    assert progress.alarms == ["truncated"]
    progress.skipped_in_a_row = record.MOST_SKIPPED
    with pytest.raises(InputError, match=r"5 losses in a row .*step_3, is intact.*--resume"):
        record.sound_alarms(training, fine)


# ------------------------------------------------------------------------------- writing and reading


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    record.write_text(tmp_path / "a.json", "old")

    def full(self, text, encoding):
        self.open("w").close()  # as far as it came
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        record.write_text(tmp_path / "a.json", "new")
    assert (tmp_path / "a.json").read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_the_config_holds_every_option_but_those_of_one_call(tmp_path):
    record.write_config(tmp_path, parse_train(["--ppl_alpha", "0.5", "--dry_run"]))
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["ppl_alpha"] == 0.5 and config["clip_low"] is None and len(config) > 50
    assert not {"run", "resume", "dry_run"} & config.keys()


def test_a_run_has_the_folder_named_or_a_fresh_one(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "RUNS", tmp_path / "runs")
    assert record.run_folder(parse_train(["--run", str(tmp_path / "mine")])) == tmp_path / "mine"
    first, second = (record.run_folder(parse_train([])) for _ in range(2))
    assert first != second and first.is_dir() and second.parent == tmp_path / "runs"
    assert first.name.startswith("toy-")


def test_rollouts_are_read_back_as_they_were_written(batch, tmp_path):
    batch.rollouts.truncated[3] = True
    tokenizer = SimpleNamespace(decode=lambda ids: f"<{ids[0]}>")
    record.write_rollouts(tmp_path, 12, batch, tokenizer)
    (file,) = record.rollout_files(tmp_path)
    assert file.name == "step_12.parquet" and len(list(file.parent.iterdir())) == 1
    names = ["step", "question", "outcome", "length", "perplexity", "gradient", "logp_change"]
    columns = record.read_rollouts(file, names).to_pydict()
    assert columns["step"] == [12] * 4 and columns["question"] == ["0", "0", "1", "1"]
    assert columns["outcome"] == ["correct", "wrong", "wrong", "truncated"]
    assert columns["length"] == [2, 1, 1, 2]
    assert columns["perplexity"] == pytest.approx([math.exp(x) for x in (2, 2, 4, 1)])
    assert columns["gradient"] == [[1, 2], [2], [0], [0, 0]]  # times the size of the advantage
    assert all(math.isnan(x) for row in columns["logp_change"] for x in row)
    assert record.read_rollouts(file, ["step"], most=3).num_rows == 3
    with pytest.raises(InputError, match="cannot be read .*nothing"):
        record.read_rollouts(file, ["step", "nothing"])
    file.write_bytes(b"PAR1 broken PAR1")
    with pytest.raises(InputError, match="cannot be read"):
        record.read_rollouts(file, ["step"])


def test_steps_are_sorted_by_number_and_those_after_a_checkpoint_forgotten(tmp_path):
    for step in (2, 10, 9):
        (tmp_path / "checkpoints" / f"step_{step}").mkdir(parents=True)
        (tmp_path / "rollouts").mkdir(exist_ok=True)
        pyarrow.parquet.write_table(
            pyarrow.table({"step": [step]}), tmp_path / "rollouts" / f"step_{step}.parquet"
        )
    assert [path.name for path in record.checkpoints(tmp_path)] == ["step_2", "step_9", "step_10"]
    for step in (8, 9, 10):
        record.write_metrics(tmp_path, {"step": step})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 11')
    record.forget_steps_after(tmp_path, 9)
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 8}\n{"step": 9}\n'
    names = [path.name for path in record.rollout_files(tmp_path)]
    assert names == ["step_2.parquet", "step_9.parquet"]


def test_random_states_come_back():
    torch.manual_seed(3)
    states, first = record.random_states(), torch.rand(4)
    record.set_random_states(states)
    assert torch.equal(torch.rand(4), first)


def test_a_run_is_read_back_as_far_as_it_has_come(tmp_path):
    with pytest.raises(InputError, match=r"no config\.json"):
        record.read_run(tmp_path)
    record.write_config(tmp_path, parse_train([]))
    assert record.read_run(tmp_path) == (tmp_path, record.read_run(tmp_path).config, [], {})
    line = dict.fromkeys(record.READ_BACK, 0.5)
    for step, entropy in ((1, 0.5), (2, math.nan), (3, 0.25)):
        record.write_metrics(tmp_path, line | {"step": step, "entropy": entropy})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "accur')  # a line cut in the middle
    lines = record.read_run(tmp_path).lines
    assert [(x["step"], x["entropy"]) for x in lines] == [(1, 0.5), (3, 0.25)]
    record.write_summary(tmp_path, record.Progress(step=3, before={"acc": 1}), None)
    assert record.read_run(tmp_path).summary["before"] == {"acc": 1}
    record.write_metrics(tmp_path, {"step": 5})
    with pytest.raises(InputError, match="not as this train.py writes a run"):
        record.read_run(tmp_path)


def test_the_first_signal_is_noted_and_the_second_acts_as_usual():
    usual = signal.getsignal(signal.SIGTERM)
    with record.interruptible() as caught:
        signal.raise_signal(signal.SIGTERM)
        assert caught == [signal.SIGTERM] and signal.getsignal(signal.SIGTERM) is usual
        signal.raise_signal(signal.SIGINT)
        assert caught == [signal.SIGTERM, signal.SIGINT]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is usual
