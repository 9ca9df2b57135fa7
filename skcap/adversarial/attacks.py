"""The two attacks: which words go into and out of a text, and which texts are refused."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from skcap.adversarial.adversarial_set import AdversarialItem, AdversarialSet
from skcap.adversarial.edits import RejectedEditError, find_problem
from skcap.adversarial.word_choice import WordChoice, class_words
from skcap.adversarial.writers import BaseWriter, RuleWriter
from skcap.utils.labels import LabelNames, check_labels, name_labels, value_of
from skcap.utils.seeds import content_seed
from skcap.utils.validation import check_number, integer
from skcap.utils.words import check_encodable, check_texts, split_words

__all__ = ["keyword_addition", "keyword_replacement"]

Keywords = Mapping[Any, Mapping[str, float]]


def keyword_addition(
    texts: Any,
    y: Any,
    keywords: Keywords,
    targets: Mapping[Any, Sequence[Any]],
    *,
    n_words: int = 2,
    writer: BaseWriter | None = None,
    label_names: LabelNames = None,
    random_state: int = 0,
) -> AdversarialSet:
    """Add keywords of another class to each text, whose true label stays the same.

    The words are drawn from the target's keywords in proportion to their weights. Left out are
    words that the text contains already, words that are at least as strong for the true class,
    and words that would complete the target's label (a text about a transfer gets no "pending"
    from ``pending_transfer``): such a text might truly belong to the target.

    Parameters
    ----------
    texts : list, tuple, 1-D array or pandas Series of str, length n_texts
    y : array-like, shape (n_texts,)
        Their true classes.
    keywords : mapping of label to mapping of word to float
        As :func:`class_keywords` returns it; single words.
    targets : mapping of label to sequence of labels
        As :func:`hard_targets` returns it. Each text is attacked once for each target of its
        class.
    n_words : int, default=2
        Words to add to each text; fewer if there are not as many.
    writer : BaseWriter or None, default=None
        What writes the changed text. None is :class:`RuleWriter`.
    label_names : mapping, callable, array-like of str, or None, default=None
        What the labels are called; a list holds one name per class of `keywords` in sorted order.
        None turns ``card_arrival`` into ``card arrival``.
    random_state : int, default=0
        Seeds each choice, together with text, label and target, so that neither the order of the
        rows nor the other texts matter.

    Returns
    -------
    AdversarialSet
        An item for each text and target; a rejected one holds the reason.

    Raises
    ------
    TypeError, ValueError
        If texts, labels, keywords and targets do not fit together.

    Examples
    --------
    >>> from skcap.adversarial import keyword_addition
    >>> attacked = keyword_addition(
    ...     ["cancel the alarm at 7"],
    ...     ["alarm_remove"],
    ...     {"alarm_remove": {"cancel": 1.0}, "alarm_set": {"wake": 1.0, "ring": 0.5}},
    ...     {"alarm_remove": ["alarm_set"]},
    ... )
    >>> attacked.made[0].added
    ('wake', 'ring')
    >>> attacked.texts
    ['cancel the alarm at 7, "wake" and "ring" came up a moment ago']
    """
    return _attack(
        "addition", texts, y, keywords, targets, n_words, writer, label_names, random_state
    )


def keyword_replacement(
    texts: Any,
    y: Any,
    keywords: Keywords,
    targets: Mapping[Any, Sequence[Any]],
    *,
    n_words: int = 2,
    writer: BaseWriter | None = None,
    label_names: LabelNames = None,
    random_state: int = 0,
) -> AdversarialSet:
    """Replace keywords of each text by those of another class; its true label stays the same.

    Parameters
    ----------
    texts, y, keywords, targets, writer, label_names, random_state
        As for :func:`keyword_addition`.
    n_words : int, default=2
        Keywords to replace in each text, wherever they occur; fewer if fewer may be replaced.

    Returns
    -------
    AdversarialSet
        An item for each text and target; a rejected one holds the reason.

    Raises
    ------
    TypeError, ValueError
        If texts, labels, keywords and targets do not fit together.

    Notes
    -----
    Replacing the words that a class is known by may change what the text asks for. So that the
    true label still holds, as far as words can show it:

    * numbers and names are not touched;
    * base forms of verbs stay, since they say what is wanted ("delete my list" must not become
      "buy my list");
    * words of the label's name that the target's name lacks stay ("alarm" in a text of
      ``alarm_set``, if the target is ``timer_set``);
    * the strongest keyword of the text stays, or at least half of the weight of all of them;
    * the keywords in the new text do not weigh more for the target than for the true class;
    * no word is put in that would complete the target's label;
    * a new word must have the form of the old one: noun for noun, participle for participle.

    So most texts are refused; the set's `report` says how many. No rule can check whether the
    sentence still makes sense ("explain your fee rate"), or whether a person would still give it
    the true label. Read a sample before you report results on such a set; addition is the attack
    whose labels are safe.

    Examples
    --------
    >>> from skcap.adversarial import keyword_replacement
    >>> attacked = keyword_replacement(
    ...     ["Please cancel my school alarms."],
    ...     ["alarm_remove"],
    ...     {
    ...         "alarm_remove": {"cancel": 1.0, "alarm": 0.8, "school": 0.3},
    ...         "calendar_remove": {"meeting": 1.0},
    ...     },
    ...     {"alarm_remove": ["calendar_remove"]},
    ... )
    >>> attacked.texts
    ['Please cancel my meeting alarms.']
    """
    return _attack(
        "replacement", texts, y, keywords, targets, n_words, writer, label_names, random_state
    )


def _attack(
    attack: str,
    texts: Any,
    y: Any,
    keywords: Keywords,
    targets: Mapping[Any, Sequence[Any]],
    n_words: int,
    writer: BaseWriter | None,
    label_names: Any,
    random_state: int,
) -> AdversarialSet:
    check_number("n_words", n_words, integer(1))
    check_number("random_state", random_state, integer(0))
    writer = RuleWriter() if writer is None else writer
    if not isinstance(writer, BaseWriter):
        raise TypeError(f"writer must be a BaseWriter or None, got {type(writer).__name__}.")
    texts, labels, keywords, targets = _check(texts, y, keywords, targets)
    # Keywords of no class, for comparison, may stand under a string beside integers.
    known = sorted(keywords, key=lambda label: (isinstance(label, str), label))
    names = name_labels(np.array(known, dtype=object), label_names)
    classes = {
        label: class_words(name, keywords[label]) for label, name in zip(known, names, strict=True)
    }
    avoid = frozenset(word for words in classes.values() for word in words.weights)
    items = []
    for row, (text, label) in enumerate(zip(texts, labels, strict=True)):
        for target in targets[label]:
            seed = content_seed(random_state, attack, text, str(label), str(target))
            pair = classes[label], classes[target]
            choice = WordChoice(text, *pair, n_words=int(n_words), avoid=avoid, seed=seed)
            items.append(_attack_one(attack, row, label, target, choice, writer))
    return AdversarialSet(items)


def _plain(label: Any) -> Any:
    """Give the Python value of one of NumPy, which JSON cannot hold."""
    return label.item() if isinstance(label, np.generic) else label


def _attack_one(
    attack: str, row: int, label: Any, target: Any, choice: WordChoice, writer: BaseWriter
) -> AdversarialItem:
    """Choose words, have the text written, and check it."""
    edit = text = reason = None
    try:
        edit = choice.addition() if attack == "addition" else choice.replacement()
        written = writer.write(edit)
        reason = find_problem(edit, written)
        text = written if reason is None else None
    except RejectedEditError as rejection:
        reason = str(rejection)
    return AdversarialItem(
        attack=attack,
        row=row,
        original=choice.text,
        text=text,
        label=label,
        target=target,
        added=edit.added if edit else (),
        removed=edit.removed if edit else (),
        writer=writer.describe(),
        reason=reason,
    )


def _by_label(name: str, values: Any) -> dict[Any, Any]:
    """Copy a mapping from labels; members of an enumeration stand for their values, as in y."""
    if not hasattr(values, "items"):
        raise TypeError(
            f"{name} must be a mapping with the labels of y as keys, got {type(values).__name__}."
        )
    return {value_of(label): value for label, value in values.items()}


def _check_words(label: Any, words: Any) -> None:
    """Check the keywords of one class."""
    if not hasattr(words, "items"):
        raise TypeError(
            f"keywords[{label!r}] must be a mapping of words to weights, got {words!r:.60}. For "
            "equal weights, pass dict.fromkeys(words, 1.0)."
        )
    for word, weight in words.items():
        if not isinstance(word, str) or len(split_words(word)) != 1:
            raise ValueError(
                f"keywords[{label!r}] must hold single words, got {word!r:.60}. Give the words of "
                "a phrase one by one."
            )
        if not isinstance(weight, Real) or not math.isfinite(weight):
            raise ValueError(
                f"keywords[{label!r}] must hold finite weights, got {weight!r:.60} for "
                f"{word!r:.60}."
            )


def _check_targets(label: Any, targets: Any) -> list[Any]:
    """Check the targets of one class, which may be given as anything that lists them."""
    if isinstance(targets, str) or not isinstance(targets, Iterable):
        raise ValueError(
            f"targets[{label!r}] must be a list of labels, got {targets!r}. Put it into a list."
        )
    named = [value_of(_plain(target)) for target in targets]
    if label in named:
        raise ValueError(f"targets[{label!r}] holds the class itself; name other classes.")
    return named


def _check(
    texts: Any, y: Any, keywords: Any, targets: Any
) -> tuple[list[str], list[Any], dict[Any, Any], dict[Any, list[Any]]]:
    texts = check_texts(texts, "texts")
    check_encodable(texts, "texts")  # or a set could not be saved
    labels = check_labels(texts, y).tolist()
    keywords, targets = _by_label("keywords", keywords), _by_label("targets", targets)
    for label, words in keywords.items():
        _check_words(label, words)
    for label in dict.fromkeys(labels):
        if label not in targets:
            raise ValueError(
                f"targets has no entry for the class {label!r} of y. Its keys must be the labels "
                "of y, of the same type; see hard_targets."
            )
        targets[label] = _check_targets(label, targets[label])
        for named in (label, *targets[label]):
            if named not in keywords:
                raise ValueError(f"keywords has no entry for the class {named!r}.")
    return texts, labels, keywords, targets
