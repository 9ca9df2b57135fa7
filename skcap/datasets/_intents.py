"""Banking77, CLINC150 and HWU64: from a local folder, else from the hub."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skcap.datasets._bunch import (
    Row,
    as_bunch,
    check_shots,
    check_subset,
    draw_shots,
    read_rows,
    select_labels,
)

__all__ = ["load_banking77", "load_clinc150", "load_hwu64"]

_OOS = "oos"  # CLINC150's label of what belongs to none of its intents


@dataclass(frozen=True)
class _IntentSet:
    """What is known of a public data set."""

    folder: str
    title: str
    n_rows: dict[str, int]  # published number of rows in scope, by subset
    n_classes: int
    n_oos: dict[str, int]  # published number of rows out of scope, by subset
    hub_id: str
    hub_config: str | None
    hub_label: str  # the hub's label column
    descr: str


_BANKING77 = _IntentSet(
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
13,083 questions of bank customers in English, 77 fine-grained intents: 10,003 train (35 to 187 a
class), 3,080 test (40 a class), no validation split.

Label names are the source's own, with two irregular ones: `Refund_not_showing_up` (capital) and
`reverted_card_payment?` (question mark). 6 test texts are also in train, with the same labels.

The published 5-shot draw (shots="published", 385 rows) is all lower case in its source while train
and test are not. It is given as it is: with a cased model, lower-case all splits, or draw cased
rows with shots=5.

Source: https://github.com/PolyAI-LDN/task-specific-datasets (CC BY 4.0); the 5-shot draw:
https://github.com/jianguoz/Few-Shot-Intent-Detection.
Cite: Casanueva, Temcinas, Gerz, Henderson, Vulic, "Efficient Intent Detection with Dual Sentence
Encoders", NLP for ConvAI, ACL 2020. The draw: Zhang et al., EMNLP 2020 and 2021.
""",
)

