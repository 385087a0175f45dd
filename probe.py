"""What a step's updates did to the tokens they were made of, beside what any update would have done.

On a probe step the batch is scored once more after its updates, and the entropy in the states of some
rollouts is compared. What is found of single tokens depends on where they are: a token with p near 0 or
1 hardly moves, one with much entropy does, whatever the advantages say. So before the updates a *control*
is made: the same updates from the same state, with the advantages permuted among the rollouts of the
batch, so that they know nothing of right and wrong (but for what the optimizer's moments remember of
earlier steps). It is measured alike and undone, to the last bit of weights, optimizer and random state.
All of this is ours.
"""

import contextlib
import dataclasses
import itertools
import math

import torch

from entropy import entropy_change, score_batch, snapshot, token_mean
from record import ENTROPY_CHANGES, is_due, random_states, set_random_states
from rollout import Batch

METRICS = (*ENTROPY_CHANGES, "logp_change", "control_logp_change")


def before_updates(training, batch: Batch, weigh_and_update):
    """On a probe step make the control and keep what the policy knows; None on any other step.

    training, weigh_and_update: train.py's. What the policy knows, in float32, since bfloat16 rounds
    away more than a small step changes, is that in the states of up to probe_rollouts rollouts, evenly
    spread over the batch.
    """
    options, count = training.options, len(batch.grades)
    if not is_due(options.probe_every, training.progress.step):
        return None
    if options.probe_control:
        with undone(training):
            permuted = torch.randperm(count).to(batch.advantages.device)
            control = dataclasses.replace(batch, advantages=batch.advantages[permuted])
            weigh_and_update(training, control)
            batch.control_logp_change = logp_change(training, control)
    rows = torch.arange(0, count, math.ceil(count / options.probe_rollouts))
    few = batch.rollouts.rows(rows)
    return rows, few, snapshot(training.policy.model, few, training.scoring)


def after_updates(training, batch: Batch, before) -> dict:
    """What the updates did: METRICS, and the change of each log-probability into the batch.

    before: what `before_updates` gave. None everywhere where nothing was probed.
    """
    if before is None:
        return dict.fromkeys(METRICS)
    rows, few, known = before
    batch.logp_change = logp_change(training, batch)
    measured, from_logits = entropy_change(training.policy.model, known, few, training.scoring)
    pull = (batch.scores.polarity * batch.shaped)[rows]
    rate = training.optimizer.param_groups[0]["lr"]
    from_advantages = rate * token_mean(pull, batch.mask[rows])
    changes = [measured.mean().item(), from_logits.mean().item(), from_advantages]
    for change in (batch.logp_change, batch.control_logp_change):
        changes.append(None if change is None else token_mean(change.abs(), batch.mask))
    return dict(zip(METRICS, changes, strict=True))


def logp_change(training, batch: Batch) -> torch.Tensor:
    """Log-probability now less that under the policy that sampled the batch: (B, T)."""
    model, scoring = training.policy.model, training.scoring
    with training.autocast:
        logp = score_batch(model, batch.rollouts, scoring, logp_only=True).logp
    return logp - batch.scores.logp


@contextlib.contextmanager
def undone(training):
    """Whatever is done within to weights, optimizer and random state is undone, bit for bit.

    What they were waits in the CPU's memory: for each weight 4 bytes and 8 more for the optimizer.
    """
    model, optimizer, progress = training.policy.model, training.optimizer, training.progress
    weights = list(itertools.chain(model.parameters(), model.buffers()))
    kept = [weight.detach().to("cpu", copy=True) for weight in weights]
    moments = {
        weight: {name: value.to("cpu", copy=True) for name, value in state.items()}
        for weight, state in optimizer.state.items()
    }
    states, skipped = random_states(), progress.skipped_in_a_row
    try:
        yield
    finally:
        with torch.no_grad():
            for weight, value in zip(weights, kept, strict=True):
                weight.copy_(value)
        for weight in list(optimizer.state):
            if weight not in moments:  # the first step of an optimizer makes its moments
                del optimizer.state[weight]
            for name, value in moments.get(weight, {}).items():
                optimizer.state[weight][name].copy_(value)
        set_random_states(states)
        progress.skipped_in_a_row = skipped
