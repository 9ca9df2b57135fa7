"""Make shortcuts independent of the label: swap them between texts, or drop them, in each step."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import clone
from torch import Tensor, nn

from skcap.guidance.base import BaseGuidance, Step, Task
from skcap.prior_matrix import PriorMatrix
from skcap.shortcuts import ShortcutAudit, check_shortcuts, match_shortcuts
from skcap.shortcuts.audit import check_prior
from skcap.shortcuts.candidates import family_of_mark, is_of_template
from skcap.shortcuts.verdict import is_relied_on, is_undecided
from skcap.utils.listing import list_some
from skcap.utils.seeds import unlocked
from skcap.utils.validation import check_parameters, integer, number

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SwapGuidance"]


@dataclass(frozen=True)
class _Mark:
    """How a shortcut is written somewhere in the training texts, and where in the text."""

    tokens: tuple[int, ...]
    place: float  # of its word, as a share of the text's words: 0 is the start, 1 the end


class SwapGuidance(BaseGuidance):
    """Words that an audit flags as shortcuts are swapped between texts or dropped while training.

    First an unguided model is trained and audited (:class:`skcap.shortcuts.ShortcutAudit`). If the
    audit flags nothing, that model is the result, to the last bit. Else training begins anew, and
    in each step every text of the batch, whatever its class, shows one of the flagged words, drawn
    at random, with the same probability: neither that there is such a word nor which one it is
    then says anything about the label. The rest of each text stays as it is.

    Parameters
    ----------
    shortcuts : pandas.DataFrame, list of str, or None, default=None
        What to swap: an audit's ``shortcuts_``, that table edited, or a list of words. None audits
        an unguided model, which needs a prior.
    audit : ShortcutAudit or None, default=None
        How to audit, if `shortcuts` is None; None takes ``ShortcutAudit()``. Its classifier is
        replaced by the model that is trained, and its prior, if it has none, by that of the
        training texts.
    drop : float, from 0 to 1, default=0.3
        Probability that a flagged word is dropped rather than swapped, if all training texts have
        one. Where only a share of the texts has one, a text shows one with the probability
        ``share * (1 - drop)``, so that texts without one need not be changed more than others.
    plain_words : bool, default=False
        Whether to swap as well what an audit flags without a place or a shape of its own. Numbers,
        words that end in a colon, words that begin or end the texts of a class as a rule, and
        words that always come with one of these, such as the first name of a signature, have
        one; all others, names in mid-text included, are plain words, and a language model takes
        some real keywords among these for shortcuts (Notes). They stay in ``audit_.shortcuts_`` for
        you to look at; pass those that are shortcuts as `shortcuts`.
    max_rounds : int, default=2
        Trained models are audited again, and trained once more with what is found besides, until
        nothing is or so many rounds are over. 1 does not look again.

    Attributes
    ----------
    audit_ : ShortcutAudit
        The audit of the unguided model, where there was one.
    audits_ : list of ShortcutAudit
        That audit, and those of models trained after it that flagged something.
    shortcuts_ : pandas.DataFrame
        What is swapped.
    n_rounds_ : int
        Rounds of training.

    Warns
    -----
    UserWarning
        If flagged plain words are left as they are, or words that stand where others are swapped:
        those that the prior neither denies nor supports, and all tags and numbers.

    Notes
    -----
    Flagged patterns that are no word of their own, such as capital letters or the length of a text,
    cannot be swapped; they stay in ``audit_.shortcuts_`` for you to look at.

    Why plain words are left alone: of the 600 training texts of a real chatbot (HINT3 Curekart), an
    audit flags seven, such as "tracking" for the state of an order. Training without them and one
    more word costs 2.4 points (1.3 to 3.5) of accuracy. Where they are shortcuts, as planted names
    in mid-text are, it gains 40 points, and a list of all of them 52 (docs/evidence.md).

    Examples
    --------
    >>> from skcap import GuidedTextClassifier
    >>> from skcap.guidance import SwapGuidance
    >>> clf = GuidedTextClassifier(guidance=SwapGuidance(["emma", "henry"]))
    >>> clf.fit(["emma: wake me", "henry: play jazz"], ["alarm", "music"])  # doctest: +SKIP
    """

    _parameter_constraints = {
        "shortcuts": "no_validation",  # by check_shortcuts
        "audit": [ShortcutAudit, None],
        "drop": [number(0, 1)],
        "plain_words": ["boolean"],
        "max_rounds": [integer(1)],
    }

    def __init__(
        self,
        shortcuts: pd.DataFrame | Sequence[str] | None = None,
        *,
        audit: ShortcutAudit | None = None,
        drop: float = 0.3,
        plain_words: bool = False,
        max_rounds: int = 2,
    ) -> None:
        self.shortcuts = shortcuts
        self.audit = audit
        self.drop = drop
        self.plain_words = plain_words
        self.max_rounds = max_rounds

    @property
    def needs_prior(self) -> bool:
        """Whether it needs a PriorMatrix with scores: if it audits, and the audit has no prior."""
        has_own = self.audit is not None and self.audit.prior is not None
        return self.shortcuts is None and not has_own

    def check(self) -> None:
        """Check the parameters, the table of shortcuts among them."""
        super().check()
        if self.shortcuts is not None:
            check_shortcuts(self.shortcuts)
        if self.audit is not None:
            check_parameters(self.audit)
            if self.audit.cv is not None:
                raise ValueError(
                    f"audit has cv={self.audit.cv}, but here it audits the model that is trained, "
                    "not clones of it. Pass it with cv=None."
                )

    # -- before and after training ----------------------------------------------------------------

    def prepare(self, task: Task) -> Mapping[str, Sequence[np.ndarray]]:
        """Find out what to swap, and where it stands in the training texts."""
        if not hasattr(self, "shortcuts_"):
            self.shortcuts_ = self._find(task)
            self.n_rounds_ = 1
        if self.shortcuts_.empty:
            self.marks_: list[_Mark] = []
            return {}
        found = match_shortcuts(task.texts, self.shortcuts_)
        _warn_of_absent(task.texts, self.shortcuts_, np.concatenate(found))
        seen = [
            np.where(text.seen, rows, -1) for text, rows in zip(task.encoded, found, strict=True)
        ]
        self.marks_ = _marks(task.encoded, seen, self.shortcuts_)
        self.share_ = float(np.mean([(rows >= 0).any() for rows in seen]))
        return {"swap": [np.where(rows >= 0, 1.0, np.nan) for rows in found]}

    def _find(self, task: Task) -> pd.DataFrame:
        if self.shortcuts is not None:
            return check_shortcuts(self.shortcuts)
        if self.audit is not None and isinstance(self.audit.prior, PriorMatrix):
            check_prior(task.texts, self.audit.prior)  # before training
        self.audit_ = self._audit(task, task.unguided())
        self.audits_ = [self.audit_]
        found = self._to_swap(self.audit_)
        _warn_of_siblings(self.audit_.words_, found)
        return found

    def _to_swap(
        self, audit: ShortcutAudit, told: Sequence[str] = (), marks: Sequence[str] = ()
    ) -> pd.DataFrame:
        """Give what is swapped of all that an audit flags, and warn of the rest but some words.

        What is a part of one of the `marks`, of which other parts are swapped, is swapped as well.
        """
        found = audit.shortcuts_
        plain = _is_plain(found) & ~found["mark"].isin(set(marks) - {""}).to_numpy()
        if self.plain_words:
            return check_shortcuts(found)
        if names := [word for word in found.loc[plain, "word"] if word not in told]:
            warnings.warn(
                f"The audit flags {', '.join(map(repr, names))}, but training does not swap plain "
                f"words, since some may be real keywords. Look at audits_[{len(self.audits_) - 1}]"
                ".shortcuts_ of the guidance, and list the shortcuts among them, and similar ones "
                "that it missed, as SwapGuidance([...]); or pass plain_words=True to swap all.",
                UserWarning,
                stacklevel=2,
            )
        return check_shortcuts(found[~plain])

    def _audit(self, task: Task, classifier: Any) -> ShortcutAudit:
        audit = ShortcutAudit(verbose=task.verbose) if self.audit is None else clone(self.audit)
        if audit.prior is None:
            audit.set_params(prior=PriorMatrix(task.texts, task.priors))
        audit.set_params(classifier=classifier, prefit=True)
        with unlocked():  # its prior may train in threads
            return audit.fit(task.texts, task.classes[task.codes])

    def is_idle(self) -> bool:
        """Tell whether no shortcut was found, so that training is unguided."""
        return not self.marks_

    def review(self, task: Task, classifier: Any) -> bool:
        """Audit the trained classifier; ask for another round if it relies on something new."""
        if self.shortcuts is not None or self.is_idle() or self.n_rounds_ >= self.max_rounds:
            return False
        import pandas as pd

        told = self.audit_.shortcuts_["word"].tolist()
        audit = self._audit(task, classifier)
        if len(audit.shortcuts_):
            self.audits_.append(audit.set_params(classifier=None, prior=None))
        found = self._to_swap(audit, told, self.shortcuts_["mark"])
        known = set(zip(self.shortcuts_["word"], self.shortcuts_["kind"], strict=True))
        pairs = zip(found["word"], found["kind"], strict=True)
        new = found[[pair not in known for pair in pairs]]
        if new.empty:
            return False
        self.shortcuts_ = check_shortcuts(pd.concat([self.shortcuts_, new], ignore_index=True))
        self.n_rounds_ += 1
        return True

    # -- while training ---------------------------------------------------------------------------

    def change(self, step: Step) -> Mapping[str, Tensor]:
        """Swap or drop the flagged words of a batch, and put some into texts without any."""
        batch = step.batch
        flagged = ~batch["swap"].isnan().cpu().numpy()
        rng = np.random.default_rng(int(torch.randint(2**31 - 1, ()).item()))
        show = rng.random(len(flagged)) < self.share_ * (1 - self.drop)
        rows = [
            _swap(row, words, self._draw(rng) if shows else None, step.max_length)
            for row, words, shows in zip(_rows_of(batch), flagged, show, strict=True)
        ]
        changed = _pad(rows, batch)
        if "prior" in batch:  # what the prior says of a word does not hold for another
            gone = torch.as_tensor(flagged, device=batch["prior"].device)
            changed["prior"] = batch["prior"].masked_fill(gone, torch.nan)
        return {**batch, **changed}

    def _draw(self, rng: np.random.Generator) -> _Mark:
        return self.marks_[rng.integers(len(self.marks_))]


def _is_plain(found: pd.DataFrame) -> np.ndarray:
    """Find words and phrases that have neither a place nor a shape, nor are part of such a mark.

    A word next to a mark is part of it if both were flagged by the same test: a keyword that is
    doubted by itself may stand beside a name.
    """
    rows = list(zip(*(found[name] for name in ("family", "label", "by")), strict=True))
    parts = [(family_of_mark(family), *rest) for family, *rest in rows]
    marks = {row for row, part in zip(rows, parts, strict=True) if row == part and row[0]}
    plain = np.array([part not in marks for part in parts], dtype=bool)
    return plain & found["kind"].isin(["word", "phrase"]).to_numpy()


def _warn_of_siblings(words: pd.DataFrame, swapped: pd.DataFrame) -> None:
    """Warn of words that stand where others are swapped, and that may be there by accident, too.

    With few classes, what a prior says of each of them is weak evidence: of words, those count that
    it neither denies nor supports, and all of the tags and numbers.
    """
    beside = is_relied_on(words) & words["family"].isin(set(swapped["family"]) - {""})
    beside &= is_undecided(words) | words["family"].map(is_of_template).astype(bool)
    names = words.loc[beside & ~words["word"].isin(swapped["word"]), "word"].unique()
    if len(names):
        them = "it" if len(names) == 1 else "them"
        warnings.warn(
            f"Not swapped: {list_some([repr(word) for word in names], most=10)}, in the place of "
            f"words that are swapped, since the prior does not deny {them}. If you know more "
            "accidents than were found, list all of them, as in SwapGuidance([...]).",
            UserWarning,
            stacklevel=2,
        )


def _warn_of_absent(texts: list[str], shortcuts: pd.DataFrame, found: np.ndarray) -> None:
    """Warn of shortcuts that no word of the training texts belongs to."""
    absent = np.setdiff1d(np.arange(len(shortcuts)), found)
    while len(absent):
        # A word that belongs to several counts as the first of them, so the others are looked for
        # again: all at once, since a list of names may be long.
        hidden = np.concatenate(match_shortcuts(texts, shortcuts.iloc[absent]))
        if (hidden < 0).all():
            break
        absent = np.delete(absent, np.unique(hidden[hidden >= 0]))
    if len(absent):
        names = [repr(word) for word in shortcuts["word"].iloc[absent]]
        warnings.warn(
            f"Not swapped, since no word of the training texts is such a shortcut: "
            f"{list_some(names)}. Check the spelling. Marks within words, such as capitals, and "
            "the length of a text cannot be swapped.",
            UserWarning,
            stacklevel=2,
        )


def _marks(
    encoded: Sequence[Any], found: Sequence[np.ndarray], shortcuts: pd.DataFrame
) -> list[_Mark]:
    """Collect how the shortcuts are written, each way once, and where they stand on average."""
    places: dict[tuple[int, ...], list[float]] = {}
    for text, rows in zip(encoded, found, strict=True):
        for words in _written_together(rows, shortcuts["kind"].tolist()):
            tokens = tuple(text.input_ids[np.isin(text.word_ids, words)].tolist())
            if tokens:
                place = _place_of(shortcuts.iloc[rows[words[0]]], words[0], len(rows))
                places.setdefault(tokens, []).extend([] if place is None else [place])
    return [_Mark(tokens, float(np.mean(own or [0.0]))) for tokens, own in places.items()]


def _written_together(rows: np.ndarray, kinds: list[str]) -> list[list[int]]:
    """Give the words of each shortcut in a text: one, or neighbours that are of one phrase."""
    together: list[list[int]] = []
    for word in np.flatnonzero(rows >= 0).tolist():
        is_phrase = kinds[rows[word]] == "phrase"
        if is_phrase and word and rows[word - 1] == rows[word]:
            together[-1].append(word)
        else:
            together.append([word])
    return together


def _place_of(shortcut: pd.Series, word: int, n_words: int) -> float | None:
    """Say where a shortcut belongs, as a share of a text's words; None if this does not show it."""
    if shortcut["kind"] == "last" or shortcut["word"].endswith("at the end"):
        return 1.0
    if shortcut["kind"] == "first" or shortcut["word"].endswith("at the start"):
        return 0.0
    return word / (n_words - 1) if n_words > 1 else None


