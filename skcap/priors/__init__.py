"""Attribution priors: transformers that score the words of labelled texts."""

from skcap.priors.base import BasePrior
from skcap.priors.cap import PAPER_FORM, CAPPriorTransformer
from skcap.priors.cost import CostEstimate
from skcap.priors.hybrid import HybridPrior
from skcap.priors.integrated_gradients import IGPriorTransformer
from skcap.priors.lime import LimePriorTransformer
from skcap.priors.precomputed import PrecomputedPrior
from skcap.priors.shap import ShapPriorTransformer
from skcap.utils import workers  # noqa: F401  (worker processes end with this one)

__all__ = [
    "PAPER_FORM",
    "BasePrior",
    "CAPPriorTransformer",
    "CostEstimate",
    "HybridPrior",
    "IGPriorTransformer",
    "LimePriorTransformer",
    "PrecomputedPrior",
    "ShapPriorTransformer",
]
