"""The scorer and its measurements, against torch.distributions and against generate itself."""

import math

import pytest
import torch

import entropy
import rollout
from entropy import (
    Scoring,
    branching_factor,
    entropy_change,
    first_order,
    log_perplexity,
    micro_batches,
    score,
    score_batch,
    snapshot,
)
from loss import policy_loss
from policy import encode_prompt

PROMPTS = ["7+8", "1+2-3+4-5", "9-9-9"]


def sampled(policy, temperature=1.0, group_size=4, length=12, keep_logp=False):
    torch.manual_seed(1)
    prompts = [encode_prompt(policy, question) for question in PROMPTS]
    sampling = rollout.Sampling(group_size, length, temperature)
    return rollout.sample(policy, prompts, sampling, keep_logp)


def plain_logits(policy, batch):
    """(B, T, V): at t the distribution of token t; position 0 is left blank."""
    with torch.no_grad():
        logits = policy.model(input_ids=batch.input_ids).logits.float()
    return torch.cat([torch.zeros_like(logits[:, :1]), logits[:, :-1]], 1)


def test_fault_03_sampling_and_scoring_agree_on_a_padded_batch_for_both_kinds_of_positions(policy):
    batch = sampled(policy, temperature=0.7, keep_logp=True)
    prompts = {int(mask.int().argmax()) for mask in batch.response_mask}
    assert len(prompts) == 3  # different widths, so generate had to pad on the left
    scores = score_batch(policy.model, batch, Scoring(0.7))
    assert (scores.logp - batch.sampling_logp).abs().max() < 1e-4
    # At another temperature they differ: the comparison can fail.
    other = score_batch(policy.model, batch, Scoring(1.0))
    assert (other.logp - batch.sampling_logp).abs().max() > 1e-2


def test_fault_05_entropy_is_of_the_whole_vocabulary_at_the_sampling_temperature(policy):
    batch = sampled(policy, temperature=0.7)
    mask = batch.response_mask
    scores = score_batch(policy.model, batch, Scoring(0.7))
    expected = torch.distributions.Categorical(logits=plain_logits(policy, batch) / 0.7)
    assert torch.allclose(scores.entropy[mask], expected.entropy()[mask], atol=1e-5)
    assert torch.allclose(scores.logp[mask], expected.log_prob(batch.input_ids)[mask], atol=1e-5)
    assert not torch.allclose(scores.entropy[mask], -scores.logp[mask], atol=1e-2)
    assert (scores.entropy[~mask] == 0).all() and (scores.logp[~mask] == 0).all()


def test_perplexity_against_the_definition(policy):
    batch = sampled(policy)
    scores = score_batch(policy.model, batch)
    expected = torch.distributions.Categorical(logits=plain_logits(policy, batch))
    surprise = -expected.log_prob(batch.input_ids)
    for i, mask in enumerate(batch.response_mask):
        by_hand = math.exp(surprise[i][mask].mean())
        mine = log_perplexity(scores.logp, batch.response_mask)[i].exp().item()
        assert mine == pytest.approx(by_hand, rel=1e-4)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_token_gradient_is_what_autograd_says(rotary, temperature):
    batch = sampled(rotary)
    scores = score_batch(rotary.model, batch, Scoring(temperature))
    logits = plain_logits(rotary, batch)[0].requires_grad_()
    for t in batch.response_mask[0].nonzero().flatten().tolist():
        logp = (logits[t] / temperature).log_softmax(-1)[batch.input_ids[0, t]]
        (gradient,) = torch.autograd.grad(logp, logits)
        assert scores.gradient[0, t].item() == pytest.approx(gradient.norm().item(), rel=1e-4)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_polarity_predicts_the_change_of_entropy_and_vanishes_on_average(rotary, temperature):
    batch = sampled(rotary)
    scores = score_batch(rotary.model, batch, Scoring(temperature))
    logits = plain_logits(rotary, batch)[0].double()
    for t in batch.response_mask[0].nonzero().flatten().tolist()[:5]:
        probs = (logits[t] / temperature).softmax(-1)
        entropy_of = lambda z: torch.distributions.Categorical(logits=z / temperature).entropy()
        step = torch.nn.functional.one_hot(batch.input_ids[0, t], len(probs)) - probs
        step = step / temperature  # d log p_a / dz
        eta = 1e-4
        measured = (entropy_of(logits[t] + eta * step) - entropy_of(logits[t])) / eta
        assert scores.polarity[0, t].item() == pytest.approx(measured.item(), rel=1e-2, abs=1e-4)
        # E_p[T] = 0, with T of every token from the definition.
        log_p, h = probs.log(), entropy_of(logits[t])
        s = (probs**2 * (log_p + h)).sum()
        every = (s - probs * (log_p + h)) / temperature**2
        assert scores.polarity[0, t].item() == pytest.approx(
            every[batch.input_ids[0, t]].item(), rel=1e-3, abs=1e-5
        )
        assert (probs * every).sum().abs() < 1e-12


