"""Banking77, CLINC150 and HWU64: from a local folder, else from the hub."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skcap.datasets.published import PublishedSet, load_published

__all__ = ["load_banking77", "load_clinc150", "load_hwu64"]

BANKING77 = PublishedSet(
    folder="banking77",
    title="Banking77",
    n_rows={"train": 10_003, "test": 3_080},
    n_classes=77,
    n_oos={},
    hub_id="mteb/banking77",
    hub_config=None,
    hub_label="label_text",
    descr="""\
Banking77
=========
13,083 questions of bank customers in English, 77 fine-grained intents: 10,003 train (35 to 187 per
class), 3,080 test (40 per class), no validation split.

Label names are the source's own, with two irregular ones: `Refund_not_showing_up` (capital) and
`reverted_card_payment?` (question mark). 6 test texts are also in train, with the same labels.

The published 5-shot draw (shots="published", 385 rows) is all lower case in its source while train
and test are not. It is not changed here: for a cased model, lower-case all splits, or draw cased
rows with shots=5.

Source: https://github.com/PolyAI-LDN/task-specific-datasets (CC BY 4.0); the 5-shot draw:
https://github.com/jianguoz/Few-Shot-Intent-Detection.
Cite: Casanueva, Temcinas, Gerz, Henderson, Vulic, "Efficient Intent Detection with Dual Sentence
Encoders", NLP for ConvAI, ACL 2020. The draw: Zhang et al., EMNLP 2020 and 2021.
""",
)

CLINC150 = PublishedSet(
    folder="clinc150",
    title="CLINC150",
    n_rows={"train": 15_000, "valid": 3_000, "test": 4_500},
    n_classes=150,
    n_oos={"train": 100, "valid": 100, "test": 1_000},
    hub_id="clinc/clinc_oos",
    hub_config="plus",
    hub_label="intent",
    descr="""\
