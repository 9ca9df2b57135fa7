"""How much of what prompts begin with can be encoded once for all of them.

A fast tokenizer first cuts a text into pieces, such as words, and then encodes each piece by
itself. So tokens never span two pieces, and where one piece ends, what follows can be encoded
alone, provided that the text after it does not move the cut. The patterns that cut look at most at
the piece that comes next. So the start that is kept ends two pieces before what prompts share
does; and it is tried out, since a tokenizer may treat the beginning of a text in its own way.
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["SharedStart", "find_start"]

_N_SPARED = 2  # pieces at the end of what is shared that what follows may change
# What follows is tried with letters, digits, spaces, signs and parts of words.
_PROBES = (
    "",
    "a",
    " a",
    "A b",
    "12345",
    " 7",
    "\n",
    " \n\n a",
    "'s",
    "...",
    "\u00e9",
    "\u4e2d",
    "ing",
)


class SharedStart(NamedTuple):
    """The tokens of the first characters of a text, the same whatever follows these."""

    ids: tuple[int, ...]
    n_chars: int


def find_start(tokenizer: Any, shared: str) -> SharedStart:
    """Find the part of a text whose tokens do not depend on what follows the text.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast
    shared : str
        May hold special tokens.

    Returns
    -------
    SharedStart
        Empty where nothing is sure, as with tokenizers that do not cut texts into pieces.
    """
    n_chars = _last_safe_cut(tokenizer, shared)
    if n_chars == 0:
        return SharedStart((), 0)
    start = SharedStart(tuple(_encode(tokenizer, [shared[:n_chars]])[0]), n_chars)
    whole = _encode(tokenizer, [shared + probe for probe in _PROBES])
    rest = _encode(tokenizer, [shared[n_chars:] + probe for probe in _PROBES])
    if any([*start.ids, *after] != ids for after, ids in zip(rest, whole, strict=True)):
        return SharedStart((), 0)
    return start


def _last_safe_cut(tokenizer: Any, shared: str) -> int:
    """Count the characters before the last pieces; 0 where a tokenizer makes no pieces."""
    backend = tokenizer.backend_tokenizer
    added = tokenizer.added_tokens_decoder.values()
    # Names of tokens that are not special may stand in any text, and a normalizer may join letters.
    if backend.pre_tokenizer is None or backend.normalizer is not None:
        return 0
    if not all(token.special for token in added):
        return 0
    ends = [shared.rfind(str(token)) + len(str(token)) for token in added if str(token) in shared]
    first = max(ends, default=0)  # special tokens are cut off before all else
    pieces = backend.pre_tokenizer.pre_tokenize_str(shared[first:])
    if len(pieces) <= _N_SPARED:
        return 0
    _, (cut, _) = pieces[-_N_SPARED]
    return first + cut if cut else 0


def _encode(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    encoded = tokenizer(texts, add_special_tokens=False, return_attention_mask=False, verbose=False)
    return [list(ids) for ids in encoded["input_ids"]]
