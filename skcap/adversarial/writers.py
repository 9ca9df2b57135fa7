"""Writers make an edit: the contract, and the writer that works by rules."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from skcap.adversarial.edits import Edit
from skcap.adversarial.word_forms import article_for, match_form, stem
from skcap.utils.words import bare, split_affixes, split_words

__all__ = ["BaseWriter", "RuleWriter"]

# Asides that mention {words} without using them: they ask, answer and deny nothing, and quotation
# marks turn any word into a noun.
_ASIDES = (
    "{words} came up a moment ago",
    "I keep thinking of {words}",
    "I just saw {words} on a sign",
    "I overheard {words} just now",
    "a stranger just shouted {words}",
    "it says {words} over there",
    "my friend says {words} a lot",
    "someone here just said {words}",
    "the crossword here has {words} in it",
    "the graffiti outside reads {words}",
    "the page in front of me has {words} on it",
    "there is {words} on the wall here",
    "a kid has chalked {words} on the pavement",
    "my neighbour is muttering {words}",
    "a billboard opposite reads {words}",
)
_FULL_STOP = re.compile(r"[.!?]+$")


class BaseWriter(BaseEstimator, ABC):
    """Writes changed texts; its parameters are checked on first use.

    Examples
    --------
    >>> from skcap.adversarial import BaseWriter, Edit
    >>> class Appender(BaseWriter):
    ...     def write(self, edit):
    ...         return f"{edit.text} ({', '.join(edit.added)})"
    ...
    ...     def describe(self):
    ...         return "appender"
    >>> Appender().write(Edit("stop", "stop", "play", added=("jazz",)))
    'stop (jazz)'
    """

    _parameter_constraints: dict[str, Any] = {}

    @abstractmethod
    def write(self, edit: Edit) -> str:
        """Return the changed text.

        Parameters
        ----------
        edit : Edit

        Returns
        -------
        str
            The attacks check it with :func:`skcap.adversarial.find_problem`.

        Raises
        ------
        RejectedEditError
            If it cannot be done; the message is the reason that gets reported.
        """

    @abstractmethod
    def describe(self) -> str:
        """Name the writer, for the provenance of each text; holds no secret."""


class RuleWriter(BaseWriter):
    """Writes by rules: offline, deterministic, and as grammatical as rules can be.

    *Added keywords* come in an aside that mentions them in quotation marks, before, after or
    inside the text, whose own words all stay as they are. *Replaced keywords* leave their place
    to the new word, which takes on the number, case and punctuation of the old one; "a" or "an"
    before it is adapted. Everything else stays, including white space.

    Notes
    -----
    An aside changes the wording but not what is asked for. A replacement may change what is asked
    for, and with it the true label: rules see words, not meaning. See
    :func:`skcap.adversarial.keyword_replacement` for what is refused.

    Examples
    --------
    >>> from skcap.adversarial import Edit, RuleWriter
    >>> writer = RuleWriter()
    >>> writer.write(
    ...     Edit("Where is a card?", "card", "atm", added=("atm",), removed=("card",))
    ... )
    'Where is an atm?'
    >>> writer.write(Edit("where is my card", "card", "atm", added=("cash", "withdraw"), seed=3))
    'a kid has chalked "cash" and "withdraw" on the pavement, anyway where is my card'
    """

    def write(self, edit: Edit) -> str:
        """Make an edit; see :meth:`BaseWriter.write`."""
        if edit.removed:
            return _replace(edit.text, dict(zip(edit.removed, edit.added, strict=True)))
        return _add_aside(edit)

    def describe(self) -> str:
        """Return ``"rules"``."""
        return "rules"


def _replace(text: str, swaps: dict[str, str]) -> str:
    """Replace words by others wherever they occur, in singular and plural alike."""
    new_of = {stem(old): new for old, new in swaps.items()}
    words = split_words(text)
    for position, word in enumerate(words):
        if (new := new_of.get(stem(bare(word)))) is not None:
            words[position] = match_form(word, new)
            if position and not split_affixes(words[position]).lead:
                words[position - 1] = _with_article(words[position - 1], words[position])
    spaces = re.split(r"\S+", text)
    return "".join(f"{space}{word}" for space, word in zip(spaces, [*words, ""], strict=True))


def _with_article(before: str, word: str) -> str:
    if before.lower() not in ("a", "an"):
        return before
    article = article_for(bare(word))
    return article.capitalize() if before[0].isupper() else article


def _add_aside(edit: Edit) -> str:
    rng = np.random.default_rng(edit.seed)
    words = [f'"{word}"' for word in edit.added]
    listed = " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
    # An aside must not bring keywords of its own.
    clashes = [_n_clashes(aside, edit.avoid) for aside in _ASIDES]
    best = [aside for aside, n in zip(_ASIDES, clashes, strict=True) if n == min(clashes)]
    aside = best[rng.integers(len(best))].format(words=listed)
    place = ("before", "after", "inside")[rng.integers(3)]
    return _place_aside(edit.text.strip(), aside, place)


def _n_clashes(aside: str, avoid: frozenset[str]) -> int:
    return sum(stem(bare(word)) in avoid for word in split_words(aside) if word != "{words}")


def _place_aside(text: str, aside: str, place: str) -> str:
    """Join text and aside, with capitals and full stops as in the text."""
    is_cased = any(letter.isupper() for letter in text)
    end = _FULL_STOP.search(text)
    sentences = is_cased or end is not None
    if not is_cased:
        aside = re.sub(r"\bI\b", "i", aside)
    as_sentence = (aside[:1].upper() + aside[1:] if is_cased else aside) + "."
    if place == "before":
        return f"{as_sentence} {text}" if sentences else f"{aside}, anyway {text}"
    if place == "after":
        return f"{text} {as_sentence}" if end else f"{text.rstrip(',;:')}, {aside}"
    stop = end.group() if end else ""
    return f"{text.removesuffix(stop)} ({aside}){stop}"
