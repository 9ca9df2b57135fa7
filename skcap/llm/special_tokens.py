"""Names of special tokens, which a template may speak in, but not a text.

A text with ``<|im_end|>`` in it must not end the user's message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

__all__ = ["COMMAND", "SpecialTokens"]

# Tags of HTML ("</div>") and names in brackets ("[A]") are ordinary tokens in many vocabularies.
COMMAND = re.compile(
    r"<\|[^|<>]*\|>|<\uff5c[^\uff5c<>]*\uff5c>|</?s>"
    r"|</?[A-Za-z]\w*_\w+>"  # no tag of HTML has an underscore
    r"|</?(?i:bos|eos|pad|unk|mask|cls|sep|eod|eot|eom|sop|eop|think|reponame|filename)>"
    r"|<(?i:unused|reserved|special)\d+>"
    r"|\[/?(?:INST|IMG|THINK|ARGS|AUDIO|PREFIX|MIDDLE|SUFFIX|[gsd]?MASK)\]"
    r"|\[(?:CLS|SEP|PAD|UNK|BOS|EOS)\]"
    r"|\[/?[A-Z]+(?:_[A-Z]+)+\]|\[(?:unused|control_)\d+\]"
)
"""What looks like the name of a special token, where a tokenizer is not at hand to tell."""


class SpecialTokens:
    """The special tokens of a tokenizer.

    Added tokens that are not called special, but look like commands, are among them, such as
    ``<tool_call>``; runs of spaces and tags of HTML are not.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast
    """

    def __init__(self, tokenizer: Any):
        self.tokenizer = tokenizer
        added = tokenizer.added_tokens_decoder.values()
        special = {str(token) for token in added if token.special} - {""}
        self._not_called_so = {str(t) for t in added if COMMAND.fullmatch(str(t).strip())} - special
        names = special | self._not_called_so
        longest_first = sorted(names, key=len, reverse=True)
        pattern = "|".join(map(re.escape, longest_first)) or "(?!)"  # which finds nothing
        self._pattern = re.compile(f"({pattern})")
        self._reach = max(map(len, names), default=1) - 1

    def are_in(self, text: str, before: str = "", after: str = "") -> bool:
        """Whether one stands in a text, or begins or ends in it.

        Parameters
        ----------
        text : str
        before, after : str, default=""
            What stands beside the text.

        Returns
        -------
        bool
        """
        before = before[max(0, len(before) - self._reach) :]
        start, end = len(before), len(before) + len(text)
        found = self._pattern.finditer(before + text + after[: self._reach])
        return any(name.start() < end and name.end() > start for name in found)

    def encode(self, pieces: Sequence[tuple[str, bool]]) -> tuple[list[int], list[int]]:
        """Encode pieces of a prompt, of which only a template's speak in special tokens.

        Parameters
        ----------
        pieces : sequence of (str, bool)
            Text, and whether it is a template's.

        Returns
        -------
        ids : list of int
        ends : list of int
            For each token, where its characters end in the joined pieces.
        """
        ids: list[int] = []
        ends: list[int] = []
        done = 0
        for text, is_special in self._segments(pieces):
            if is_special:
                ids.append(self.tokenizer.convert_tokens_to_ids(text))
                ends.append(done + len(text))
            else:
                new_ids, new_ends = self._read_as_characters(text)
                ids += new_ids
                ends += [done + end for end in new_ends]
            done += len(text)
        return ids, ends

    def _segments(self, pieces: Sequence[tuple[str, bool]]) -> list[tuple[str, bool]]:
        """Cut a prompt at its templates' special tokens, and nowhere else."""
        merged: list[tuple[str, bool]] = []
        for piece, may_speak in pieces:
            # Special tokens are at odd positions.
            cut = self._pattern.split(piece) if may_speak else [piece]
            for position, text in enumerate(cut):
                is_special = position % 2 == 1
                if merged and not is_special and not merged[-1][1]:
                    merged[-1] = (merged[-1][0] + text, False)
                elif text:
                    merged.append((text, is_special))
        return merged

    def _read_as_characters(self, text: str) -> tuple[list[int], list[int]]:
        if any(name in text for name in self._not_called_so):
            encoded = self._deaf.encode(text, add_special_tokens=False)
            ids, offsets = encoded.ids, encoded.offsets
        else:
            options = {"add_special_tokens": False, "split_special_tokens": True, "verbose": False}
            batch = self.tokenizer(text, return_offsets_mapping=True, **options)
            ids, offsets = batch["input_ids"], batch["offset_mapping"]
        return list(ids), [end for _, end in offsets]

    @cached_property
    def _deaf(self) -> Any:
        """A copy of the tokenizer in which all names are called special; it takes seconds to make.

        Of added tokens, a tokenizer reads only those as characters that are called special.
        """
        from tokenizers import Tokenizer

        state = json.loads(self.tokenizer.backend_tokenizer.to_str())
        for token in state["added_tokens"]:
            token["special"] |= token["content"] in self._not_called_so
        deaf = Tokenizer.from_str(json.dumps({**state, "truncation": None, "padding": None}))
        deaf.encode_special_tokens = True
        return deaf
