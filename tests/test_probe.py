"""The control of a probe: updates that know nothing of right and wrong, and leave no trace."""

import copy

import pytest
import torch

import loss
import probe
import rollout
import train
from data import Question
from entropy import score_batch
from options import parse_train
from policy import encode_prompt
from record import Progress, random_states
from reward import Grade
from rollout import Sampling


def training_of(policy, *arguments):
    """A run of a policy and AdamW, as far as updates and probes need one; and a batch of 3 x 4."""
    options = ["--group_size", "4", "--questions_per_step", "3", "--updates_per_step", "3"]
    options = parse_train([*options, "--probe_every", "2", *map(str, arguments)])
    optimizer = torch.optim.AdamW(policy.model.parameters(), 1e-3)
    autocast = torch.autocast("cpu", enabled=False)
    training = train.Training(options, None, policy, optimizer, autocast, [], [], Progress(step=2))
    torch.manual_seed(1)
    prompts = [encode_prompt(policy, q) for q in ("7+8", "1+2-3+4-5", "9-9-9")]
    rollouts = rollout.sample(policy, prompts, Sampling(4, 12))
    rewards = torch.tensor([1.0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0])
    grades = [Grade(False, "wrong", "")] * 12
    batch = rollout.Batch([Question("", "")] * 3, rollouts, grades, rewards)
    batch.scores = score_batch(policy.model, rollouts)
    batch.advantages = loss.group_advantages(rewards, 4)
    return training, batch


def state_of(training):
    model, optimizer = training.policy.model, training.optimizer
    weights = {name: weight.clone() for name, weight in model.state_dict().items()}
    return weights, copy.deepcopy(optimizer.state_dict()), random_states()["cpu"]


def same(a, b):
    weights, optimizer, random = zip(a, b)
    return (
        all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
        and optimizer[0]["param_groups"] == optimizer[1]["param_groups"]
        and optimizer[0]["state"].keys() == optimizer[1]["state"].keys()
        and all(
            torch.equal(value, optimizer[1]["state"][weight][name])
            for weight, moments in optimizer[0]["state"].items()
            for name, value in moments.items()
        )
        and torch.equal(*random)
    )


@pytest.mark.parametrize("objective", ["clip", "clip_cov", "kl_cov"])
def test_the_control_leaves_no_trace(rotary, objective):
    """Neither before the optimizer's first step, when it has no moments, nor after it."""
    training, batch = training_of(rotary, "--objective", objective)
    for _ in range(2):
        before = state_of(training)
        training.progress.skipped_in_a_row = 3
        known = probe.before_updates(training, batch, train.weigh_and_update)
        assert same(before, state_of(training)) and training.progress.skipped_in_a_row == 3
        train.weigh_and_update(training, batch)
        assert not same(before, state_of(training))
        changes = probe.after_updates(training, batch, known)
        assert changes["control_logp_change"] > 0 and changes["logp_change"] > 0
        batch.scores = score_batch(rotary.model, batch.rollouts)


def test_what_fails_within_is_undone_too(rotary):
    training, _ = training_of(rotary)
    before = state_of(training)
    with pytest.raises(ZeroDivisionError), probe.undone(training):
        next(rotary.model.parameters()).data += 1
        torch.rand(3)
        1 / 0  # noqa: B018
    assert same(before, state_of(training))


def test_the_control_is_the_update_of_permuted_advantages(rotary, monkeypatch):
    training, batch = training_of(rotary)
    updated, update = [], train.update
    monkeypatch.setattr(train, "update", lambda t, b: updated.append(b.shaped) or update(t, b))
    probe.before_updates(training, batch, train.weigh_and_update)
    (permuted,) = updated
    assert sorted(permuted[:, 0].tolist()) == sorted(batch.advantages.tolist())
    assert not torch.equal(permuted[:, 0], batch.advantages)
    batch.shaped = permuted
    update(training, batch)
    logp = score_batch(rotary.model, batch.rollouts, logp_only=True).logp
    assert torch.equal(batch.control_logp_change, logp - batch.scores.logp)


def test_the_control_is_made_on_probe_steps_alone_and_can_be_left_out(rotary):
    training, batch = training_of(rotary)
    training.progress.step = 3
    assert probe.before_updates(training, batch, None) is None and batch.control_logp_change is None
    assert set(probe.after_updates(training, batch, None).values()) == {None}
    training, batch = training_of(rotary, "--no_probe_control")
    known = probe.before_updates(training, batch, None)
    batch.shaped = train.weigh(batch, training.options, False)
    changes = probe.after_updates(training, batch, known)
    assert batch.control_logp_change is None and changes["control_logp_change"] is None
    assert changes["logp_change"] == 0 and list(changes) == list(probe.METRICS)
