import numpy as np
import pytest
from scipy.stats import spearmanr

from skcap.metrics import explanation_stability
from skcap.prior_matrix import PriorMatrix

NAN = float("nan")


def test_stability_is_spearmans_correlation():
    rng = np.random.default_rng(1)
    lengths = rng.integers(4, 60, 25)
    texts = [" ".join(["w"] * length) for length in lengths]
    a = [rng.normal(size=length).round(1) for length in lengths]  # rounded: with ties
    b = [(scores + rng.normal(size=scores.size)).round(1) for scores in a]
    expected = [spearmanr(x, y).statistic for x, y in zip(a, b, strict=True)]
    first, second = PriorMatrix(texts, a), PriorMatrix(texts, b)
    per_text = explanation_stability(first, second, per_text=True)
    np.testing.assert_allclose(per_text, expected, atol=1e-6)
    assert explanation_stability(first, second) == pytest.approx(np.mean(expected), abs=1e-6)


def test_stability_leaves_out_unscored_words_and_undefined_texts():
    texts = ["a b c d", "e f", "g h", "i"]
    a = PriorMatrix(texts, [[1, 2, NAN, 3], [1, 1], [1, NAN], [1]])
    b = PriorMatrix(texts, [[3, 2, 9, NAN], [1, 2], [1, 2], [1]])
    per_text = explanation_stability(a, b, per_text=True)
    np.testing.assert_array_equal(per_text, [-1, NAN, NAN, NAN])
    with pytest.warns(UserWarning, match="undefined for 3 of 4"):
        assert explanation_stability(a, b) == -1.0


def test_stability_under_paraphrase():
    a = PriorMatrix(["play the jazz the"], [[0.5, 0.1, 0.9, 0.3]])  # the: 0.4 in all
    b = PriorMatrix(["the jazz please play"], [[0.1, 0.8, 0.9, 0.2]])
    assert explanation_stability(a, b, by="word") == pytest.approx(1.0)
    with pytest.raises(ValueError, match="differ in the words of row 0"):
        explanation_stability(a, b)
    with pytest.raises(ValueError, match="b has 2 rows for 1 texts"):
        explanation_stability(a, PriorMatrix(["a", "b"]))
    with pytest.raises(ValueError, match="by must be one of 'position', 'word', got 'token'"):
        explanation_stability(a, a, by="token")


def test_stability_is_of_prior_matrices():
    a = PriorMatrix(["a b"], [[1, 2]])
    with pytest.raises(TypeError, match="b must be a PriorMatrix, got list"):
        explanation_stability(a, [[1, 2]])
