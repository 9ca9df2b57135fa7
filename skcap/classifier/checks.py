"""What `fit` and `predict` of GuidedTextClassifier take: checks of texts, priors and labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from skcap.guidance import BaseGuidance
from skcap.prior_matrix import PriorMatrix
from skcap.utils.labels import check_labels
from skcap.utils.words import check_texts

__all__ = ["check_priors", "check_some_texts", "sort_labels"]


def check_priors(X: Any, guidance: BaseGuidance) -> None:
    """Refuse texts without a prior where a guidance needs one."""
    name = type(guidance).__name__
    remedy = (
        "Put a prior transformer, such as CAPPriorTransformer, before the classifier in a "
        "Pipeline, pass a PriorMatrix with scores (from a prior's fit_transform or attribute), or "
        "train without guidance: guidance=None."
    )
    if not isinstance(X, PriorMatrix):
        raise ValueError(
            f"{name} needs a prior, but X is {type(X).__name__}: plain texts without one. {remedy}"
        )
    if not X.has_scores:
        raise ValueError(
            f"{name} needs a prior, but the PriorMatrix has no scores (a prior's transform gives "
            f"none). {remedy}"
        )


def check_some_texts(X: Any) -> list[str]:
    """Give texts as a list, of which there must be at least one."""
    texts = check_texts(X)
    if not texts:
        raise ValueError("X holds no texts; at least one is needed.")
    return texts


def sort_labels(y: Any, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Give the sorted labels and the position of each text's label among them."""
    if y is None:
        raise ValueError("GuidedTextClassifier requires y to be passed, but the target y is None.")
    classes, codes = np.unique(check_labels(texts, y), return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            "GuidedTextClassifier needs at least two classes, but y holds 1 class: "
            f"{classes.tolist()[0]!r}."
        )
    return classes, codes
