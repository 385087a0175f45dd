"""The saved rollouts as tensors, and the tokens that an update changed most."""

import math

import pyarrow
import pyarrow.parquet
import pytest
import torch
from made_up import planted, sampled, write_run

from analysis import sampled as room
from analysis.sampled import most_changed, probed, read_sampled, relative_size
from analysis.stages import Stages
from analysis.words import FORMAL, REST


def row(step, question, outcome, tokens, **columns):
    """A rollout whose tokens have the entropies 1, 2, ..."""
    n = len(tokens)
    found = {"step": step, "question": question, "text": "".join(tokens), "tokens": tokens}
    found |= {"outcome": outcome, "truncated": outcome == "truncated", "perplexity": 1.0 + n}
    found |= {"entropy": [1.0 + i for i in range(n)], "logp_gradient": [0.5] * n}
    found |= {"relative_position": [i / n for i in range(n)], "old_logp": [-1.0] * n}
    unknown = ("logp_change", "control_logp_change")
    return found | dict.fromkeys(unknown, [math.nan] * n) | columns


def test_rollouts_become_tensors_and_groups_are_counted_on(tmp_path):
    first = [
        row(
            *(2, "1+1", "correct", ["2", "="]),
            logp_change=[0.5, -0.5],
            control_logp_change=[-1.0, 0.0],
        ),
        row(2, "1+1", "wrong", ["3"]),
        row(2, "x+1", "no answer", ["castle", " x"]),
    ]
    later = [row(10, "x+1", "truncated", ["2"] * 3), row(10, "x+1", "correct", ["="])]
    found = read_sampled(write_run(tmp_path / "run", files={2: first, 10: later}))
    assert found.step.tolist() == [2, 2, 2, 10, 10]
    assert found.group.tolist() == [0, 0, 1, 2, 2]
    assert found.right.tolist() == [True, False, False, False, True]
    assert found.perplexity.tolist() == [3, 2, 3, 4, 2]
    assert found.defects[:, 0].tolist() == [False, False, True, False, False]
    assert found.defects[:, 3].tolist() == [False, False, False, True, False]
    assert found.row.tolist() == [0, 0, 1, 2, 2, 3, 3, 3, 4]
    assert found.kind.tolist() == [FORMAL] * 3 + [REST] * 2 + [FORMAL] * 4
    assert found.beside.tolist() == [False] * 3 + [True, False] + [False] * 4
    words = [found.vocabulary[number] for number in found.word]
    assert words == ["2", "=", "3", "castle", "x", "222", "222", "222", "="]
    assert found.entropy.tolist() == [1, 2, 1, 1, 2, 1, 2, 3, 1]
    assert found.position.tolist() == pytest.approx([0, 0.5, 0, 0, 0.5, 0, 1 / 3, 2 / 3, 0])
    before, after = math.exp(-1), [math.exp(-0.5), math.exp(-1.5)]  # p before and after
    assert found.moved[:2].tolist() == pytest.approx([p - before for p in after])
    assert found.moved[2:].isnan().all() and found.control_moved[2:].isnan().all()
    assert found.control_moved[:2].tolist() == pytest.approx([math.exp(-2) - before, 0])
    assert found.per_group(found.entropy).tolist() == [4, 3, 7]
    assert found.per_group(found.perplexity, of_tokens=False).tolist() == [5, 3, 6]
    formal = found.kind == FORMAL
    assert [x.tolist() for x in found.sums(formal, found.entropy)] == [[4, 7], [3, 4]]  # by step


def test_of_a_large_file_the_beginning_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "AT_MOST", 6)
    run = write_run(tmp_path / "run", files={1: planted(1), 2: planted(2)})
    assert read_sampled(run).step.tolist() == [1] * 6 + [2] * 6


def test_without_rollouts_there_is_nothing(tmp_path):
    run = write_run(tmp_path / "run")
    assert read_sampled(run) is None
    empty = pyarrow.Table.from_pylist(planted(1)).slice(0, 0)
    pyarrow.parquet.write_table(empty, run / "rollouts" / "step_1.parquet")
    assert read_sampled(run) is None
    more = write_run(tmp_path / "more", files={2: planted(2)})
    pyarrow.parquet.write_table(empty, more / "rollouts" / "step_1.parquet")
    assert read_sampled(more).step.tolist() == [2] * 16


def test_tokens_are_probed_in_stages():
    moved = torch.zeros(700)
    moved[500:] = math.nan  # of a step that was not probed
    found = sampled([1, 2, 3], lengths=[300, 200, 200], moved=moved)
    parts, missing = probed(Stages(1, 3), found)
    counts = {name: int(tokens.sum()) for name, tokens in parts.items()}
    assert counts == {"rising stage": 300, "plateau": 200} and not missing
    assert list(probed(Stages(None, 3), found)[0]) == ["rising stage"]
    found.control_moved = torch.full((700,), math.nan)
    assert probed(Stages(1, 3), found)[1] == room.NO_CONTROL
    found.moved = found.control_moved
    assert probed(Stages(1, 3), found) == ({}, room.NO_PROBES)
    assert probed(Stages(1, 3), None) == ({}, room.NO_ROLLOUTS)


def test_the_most_changed_are_a_hundredth_of_the_tokens_of_each_step():
    """However much more is changed in one step than in another."""
    moved = torch.linspace(0, 0.01, 500)
    moved[[3, 40]] = torch.tensor([-0.5, 0.3])  # of 300 tokens of step 1 three are a hundredth
    moved[7] = 0.2
    moved[[300, 301]] = torch.tensor([0.02, -0.03])  # of 200 of step 2 two
    found = sampled([1, 2], lengths=[300, 200], moved=moved)
    every = torch.ones(500, dtype=torch.bool)
    most = most_changed(found, every, moved).nonzero().flatten().tolist()
    # And one more of each, at the bound: the largest of the others.
    assert most == [3, 7, 40, 299, 300, 301, 499]
    some = torch.arange(500) >= 200  # a hundredth of what is asked for
    most = most_changed(found, some, moved).nonzero().flatten().tolist()
    assert most == [298, 299, 300, 301, 499]
    still = torch.zeros(500)  # what does not change is not among the most changed
    assert not most_changed(found, every, still).any()


def test_sizes_of_changes_are_relative_to_their_step():
    moved = torch.tensor([0.1, -0.3, 5.0, 0.01, -0.03])
    found = sampled([1, 2], lengths=[3, 2], moved=moved)
    tokens = torch.tensor([True, True, False, True, True])
    size = relative_size(found, tokens, moved)
    assert size.tolist() == pytest.approx([0.5, 1.5, 0, 0.5, 1.5])


def test_a_word_can_be_read_in_a_table():
    found = sampled([1], vocabulary=[" a\n", "", "|`"])
    assert [found.label(number) for number in range(3)] == ["␣a\\n", "(end)", "¦'"]
