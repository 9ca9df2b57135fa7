"""HINT3: what real users wrote to three chatbots."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skcap.datasets.bunch import (
    as_bunch,
    check_shots,
    check_subset,
    choose_rows,
    scope_hint,
    select_labels,
)
from skcap.datasets.files import find_folder, read_files
from skcap.utils.validation import check_choice

__all__ = ["load_hint3"]

_BOTS = ("SOFMattress", "Curekart", "Powerplay11")
_OOS = "NO_NODES_DETECTED"

_DESCR = """\
HINT3: {bot}
==============
English questions to the chatbot of a company, {n_classes} intents. Training texts were written
by the makers of the bot, test texts by its users: the shift between them is natural. Of the test
texts, {n_oos} of 100 belong to none of the intents; the source labels them `NO_NODES_DETECTED`.

Rows of version v1: SOFMattress (21 intents) 328 train (180 in its subset), 231 test in scope and
166 out of scope; Curekart (28 intents) 600 train (413 in its subset), 452 test in scope and 539 out
of scope; Powerplay11 (59 intents) 471 train (261 in its subset), 275 test in scope and 708 out of
scope. Version v2 corrects some labels (test then has 144, 532 and 674 out of scope); published
results are on v1. The variant "subset" leaves out training texts that nearly repeat others.

Source: https://github.com/hellohaptik/HINT3, folder dataset (Open Database License 1.0, contents:
Database Contents License 1.0).
Cite: Arora, Jain, Chaturvedi, Modi, "HINT3: Raising the bar for Intent Detection in the Wild",
Insights from Negative Results in NLP, EMNLP 2020.
"""
_FACTS = {
    "SOFMattress": {"n_classes": "21", "n_oos": 42},
    "Curekart": {"n_classes": "28", "n_oos": 54},
    "Powerplay11": {"n_classes": "59 (in v2: 57)", "n_oos": 72},
}


def load_hint3(
    bot: str,
    subset: str = "train",
    *,
    version: str = "v1",
    variant: str = "full",
    shots: int | None = None,
    random_state: Any = None,
    labels: Iterable[str] | None = None,
    out_of_scope: bool = False,
    data_home: str | os.PathLike[str] | None = None,
    return_X_y: bool = False,
) -> Bunch | tuple[list[str], np.ndarray]:
    """Load HINT3: questions of real users to three chatbots.

    Parameters
    ----------
    bot : {"SOFMattress", "Curekart", "Powerplay11"}
        A shop for mattresses (21 intents), one for fitness products (28), or fantasy cricket (59,
        some of them with a single training text).
    subset : {"train", "test"}, default="train"
        Train was written by the makers of the bot, test by its users. There is no validation
        split: take it from train.
    version : {"v1", "v2"}, default="v1"
        v2 corrects some labels of test; published results are on v1.
    variant : {"full", "subset"}, default="full"
        "subset" leaves out training texts that nearly repeat others; only train of v1 has it.
    shots : int, default=None
        Draw this many rows of each class from train; None takes all. The smallest classes have
        only a few.
    random_state : int, RandomState instance or None, default=None
        Seed of the draw; only used with `shots`. With the same seed, the rows of fewer shots are
        among those of more.
    labels : list of str, default=None
        Keep these intents only; None keeps all.
    out_of_scope : bool, default=False
        Add the test texts that belong to none of the intents, labelled ``NO_NODES_DETECTED``, after
        the others.
    data_home : path, default=None
        Folder that holds ``hint3/v1/sofmattress_train.csv`` and so on: the files of the source's
        ``dataset/v1/train`` and ``dataset/v1/test``, header ``sentence,label``. None takes the
        folder that the environment variable ``SKCAP_DATA`` names. These files are on no hub.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    Bunch
        `data` (list of str), `target` (ndarray of str, shape (n_texts,)), `target_names` (sorted
        list of the classes), `DESCR`, `subset` and `source` (the folder).
    (data, target) : tuple
        If `return_X_y` is True.

    Raises
    ------
    ValueError
        If an argument is not allowed, or a class has fewer rows than `shots`.
    TypeError
        If `labels` is a single string.
    OSError
        If the data is not there; the message says what to do.

    Notes
    -----
    Licence: Open Database License 1.0, contents under the Database Contents License 1.0. Cite Arora
    et al., "HINT3: Raising the bar for Intent Detection in the Wild", Insights from Negative
    Results in NLP, EMNLP 2020.

    Examples
    --------
    >>> from skcap.datasets import load_hint3
    >>> test = load_hint3("SOFMattress", "test", out_of_scope=True)  # doctest: +SKIP
    >>> len(test.data), (test.target == "NO_NODES_DETECTED").sum()  # doctest: +SKIP
    (397, 166)
    """
    check_choice("bot", bot, _BOTS)
    check_subset(subset, ("train", "test"), " There is no validation split: take it from train.")
    check_choice("version", version, ("v1", "v2"))
    _check_variant(variant, subset, version)
    check_shots(shots, subset, published=False)
    if out_of_scope and subset != "test":
        raise ValueError(
            "out_of_scope=True, but only test has rows out of scope. Pass subset='test' or "
            "out_of_scope=False."
        )
    folder = find_folder("hint3", data_home)
    if folder is None:
        raise OSError(
            "HINT3 is on no hub. Get its files from https://github.com/hellohaptik/HINT3, and set "
            "data_home or the environment variable SKCAP_DATA to a folder that holds "
            f"hint3/{version}/{_file(bot, subset, variant)}, or use load_assistant_intents(), "
            "which ships with skcap."
        )
    rows = read_files(folder / version, [_file(bot, subset, variant)], text="sentence")
    intents = {label for _, label in rows if label != _OOS}
    hint = scope_hint(_OOS, out_of_scope) if subset == "test" else ""
    chosen = select_labels(labels, intents, hint) | ({_OOS} if out_of_scope else set())
    rows = choose_rows(rows, shots, random_state, chosen)
    rows.sort(key=lambda row: row[1] == _OOS)
    descr = _DESCR.format(bot=bot, **_FACTS[bot])
    return as_bunch(rows, subset=subset, descr=descr, source=str(folder), return_X_y=return_X_y)


def _check_variant(variant: str, subset: str, version: str) -> None:
    check_choice("variant", variant, ("full", "subset"))
    if variant == "subset" and (subset, version) != ("train", "v1"):
        raise ValueError(
            f"variant='subset' is there for train of v1 only, got subset={subset!r} and "
            f"version={version!r}. Pass variant='full'."
        )


def _file(bot: str, subset: str, variant: str) -> str:
    return f"{bot.lower()}_{'subset_' if variant == 'subset' else ''}{subset}.csv"
