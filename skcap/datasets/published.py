"""Public intent data sets with published splits, from a local folder or from the hub."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
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
from skcap.datasets.files import Row, find_folder, read_files

__all__ = ["PublishedSet", "load_published"]

_OOS = "oos"  # CLINC150's label of what belongs to none of its intents


@dataclass(frozen=True)
class PublishedSet:
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


def load_published(
    spec: PublishedSet,
    subset: str,
    shots: int | str | None,
    random_state: Any,
    labels: Iterable[str] | None,
    data_home: str | os.PathLike[str] | None,
    return_X_y: bool,
    out_of_scope: bool = False,
) -> Bunch | tuple[list[str], np.ndarray]:
    """Load a data set; the arguments are those of the public loaders."""
    hint = "" if "valid" in spec.n_rows else _no_valid(spec)
    check_subset(subset, spec.n_rows, hint)
    check_shots(shots, subset, published=True)
    folder = find_folder(spec.folder, data_home)
    if folder is not None:
        source = str(folder)
        part = "train_5" if shots == "published" else subset
        names = [f"{part}.csv"] + ([f"oos_{part}.csv"] if out_of_scope else [])
        rows = read_files(folder, names)
    elif shots == "published":
        raise OSError(
            f"The published 5-shot draw of {spec.title} is not on the hub: it needs the file "
            f"{spec.folder}/train_5.csv in a local folder. {_what_to_do(spec, hub=False)} "
            "shots=5 draws 5 rows per class from train instead."
        )
    else:
        source = f"hub:{spec.hub_id}"
        rows = _from_hub(spec, subset, out_of_scope)
    intents = {label for _, label in rows if label != _OOS}
    hint = scope_hint(_OOS, out_of_scope) if spec.n_oos else ""
    chosen = select_labels(labels, intents, hint) | ({_OOS} if out_of_scope else set())
    rows = choose_rows(rows, None if isinstance(shots, str) else shots, random_state, chosen)
    return as_bunch(rows, subset=subset, descr=spec.descr, source=source, return_X_y=return_X_y)


def _no_valid(spec: PublishedSet) -> str:
    return (
        f" {spec.title} has no published validation split: take it from train, for example "
        "with sklearn.model_selection.train_test_split(X, y, stratify=y)."
    )


def _from_hub(spec: PublishedSet, subset: str, out_of_scope: bool) -> list[Row]:
    table = _hub_table(spec, "validation" if subset == "valid" else subset)
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


def _hub_table(spec: PublishedSet, split: str) -> Any:
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise OSError(
            f"{spec.title} is in no local folder, and fetching it from the hub needs the package "
            f"'datasets', which is not installed. {_what_to_do(spec, hub=True)}"
        ) from error
    try:
        return load_dataset(spec.hub_id, spec.hub_config, split=split)
    except Exception as error:  # the hub's clients raise errors of a dozen unrelated types
        raise OSError(
            f"{spec.title} is in no local folder, and the hub did not give {spec.hub_id!r} "
            f"({type(error).__name__}: {error}). {_what_to_do(spec, hub=False)}"
        ) from error


def _warn_if_unlike_published(
    spec: PublishedSet, subset: str, inside: list[Row], outside: list[Row] | None
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
            "scores may not be comparable with published ones.",
            UserWarning,
            stacklevel=5,  # the caller of the loader
        )


def _what_to_do(spec: PublishedSet, *, hub: bool) -> str:
    install = "run pip install 'skcap[hub]' and try again with network access, " if hub else ""
    return (
        f"Set the environment variable SKCAP_DATA to a folder that holds {spec.folder}/ with its "
        f"CSV files, {install}or use load_assistant_intents(), which ships with skcap."
    )
