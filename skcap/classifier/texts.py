"""Texts as a model sees them: tokens, and the word that each belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skcap.utils.words import align_tokens, check_encodable, split_words

__all__ = ["EncodedText", "encode_texts", "load_tokenizer"]


@dataclass(frozen=True)
class EncodedText:
    """A text as a model sees it.

    Attributes
    ----------
    input_ids : ndarray of int64, shape (n_tokens,)
    special : ndarray of bool, shape (n_tokens,)
        True at the tokens that the tokenizer added, such as [CLS].
    word_ids : ndarray of int64, shape (n_tokens,)
        Position of the word that a token belongs to, -1 for none.
    truncated : ndarray of bool, shape (n_words,)
        True at the words that lost tokens because the text is too long.
    """

    input_ids: np.ndarray
    special: np.ndarray
    word_ids: np.ndarray
    truncated: np.ndarray

    @property
    def seen(self) -> np.ndarray:
        """Ndarray of bool, shape (n_words,): the words whose every token the model sees.

        Besides truncated words it leaves out those that have no token at all, such as a lone
        control character.
        """
        seen = np.zeros(len(self.truncated), dtype=bool)
        seen[self.word_ids[self.word_ids >= 0]] = True
        return seen & ~self.truncated


def load_tokenizer(model: str, **options: Any) -> Any:
    """Load a model's tokenizer and check that it can tell where its tokens come from.

    Parameters
    ----------
    model : str
        Folder or hub id.
    **options
        Passed to ``AutoTokenizer.from_pretrained``.

    Returns
    -------
    transformers.PreTrainedTokenizerFast

    Raises
    ------
    ValueError
        If the tokenizer is a slow one, which does not report character offsets.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model, **options)
    if not tokenizer.is_fast:
        raise ValueError(
            f"The tokenizer of {model!r} ({type(tokenizer).__name__}) is a slow one, which does "
            "not tell which characters a token stands for; word attributions need that. Save a "
            "fast tokenizer (tokenizer.json) with the model, or choose another model."
        )
    return tokenizer


def encode_texts(tokenizer: Any, texts: Sequence[str], max_length: int) -> list[EncodedText]:
    """Tokenise texts, cutting them at `max_length` tokens, and align the tokens with words.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerFast
    texts : sequence of str, length n_texts
    max_length : int
        Most tokens of a text, special tokens included.

    Returns
    -------
    list of EncodedText, length n_texts

    Raises
    ------
    ValueError
        If a text is no valid Unicode.
    """
    check_encodable(texts)
    batch = tokenizer(list(texts), truncation=True, max_length=max_length, padding=False)
    pad = tokenizer.pad_token_id or 0
    return [_encoded(text, batch.encodings[row], pad) for row, text in enumerate(texts)]


def _encoded(text: str, encoding: Any, pad: int) -> EncodedText:
    special = np.array(encoding.special_tokens_mask or [1], dtype=bool)
    truncated = np.zeros(len(split_words(text)), dtype=bool)
    for rest in encoding.overflowing:
        lost = align_tokens(text, rest.offsets)
        truncated[lost[lost >= 0]] = True
    return EncodedText(
        # Where there are no special tokens, an empty text has none at all; encoders need one.
        input_ids=np.array(encoding.ids or [pad], dtype=np.int64),
        special=special,
        word_ids=np.where(special, -1, align_tokens(text, encoding.offsets or [(0, 0)])),
        truncated=truncated,
    )
