"""The policy: a causal language model, how it is asked, and which tokens end its turn.

    load_policy     a model id or a folder -> Policy
    encode_prompt   a question -> the tokens the policy is asked with
    save_policy     Policy -> a folder that the Auto classes load

Two things of a checkpoint are not taken on trust. Its generation config (top-k 50, a repetition penalty)
would make generate sample from another policy than the one scored: it is replaced on loading. And its
end-of-sequence token need not be the one that ends a turn of its chat template: a base model of Qwen2.5
ends texts with <|endoftext|> and is asked by a template whose turns end with <|im_end|>; without the latter
among the end tokens it goes on, invents the user's next question, and answers that. All of this is ours.
"""

import json
import sys
from pathlib import Path
from typing import NamedTuple

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedTokenizerFast,
)

from data import Question
from extraction import opened_thought
from options import InputError, one_line

INSTRUCTION = "Please reason step by step, and put your final answer within \\boxed{}."
PLAIN_TEMPLATE = "Question: {question}\n{instruction}\nAnswer:\n"
PROMPT_FILE = "prompt.json"  # how a checkpoint's questions were asked, kept beside its weights
ANY_TEXT = (
    "7+8-3 =\n\\boxed{3}  so\t所以 é <b>\n\n  don't x_1"  # on which two tokenizers must agree
)


class CannotLoad(InputError):
    """The files of a model or a checkpoint are not there, or damaged."""


class Policy(NamedTuple):
    """A causal language model and how it is asked.

    template: "chat" for the tokenizer's own chat template, else a text in which {question} and
    {instruction} are replaced. system and chat_template_kwargs belong to a chat template: the text of
    the system's turn, none if empty; and what the template itself takes, such as enable_thinking.
    """

    model: torch.nn.Module
    tokenizer: object
    template: str
    instruction: str
    eos_ids: tuple[int, ...]  # each of which ends a response
    system: str = ""
    chat_template_kwargs: dict = {}  # noqa: RUF012 - nobody writes into it


def load_policy(
    name, device, template=None, instruction=None, system=None, chat_template_kwargs=None
) -> Policy:
    """Load a model id or a folder, in float32, with its tokenizer.

    Weights stay float32: at a learning rate of 1e-6 an update to a bf16 weight rounds away; on a GPU
    the caller opens a bf16 autocast. Dropout is set to zero, because old and new log-probabilities
    must differ by the update alone. The four ways of asking: those given, else those the checkpoint was
    trained with, else the tokenizer's chat template or a plain text, and INSTRUCTION.

    Raises InputError for a folder or id that cannot be loaded, and for a way of asking that the
    tokenizer does not know.
    """
    check_model_name(name)
    try:
        config = AutoConfig.from_pretrained(name)
        for key, value in config.to_dict().items():
            if ("dropout" in key or "pdrop" in key) and isinstance(value, float):
                setattr(config, key, 0.0)
        model = AutoModelForCausalLM.from_pretrained(name, config=config, dtype=torch.float32)
        file, asked = Path(name) / PROMPT_FILE, {}
        if file.is_file():
            asked = json.loads(file.read_text(encoding="utf-8"))
        reader = PreTrainedTokenizerFast if asked.get("generic_tokenizer") else AutoTokenizer
        tokenizer = reader.from_pretrained(name, padding_side="left")
    except Exception as error:  # noqa: BLE001 - files, hub and libraries each raise their own kinds
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CannotLoad(
            f"--model: cannot load {name!r}: {reason} Where no hub can be reached, give the path of a "
            "local model folder"
        ) from None

    given = {"template": template, "instruction": instruction, "system": system}
    given |= {"chat_template_kwargs": chat_template_kwargs}
    usual = {"template": "chat" if tokenizer.chat_template else PLAIN_TEMPLATE}
    usual |= {"instruction": INSTRUCTION, "system": "", "chat_template_kwargs": {}}
    for way, text in given.items():
        given[way] = asked.get(way, usual[way]) if text is None else text
    policy = Policy(model.to(device).eval(), tokenizer, eos_ids=(), **given)
    check_way_of_asking(policy, name)
    return policy._replace(eos_ids=set_end_tokens(policy, name))