def test_the_first_order_change_is_off_by_a_tenth_when_the_step_is_a_tenth():
    torch.manual_seed(0)
    logits = 1.5 * torch.randn(100, 12, dtype=torch.float64)
    p, advantages = logits.softmax(-1), torch.randn(100, 12, dtype=torch.float64)
    advantages -= (p * advantages).sum(-1, keepdim=True)
    for direction in (p * advantages, advantages):  # policy gradient, natural policy gradient
        errors = []
        for eta in (0.1, 0.01, 0.001):
            measured, predicted = first_order(logits, logits + eta * direction)
            errors.append(((predicted - measured).norm() / measured.norm()).item())
        assert errors[0] < 0.2
        assert 8 < errors[0] / errors[1] < 12 and 9 < errors[1] / errors[2] < 11


def test_a_constant_added_to_all_logits_changes_neither_side_of_the_entropy_change():
    torch.manual_seed(0)
    before = 3 * torch.randn(5, 300)
    after = before + 0.01 * torch.randn(5, 300)
    shifts = torch.tensor([[1.0], [-2.0], [0.5], [8.0], [0.0]])
    for plain, shifted in zip(
        first_order(before, after), first_order(before, after + shifts), strict=True
    ):
        assert plain.abs().min() > 1e-4
        assert torch.allclose(plain, shifted, atol=1e-5)


def disturb(model, size=0.0005):
    """An update of all weights, the output layer's included."""
    torch.manual_seed(3)
    with torch.no_grad():
        for weight in model.parameters():
            weight += size * torch.randn_like(weight)


def test_entropy_change_against_the_whole_logits_before_and_after(policy):
    batch, temperature = sampled(policy), 0.7
    mask = batch.response_mask
    logits = [plain_logits(policy, batch)[mask].double() / temperature]
    entropies = [score_batch(policy.model, batch, Scoring(temperature)).entropy[mask]]
    before = snapshot(policy.model, batch, Scoring(micro_batch_tokens=60))
    disturb(policy.model)
    weights, state = [w.clone() for w in policy.model.parameters()], torch.get_rng_state()
    measured, predicted = entropy_change(policy.model, before, batch, Scoring(temperature, 90, 7))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(map(torch.equal, policy.model.parameters(), weights))

    logits.append(plain_logits(policy, batch)[mask].double() / temperature)
    entropies.append(score_batch(policy.model, batch, Scoring(temperature)).entropy[mask])
    log_p = logits[0].log_softmax(-1)
    h = -(log_p.exp() * log_p).sum(-1, keepdim=True)
    by_definition = -(log_p.exp() * (log_p + h) * (logits[1] - logits[0])).sum(-1)
    assert torch.allclose(predicted.double(), by_definition, atol=1e-5)
    assert torch.allclose(measured, entropies[1] - entropies[0], atol=1e-5)
    assert measured.abs().mean() > 1e-3
    close = (predicted - measured).abs().mean() / measured.abs().mean()
    assert 1e-4 < close < 0.3  # a prediction, and not the measurement under another name