CLINC150
========
22,500 requests to an assistant in English, 150 intents of 10 domains: 100 train, 20 valid, 30 test
per class, all lower case. Rows out of scope, all labelled `oos`: 100 train, 100 valid, 1,000 test
(the hub's copy has 250 in train).

5 texts of valid and test are also in train, 4 of them under another label; the published 5-shot
draw (shots="published", 750 rows) holds one of these.

Source: https://github.com/clinc/oos-eval (CC BY 3.0); the 5-shot draw:
https://github.com/jianguoz/Few-Shot-Intent-Detection.
Cite: Larson et al., "An Evaluation Dataset for Intent Classification and Out-of-Scope Prediction",
EMNLP-IJCNLP 2019. The draw: Zhang et al., EMNLP 2020 and 2021.
""",
)

HWU64 = PublishedSet(
    folder="hwu64",
    title="HWU64",
    n_rows={"train": 8_954, "valid": 1_076, "test": 1_076},
    n_classes=64,
    n_oos={},
    hub_id="FastFit/hwu_64",
    hub_config=None,
    hub_label="label",
    descr="""\
HWU64
=====
11,106 requests to a home assistant in English, 64 intents, all lower case: 8,954 train (33 to 159
per class), 1,076 valid and 1,076 test (3 to 19 per class).

valid repeats 70 of its rows, so 1,006 of them are distinct. No text is shared between the splits.
The published 5-shot draw (shots="published") has 320 rows.

Source: https://github.com/xliuhw/NLU-Evaluation-Data, fold 1 (CC BY 4.0), in the split of
https://github.com/jianguoz/Few-Shot-Intent-Detection, which also made the 5-shot draw.
Cite: Liu, Eshghi, Swietojanski, Rieser, "Benchmarking Natural Language Understanding Services for
building Conversational Agents", IWSDS 2019. Split and draw: Zhang et al., EMNLP 2020 and 2021.
""",
)


def load_banking77(
    subset: str = "train",
    *,
    shots: int | str | None = None,
    random_state: Any = None,
    labels: Iterable[str] | None = None,
    data_home: str | os.PathLike[str] | None = None,
    return_X_y: bool = False,
) -> Bunch | tuple[list[str], np.ndarray]:
    """Load Banking77: questions of bank customers, 77 fine-grained intents.

    Parameters
    ----------
    subset : {"train", "test"}, default="train"
        10,003 or 3,080 rows. There is no published validation split: take it from train.
    shots : int or "published", default=None
        An int draws this many rows of each class from train. "published" gives the 5-shot draw of
        Zhang et al. (2021), which is **all lower case** while train and test are not; its case is
        not changed here. None takes all rows.
    random_state : int, RandomState instance or None, default=None
        Seed of the draw; only used if `shots` is an int. With the same seed, the rows of fewer
        shots are among those of more, and the rows drawn for a class do not depend on `labels`.
    labels : list of str, default=None
        Keep these classes only; None keeps all.
    data_home : path, default=None
        Folder that holds ``banking77/train.csv`` and so on. None takes the folder that the
        environment variable ``SKCAP_DATA`` names, or else the hub (``mteb/banking77``, through the
        package `datasets`). A folder that is named but lacks the data is an error: nothing else is
        tried then.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    Bunch
        `data` (list of str), `target` (ndarray of str, shape (n_texts,)), `target_names` (sorted
        list of the classes), `DESCR`, `subset` and `source` (where the rows came from).
    (data, target) : tuple
        If `return_X_y` is True.

    Raises
    ------
    ValueError
        If `subset`, `shots` or a label is not allowed, or a class has fewer rows than `shots`.
    TypeError
        If `labels` is a single string.
    OSError
        If the data is found nowhere; the message says what to do.

    Warns
    -----
    UserWarning
        If the hub's copy does not have the published number of rows or classes.

    Examples
    --------
    >>> from skcap.datasets import load_banking77
    >>> train = load_banking77(shots=5, random_state=0)  # doctest: +SKIP
    >>> len(train.data), len(train.target_names)  # doctest: +SKIP
    (385, 77)
    """
    return load_published(BANKING77, subset, shots, random_state, labels, data_home, return_X_y)


def load_clinc150(
    subset: str = "train",
    *,
    shots: int | str | None = None,
    random_state: Any = None,
    labels: Iterable[str] | None = None,
    out_of_scope: bool = False,
    data_home: str | os.PathLike[str] | None = None,
    return_X_y: bool = False,
) -> Bunch | tuple[list[str], np.ndarray]:
    """Load CLINC150: requests to an assistant, 150 intents of 10 domains.

    Parameters
    ----------
    subset : {"train", "valid", "test"}, default="train"
        15,000, 3,000 or 4,500 rows in scope.
    shots : int or "published", default=None
        An int draws this many rows of each class from train. "published" gives the 5-shot draw of
        Zhang et al. (2021). None takes all rows.
    random_state : int, RandomState instance or None, default=None
        Seed of the draw; only used if `shots` is an int. With the same seed, the rows of fewer
        shots are among those of more, and the rows drawn for a class depend neither on `labels` nor
        on `out_of_scope`.
    labels : list of str, default=None
        Keep these intents only; None keeps all. `oos` is not an intent: see `out_of_scope`.
    out_of_scope : bool, default=False
        Add the rows of the split that belong to none of the intents, labelled ``oos``, after the
        others: 100, 100 or 1,000. If `shots` is an int, as many of them are drawn.
    data_home : path, default=None
        Folder that holds ``clinc150/train.csv`` and so on; see :func:`load_banking77`. The hub's
        copy (``clinc/clinc_oos``, "plus") has 250 rows out of scope in train, not 100.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    Bunch
        `data` (list of str), `target` (ndarray of str, shape (n_texts,)), `target_names` (sorted
        list of the classes), `DESCR`, `subset` and `source` (where the rows came from).
    (data, target) : tuple
        If `return_X_y` is True.

    Raises
    ------
    ValueError
        If `subset`, `shots` or a label is not allowed, a class has fewer rows than `shots`, or
        `out_of_scope` is combined with the published draw, which has no such rows.
    TypeError
        If `labels` is a single string.
    OSError
        If the data is found nowhere; the message says what to do.

    Warns
    -----
    UserWarning
        If the hub's copy does not have the published number of rows or classes.

    Examples
    --------
    >>> from skcap.datasets import load_clinc150
    >>> test = load_clinc150("test", out_of_scope=True)  # doctest: +SKIP
    >>> len(test.data), len(test.target_names)  # doctest: +SKIP
    (5500, 151)
    """
    if out_of_scope and shots == "published":
        raise ValueError(
            "out_of_scope=True, but the published draw has no rows out of scope. "
            "Use shots=5, or out_of_scope=False."
        )
    return load_published(
        CLINC150, subset, shots, random_state, labels, data_home, return_X_y, out_of_scope
    )


def load_hwu64(
    subset: str = "train",
    *,
    shots: int | str | None = None,
    random_state: Any = None,
    labels: Iterable[str] | None = None,
    data_home: str | os.PathLike[str] | None = None,
    return_X_y: bool = False,
) -> Bunch | tuple[list[str], np.ndarray]:
    """Load HWU64: requests to a home assistant, 64 intents.

    Parameters
    ----------
    subset : {"train", "valid", "test"}, default="train"
        8,954, 1,076 or 1,076 rows; 70 rows of valid repeat others of valid.
    shots : int or "published", default=None
        An int draws this many rows of each class from train. "published" gives the 5-shot draw of
        Zhang et al. (2021). None takes all rows.
    random_state : int, RandomState instance or None, default=None
        Seed of the draw; only used if `shots` is an int. With the same seed, the rows of fewer
        shots are among those of more, and the rows drawn for a class do not depend on `labels`.
    labels : list of str, default=None
        Keep these classes only; None keeps all.
    data_home : path, default=None
        Folder that holds ``hwu64/train.csv`` and so on; see :func:`load_banking77`. The hub's copy
        is ``FastFit/hwu_64``; spaces in its label names become the source's underscores.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    Bunch
        `data` (list of str), `target` (ndarray of str, shape (n_texts,)), `target_names` (sorted
        list of the classes), `DESCR`, `subset` and `source` (where the rows came from).
    (data, target) : tuple
        If `return_X_y` is True.

    Raises
    ------
    ValueError
        If `subset`, `shots` or a label is not allowed, or a class has fewer rows than `shots`.
    TypeError
        If `labels` is a single string.
    OSError
        If the data is found nowhere; the message says what to do.

    Warns
    -----
    UserWarning
        If the hub's copy does not have the published number of rows or classes.

    Examples
    --------
    >>> from skcap.datasets import load_hwu64
    >>> X, y = load_hwu64(shots="published", return_X_y=True)  # doctest: +SKIP
    >>> y.shape  # doctest: +SKIP
    (320,)
    """
    return load_published(HWU64, subset, shots, random_state, labels, data_home, return_X_y)