def _rows_of(batch: Mapping[str, Tensor]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Tokens and word positions of each text, without padding."""
    ids, words = batch["input_ids"].cpu().numpy(), batch["word_ids"].cpu().numpy()
    lengths = batch["attention_mask"].sum(dim=1).tolist()
    return [(i[:n], w[:n]) for i, w, n in zip(ids, words, lengths, strict=True)]


def _swap(
    row: tuple[np.ndarray, np.ndarray], flagged: np.ndarray, mark: _Mark | None, max_length: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Take the flagged words out of a text, and put a mark in; give tokens, words, special."""
    ids, words = row
    special = words < 0
    gone = ~special & flagged[np.maximum(words, 0)]
    place = int(np.flatnonzero(gone)[0]) if gone.any() else None
    if mark is None or len(ids) - gone.sum() + len(mark.tokens) > max_length:
        return ids[~gone], words[~gone], special[~gone]
    if place is None:
        place = _place_for(mark, words)
    kept_before = int((~gone[:place]).sum())
    n = len(mark.tokens)
    return (
        np.insert(ids[~gone], kept_before, mark.tokens),
        np.insert(words[~gone], kept_before, [-1] * n),  # it belongs to no word of the text
        np.insert(special[~gone], kept_before, [False] * n),
    )


def _place_for(mark: _Mark, words: np.ndarray) -> int:
    """Find the token before which a mark belongs in a text that has none."""
    n_words = int(words.max()) + 1
    starts = np.flatnonzero(words >= round(mark.place * n_words))
    if len(starts):
        return int(starts[0])
    inside = np.flatnonzero(words >= 0)
    return int(inside[-1]) + 1 if len(inside) else min(1, len(words))


def _pad(
    rows: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], batch: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Make the token columns of a batch."""
    device = batch["input_ids"].device

    def column(arrays: Sequence[np.ndarray], filler: Any) -> Tensor:
        tensors = [torch.as_tensor(array) for array in arrays]
        padded = nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=filler)
        return padded.to(device)

    ids, words, special = zip(*rows, strict=True)
    return {
        "input_ids": column(ids, 0),  # any token will do: padding is never attended to
        "attention_mask": column([np.ones_like(row) for row in ids], 0),
        "word_ids": column(words, -1),
        "special": column(special, True),
    }
