"""Plots of word scores and of what changed in a model. They need the extra ``skcap[plots]``.

Everything is drawn into given axes or into a figure of its own; nothing is shown or saved. Colours
can be told apart by the colour-blind: blue speaks for, orange against; darker is more.
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
