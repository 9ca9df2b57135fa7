"""Plots of word scores, classes, errors and gains. They need the extra ``skcap[plots]``.

Everything is drawn into the axes that are passed, or into a new figure; nothing is shown or saved.
The colours are safe for the colour-blind: blue speaks for a label, orange against it; darker is
more.
"""

from skcap.inspection.plots.class_similarity import ClassSimilarityDisplay
from skcap.inspection.plots.confusion_pairs import ConfusionPairsDisplay
from skcap.inspection.plots.corrections import CorrectionsDisplay
from skcap.inspection.plots.overlap_errors import OverlapErrorsDisplay
from skcap.inspection.plots.words import plot_words

__all__ = [
    "ClassSimilarityDisplay",
    "ConfusionPairsDisplay",
    "CorrectionsDisplay",
    "OverlapErrorsDisplay",
    "plot_words",
]
