"""The classifier: an encoder with a linear head, trained with or without guidance."""

from skcap.classifier.estimator import GuidedTextClassifier
from skcap.utils import workers  # noqa: F401  (worker processes end with this one)

__all__ = [
    "GuidedTextClassifier",
]
