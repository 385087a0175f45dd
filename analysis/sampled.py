"""The saved rollouts of a run as tensors, and which of their tokens an update changed most.

A token's measurements are those of rollouts/step_N.parquet. What updates did to a token is known on
probe steps alone: the change of its probability p, in the state in which it was sampled, by all updates
of the step, and by those of the control, which know nothing of right and wrong (`probe.py`). What the
token means, `words.py` tells.

All tokens of a step are changed by the same updates, so what updates change is judged over steps, and
sizes of changes are divided by their mean in the step: every step weighs by its number of tokens, however
large its updates are.
"""

import dataclasses
import itertools
from pathlib import Path

import torch

from analysis.stages import Stages
from analysis.words import defects, is_beside_the_task, token_words, words_of
from record import read_rollouts, rollout_files

MOST = 0.01  # the most changed tokens are this share of those of their step
AT_MOST = 256  # rollouts read of each file, from its beginning: of a large batch that is enough
CELLS = ("step", "question", "text", "outcome", "truncated", "perplexity", "tokens")
LISTS = ("entropy", "logp_gradient", "relative_position", "old_logp")  # a value a token
LISTS += ("logp_change", "control_logp_change")

# What a finding says where the rollouts cannot decide it.
NO_PLATEAU = "no plateau was found; needed: more steps, until accuracy and entropy level off"
NO_ROLLOUTS = "no rollouts were saved; needed: --save_rollouts_every"
NO_PROBES = "no rollouts of probe steps were saved; needed: --probe_every and --save_rollouts_every"
NO_CONTROL = "no control was made, which tells what any update shows; needed: --probe_control"
FEW_FILES = "rollouts of fewer than four steps of the rising stage; needed: --save_rollouts_every 5"


@dataclasses.dataclass
class Sampled:
    """R saved rollouts, with N tokens. A group is a question with its rollouts in a step."""

    step: torch.Tensor  # (R,)
    group: torch.Tensor  # (R,) numbers of groups, from 0
    right: torch.Tensor  # (R,) bool
    perplexity: torch.Tensor  # (R,)
    defects: torch.Tensor  # (R, 4) bool, see words.DEFECTS
    row: torch.Tensor  # (N,) which rollout a token is of
    kind: torch.Tensor  # (N,) see words.KINDS
    beside: torch.Tensor  # (N,) bool, see words.is_beside_the_task
    word: torch.Tensor  # (N,) index into vocabulary
    entropy: torch.Tensor  # (N,) nats
    gradient: torch.Tensor  # (N,) the norm of d log p / d logits
    position: torch.Tensor  # (N,) from 0 to 1
    moved: torch.Tensor  # (N,) dp, the change of probability by the step's updates; NaN: not probed
    control_moved: torch.Tensor  # (N,) dp by the control's; NaN: there was none
    vocabulary: list[str]

    def per_group(self, values, of_tokens=True) -> torch.Tensor:
        """Sums of (N,) values of tokens, or (R,) of rollouts, over each group: (groups,)."""
        groups = self.group[self.row] if of_tokens else self.group
        blank = torch.zeros(int(self.group.max()) + 1, dtype=torch.double)
        return blank.index_add_(0, groups, values.double())

    def label(self, number: int) -> str:
        """A word of the vocabulary, to be read in a table."""
        word = self.vocabulary[number].replace("\n", "\\n").replace(" ", "␣")
        return (word or "(end)").replace("`", "'").replace("|", "¦")

    def sums(self, tokens, values) -> list[torch.Tensor]:
        """Of some tokens, (N,) bool: the sums of their values over each step, and their number."""
        _, of_row = self.step.unique(return_inverse=True)
        blank = torch.zeros(2, int(of_row.max()) + 1, dtype=torch.double)
        both = torch.stack([torch.where(tokens, values, 0.0).double(), tokens.double()])
        return list(blank.index_add_(1, of_row[self.row], both))


