"""Metrics of explanations: faithfulness, plausibility and stability.

All of them are functions of probabilities and attributions; none of them knows an estimator. A
*rationale* is a set of words of a text, always by position.
"""

from skcap.metrics.faithfulness import (
    ERASER_BINS,
    FaithfulnessCurve,
    comprehensiveness,
    faithfulness_curve,
    leave_one_out,
    sufficiency,
)
from skcap.metrics.plausibility import (
    rationale_auprc,
    rationale_iou,
    rationale_iou_f1,
    token_f1,
)
from skcap.metrics.rationales import keep_words, rationale_masks, remove_words
from skcap.metrics.scorers import (
    SCORERS,
    FaithfulnessScorer,
    comprehensiveness_scorer,
    explain_texts,
    faithfulness_scores,
    make_comprehensiveness_scorer,
    make_neg_sufficiency_scorer,
    neg_sufficiency_scorer,
)
from skcap.metrics.stability import explanation_stability

__all__ = [
    "ERASER_BINS",
    "SCORERS",
    "FaithfulnessCurve",
    "FaithfulnessScorer",
    "comprehensiveness",
    "comprehensiveness_scorer",
    "explain_texts",
    "explanation_stability",
    "faithfulness_curve",
    "faithfulness_scores",
    "keep_words",
    "leave_one_out",
    "make_comprehensiveness_scorer",
    "make_neg_sufficiency_scorer",
    "neg_sufficiency_scorer",
    "rationale_auprc",
    "rationale_iou",
    "rationale_iou_f1",
    "rationale_masks",
    "remove_words",
    "sufficiency",
    "token_f1",
]
