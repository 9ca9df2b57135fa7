"""Labels of a file: what they mean, and which of a trained model's they are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["check_classes", "known_labels", "known_names", "read_label_names"]


def read_label_names(path: Path | None) -> dict[str, str] | None:
    """Read what ``--label-names`` names: a JSON object from labels to what they mean.

    Raises
    ------
    ValueError
        If the file holds anything else.
    """
    if path is None:
        return None
    try:
        names = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"--label-names: {path} is not JSON: {error}.") from None
    is_object = isinstance(names, dict) and all(isinstance(name, str) for name in names.values())
    if not is_object:
        raise ValueError(
            f"--label-names: {path} must hold one JSON object from labels to names, such as "
            '{"0": "complaint", "1": "praise"}.'
        )
    return names


def known_labels(classifier: Any, labels: list[str]) -> list[Any]:
    """Give labels of a file as a trained classifier knows them, such as 1 for "1".

    Raises
    ------
    ValueError
        If it does not know one.
    """
    own = _by_text(classifier)
    if unknown := sorted(set(labels) - own.keys()):
        raise ValueError(
            f"The model does not know {len(unknown)} of the labels, such as {unknown[0]!r}; it "
            f"knows {', '.join(map(repr, list(own)[:5]))}{', ...' if len(own) > 5 else ''}."
        )
    return [own[label] for label in labels]


def known_names(classifier: Any, names: Mapping[str, str] | None) -> dict[Any, str] | None:
    """Give names by the labels that a trained classifier knows, such as 1 for "1"."""
    if names is None:
        return None
    own = _by_text(classifier)
    return {own.get(label, label): name for label, name in names.items()}


def _by_text(classifier: Any) -> dict[str, Any]:
    """Find the labels of a trained classifier by what a file writes for them."""
    own = {str(label): label for label in classifier.classes_.tolist()}
    # Whole numbers may have become floats before training, as pandas does where one is missing.
    return own | {str(int(x)): x for x in own.values() if isinstance(x, float) and x.is_integer()}


def check_classes(labels: Sequence[str], source: str) -> None:
    """Refuse labels of which nothing can be learned, before work that costs time.

    Raises
    ------
    ValueError
        If all are the same.
    """
    if len(set(labels)) < 2:
        raise ValueError(
            f"{source} must hold texts of at least two classes, but all {len(labels):,} have the "
            f"label {labels[0]!r}. Is --label the right column?"
        )