def check_model_name(name: str) -> None:
    """Raises InputError where a name is that of a folder, and this is none of a model."""
    path = Path(name)
    a_path = path.is_absolute() or name.startswith(".") or name.count("/") > 1
    if a_path and not path.is_dir():
        raise InputError(
            f"--model: there is no model folder {name}; give one written by save_pretrained, or a "
            "model id such as Qwen/Qwen2.5-0.5B-Instruct"
        )
    if path.is_dir() and not (path / "config.json").is_file():
        raise CannotLoad(
            f"--model: the folder {name} holds no config.json, so it is no model folder"
        )


def check_way_of_asking(policy: Policy, name: str) -> None:
    """Raises InputError where the template, or what is to be put into it, is none of this tokenizer."""
    template = policy.template
    if template != "chat":
        if "{question}" not in template:
            raise InputError("--template: it must be 'chat' or a text that contains {question}")
        for option in ("system", "chat_template_kwargs"):
            if getattr(policy, option):
                raise InputError(
                    f"--{option}: only a chat template has a place for it; write it into --template, or "
                    "choose --template chat"
                )
        return
    if not policy.tokenizer.chat_template:
        raise InputError(f"--template chat: the tokenizer of {name} has no chat template")
    for key in policy.chat_template_kwargs:
        if key not in str(policy.tokenizer.chat_template):
            raise InputError(
                f"--chat_template_kwargs: the chat template of {name} knows no {key!r}, so it would "
                "change nothing; leave it out"
            )
    try:
        encode_prompt(policy, "1+1")
    except Exception as error:  # noqa: BLE001 - a template is a program, and raises what it likes
        ways = [way for way in ("system", "chat_template_kwargs") if getattr(policy, way)]
        raise InputError(
            f"--{ways[0] if ways else 'template chat'}: the chat template of {name} refuses to be filled "
            f"in ({one_line(error)}); leave it out, or give a --template of your own"
        ) from None


def set_end_tokens(policy: Policy, name: str) -> tuple[int, ...]:
    """Find the tokens that end a response, and write them into a generation config that holds nothing else.

    They are those of the model, the tokenizer and the chat template, as far as the model can write
    them. Padding is done with the tokenizer's token, or with one of them where it has none that the
    model knows. Raises InputError where nothing would ever end, and for a tokenizer of another model.
    """
    model, tokenizer = policy.model, policy.tokenizer
    known = model.get_input_embeddings().num_embeddings
    eos = model.generation_config.eos_token_id
    found = {
        *(eos if isinstance(eos, list) else [eos]),
        tokenizer.eos_token_id,
        end_of_turn(policy),
    }
    eos_ids = tuple(sorted(i for i in found - {None} if 0 <= i < known))
    if not eos_ids:
        raise InputError(
            f"--model: {name} has no end-of-sequence token, so no response would ever end"
        )
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id >= known:
        tokenizer.pad_token_id = eos_ids[0]
    if (highest := max(encode_prompt(policy, ANY_TEXT), default=0)) >= known:
        raise InputError(
            f"--model: the tokenizer of {name} writes token {highest}, and its model knows {known} of "
            "them; take the tokenizer that belongs to it"
        )
    model.generation_config = GenerationConfig(
        eos_token_id=list(eos_ids), pad_token_id=tokenizer.pad_token_id
    )
    return eos_ids


def end_of_turn(policy: Policy) -> int | None:
    """The token with which the chat template ends an assistant's turn, or None.

    The template is filled in with a turn, and what follows the turn's text is looked at: at first with
    nothing after it, then with another question, since some templates end a turn only by opening the next.
    """
    tokenizer, said = policy.tokenizer, "Forty-two, of course"
    if not tokenizer.chat_template:
        return None
    for then in ([], [{"role": "user", "content": "Why?"}]):
        turns = [{"role": "user", "content": "1+1"}, {"role": "assistant", "content": said}, *then]
        try:
            text = fill_in(policy, turns, add_generation_prompt=False)
        except Exception:  # noqa: BLE001, S112 - a template that takes no such dialogue ends no turn
            continue
        rest = text.rpartition(said)[2].lstrip()
        ids = tokenizer(rest, add_special_tokens=False)["input_ids"]
        if ids and ids[0] in tokenizer.added_tokens_decoder:
            return ids[0]
    return None