def test_nothing_has_changed_where_no_update_was_made(policy):
    batch = sampled(policy)
    measured, predicted = entropy_change(policy.model, snapshot(policy.model, batch), batch)
    assert measured.abs().max() < 1e-5 and predicted.abs().max() < 1e-5
    with torch.autocast("cpu", torch.bfloat16):
        before = snapshot(policy.model, batch)
        disturb(policy.model)
        measured, predicted = entropy_change(policy.model, before, batch)
    assert measured.dtype == torch.float32 and measured.abs().mean() > 1e-3
    assert torch.corrcoef(torch.stack([measured, predicted]))[0, 1] > 0.9


def test_branching_factor_against_counting():
    torch.manual_seed(0)
    sharp, flat = torch.randn(20, 500) * 8, torch.randn(20, 500) * 0.1
    probs = torch.cat([sharp, flat]).softmax(-1)
    for row, counted in zip(probs, branching_factor(probs).tolist(), strict=True):
        mass, count = 0.0, 0
        for p in sorted(row.tolist(), reverse=True):
            mass, count = mass + p, count + 1
            if mass >= entropy.NUCLEUS:
                break
        assert abs(counted - count) <= 1  # float32 against float64 at the border


def gradient_of(policy, batch, token_budget, chunk_tokens=1024, order=None, padding=0):
    """The gradient of one minibatch's loss, cut and arranged in different ways."""
    torch.manual_seed(2)
    count = len(batch.texts)
    advantages = torch.randn(count)
    noise = torch.randn(batch.response_mask.shape) * 0.1
    old = score_batch(policy.model, batch).logp + noise
    if order is not None:
        batch, advantages, old = batch.rows(order), advantages[order], old[order]
    if padding:
        wider = torch.nn.functional.pad
        batch = rollout.Rollouts(
            wider(batch.input_ids, (0, padding), value=5),
            wider(batch.response_mask, (0, padding)),
            batch.truncated,
            batch.texts,
        )
        old = wider(old, (0, padding))
    policy.model.zero_grad()
    scoring = Scoring(chunk_tokens=chunk_tokens)
    for rows in micro_batches(batch.row_lengths, token_budget):
        ids, mask = batch.input_ids[rows], batch.response_mask[rows]
        logp = score(policy.model, ids, mask, scoring, logp_only=True).logp
        every = advantages[rows, None].expand(mask.shape)
        total = int(batch.response_mask.sum())
        policy_loss(logp, old[rows], every, mask, token_count=total)[0].backward()
    return torch.cat([p.grad.flatten() for p in policy.model.parameters()])


def test_fault_04_the_gradient_does_not_depend_on_how_the_minibatch_is_cut(policy):
    batch = sampled(policy)
    whole = gradient_of(policy, batch, token_budget=10_000)
    assert whole.norm() > 1e-3
    ways = {
        "one row at a time": {"token_budget": 1},
        "a few rows at a time": {"token_budget": 60},
        "small chunks, recomputed": {"token_budget": 10_000, "chunk_tokens": 7},
        "other order": {"token_budget": 60, "order": torch.arange(12).flip(0)},
        "more padding": {"token_budget": 10_000, "padding": 9},
    }
    for name, way in ways.items():
        other = gradient_of(policy, batch, **way)
        assert torch.allclose(other, whole, atol=2e-6 * whole.abs().max().item() + 1e-7), name


