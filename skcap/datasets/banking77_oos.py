"""Banking77-OOS: 50 intents of a bank's customers, the other 27 out of scope."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skcap.datasets.bunch import as_bunch, check_shots, check_subset, choose_rows, select_labels
from skcap.datasets.files import find_folder, read_files
from skcap.utils.validation import check_choice

__all__ = ["load_banking77_oos"]

_OOS = "oos"
_FILES = {"in_domain": "id_oos", "other_domains": "ood_oos"}

_DESCR = """\
Banking77-OOS
=============
Questions of bank customers in English, all lower case. 50 of Banking77's 77 intents are in scope:
5,905 train, 1,506 valid, 2,000 test. Out of scope are, in the same domain, texts of the other 27
intents (530 valid, 1,080 test) and, from other domains, texts of CLINC150 (200 valid, 1,000 test).

Source: https://github.com/jianguoz/Few-Shot-Intent-Detection, folder Datasets/BANKING77-OOS, which
has no licence file; its texts are those of Banking77 (CC BY 4.0) and CLINC150 (CC BY 3.0).
Cite: Zhang, Hashimoto, Wan, Liu, Liu, Xiong, Yu, "Are Pre-trained Transformers Robust in Intent
Classification? A Missing Ingredient in Evaluation of Out-of-Scope Intent Detection", NLP for ConvAI
2022 (arXiv 2106.04564).
"""


def load_banking77_oos(
    subset: str = "train",
    *,
    shots: int | None = None,
    random_state: Any = None,
    labels: Iterable[str] | None = None,
    out_of_scope: str | None = None,
    data_home: str | os.PathLike[str] | None = None,
    return_X_y: bool = False,
) -> Bunch | tuple[list[str], np.ndarray]:
    """Load Banking77-OOS: 50 intents of bank customers, with questions that fit none of them.

    Parameters
    ----------
    subset : {"train", "valid", "test"}, default="train"
        5,905, 1,506 or 2,000 rows in scope.
    shots : int, default=None
        Draw this many rows of each class from train; None takes all.
    random_state : int, RandomState instance or None, default=None
        Seed of the draw; only used with `shots`. With the same seed, the rows of fewer shots are
        among those of more.
    labels : list of str, default=None
        Keep these intents only; None keeps all.
    out_of_scope : {"in_domain", "other_domains"}, default=None
        Add rows of valid or test that belong to none of the intents, labelled ``oos``, after the
        others. "in_domain" adds texts of Banking77's other 27 intents (530 or 1,080), which are
        hard to tell from those in scope; "other_domains" adds texts of CLINC150 (200 or 1,000).
    data_home : path, default=None
        Folder that holds ``banking77_oos/train.csv``, ``banking77_oos/id_oos_test.csv``,
        ``banking77_oos/ood_oos_test.csv`` and so on, header ``text,label``. None takes the folder
        that the environment variable ``SKCAP_DATA`` names. These files are on no hub.
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
    The texts are those of Banking77 (CC BY 4.0) and CLINC150 (CC BY 3.0); the repository with this
    split has no licence file. Cite Zhang et al., "Are Pre-trained Transformers Robust in Intent
    Classification?", NLP for ConvAI 2022 (arXiv 2106.04564).

    Examples
    --------
    >>> from skcap.datasets import load_banking77_oos
    >>> test = load_banking77_oos("test", out_of_scope="in_domain")  # doctest: +SKIP
    >>> len(test.data), (test.target == "oos").sum()  # doctest: +SKIP
    (3080, 1080)
    """
    check_subset(subset, ("train", "valid", "test"))
    check_shots(shots, subset, published=False)
    check_choice("out_of_scope", out_of_scope, (None, *_FILES))
    if out_of_scope is not None and subset == "train":
        raise ValueError(
            f"out_of_scope={out_of_scope!r}, but train has no rows out of scope. Pass "
            "subset='valid' or 'test', or out_of_scope=None."
        )
    folder = find_folder("banking77_oos", data_home)
    if folder is None:
        raise OSError(
            "Banking77-OOS is on no hub. Make CSV files of the folder Datasets/BANKING77-OOS of "
            "https://github.com/jianguoz/Few-Shot-Intent-Detection, and set data_home or the "
            f"environment variable SKCAP_DATA to a folder that holds banking77_oos/{subset}.csv, "
            "or use load_assistant_intents(), which ships with skcap."
        )
    rows = read_files(folder, [f"{subset}.csv"])
    chosen = select_labels(labels, {label for _, label in rows})
    rows = choose_rows(rows, shots, random_state, chosen)
    if out_of_scope is not None:
        outside = read_files(folder, [f"{_FILES[out_of_scope]}_{subset}.csv"])
        rows += [(text, _OOS) for text, _ in outside]
    return as_bunch(rows, subset=subset, descr=_DESCR, source=str(folder), return_X_y=return_X_y)
