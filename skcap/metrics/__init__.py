"""Metrics of explanations and of confidence, and scorers for scikit-learn.

* Faithfulness: what a classifier loses without the words that an explanation names, and with them
  alone. ``rules`` say what a rationale is, the same for all of its measures.
* Plausibility: agreement of explanations with the words that people chose.
* Stability: agreement of two explanations of the same texts.
* Confidence: detection of texts that belong to no class, and calibration.

The metrics are functions of probabilities and attributions; scorers and ``explain_texts`` take
fitted estimators. A *rationale* is a set of words of a text, always by position.
"""

from skcap.metrics.calibration import expected_calibration_error
from skcap.metrics.explanations import explain_texts, leave_one_out
from skcap.metrics.faithfulness import (
    FaithfulnessCurve,
    comprehensiveness,
    faithfulness_curve,
    sufficiency,
)
from skcap.metrics.out_of_scope import auroc_out_of_scope, fpr_at_95_tpr, out_of_scope_scores
from skcap.metrics.plausibility import (
    rationale_auprc,
    rationale_iou,
    rationale_iou_f1,
    token_f1,
)
from skcap.metrics.rationales import keep_words, rationale_masks, remove_words
from skcap.metrics.rules import ER_TEST, ERASER, ERASER_BINS, RationaleRules
from skcap.metrics.scorers import (
    SCORERS,
    FaithfulnessScorer,
    faithfulness_scores,
    get_scorer,
)
from skcap.metrics.stability import explanation_stability

__all__ = [
    "ERASER",
    "ERASER_BINS",
    "ER_TEST",
    "SCORERS",
    "FaithfulnessCurve",
    "FaithfulnessScorer",
    "RationaleRules",
    "auroc_out_of_scope",
    "comprehensiveness",
    "expected_calibration_error",
    "explain_texts",
    "explanation_stability",
    "faithfulness_curve",
    "faithfulness_scores",
    "fpr_at_95_tpr",
    "get_scorer",
    "keep_words",
    "leave_one_out",
    "out_of_scope_scores",
    "rationale_auprc",
    "rationale_iou",
    "rationale_iou_f1",
    "rationale_masks",
    "remove_words",
    "sufficiency",
    "token_f1",
]
