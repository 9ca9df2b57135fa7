"""From prompt and continuation to token ids: all that skcap knows about tokenizers of LLMs.

A prompt is encoded *together* with its continuation, as one string, so that the tokens are those
that the model would read (`shared_start.py` encodes what they begin with once, where that gives
the same tokens). The continuation consists of all tokens that end after the prompt does:
a token that spans the boundary belongs to it, so it is never empty.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from itertools import takewhile
from typing import Any, NamedTuple

from skcap.llm.base import join_labels
from skcap.llm.shared_start import SharedStart, find_start
from skcap.llm.special_tokens import SpecialTokens

__all__ = ["EncodedPrompt", "PromptEncoder"]

# Stands for the message while a chat template is rendered; no template trims or splits it.
_SLOT = "skcapmessageslot"
_DAY = datetime.date(2026, 1, 1)
_TODAY = re.compile(r"""strftime_now\((["'])(.*?)\1\)""")


class EncodedPrompt(NamedTuple):
    """Token ids of a prompt and its continuation; the first `n_context` belong to the prompt."""

    ids: tuple[int, ...]
    n_context: int


class PromptEncoder:
    """Encode prompts for a causal language model.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast
        A fast tokenizer, since character offsets are needed.
    chat_template : {"auto"} or bool
        Whether to wrap the prompt as a user's message. ``"auto"`` does so if the tokenizer has a
        chat template.
    """

    def __init__(self, tokenizer: Any, chat_template: str | bool = "auto"):
        if not getattr(tokenizer, "is_fast", False):
            raise ValueError(
                f"The tokenizer {type(tokenizer).__name__} returns no character offsets; skcap "
                "needs a fast tokenizer (a tokenizer.json in the model's folder)."
            )
        has_template = getattr(tokenizer, "chat_template", None) is not None
        if chat_template not in ("auto", True, False):
            raise ValueError(f"chat_template must be 'auto', True or False, got {chat_template!r}.")
        if chat_template is True and not has_template:
            raise ValueError(
                "chat_template=True, but the tokenizer has none. Use chat_template='auto' or False."
            )
        self.tokenizer = tokenizer
        self.head, self.tail = "", ""
        self.first_ids: list[int] = []
        if has_template and chat_template in ("auto", True):
            self.head, self.tail = self._render_template()
        else:
            self.first_ids = self._begin_of_sequence()
        self._special = SpecialTokens(tokenizer)
        self._start: tuple[str, SharedStart] | None = None  # of the prompts of the last call

    def encode(
        self,
        prompts: Sequence[str],
        continuations: Sequence[str],
        *,
        shared: str = "",
        suffix: str = "",
    ) -> list[EncodedPrompt]:
        """Encode each prompt with its continuation.

        Parameters
        ----------
        prompts, continuations : sequence of str, length n
        shared : str, default=""
            What all prompts begin with. As much of it as surely has the same tokens in all of them
            is encoded once and kept for the next call.
        suffix : str, default=""
            What all prompts end with. Special tokens are heeded in `shared` and `suffix`, which a
            user has written, and read as plain characters between them and in continuations.

        Returns
        -------
        list of EncodedPrompt, length n

        Raises
        ------
        ValueError
            If a continuation is empty, or there is nothing before one.
        """
        contexts = [self.head + prompt + self.tail for prompt in prompts]
        tails = join_labels(contexts, continuations)
        before, after = self.head + shared, suffix + self.tail
        bodies = [prompt[len(shared) : len(prompt) - len(suffix)] for prompt in prompts]
        plain = [
            not (self._special.are_in(b, before, after + t) or self._special.are_in(t, c))
            for b, c, t in zip(bodies, contexts, tails, strict=True)
        ]
        rows = [row for row, is_plain in enumerate(plain) if is_plain]
        encoded: dict[int, EncodedPrompt] = {}
        if rows:
            start = self._start_of(before)
            batch = self._tokenize([(contexts[row] + tails[row])[start.n_chars :] for row in rows])
            for row, (ids, ends) in zip(rows, batch, strict=True):
                boundary = len(contexts[row]) - start.n_chars
                encoded[row] = self._split(ids, ends, boundary, start.ids)
        for row, is_plain in enumerate(plain):
            if not is_plain:
                pieces = [(before, True), (bodies[row], False), (after, True), (tails[row], False)]
                encoded[row] = self._split(*self._special.encode(pieces), len(contexts[row]))
        return [encoded[row] for row in range(len(prompts))]

    def _tokenize(self, texts: list[str]) -> list[tuple[list[int], list[int]]]:
        batch = self.tokenizer(
            texts,
            add_special_tokens=False,
            return_offsets_mapping=True,
            return_attention_mask=False,
            verbose=False,
        )
        return [
            (list(ids), [end for _, end in offsets])
            for ids, offsets in zip(batch["input_ids"], batch["offset_mapping"], strict=True)
        ]

    def _start_of(self, shared: str) -> SharedStart:
        if self._start is None or self._start[0] != shared:
            self._start = shared, find_start(self.tokenizer, shared)
        return self._start[1]

    def _split(
        self, ids: list[int], ends: list[int], boundary: int, before: Sequence[int] = ()
    ) -> EncodedPrompt:
        """Find where the continuation begins; `before` are tokens that were encoded before."""
        n_context = next((i for i, end in enumerate(ends) if end > boundary), len(ids))
        ids, n_context = [*before, *ids], n_context + len(before)
        if ids[: len(self.first_ids)] != self.first_ids:  # else a template has written them
            ids, n_context = [*self.first_ids, *ids], n_context + len(self.first_ids)
        if n_context == len(ids):
            raise ValueError(
                "A continuation has no tokens in this tokenizer; give the labels better names "
                "through label_names."
            )
        if n_context == 0:
            raise ValueError(
                "The prompt is empty, and the tokenizer adds no token of its own; put an "
                "instruction before the text."
            )
        return EncodedPrompt(tuple(ids), n_context)

    def _render_template(self) -> tuple[str, str]:
        rendered = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": _SLOT}],
            tokenize=False,
            add_generation_prompt=True,
            chat_template=_undated(self.tokenizer.get_chat_template()),
        )
        sides = rendered.split(_SLOT)
        if len(sides) != 2:
            raise ValueError(
                f"The tokenizer's chat template repeats the user's message {len(sides) - 1} times "
                "instead of showing it once; use chat_template=False."
            )
        return sides[0], sides[1]

    def _begin_of_sequence(self) -> list[int]:
        """Return the tokens that the tokenizer puts before a text, such as a BOS token."""
        batch = self.tokenizer("a", add_special_tokens=True, return_special_tokens_mask=True)
        marked = zip(batch["input_ids"], batch["special_tokens_mask"], strict=True)
        return [token for token, _ in takewhile(lambda pair: pair[1], marked)]


def _undated(template: str) -> str:
    """Write one and the same day where a chat template asks for today's.

    Else scores would change from day to day, under one and the same key of the cache.
    """
    return _TODAY.sub(lambda call: repr(_DAY.strftime(call[2])), template)
