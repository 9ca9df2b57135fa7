"""Inspection of priors, classes, errors, searches and guidance: tables, plots and a report page."""

from skcap.inspection.agreement import correlation_table, prior_correlation
from skcap.inspection.classes import class_similarity, embed_texts, keyword_overlap
from skcap.inspection.compare import compare_guidance
from skcap.inspection.comparison import GuidanceComparison
from skcap.inspection.errors import (
    class_report,
    confusion_pairs,
    corrected_by_lexical_overlap,
    errors_by_overlap,
)
from skcap.inspection.plots import (
    ClassSimilarityDisplay,
    ConfusionPairsDisplay,
    CorrectionsDisplay,
    OverlapErrorsDisplay,
    plot_words,
)
from skcap.inspection.report import write_report
from skcap.inspection.search import plot_search, search_frame

__all__ = [
    "ClassSimilarityDisplay",
    "ConfusionPairsDisplay",
    "CorrectionsDisplay",
    "GuidanceComparison",
    "OverlapErrorsDisplay",
    "class_report",
    "class_similarity",
    "compare_guidance",
    "confusion_pairs",
    "corrected_by_lexical_overlap",
    "correlation_table",
    "embed_texts",
    "errors_by_overlap",
    "keyword_overlap",
    "plot_search",
    "plot_words",
    "prior_correlation",
    "search_frame",
    "write_report",
]
