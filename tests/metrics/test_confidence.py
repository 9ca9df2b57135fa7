"""Out-of-scope detection and calibration."""

import math
from enum import Enum

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from skcap.metrics import (
    auroc_out_of_scope,
    expected_calibration_error,
    fpr_at_95_tpr,
    out_of_scope_scores,
)

HIDDEN = np.ma.array([0, 1], mask=[False, True])
SCORES = st.lists(st.integers(0, 9).map(float), min_size=1, max_size=40)


def test_scores_by_hand():
    proba = [[0.7, 0.2, 0.1], [0.4, 0.35, 0.25]]
    np.testing.assert_allclose(out_of_scope_scores(proba), [0.3, 0.6])
    logits = [[2.0, 0.0], [1.0, 1.0]]
    expected = [-math.log(math.exp(2) + 1), -math.log(2 * math.e)]
    np.testing.assert_allclose(out_of_scope_scores(logits, "energy"), expected)
    expected = [-2 * math.log(math.e + 1), -2 * math.log(2 * math.exp(0.5))]
    np.testing.assert_allclose(out_of_scope_scores(logits, "energy", temperature=2.0), expected)


def test_energy_of_large_logits_is_finite():
    np.testing.assert_allclose(out_of_scope_scores([[1000.0, 0.0]], "energy"), [-1000.0])


def test_energy_of_two_classes_takes_the_difference_of_their_logits():
    margins = np.array([-3.0, 0.0, 0.5, 4.0])
    expected = -np.log(np.exp(margins / 2) + np.exp(-margins / 2))
    found = out_of_scope_scores(margins, "energy")
    np.testing.assert_allclose(found, expected)
    second = 1 / (1 + np.exp(-margins))
    probability = out_of_scope_scores(np.stack([1 - second, second], axis=1))
    assert np.argsort(found).tolist() == np.argsort(probability).tolist()


def test_energy_sees_the_scale_of_logits_and_the_maximum_probability_does_not():
    logits = np.array([[8.0, 4.0], [4.0, 0.0]])
    proba = out_of_scope_scores(softmax(logits, axis=1))
    assert proba[0] == pytest.approx(proba[1])
    assert np.diff(out_of_scope_scores(logits, "energy")) == pytest.approx(4.0)


def test_auroc_by_hand():
    # Pairs in which the text out of scope is higher: 3 of 4, and one tie of the four is a half.
    assert auroc_out_of_scope([1, 3], [2, 4]) == 0.75
    assert auroc_out_of_scope([1, 2], [2, 4]) == 0.875
    assert auroc_out_of_scope([3, 4], [1, 2]) == 0.0


@given(SCORES, SCORES)
@settings(max_examples=50)
def test_auroc_is_sklearns(inside, outside):
    truth = [0] * len(inside) + [1] * len(outside)
    assert auroc_out_of_scope(inside, outside) == roc_auc_score(truth, inside + outside)


def test_fpr_by_hand():
    inside = np.arange(20.0)  # 19 of them, those up to 18, are 95 %
    assert fpr_at_95_tpr(inside, [18.0, 18.5, 30.0, -1.0]) == 0.5
    assert fpr_at_95_tpr(inside, [19.0]) == 0.0
    assert fpr_at_95_tpr(np.arange(10.0), [9.0, 9.5]) == 0.5  # 9 of 10 are too few
    assert fpr_at_95_tpr([1.0, 1.0], [1.0]) == 1.0


@given(SCORES, SCORES)
@settings(max_examples=50)
def test_fpr_is_the_one_at_the_lowest_threshold_that_accepts_enough(inside, outside):
    enough = [t for t in inside if sum(score <= t for score in inside) >= 0.95 * len(inside)]
    expected = sum(score <= min(enough) for score in outside) / len(outside)
    assert fpr_at_95_tpr(inside, outside) == pytest.approx(expected)


