"""Labels of a file: what they mean, and which of a trained model's they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["known_labels", "read_label_names"]


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
    own = {str(label): label for label in classifier.classes_.tolist()}
    # Whole numbers may have become floats before training, as pandas does where one is missing.
    own |= {str(int(x)): x for x in own.values() if isinstance(x, float) and x.is_integer()}
    if unknown := sorted(set(labels) - own.keys()):
        raise ValueError(
            f"The model does not know {len(unknown)} of the labels, such as {unknown[0]!r}; it "
            f"knows {', '.join(map(repr, list(own)[:5]))}{', ...' if len(own) > 5 else ''}."
        )
    return [own[label] for label in labels]
