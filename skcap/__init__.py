"""Find the words that a text classifier relies on but should not, and train it without them.

    texts, y ──► priors ──► PriorMatrix ──► GuidedTextClassifier ──► predict, explain
                   │             │                 │
                  llm      ShortcutAudit      cross-entropy + beta * guidance

Where things are, from the top layer down:

================  =============================================================================
``cli``           the command line, one file per command
``inspection``    agreement of priors, classes, errors, searches; plots, a report page,
                  ``compare_guidance``
``adversarial``   test sets that swap or add the keywords of confusable classes
``priors``        transformers that score the words of labelled texts: CAP, LIME, SHAP, integrated
                  gradients, your own scores, and ``HybridPrior``
``classifier``    ``GuidedTextClassifier``: an encoder, a head, training
``export``        fitted classifiers as files: a folder, a model card, ONNX
``guidance``      what is learned besides the labels, one strategy per file
``shortcuts``     ``ShortcutAudit``: words that a classifier relies on but should not
``metrics``       comprehensiveness, sufficiency, plausibility, stability, confidence; scorers
``llm``           language models: log-likelihoods of labels, the shared prefix computed once
``attribution``   integrated gradients that keep their graph
``prior_matrix``  ``PriorMatrix``: texts, words, one score per word
``models``        aliases of models that a package index carries, folders, the hub
``datasets``      intent data sets, one of them in the package
``utils``         words, labels, checks, seeds, norms, pages, files, the prior cache
================  =============================================================================

Names are imported on first use, so that ``import skcap`` stays light.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skcap.classifier import GuidedTextClassifier
    from skcap.llm import FakeLLM, ServerLLM, TransformersLLM
    from skcap.prior_matrix import PriorMatrix, PriorRecord
    from skcap.priors import (
        CAPPriorTransformer,
        HybridPrior,
        IGPriorTransformer,
        LimePriorTransformer,
        PrecomputedPrior,
        ShapPriorTransformer,
    )
    from skcap.shortcuts import ShortcutAudit
    from skcap.utils.versions import show_versions

__all__ = [
    "CAPPriorTransformer",
    "FakeLLM",
    "GuidedTextClassifier",
    "HybridPrior",
    "IGPriorTransformer",
    "LimePriorTransformer",
    "PrecomputedPrior",
    "PriorMatrix",
    "PriorRecord",
    "ServerLLM",
    "ShapPriorTransformer",
    "ShortcutAudit",
    "TransformersLLM",
    "show_versions",
]

__version__ = version("skcap")

_MODULE_OF = {
    "CAPPriorTransformer": "skcap.priors",
    "FakeLLM": "skcap.llm",
    "GuidedTextClassifier": "skcap.classifier",
    "HybridPrior": "skcap.priors",
    "IGPriorTransformer": "skcap.priors",
    "LimePriorTransformer": "skcap.priors",
    "PrecomputedPrior": "skcap.priors",
    "PriorMatrix": "skcap.prior_matrix",
    "PriorRecord": "skcap.prior_matrix",
    "ServerLLM": "skcap.llm",
    "ShapPriorTransformer": "skcap.priors",
    "ShortcutAudit": "skcap.shortcuts",
    "TransformersLLM": "skcap.llm",
    "show_versions": "skcap.utils.versions",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'skcap' has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULE_OF])
