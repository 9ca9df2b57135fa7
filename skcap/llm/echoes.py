"""Find a label among the tokens that a server echoes, by their text.

Server and client may tokenise differently, and a server tells no character offsets that could be
relied on. So the tokens are matched from the end of what was sent, where the label stands. As in
:mod:`skcap.llm.prompt_encoding`, the label is every token that reaches past the end of the prompt:
one that spans the join counts as label.
"""

from __future__ import annotations

from collections.abc import Sequence

from skcap.llm.special_tokens import COMMAND

__all__ = ["EchoError", "check_no_command", "count_label_tokens", "starts_late"]

_LONGEST_TOKEN = 128  # characters; there are tokens of so many dashes


class EchoError(ValueError):
    """The tokens do not spell what was sent, or do not tell where the label begins."""


def count_label_tokens(tokens: Sequence[str], prompt: str, label: str) -> int:
    r"""Count the tokens at the end that belong to the label.

    Parameters
    ----------
    tokens : sequence of str
        Text of each token of ``prompt + label``, and of no other but special ones at the start.
        Some decoders drop a token's leading space, show "" or U+FFFD for a token that holds part
        of a character, or show the character at the last of its tokens; all are understood.
    prompt, label : str
        What was sent; `label` holds its leading space.

    Returns
    -------
    int

    Raises
    ------
    EchoError
        If the tokens spell another text, or the label's first character is cut into tokens that
        cannot be told from the prompt's.

    Examples
    --------
    >>> from skcap.llm.echoes import count_label_tokens
    >>> count_label_tokens(["Intent", ":", " card", " arrival"], "Intent:", " card arrival")
    2
    >>> count_label_tokens(["Intent", ": c", "ard"], "Intent:", " card")
    2
    """
    _check_spelling(tokens, prompt + label)
    left, place = label, len(tokens)  # what is still to be matched, and the first matched token
    while left:
        place -= 1
        if place < 0:
            raise EchoError("the echoed tokens end before the label does")
        token = tokens[place]
        if _is_fragment(token):
            first = _first_fragment(tokens, place)
            left = _skip_fragments(tokens, first, place + 1, prompt, left)
            place = first
        elif left.endswith(token):
            left = left[: -len(token)]
        elif left[-1] == " " and place + 1 < len(tokens) and not tokens[place].endswith(" "):
            # The token that was matched last came without its leading space.
            left, place = left[:-1], place + 1
        elif not (prompt + left).endswith(token):
            raise EchoError(f"the echoed token {token!r:.40} is not where the text has it")
        elif place and _is_fragment(tokens[place - 1]) and not token.isascii():
            raise EchoError("parts of characters stand between prompt and label")
        else:
            return len(tokens) - place  # spans the join
    return len(tokens) - _with_first_character(tokens, place, prompt)


def starts_late(tokens: Sequence[str], text: str) -> bool:
    """Whether tokens lack more of a text's beginning than the first of them can hold.

    Parameters
    ----------
    tokens : sequence of str
        As for :func:`count_label_tokens`; the first one may be "", as it is not shown.
    text : str
        What was sent.

    Returns
    -------
    bool

    Examples
    --------
    >>> from skcap.llm.echoes import starts_late
    >>> starts_late(["", " it", "?"], "Where is it?"), starts_late(["", " is"], "Where is")
    (True, False)
    """
    if not tokens or tokens[0]:
        return False
    n_left = len(_skeleton(text)) - len(_skeleton("".join(tokens)))
    place = 0
    while n_left > 0 and place < len(text):
        n_left -= len(_skeleton(text[place]))
        place += 1
    head = text[:place].strip()
    return len(head.split()) > 1 or len(head) > _LONGEST_TOKEN


def check_no_command(tokens: Sequence[str], *texts: str) -> None:
    """Check that no part of a text was read as a special token, which could end the prompt.

    Parameters
    ----------
    tokens : sequence of str
    *texts : str
        The text itself and its label, without what stands around them in the prompt: a template
        may hold special tokens, such as those of a chat.

    Raises
    ------
    EchoError
    """
    for marker in {token.strip() for token in tokens if COMMAND.fullmatch(token.strip())}:
        if any(marker in text for text in texts):
            raise EchoError(
                f"a text or label holds {marker!r}, which the server reads as a special token. "
                "Take it out of there"
            )


def _is_fragment(token: str) -> bool:
    return not token or "\ufffd" in token


def _first_fragment(tokens: Sequence[str], place: int) -> int:
    while place > 0 and _is_fragment(tokens[place - 1]):
        place -= 1
    return place


def _skip_fragments(tokens: Sequence[str], first: int, end: int, prompt: str, left: str) -> str:
    """Return what is left of the label once a run of parts of characters is taken off its end.

    The token before the run says where the run begins, if only one place fits. The run holds a
    character beyond ASCII; where all of it is shown empty, it may also hold one space or nothing,
    since some decoders show a character at its last token.
    """
    before = tokens[first - 1] if first else ""
    if not before:
        raise EchoError("the label cannot be told from the prompt")
    small = ("", " ") if not any(tokens[first:end]) else ()
    fits = [
        n
        for n in range(len(left) + 1)
        if (prompt + left[:n]).endswith(before) and (not left[n:].isascii() or left[n:] in small)
    ]
    if len(fits) != 1 or (fits == [0] and prompt and not prompt[-1].isascii()):
        raise EchoError(
            "the label begins with a character that the server cuts into several tokens, and they "
            "cannot be told from the prompt's"
        )
    return left[: fits[0]]


def _with_first_character(tokens: Sequence[str], place: int, prompt: str) -> int:
    """Go back over tokens shown empty: the label's first character is shown at its last token."""
    first = _first_fragment(tokens, place)
    if first == place or not first:
        return place
    if any(tokens[first:place]) or not prompt[-1:].isascii():
        raise EchoError("parts of characters stand between prompt and label")
    return first


def _check_spelling(tokens: Sequence[str], text: str) -> None:
    """Check that the tokens spell the text, but for spaces and characters beyond ASCII."""
    shown, sent = _skeleton("".join(tokens)), _skeleton(text)
    starts_unseen = bool(tokens) and not tokens[0]
    if not (shown.endswith(sent) or (starts_unseen and sent.endswith(shown))):
        raise EchoError("the echoed tokens do not spell the text that was sent")


def _skeleton(text: str) -> str:
    return "".join(c for c in text if c.isascii() and not c.isspace())
