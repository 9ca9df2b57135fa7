"""Attribution priors from language models, for text classifiers that must explain themselves.

    texts, y ──► priors ──► PriorMatrix ──► GuidedTextClassifier ──► predict, explain
                   │                              │
                  llm                    cross-entropy + beta * alignment

Where things are:

=================  ============================================================================
``priors``         transformers that score the words of labelled texts (``fit_transform``): CAP,
                   LIME, SHAP, integrated gradients, your own scores, and ``HybridPrior``
``prior_matrix``   ``PriorMatrix``, what they emit: texts, words, one score a word
``llm``            language models: log-likelihoods of labels, prefix computed once
``cache``          what a language model said about a text, on disk
``classifier``     ``GuidedTextClassifier``: trains an encoder to agree with the priors;
                   ``guided_net`` is its training loop, ``encoder`` its torch module
``attribution``    integrated gradients that keep the graph; ``losses`` what compares them
``metrics``        comprehensiveness, sufficiency, plausibility, stability; ``scoring`` makes
                   scikit-learn scorers of them
``search``         reads what ``GridSearchCV`` found, as table and plot
``adversarial``    test sets that swap or add the keywords of confusable classes
``analysis``       agreement of priors, overlap of classes, errors before and after
``plotting``       pictures of both; ``html`` and ``report`` pages with coloured words
``datasets``       intent detection sets, one of them in the package
``models``         aliases for models that a package index carries
``words``          the only word splitter
=================  ============================================================================

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
    from skcap.priors.cap import CAPPriorTransformer
    from skcap.priors.hybrid import HybridPrior
    from skcap.priors.integrated_gradients import IGPriorTransformer
    from skcap.priors.lime import LimePriorTransformer
    from skcap.priors.precomputed import PrecomputedPrior
    from skcap.priors.shap import ShapPriorTransformer

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
    "TransformersLLM",
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
    "TransformersLLM": "skcap.llm",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'skcap' has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULE_OF])
