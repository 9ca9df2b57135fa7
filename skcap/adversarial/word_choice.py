"""Which keywords go into a text and which go out, for a given pair of classes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from skcap.adversarial.edits import Edit, RejectedEditError, completes_label
from skcap.adversarial.word_forms import (
    fits,
    is_akin,
    is_base_verb,
    is_protected,
    label_stems,
    stem,
)
from skcap.utils.words import bare, split_words

__all__ = ["ClassWords", "WordChoice", "class_words"]


class ClassWords(NamedTuple):
    """A class as the attacks see it.

    Attributes
    ----------
    name : str
    weights : dict of str to float
        Weights of its keywords, by stem: singular and plural count as one word.
    forms : dict of str to str
        For each stem, the form with the largest weight, which is the one that is written.
    """

    name: str
    weights: dict[str, float]
    forms: dict[str, str]


def class_words(name: str, keywords: Mapping[str, float]) -> ClassWords:
    """Group the keywords of a class by stem; those without letters or digits are no words."""
    weights: dict[str, float] = defaultdict(float)
    forms: dict[str, str] = {}
    for word, weight in sorted(keywords.items(), key=lambda pair: (-pair[1], pair[0])):
        if weight > 0 and bare(word):
            weights[stem(bare(word))] += float(weight)
            forms.setdefault(stem(bare(word)), bare(word))
    return ClassWords(name, dict(weights), forms)


@dataclass(frozen=True)
class WordChoice:
    """The choice of words for one text; all draws come from `seed`.

    Parameters
    ----------
    text : str
    source, target : ClassWords
        The true class, and the class whose keywords are to mislead.
    n_words : int
        Largest number of words to add or replace.
    avoid : frozenset of str
        As for :class:`Edit`.
    seed : int
        Seeds all draws.
    """

    text: str
    source: ClassWords
    target: ClassWords
    n_words: int
    avoid: frozenset[str]
    seed: int

    @cached_property
    def words(self) -> list[str]:
        """The words of the text."""
        return split_words(self.text)

    @cached_property
    def stems(self) -> list[str]:
        """Their stems, by position."""
        return [stem(bare(word)) for word in self.words]

    @cached_property
    def own(self) -> dict[str, float]:
        """Keywords of the true class that the text contains, with their weights."""
        weights = self.source.weights
        return {word: weights[word] for word in dict.fromkeys(self.stems) if word in weights}

    def addition(self) -> Edit:
        """Choose words to add; raise RejectedEditError if there are none."""
        if not any(self.stems):
            raise RejectedEditError("the text holds no words")
        added: list[str] = []
        for word in self._misleading(np.random.default_rng(self.seed)):
            if len(added) < self.n_words and not self._gives_away([*added, word]):
                added.append(word)
        if not added:
            raise RejectedEditError("no keyword of the target fits")
        return self._edit(added, [])

    def replacement(self) -> Edit:
        """Choose words to replace, and their substitutes; raise RejectedEditError if none fit."""
        rng = np.random.default_rng(self.seed)
        swappable = self._swappable()
        if not swappable:
            raise RejectedEditError("no keyword of the true class may be replaced")
        candidates = self._misleading(rng)
        swaps: dict[str, str] = {}
        is_weak = False
        for old in _draw_order(swappable, rng):
            if len(swaps) == self.n_words:
                break
            if not self._keeps_evidence({*swaps, old}):
                is_weak = True
                continue
            if new := self._substitute(old, candidates, swaps):
                swaps[old] = new
        if not swaps and is_weak:
            raise RejectedEditError("too little would be left of the true class")
        if not swaps:
            raise RejectedEditError("no keyword of the target fits")
        return self._edit(list(swaps.values()), list(swaps))

    def _misleading(self, rng: np.random.Generator) -> list[str]:
        """Keywords of the target that speak against the true class, in random order."""
        foreign = {
            word: weight
            for word, weight in self.target.weights.items()
            if weight > self.source.weights.get(word, 0.0)
            and not any(is_akin(word, other) for other in self.stems)
        }
        return _draw_order(foreign, rng)

    def _gives_away(self, added: Sequence[str]) -> bool:
        """Tell whether these words complete the target's label."""
        before = frozenset(self.stems)
        return completes_label(self.target.name, before, before | set(added))

    def _swappable(self) -> dict[str, float]:
        """Keywords of the text that may be replaced."""
        # Hyphens may stand between the words of a label, or within one: "book-flight", "top-up".
        source, target = (
            label_stems(name) | label_stems(name.replace("-", " "))
            for name in (self.source.name, self.target.name)
        )
        untouchable = source - target
        untouchable |= {
            word
            for place, word in enumerate(self.stems)
            if is_protected(self.words, place) or is_base_verb(self.words, place)
        }
        return {
            word: weight
            for word, weight in self.own.items()
            if word not in untouchable and weight > self.target.weights.get(word, 0.0)
        }

    def _keeps_evidence(self, removed: set[str]) -> bool:
        """Tell whether the strongest keyword of the text stays, or half of the total weight."""
        left = sum(weight for word, weight in self.own.items() if word not in removed)
        strongest = max(self.own, key=lambda word: self.own[word])
        return strongest not in removed or left >= sum(self.own.values()) / 2

    def _outweighs(self, swaps: dict[str, str]) -> bool:
        """Tell whether the new text would speak more for the target than for the true class."""
        stems = {swaps.get(word, word) for word in self.stems}
        source, target = self.source.weights, self.target.weights
        return sum(target.get(w, 0.0) for w in stems) > sum(source.get(w, 0.0) for w in stems)

    def _substitute(self, old: str, candidates: list[str], swaps: dict[str, str]) -> str | None:
        """Choose the first candidate that fits wherever the old word occurs."""
        taken = list(swaps.values())
        places = [place for place, word in enumerate(self.stems) if word == old]
        for new in candidates:
            if (
                new in taken
                or self._gives_away([*taken, new])
                or self._outweighs(swaps | {old: new})
            ):
                continue
            if all(fits(self.words, place, self.target.forms[new]) for place in places):
                return new
        return None

    def _edit(self, added: list[str], removed: list[str]) -> Edit:
        return Edit(
            text=self.text,
            source=self.source.name,
            target=self.target.name,
            added=tuple(self.target.forms[word] for word in added),
            removed=tuple(removed),
            kept=tuple(word for word in self.own if word not in removed),
            avoid=self.avoid,
            seed=self.seed,
        )


def _draw_order(weights: Mapping[str, float], rng: np.random.Generator) -> list[str]:
    """Order words as drawn without replacement in proportion to their weights."""
    words = sorted(weights)
    arrivals = rng.exponential(size=len(words)) / np.array([weights[word] for word in words])
    return [words[place] for place in np.argsort(arrivals, kind="stable")]
