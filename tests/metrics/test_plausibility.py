import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, jaccard_score

from skcap.metrics import rationale_auprc, rationale_iou, rationale_iou_f1, token_f1
from skcap.prior_matrix import PriorMatrix

NAN = float("nan")

MASKS = st.integers(1, 9).flatmap(
    lambda n: st.tuples(*[st.lists(st.booleans(), min_size=n, max_size=n)] * 2)
)


@given(MASKS)
@settings(max_examples=60)
def test_token_f1_and_iou_agree_with_sklearn(masks):
    ours, human = map(np.array, masks)
    if not (ours | human).any():
        assert math.isnan(token_f1([ours], [human], per_text=True)[0])
        assert math.isnan(rationale_iou([ours], [human], per_text=True)[0])
    else:
        assert token_f1([ours], [human]) == pytest.approx(f1_score(human, ours))
        assert rationale_iou([ours], [human]) == pytest.approx(jaccard_score(human, ours))


def test_token_f1_averages():
    ours, human = [[1, 1, 0], [1, 0]], [[1, 0, 0], [0, 1]]
    assert token_f1(ours, human) == pytest.approx((2 / 3 + 0) / 2)
    assert token_f1(ours, human, average="micro") == pytest.approx(2 * 1 / 5)
    np.testing.assert_allclose(token_f1(ours, human, per_text=True), [2 / 3, 0])


@pytest.mark.parametrize("average", ["macro", "micro"])
def test_token_f1_undefined(average):
    with pytest.warns(UserWarning, match="token_f1 is undefined for every text"):
        assert math.isnan(token_f1([[0, 0]], [[0, 0]], average=average))
    with pytest.warns(UserWarning, match="rationale_iou is undefined for 1 of 2 texts"):
        assert rationale_iou([[0, 0], [1, 0]], [[0, 0], [1, 0]]) == 1.0


def test_iou_f1_by_hand():
    #         two spans, 0-1 and 4; human spans 0-2 and 4-7: overlaps of 2/3 and 1/4
    ours, human = [1, 1, 0, 0, 1, 0, 0, 0], [1, 1, 1, 0, 1, 1, 1, 1]
    assert rationale_iou_f1([ours], [human]) == 0.5
    assert rationale_iou_f1([ours], [human], threshold=0.25) == 1.0
    assert rationale_iou_f1([ours], [human], threshold=0.7) == 0.0
    assert rationale_iou_f1([human], [human]) == 1.0


def test_iou_f1_averages():
    ours = [[1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]]
    human = [[1, 0, 0, 0], [1, 1, 1, 0], [0, 1, 0, 0]]
    # precision 1/2 and 1 (none for the last text), recall 1, 1 and 0
    precision, recall = 3 / 4, 2 / 3
    expected = 2 * precision * recall / (precision + recall)
    assert rationale_iou_f1(ours, human) == pytest.approx(expected)
    assert rationale_iou_f1(ours, human, average="micro") == pytest.approx(2 / 3)
    np.testing.assert_allclose(rationale_iou_f1(ours, human, per_text=True), [2 / 3, 1, 0])
    nothing = [[0, 0]]
    assert math.isnan(rationale_iou_f1(nothing, nothing, per_text=True)[0])
    assert rationale_iou_f1(nothing, nothing) == 0.0
    for threshold in (0, "half"):
        with pytest.raises(ValueError, match=r"threshold must be a float in the range \(0"):
            rationale_iou_f1(ours, human, threshold=threshold)


def test_auprc_by_hand():
    # ranked: yes, no, yes. Points (recall, precision): (0, 1), (1/2, 1), (1/2, 1/2), (1, 2/3)
    expected = 0.5 * 1 + 0.5 * (1 / 2 + 2 / 3) / 2
    assert rationale_auprc([[0.9, 0.5, 0.1]], [[1, 0, 1]]) == pytest.approx(expected)
    assert rationale_auprc([[0.9, 0.1, 0.5]], [[1, 0, 1]]) == 1.0
    # words without a score come last, be the scores ever so low
    assert rationale_auprc([[-9.0, NAN, -10.0]], [[1, 0, 1]]) == 1.0
    assert rationale_auprc([[NAN, NAN]], [[1, 0]]) == rationale_auprc([[0.0, 0.0]], [[1, 0]])
    with pytest.warns(UserWarning, match="rationale_auprc is undefined for 1 of 2"):
        assert rationale_auprc([[1.0, 0.0], [1.0]], [[1, 0], [0]]) == 1.0
    prior = PriorMatrix(["some jazz"], [[0.0, 1.0]])
    assert rationale_auprc(prior, [[False, True]]) == 1.0


@pytest.mark.parametrize("scores", [[1e20, 2e20, NAN], [-np.inf, 1.0, NAN]])
def test_words_without_a_score_come_last_be_the_others_ever_so_large(scores):
    human = [[1, 0, 0]]
    assert rationale_auprc([scores], human) == rationale_auprc([[1.0, 2.0, NAN]], human)
    hidden = np.ma.array([1.0, 2.0, 9.0], mask=[False, False, True])
    assert rationale_auprc([hidden], human) == rationale_auprc([[1.0, 2.0, NAN]], human)


def test_a_series_of_scores_may_have_any_index():
    scores = pd.Series([[0.1, 0.9], [1.0]], index=["scores", "scores"])
    assert rationale_auprc(scores, [[0, 1], [1]]) == 1.0


@pytest.mark.parametrize("measure", [token_f1, rationale_iou, rationale_iou_f1, rationale_auprc])
def test_errors_of_plausibility(measure):
    with pytest.raises(ValueError, match="human has 1 rows for 2 texts"):
        measure([[1], [0]], [[1]])
    with pytest.raises(ValueError, match=r"human has shape \(1,\) in row 0; it must be \(2,\)"):
        measure([[1, 0]], [[1]])
    with pytest.raises(ValueError, match="human must hold booleans"):
        measure([[1, 0]], [[0.5, 0.5]])
    with pytest.raises(ValueError, match="human holds masked values"):
        measure([[1, 0]], [np.ma.array([1, 0], mask=[False, True])])
    if measure in (token_f1, rationale_iou_f1):
        with pytest.raises(ValueError, match="average must be"):
            measure([[1]], [[1]], average="weighted")


@pytest.mark.parametrize("average", ["macro", "micro"])
def test_token_f1_needs_a_text(average):
    with pytest.raises(ValueError, match="token_f1 needs at least one text"):
        token_f1([], [], average=average)


@pytest.mark.parametrize("per_text", [False, True])
def test_iou_f1_needs_a_text(per_text):
    with pytest.raises(ValueError, match="rationale_iou_f1 needs at least one text"):
        rationale_iou_f1([], [], per_text=per_text)
