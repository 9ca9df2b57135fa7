"""The classifier: an encoder with a linear head, trained with or without guidance."""

from skcap.classifier.estimator import GuidedTextClassifier

__all__ = [
    "GuidedTextClassifier",
]
