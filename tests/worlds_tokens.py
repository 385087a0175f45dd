"""Made-up saved rollouts for S5, S6, I1 and T1: 25 probed steps of 16 questions x 8 rollouts x 29 tokens.

In every world an update moves the logit of a token by a common and a chance part, and so its p by
p (1 - p) times that: tokens in doubt move most, whatever the advantages say, in the update and in the
control alike. What is true of a finding is what the update has beyond the control.
"""

import torch
from made_up import World, sampled

from analysis.instance_level import i1_perplexity
from analysis.stages import Stages
from analysis.token_level import s5_what_updates_change, s6_kinds_of_tokens, t1_position
from analysis.words import FORMAL, KINDS, LOGIC, REST

STEPS, ROLLOUTS, GROUP, TOKENS = 25, 128, 8, 29


def rollouts(seed, push=0.0, sparse=0.0, formal=0.0, confident=0.0, ends=0.0):
    """A `Sampled`, all of it in the plateau.

    push: how much updates move a token along its advantage, beyond chance, in standard deviations of
    the chance part; those of the control along its permuted one. sparse: how much more it moves tokens of high entropy and low p; formal: those of
    formal reasoning; confident: those of rollouts of low perplexity. ends: nats that the ends of responses have
    more than their middles.
    """
    draw = torch.Generator().manual_seed(seed)
    normal = lambda *size: torch.randn(*size, generator=draw)
    uniform = lambda *size: torch.rand(*size, generator=draw)
    shape = (STEPS, ROLLOUTS, TOKENS)
    ability = normal(STEPS, ROLLOUTS // GROUP).repeat_interleave(GROUP, 1) + 1.5
    right = uniform(STEPS, ROLLOUTS) < ability.sigmoid()
    # Doubt: one token in ten, more of them in wrong rollouts.
    doubt = uniform(*shape) < torch.where(right, 0.07, 0.14)[..., None]
    p = torch.where(doubt, 0.2 + 0.6 * uniform(*shape), 1 - 0.02 * uniform(*shape) ** 4)
    entropy = torch.special.entr(p) + torch.special.entr(1 - p)
    position = (torch.arange(TOKENS) / TOKENS).expand(shape)
    kind = torch.where(uniform(*shape) < 0.85, FORMAL, torch.where(doubt, LOGIC, REST))
    groups = right.view(STEPS, -1, GROUP).float()
    gap = right.float() - groups.mean(-1).repeat_interleave(GROUP, 1)
    spread = groups.std(-1).repeat_interleave(GROUP, 1)
    advantage = torch.where(spread > 0, gap / spread.clamp(min=1e-6), 0.0)
    permuted = torch.stack([row[torch.randperm(ROLLOUTS, generator=draw)] for row in advantage])
    perplexity = (-p.log()).mean(-1).exp()
    low = perplexity < perplexity.median(-1, keepdim=True).values

    def moved(advantage, of_training):
        size = 0.03 * (1 + 0.3 * normal(STEPS, 1, 1)).abs()  # of the step's updates
        of_kind = normal(STEPS, len(KINDS))  # what the step's updates do to all tokens of a kind
        common = of_kind.gather(1, kind.flatten(1)).view(shape)
        change = normal(*shape) + common + push * advantage[..., None]
        if of_training:
            more = (
                sparse * ((entropy > 0.6) + 1 - p)
                + formal * (kind == FORMAL)
                + confident * low[..., None]
            )
            change = change * (1 + more)
        return (size * p * (1 - p) * change).flatten()

    found = {
        "entropy": (entropy + ends * (position - 0.5).abs() * uniform(*shape)).flatten(),
        "gradient": (1 - p).flatten(),
        "moved": moved(advantage, True),
        "control_moved": moved(permuted, False),
        "kind": kind.flatten(),
        "position": position.flatten(),
        "perplexity": perplexity.flatten(),
    }
    step = (torch.arange(STEPS) + 2).repeat_interleave(ROLLOUTS).tolist()
    group = torch.arange(STEPS * ROLLOUTS // GROUP).repeat_interleave(GROUP).tolist()
    lengths = [TOKENS] * (STEPS * ROLLOUTS)
    return sampled(step, right.flatten().tolist(), group, lengths, **found)


def verdict(finding, **world):
    """seed -> the verdict on a made-up run of the world."""
    return lambda seed: finding(Stages(1, STEPS + 1), rollouts(seed, **world)).verdict()[0]


HOLDS, NOT = "holds here", "does not hold here"
S5, S6, I1, T1 = s5_what_updates_change, s6_kinds_of_tokens, i1_perplexity, t1_position
WORLDS = [
    World("S5", "updates do what any update does", verdict(S5), HOLDS),
    World("S5", "they only have a direction", verdict(S5, push=1.0), HOLDS),
    World("S5", "direction, and tokens in doubt move more", verdict(S5, push=1.0, sparse=1.0), NOT),
    World("S5", "the same, twice as much more", verdict(S5, push=1.0, sparse=2.0), NOT),
    World("S6", "any update moves some kind most", verdict(S6), HOLDS),
    World("S6", "formal tokens move 1.3 x", verdict(S6, formal=0.3), NOT),
    World("S6", "formal tokens move half", verdict(S6, formal=-0.5), HOLDS),
    World("I1", "any update moves rollouts of high perplexity most", verdict(I1), HOLDS),
    World("I1", "those of low perplexity move 1.5 x", verdict(I1, confident=0.5), NOT),
    World("I1", "those of low perplexity move half", verdict(I1, confident=-0.5), HOLDS),
    World("T1", "entropy does not depend on the position", verdict(T1), HOLDS),
    World("T1", "the ends have 0.02 nats more", verdict(T1, ends=0.08), NOT),
]