_CLINC150 = _IntentSet(
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
a class, all lower case. Out of scope apart, all labelled `oos`: 100 train, 100 valid, 1,000 test
(the hub's copy has 250 in train).

5 texts of valid and test are also in train, 4 of them under another label; the published 5-shot
draw (shots="published", 750 rows) holds one of these.

Source: https://github.com/clinc/oos-eval (CC BY 3.0); the 5-shot draw:
https://github.com/jianguoz/Few-Shot-Intent-Detection.
Cite: Larson et al., "An Evaluation Dataset for Intent Classification and Out-of-Scope Prediction",
EMNLP-IJCNLP 2019. The draw: Zhang et al., EMNLP 2020 and 2021.
""",
)

_HWU64 = _IntentSet(
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
a class), 1,076 valid and 1,076 test (3 to 19 a class).

valid repeats 70 of its rows, so it has 1,006 distinct ones. No text is shared between the splits.
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
        Zhang et al. (2021), which is **all lower case** while train and test are not; its texts are
        given as they are. None takes all rows.
    random_state : int, RandomState instance or None, default=None
        Seed of the draw; used by an int `shots` alone. With one seed, fewer shots are part of more,
        and `labels` changes nothing about the rows that a class gives.
    labels : list of str, default=None
        Keep these classes only; None keeps all.
    data_home : path, default=None
        Folder that holds ``banking77/train.csv`` and so on. None takes the environment variable
        ``SKCAP_DATA``, else a folder ``shared/data`` beside the checkout or the working directory,
        else the hub (``mteb/banking77``, by the package `datasets`). A folder that is named but
        lacks the data is an error, never a reason to look further.
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
        If `subset`, `shots` or a label is not to be had, or a class has fewer rows than `shots`.
    TypeError
        If `labels` is a single string.
    OSError
        If the data is found nowhere; says what to do.

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
    return _load(_BANKING77, subset, shots, random_state, labels, data_home, return_X_y)


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
        Seed of the draw; used by an int `shots` alone. With one seed, fewer shots are part of more,
        and neither `labels` nor `out_of_scope` changes the rows that a class gives.
    labels : list of str, default=None
        Keep these intents only; None keeps all. `oos` is not an intent: see `out_of_scope`.
    out_of_scope : bool, default=False
        Add the rows of the split that belong to none of the intents, labelled ``oos``, after the
        others: 100, 100 or 1,000. An int `shots` draws from them too.
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
        If `subset`, `shots` or a label is not to be had, a class has fewer rows than `shots`, or
        `out_of_scope` is asked of the published draw, which has no such rows.
    TypeError
        If `labels` is a single string.
    OSError
        If the data is found nowhere; says what to do.

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
    return _load(
        _CLINC150, subset, shots, random_state, labels, data_home, return_X_y, out_of_scope
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
        Seed of the draw; used by an int `shots` alone. With one seed, fewer shots are part of more,
        and `labels` changes nothing about the rows that a class gives.
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
        If `subset`, `shots` or a label is not to be had, or a class has fewer rows than `shots`.
    TypeError
        If `labels` is a single string.
    OSError
        If the data is found nowhere; says what to do.

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
    return _load(_HWU64, subset, shots, random_state, labels, data_home, return_X_y)


def _load(
    spec: _IntentSet,
    subset: str,
    shots: int | str | None,
    random_state: Any,
    labels: Iterable[str] | None,
    data_home: str | os.PathLike[str] | None,
    return_X_y: bool,
    out_of_scope: bool = False,
) -> Bunch | tuple[list[str], np.ndarray]:
    hint = "" if "valid" in spec.n_rows else _no_valid(spec)
    check_subset(subset, spec.n_rows, hint)
    check_shots(shots, subset, published=True)
    folder = _find_folder(spec, data_home)
    if folder is not None:
        source = str(folder)
        rows = _from_folder(folder, "train_5" if shots == "published" else subset, out_of_scope)
    elif shots == "published":
        raise OSError(
            f"The published 5-shot draw of {spec.title} is not on the hub: it needs the file "
            f"{spec.folder}/train_5.csv in a local folder. {_what_to_do(spec, hub=False)} "
            "shots=5 draws 5 rows a class of your own."
        )
    else:
        source = f"hub:{spec.hub_id}"
        rows = _from_hub(spec, subset, out_of_scope)
    intents = {label for _, label in rows if label != _OOS}
    hint = " For rows out of scope, pass out_of_scope=True." if spec.n_oos else ""
    chosen = select_labels(labels, intents, hint)
    if out_of_scope:
        chosen.add(_OOS)
    if isinstance(shots, str) or shots is None:
        rows = [row for row in rows if row[1] in chosen]
    else:
        rows = draw_shots(rows, shots, random_state, chosen)
    return as_bunch(rows, subset=subset, descr=spec.descr, source=source, return_X_y=return_X_y)


def _no_valid(spec: _IntentSet) -> str:
    return (
        f" {spec.title} has no published validation split: take it from train, for example "
        "with sklearn.model_selection.train_test_split(X, y, stratify=y)."
    )


def _find_folder(spec: _IntentSet, data_home: str | os.PathLike[str] | None) -> Path | None:
    """Return the folder that holds the files of the data set, or None where there is none."""
    named = {"data_home": data_home, "SKCAP_DATA": os.environ.get("SKCAP_DATA") or None}
    for name, value in named.items():
        if value is not None:
            folder = Path(value).expanduser() / spec.folder
            if not folder.is_dir():
                raise FileNotFoundError(
                    f"{name} is {str(value)!r}, but there is no folder {folder}. It must hold "
                    f"{spec.folder}/train.csv, {spec.folder}/test.csv and so on, with the header "
                    "'text,label'."
                )
            return folder
    checkout = Path(__file__).resolve().parents[2]
    for base in (checkout.parent, Path.cwd().parent):
        folder = base / "shared" / "data" / spec.folder
        if folder.is_dir():
            return folder
    return None


def _from_folder(folder: Path, part: str, out_of_scope: bool) -> list[Row]:
    names = [f"{part}.csv"] + ([f"oos_{part}.csv"] if out_of_scope else [])
    rows: list[Row] = []
    for name in names:
        path = folder / name
        if not path.is_file():
            raise FileNotFoundError(
                f"The folder {folder} lacks the file {name}; it must be a CSV file with the header "
                "'text,label'."
            )
        rows += [(row["text"], row["label"]) for row in read_rows(path)]
    return rows


def _from_hub(spec: _IntentSet, subset: str, out_of_scope: bool) -> list[Row]:
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise OSError(
            f"{spec.title} is in no local folder, and fetching it from the hub takes the package "
            f"'datasets', which is not installed. {_what_to_do(spec, hub=True)}"
        ) from error
    split = "validation" if subset == "valid" else subset
    try:
        table = load_dataset(spec.hub_id, spec.hub_config, split=split)
    except Exception as error:  # the hub's clients raise errors of a dozen unrelated types
        raise OSError(
            f"{spec.title} is in no local folder, and the hub did not give {spec.hub_id!r} "
            f"({type(error).__name__}: {error}). {_what_to_do(spec, hub=False)}"
        ) from error
    labels = list(table[spec.hub_label])
    names = getattr(table.features[spec.hub_label], "names", None)
    if names is not None:  # the column holds numbers of classes
        labels = [names[number] for number in labels]
    # No label of the sources holds a space, but copies on the hub may spell them with spaces.
    labels = [label.replace(" ", "_") for label in labels]
    rows = list(zip(table["text"], labels, strict=True))
    inside = [row for row in rows if row[1] != _OOS]
    outside = [row for row in rows if row[1] == _OOS] if out_of_scope else []
    _warn_if_unlike_published(spec, subset, inside, outside if out_of_scope else None)
    return inside + outside


def _warn_if_unlike_published(
    spec: _IntentSet, subset: str, inside: list[Row], outside: list[Row] | None
) -> None:
    found = {"rows": len(inside), "classes": len({label for _, label in inside})}
    published = {"rows": spec.n_rows[subset], "classes": spec.n_classes}
    if outside is not None:
        found["rows out of scope"] = len(outside)
        published["rows out of scope"] = spec.n_oos[subset]
    unlike = [
        f"{found[k]} {k} instead of {published[k]}" for k in found if found[k] != published[k]
    ]
    if unlike:
        warnings.warn(
            f"The hub's copy {spec.hub_id!r} of {spec.title} {subset} has {', '.join(unlike)}: "
            "scores may not compare with published ones.",
            UserWarning,
            stacklevel=5,  # the caller of the loader
        )


def _what_to_do(spec: _IntentSet, *, hub: bool) -> str:
    install = "run pip install 'skcap[hub]' and try again with network access, " if hub else ""
    return (
        f"Set the environment variable SKCAP_DATA to a folder that holds {spec.folder}/ with its "
        f"CSV files, {install}or use load_assistant_intents(), which ships with skcap."
    )
