"""PriorMatrix: texts and one score per word, in a form that scikit-learn can split and stack."""

from skcap.prior_matrix.matrix import PriorMatrix
from skcap.prior_matrix.parts import PriorRecord, check_same_texts

__all__ = ["PriorMatrix", "PriorRecord", "check_same_texts"]