def read_sampled(folder: Path) -> Sampled | None:
    """All rollouts/step_N.parquet of a run, at most AT_MOST rollouts of each; None without any.

    Raises InputError for a file that train.py has not written.
    """
    parts, groups, rows, vocabulary = [], 0, 0, {}
    for file in rollout_files(folder):
        table = read_rollouts(file, [*CELLS, *LISTS], AT_MOST)
        if not table.num_rows:
            continue
        part = tensors_of(table, vocabulary)
        part["group"] += groups
        part["row"] += rows
        groups, rows = int(part["group"][-1]) + 1, rows + len(part["step"])
        parts.append(part)
    if not parts:
        return None
    columns = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return Sampled(**columns, vocabulary=list(vocabulary))


def tensors_of(table, vocabulary: dict[str, int]) -> dict[str, torch.Tensor]:
    """The columns of `Sampled` for one file, groups and rollouts counted from 0.

    table: its CELLS and LISTS, a pyarrow.Table. vocabulary: {word: number}; new words are added.
    """
    step, question, text, outcome, truncated, perplexity, tokens = (
        table[name].to_pylist() for name in CELLS
    )
    entropy, gradient, position, old_logp, change, control_change = (
        torch.tensor(table[name].combine_chunks().flatten().to_numpy(False)) for name in LISTS
    )
    p = old_logp.double().exp()
    words = []
    for asked, said, pieces in zip(question, text, tokens, strict=True):
        task = {word for *_, word in words_of(asked)}
        for kind, word in token_words(pieces, said):
            number = vocabulary.setdefault(word, len(vocabulary))
            words.append((kind, is_beside_the_task(kind, word, task), number))
    kind, beside, word = torch.tensor(words).T
    # The rollouts of a question are in a row, so a group ends where the question changes.
    another = torch.tensor([False] + [a != b for a, b in itertools.pairwise(question)])
    bad = [defects(*row) for row in zip(question, text, outcome, truncated, strict=True)]
    lengths = torch.tensor([len(pieces) for pieces in tokens])
    return {
        "step": torch.tensor(step),
        "group": another.cumsum(0),
        "right": torch.tensor([x == "correct" for x in outcome]),
        "perplexity": torch.tensor(perplexity),
        "defects": torch.tensor(bad),
        "row": torch.arange(len(step)).repeat_interleave(lengths),
        "kind": kind,
        "beside": beside.bool(),
        "word": word,
        "entropy": entropy,
        "gradient": gradient,
        "position": position,
        "moved": p * change.double().expm1(),
        "control_moved": p * control_change.double().expm1(),
    }


def probed(stages: Stages, sampled: Sampled | None) -> tuple[dict, str]:
    """({stage: (N,) bool, its probed tokens}, what is missing to judge them in the plateau, or "")."""
    if not sampled:
        return {}, NO_ROLLOUTS
    known = ~sampled.moved.isnan()
    parts = {name: known & inside for name, inside in stages.of(sampled.step[sampled.row]).items()}
    parts = {name: tokens for name, tokens in parts.items() if tokens.any()}
    if not parts:
        return {}, NO_PROBES
    return parts, NO_CONTROL if sampled.control_moved[known].isnan().any() else ""


def most_changed(sampled: Sampled, tokens, moved) -> torch.Tensor:
    """Of some tokens, (N,) bool, in each step the MOST that changed most: (N,) bool.

    moved: (N,) dp. The token at the bound is among them, and any like it; what does not change is not.
    """
    size, step, found = moved.abs(), sampled.step[sampled.row], torch.zeros_like(tokens)
    for s in sampled.step.unique():
        here = tokens & (step == s)
        if count := int(here.sum()):
            bound = size[here].kthvalue(max(1, count - int(MOST * count))).values
            found |= here & (size >= bound.clamp(min=1e-12))
    return found


def relative_size(sampled: Sampled, tokens, moved) -> torch.Tensor:
    """The size of each change over its mean among those of some tokens that are of its step: (N,)."""
    size = torch.where(tokens, moved.abs(), 0.0).double()
    _, of_row = sampled.step.unique(return_inverse=True)
    total, count = sampled.sums(tokens, size)
    return size / (total / count).clamp(min=1e-30)[of_row[sampled.row]]