def test_chunks_of_logits_are_computed_again_where_a_gradient_would_keep_them(rotary, monkeypatch):
    batch, calls, checkpoint = sampled(rotary), [], entropy.checkpoint
    monkeypatch.setattr(
        entropy, "checkpoint", lambda *a, **k: calls.append(1) or checkpoint(*a, **k)
    )
    count = int(batch.response_mask.sum())
    for size, chunks in ((7, -(-count // 7)), (count, 0)):  # a single chunk needs no second pass
        calls.clear()
        score(rotary.model, batch.input_ids, batch.response_mask, Scoring(chunk_tokens=size))
        assert len(calls) == chunks
    calls.clear()
    score_batch(rotary.model, batch, Scoring(chunk_tokens=7))  # without a gradient nothing is kept
    assert not calls


def test_fault_10_the_log_softmax_is_float32_under_bf16_autocast(rotary):
    batch = sampled(rotary)
    with torch.autocast("cpu", torch.bfloat16):
        scores = score_batch(rotary.model, batch)
        with torch.no_grad():
            logits = rotary.model(input_ids=batch.input_ids).logits
    assert logits.dtype == torch.bfloat16 and scores.logp.dtype == torch.float32
    mask = batch.response_mask
    reference = logits.double().log_softmax(-1)[:, :-1].gather(2, batch.input_ids[:, 1:, None])
    difference = scores.logp[:, 1:].double() - reference.squeeze(2)
    # Rounded to bf16 a log-probability near -5 is off by up to 0.016.
    assert difference[mask[:, 1:]].abs().max() < 1e-5


def test_micro_batches_cover_every_row_once_within_the_budget():
    torch.manual_seed(0)
    lengths = torch.randint(1, 50, (40,))
    batches = micro_batches(lengths, 100)
    assert sorted(torch.cat(batches).tolist()) == list(range(40))
    for rows in batches:
        assert len(rows) == 1 or len(rows) * int(lengths[rows].max()) <= 100
    assert [rows.tolist() for rows in micro_batches(torch.tensor([500]), 100)] == [[0]]


def test_means_over_tokens_and_over_rollouts_differ_as_they_should():
    values = torch.tensor([[1.0, 1.0, 1.0, 1.0], [5.0, 7.0, 7.0, 7.0]])
    mask = torch.tensor([[True] * 4, [True, False, False, False]])
    assert entropy.token_mean(values, mask) == pytest.approx(9 / 5)
    assert entropy.rollout_mean(values, mask) == pytest.approx(3.0)
    assert entropy.token_mean(values, mask & False) is None


def test_logits_of_families_that_rescale_them_are_rescaled():
    from transformers import (
        CohereConfig,
        CohereForCausalLM,
        Gemma2Config,
        Gemma2ForCausalLM,
        GraniteConfig,
        GraniteForCausalLM,
    )

    tiny = {
        "vocab_size": 40,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
    }
    torch.manual_seed(0)
    for model in (
        Gemma2ForCausalLM(Gemma2Config(**tiny, head_dim=8, final_logit_softcapping=0.5)),
        GraniteForCausalLM(GraniteConfig(**tiny, logits_scaling=4.0)),
        CohereForCausalLM(CohereConfig(**tiny, logit_scale=0.25)),
    ):
        model.eval()
        ids = torch.randint(0, 40, (2, 6))
        mask = torch.tensor([[False, True, True, True, True, True]] * 2)
        mine = score(model, ids, mask).logp[:, 1:]
        with torch.no_grad():
            theirs = model(input_ids=ids).logits.float().log_softmax(-1)
        theirs = theirs[:, :-1].gather(2, ids[:, 1:, None]).squeeze(2)
        assert torch.allclose(mine, theirs, atol=1e-5)
        batch = rollout.Rollouts(ids, mask, torch.zeros(2, dtype=torch.bool), ["", ""])
        old, before = score_batch(model, batch).entropy, snapshot(model, batch)
        disturb(model, 0.03)
        change = score_batch(model, batch).entropy - old
        assert change.abs().max() > 1e-4
        assert torch.allclose(entropy_change(model, before, batch)[0], change[mask], atol=1e-5)