def test_calibration_by_hand():
    # two bins of two: (0.5, 1] holds 0.6, 0.8 and 1.0, of which the last is wrong
    proba = [[0.6, 0.3, 0.1], [0.8, 0.2, 0.0], [0.0, 0.0, 1.0], [0.4, 0.3, 0.3]]
    expected = (abs(2.4 - 2) + abs(0.4 - 0)) / 4
    assert expected_calibration_error([0, 0, 1, 1], proba, n_bins=2) == pytest.approx(expected)
    # one bin: the gap of the mean confidence and the accuracy
    assert expected_calibration_error([0, 0, 1, 1], proba, n_bins=1) == pytest.approx(0.7 - 0.5)
    # confidences on an edge belong to the bin below it
    proba = [[0.5, 0.5], [0.5, 0.5], [0.75, 0.25]]
    assert expected_calibration_error([0, 0, 1], proba, n_bins=2) == pytest.approx(1.75 / 3)


def test_calibration_of_a_sure_and_right_classifier_is_zero():
    assert expected_calibration_error(["a", "b"], np.eye(2), classes=["a", "b"]) == 0.0
    assert expected_calibration_error(["b", "a"], np.eye(2), classes=["a", "b"]) == 1.0


def test_labels_may_be_a_column_vector():
    proba, classes = [[0.9, 0.1], [0.4, 0.6]], ["a", "b"]
    expected = expected_calibration_error(["a", "a"], proba, classes=classes)
    assert expected_calibration_error([["a"], ["a"]], proba, classes=classes) == expected


def test_labels_may_be_members_of_an_enumeration():
    intents = Enum("Intent", {"FEE": "fee", "PIN": "pin"})
    proba, classes = [[0.9, 0.1], [0.4, 0.6]], ["fee", "pin"]
    expected = expected_calibration_error(["fee", "pin"], proba, classes=classes)
    assert expected_calibration_error(list(intents), proba, classes=classes) == expected


def test_labels_of_different_kinds_are_not_made_strings():
    with pytest.raises(ValueError, match="y_true holds labels of different kinds"):
        expected_calibration_error(["a", 1], np.eye(2), classes=["a", "1"])


@pytest.mark.parametrize("n_bins", [1, 3, 15])
def test_calibration_is_the_definition_written_down(n_bins):
    rng = np.random.default_rng(0)
    proba, truth = rng.dirichlet(np.ones(4) / 2, size=200), rng.integers(0, 4, 200)
    confidence, right = proba.max(axis=1), proba.argmax(axis=1) == truth
    expected = 0.0
    for b in range(n_bins):
        inside = (confidence > b / n_bins) & (confidence <= (b + 1) / n_bins)
        if inside.any():
            expected += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    assert expected_calibration_error(truth, proba, n_bins) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: out_of_scope_scores([[3.0, 1.0]]), "outputs must hold probabilities"),
        (lambda: out_of_scope_scores([[0.9, 0.1]], "energy"), "the energy needs logits"),
        (lambda: out_of_scope_scores([[0.9, 0.1]], "entropy"), "method must be one of"),
        (lambda: out_of_scope_scores([[1, 2]], "energy", temperature=0), "temperature must be"),
        (lambda: out_of_scope_scores([0.9, 0.1]), r"outputs must have 2 dimension\(s\)"),
        (lambda: auroc_out_of_scope([], [1]), "scores_in is empty"),
        (lambda: fpr_at_95_tpr([1], []), "scores_out is empty"),
        (lambda: auroc_out_of_scope([1], [np.nan]), "scores_out must be finite"),
        (lambda: expected_calibration_error([0], [[2.0, 3.0]]), "proba must hold probabilities"),
        (lambda: expected_calibration_error([], np.empty((0, 2))), "proba is empty"),
        (lambda: expected_calibration_error(["a"], [[1, 0]]), "y_true holds classes that"),
        (lambda: expected_calibration_error([0, 1], [[1, 0]]), "y_true has 2 rows for 1 texts"),
        (lambda: expected_calibration_error([0], [[1, 0]], n_bins=0), "n_bins must be"),
        (lambda: expected_calibration_error(0, [[1, 0]]), "y_true must hold one label per text"),
        (lambda: expected_calibration_error(np.eye(2), np.eye(2)), "y_true should be a 1d array"),
        (lambda: expected_calibration_error(HIDDEN, np.eye(2)), "y_true holds masked values"),
        (lambda: auroc_out_of_scope(HIDDEN, [1.0]), "scores_in holds masked values"),
        (lambda: out_of_scope_scores(sparse.eye(2).tocsr()), "outputs must be an array of numbers"),
        (lambda: fpr_at_95_tpr([1.0], ["high"]), "scores_out must be an array of numbers"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
