"""One wanted change to one text, and the check of what a writer made of it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from skcap.adversarial.word_forms import is_akin, is_protected, label_stems, stem
from skcap.utils.words import bare, is_encodable, split_affixes, split_words

__all__ = ["Edit", "RejectedEditError", "find_problem"]

_CHATTER = re.compile(
    r"^(sure\b|certainly\b|of course\b|here('s| is| are)\b.*:|(rewritten|new|revised|message|"
    r"answer|output|text)\b[^:]{0,30}:)|\bas an ai\b|\blanguage model\b|"
    r"\bi (can(no|')t|am unable to|won't) (assist|comply|fulfil|rewrite|create|generate|do that)",
    re.IGNORECASE,
)
_EXTRA_WORDS = 14  # by which a text may grow, beyond the added keywords


class RejectedEditError(ValueError):
    """A text could not be changed as wanted; the message is the reason that gets reported.

    Examples
    --------
    >>> from skcap.adversarial import RejectedEditError
    >>> raise RejectedEditError("the text holds no keyword")
    Traceback (most recent call last):
        ...
    skcap.adversarial.edits.RejectedEditError: the text holds no keyword
    """


@dataclass(frozen=True)
class Edit:
    """A change that a writer is to make.

    Attributes
    ----------
    text : str
        The text before the change.
    source, target : str
        Names of its true class, and of the class that the keywords come from.
    added : tuple of str
        Bare words that the new text must contain; forms that differ by a final s count as the
        same word.
    removed : tuple of str
        Empty to add keywords. To replace them, the bare words that must go, one for each of
        `added`, in the same order.
    kept : tuple of str
        Keywords of the true class that must stay.
    avoid : frozenset of str
        Stems of the keywords of all classes, which should not be among any other new words.
    seed : int
        Decides what is left to chance.

    Examples
    --------
    >>> from skcap.adversarial import Edit, RuleWriter
    >>> edit = Edit("cancel the alarm", "remove", "set", added=("wake",), removed=("cancel",))
    >>> RuleWriter().write(edit)
    'wake the alarm'
    """

    text: str
    source: str
    target: str
    added: tuple[str, ...]
    removed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    avoid: frozenset[str] = frozenset()
    seed: int = 0


def find_problem(edit: Edit, text: str) -> str | None:
    """Check a changed text against what was wanted.

    Parameters
    ----------
    edit : Edit
    text : str
        What a writer made of it.

    Returns
    -------
    str or None
        What is wrong, as one of a few fixed sentences; None if nothing is.

    Examples
    --------
    >>> from skcap.adversarial.edits import Edit, find_problem
    >>> edit = Edit("play 2 songs", "play music", "play radio", added=("station",))
    >>> find_problem(edit, "play 2 songs, not a station")
    >>> find_problem(edit, "play songs from a station")
    'a number or a name was lost or invented'
    """
    if not text.strip():
        return "the text is empty"
    if not is_encodable(text):
        return "the text is not valid Unicode"
    if len(text.splitlines()) > max(1, len(edit.text.splitlines())):
        return "the text has more lines than before"
    if text.split() == edit.text.split():
        return "the text was not changed"
    if _CHATTER.search(text) and not _CHATTER.search(edit.text):
        return "an answer or a refusal instead of the text"
    stems, old_stems = _stems(text), _stems(edit.text)
    if _length_is_off(edit, text):
        return "the text is much longer or shorter"
    if any(stem(word) not in stems for word in edit.added):
        return "a wanted keyword is missing"
    if any(stem(word) in stems for word in edit.removed):
        return "a keyword that was to go is still there"
    if any(stem(word) not in stems for word in edit.kept):
        return "a keyword of the true class was lost"
    if _numbers_and_names(edit.text) - Counter(_cores(text)) or _digits(text) - _digits(edit.text):
        return "a number or a name was lost or invented"
    if completes_label(edit.target, old_stems, stems):
        return "the text holds all words of the target's label"
    return None


def completes_label(name: str, before: frozenset[str], after: frozenset[str]) -> bool:
    """Tell whether a change adds what was missing of the words of a label's name.

    Parameters
    ----------
    name : str
    before, after : frozenset of str
        Stems of the words of the text before and after the change.

    Returns
    -------
    bool
    """
    wanted = label_stems(name)
    return bool(wanted) and _all_in(wanted, after) and not _all_in(wanted, before)


def _all_in(wanted: frozenset[str], stems: frozenset[str]) -> bool:
    """Tell whether all words are there; one with hyphens may be, as in "book-flight", in parts."""

    def is_in(word: str) -> bool:
        if "-" not in word:
            return any(is_akin(word, other) for other in stems)
        parts = label_stems(word.replace("-", " "))
        return word in stems or (bool(parts) and _all_in(parts, stems))

    return all(is_in(word) for word in wanted)


def _stems(text: str) -> frozenset[str]:
    return frozenset(stem(bare(word)) for word in split_words(text))


def _cores(text: str) -> list[str]:
    return [split_affixes(word).core for word in split_words(text)]


def _numbers_and_names(text: str) -> Counter[str]:
    words = split_words(text)
    return Counter(core for i, core in enumerate(_cores(text)) if is_protected(words, i))


def _digits(text: str) -> Counter[str]:
    return Counter(re.findall(r"\d+", text))


def _length_is_off(edit: Edit, text: str) -> bool:
    n_old, n_new = len(split_words(edit.text)), len(split_words(text))
    if edit.removed:
        return not n_old / 2 - 1 <= n_new <= 1.5 * n_old + 3
    return not 0.8 * n_old <= n_new <= n_old + len(edit.added) + _EXTRA_WORDS