def fill_in(policy: Policy, turns: list[dict], add_generation_prompt: bool) -> str:
    """A dialogue as the text of the tokenizer's chat template, the system's turn before it."""
    if policy.system:
        turns = [{"role": "system", "content": policy.system}, *turns]
    return policy.tokenizer.apply_chat_template(
        turns,
        tokenize=False,
        add_generation_prompt=add_generation_prompt,
        **policy.chat_template_kwargs,
    )


def encode_prompt(policy: Policy, question: str) -> list[int]:
    """A question as the tokens the policy is asked with."""
    tokenizer = policy.tokenizer
    if policy.template == "chat":
        content = f"{question}\n{policy.instruction}" if policy.instruction else question
        text = fill_in(policy, [{"role": "user", "content": content}], add_generation_prompt=True)
        return tokenizer(text, add_special_tokens=False)["input_ids"]
    before, _, after = policy.template.partition("{question}")
    text = question.join(
        part.replace("{instruction}", policy.instruction) for part in (before, after)
    )
    return without_ending(
        tokenizer(text)["input_ids"], tokenizer(text, add_special_tokens=False)["input_ids"]
    )


def without_ending(ids: list[int], text: list[int]) -> list[int]:
    """The tokens up to where those of the text end: what a tokenizer appends to every text would end it.

    ids: the text's tokens with whatever special ones the tokenizer puts before and after them.

    >>> without_ending([1, 7, 8, 2], [7, 8])
    [1, 7, 8]
    """
    for start in range(len(ids) - len(text) + 1):
        if ids[start : start + len(text)] == text:
            return ids[: start + len(text)]
    return ids


def opened_by_prompt(policy: Policy) -> str:
    """What every prompt has opened of the response already, such as "<think>\\n"; most often ""."""
    return opened_thought(policy.tokenizer.decode(encode_prompt(policy, "?")))


def short_enough(
    policy: Policy, questions: list[Question], longest: int, kind=""
) -> list[Question]:
    """Those with a prompt of at most `longest` tokens; the others are counted on stderr.

    kind: a word for the sentences, such as "training ". Raises InputError where none is left.
    """
    short = [q for q in questions if len(encode_prompt(policy, q.text)) <= longest]
    if not short:
        raise InputError(
            f"--max_prompt_length {longest}: no {kind}question is that short, or there is none"
        )
    if left_out := len(questions) - len(short):
        print(
            f"left out {left_out} of {len(questions)} {kind}questions: longer than "
            f"--max_prompt_length {longest}",
            file=sys.stderr,
        )
    return short


def save_policy(policy: Policy, folder) -> None:
    """Write the weights, the tokenizer and the way of asking as a folder that the Auto classes load.

    For some model types AutoTokenizer takes the type's own class whatever the folder says, and
    tokenizes otherwise than what was saved. That is looked for here, told, and remembered for
    load_policy.
    """
    folder = Path(folder)
    policy.model.save_pretrained(folder)
    policy.tokenizer.save_pretrained(folder)
    ways = ("template", "instruction", "system", "chat_template_kwargs")
    asked = {way: getattr(policy, way) for way in ways}
    read_back = AutoTokenizer.from_pretrained(folder)
    if read_back(ANY_TEXT)["input_ids"] != policy.tokenizer(ANY_TEXT)["input_ids"]:
        asked["generic_tokenizer"] = True
        print(
            f"{folder}: AutoTokenizer does not read this tokenizer as it is; elsewhere load it with "
            "PreTrainedTokenizerFast.from_pretrained",
            file=sys.stderr,
        )
    (folder / PROMPT_FILE).write_text(json.dumps(asked, indent=2), encoding="utf-8")
