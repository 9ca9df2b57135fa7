import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcap.metrics import ERASER_BINS, RationaleRules, keep_words, rationale_masks, remove_words

NAN = float("nan")


@pytest.mark.parametrize(
    ("k", "options", "expected"),
    [
        (1, {}, [0, 0, 0, 1]),
        (2, {}, [0, 1, 0, 1]),
        (9, {}, [1, 1, 1, 1]),
        (0.3, {}, [0, 1, 0, 1]),  # 1.2 words
        (0.3, {"rounding": "floor"}, [0, 0, 0, 1]),
        (0.3, {"rounding": "round"}, [0, 0, 0, 1]),
        (0.1, {"rounding": "floor"}, [0, 0, 0, 0]),
        (0.1, {"rounding": "floor", "at_least": 1}, [0, 0, 0, 1]),
        (0.625, {"rounding": "round"}, [0, 1, 0, 1]),  # 2.5 words: to the even neighbour
        (0.875, {"rounding": "round"}, [1, 1, 1, 1]),  # 3.5 words
        (1.0, {}, [1, 1, 1, 1]),
        (1, {"at_least": 2}, [0, 1, 0, 1]),
    ],
)
def test_rationale_size(k, options, expected):
    [mask] = rationale_masks([[-0.5, 0.3, 0.1, 0.7]], k, **options)
    assert mask.dtype == bool
    assert mask.tolist() == list(map(bool, expected))


def test_ties_go_to_the_earlier_word():
    assert rationale_masks([[0.0, 1.0, 1.0, 1.0]], 2)[0].tolist() == [False, True, True, False]


def test_words_without_score_are_never_in_the_rationale_but_count_as_words():
    [mask] = rationale_masks([[NAN, 0.1, NAN, -5.0]], 0.75)
    assert mask.tolist() == [False, True, False, True]
    # half of four words is two, although only three have a score
    assert rationale_masks([[NAN, 0.1, 0.3, 0.2]], 0.5)[0].tolist() == [False, False, True, True]
    assert not rationale_masks([[NAN, NAN]], 1.0)[0].any()


def test_noise_of_floating_point_does_not_add_a_word():
    assert rationale_masks([np.arange(100.0)], 0.07)[0].sum() == 7  # 0.07 * 100 > 7
    assert rationale_masks([np.arange(100.0)], 0.29, rounding="floor")[0].sum() == 29


def test_floor_is_erasers_int():
    for n_words in range(300):
        for share in ERASER_BINS:
            [mask] = rationale_masks([np.zeros(n_words)], share, rounding="floor")
            assert mask.sum() == int(share * n_words)


@given(
    st.lists(st.one_of(st.floats(-9, 9), st.just(NAN)), max_size=12),
    st.one_of(st.integers(1, 14), st.floats(0.01, 1.0)),
    st.sampled_from(["floor", "round", "ceil"]),
)
@settings(max_examples=100)
def test_rationale_holds_the_highest_scores(scores, k, rounding):
    scores = np.array(scores, dtype=float)
    [mask] = rationale_masks([scores], k, rounding=rounding)
    wanted = k if isinstance(k, int) else k * len(scores)
    assert not np.isnan(scores[mask]).any()
    assert mask.sum() <= math.ceil(wanted)
    left = scores[~mask & ~np.isnan(scores)]
    if left.size:
        assert mask.sum() >= math.floor(wanted - 1e-6)
        assert not mask.any() or left.max() <= scores[mask].min()


@pytest.mark.parametrize("k", [0, -1, 0.0, 1.5, True, "all", None, NAN])
def test_bad_size(k):
    with pytest.raises(ValueError, match="k must be a number of words"):
        rationale_masks([[1.0]], k)


def test_bad_settings_of_rationales():
    with pytest.raises(
        ValueError, match="rounding must be one of 'floor', 'round', 'ceil', got 'up'"
    ):
        rationale_masks([[1.0]], 1, rounding="up")
    with pytest.raises(ValueError, match="at_least must be an int from 0"):
        rationale_masks([[1.0]], 1, at_least=-1)
    with pytest.raises(ValueError, match=r"row 1 has shape \(1, 1\)"):
        rationale_masks([[1.0], [[1.0]]], 1)


def test_remove_and_keep():
    texts = ["play  some\tjazz ", "stop", ""]
    masks = [[False, True, False], [True], []]
    assert remove_words(texts, masks) == ["play jazz", "", ""]
    assert keep_words(texts, masks) == ["some", "stop", ""]
    masked = {"mode": "mask", "mask_token": "<mask>"}
    assert remove_words(texts, masks, **masked) == ["play <mask> jazz", "<mask>", ""]
    assert keep_words(texts, masks, **masked) == ["<mask> some <mask>", "stop", ""]


def test_a_text_that_loses_nothing_stays_as_it_is():
    assert remove_words([" a  b "], [[False, False]]) == [" a  b "]
    assert keep_words([" a  b "], [np.array([1, 1])]) == [" a  b "]


def test_bad_removals():
    with pytest.raises(ValueError, match="mode must be one of 'delete', 'mask', got 'drop'"):
        remove_words(["a"], [[True]], mode="drop")
    with pytest.raises(ValueError, match="needs the mask_token"):
        remove_words(["a"], [[True]], mode="mask")
    with pytest.raises(ValueError, match="did you mean mode='mask'"):
        remove_words(["a"], [[True]], mask_token="[MASK]")
    with pytest.raises(ValueError, match=r"masks has shape \(2,\) in row 0; it must be \(1,\)"):
        remove_words(["a"], [[True, False]])
    with pytest.raises(ValueError, match="masks has 1 rows for 2 texts"):
        remove_words(["a", "b"], [[True]])
    with pytest.raises(ValueError, match="rationale_masks makes masks from scores"):
        keep_words(["a b"], [[0.5, 0.1]])
    with pytest.raises(TypeError, match="single string"):
        remove_words("a", [[True]])


def test_rules_bundle_masks_and_removals():
    rules = RationaleRules(k=[1, 0.5], mode="mask", mask_token="_")
    assert rules.sizes == (1, 0.5)
    one, half = rules.masks([[0.1, 0.5, 0.2, 0.9]])
    assert one[0].tolist() == [False, False, False, True]
    assert half[0].tolist() == [False, True, False, True]
    assert rules.remove(["please play some jazz"], half) == ["please _ some _"]
    assert rules.keep(["please play some jazz"], one) == ["_ _ _ jazz"]
    assert RationaleRules(k=np.array([0.1, 0.2])).sizes == (0.1, 0.2)
    floor = RationaleRules(k=0.1, rounding="floor", at_least=2)
    assert floor.masks([[1.0, 2.0, 3.0]])[0][0].tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": []}, "k is empty"),
        ({"k": [0.5, 2.0]}, "got 2.0"),
        ({"k": "all"}, "k must be a number of words"),
        ({"rounding": "up"}, "rounding must be one of"),
        ({"at_least": -1}, "at_least must be"),
        ({"mode": "blank"}, "mode must be one of"),
        ({"mode": "mask"}, "needs the mask_token"),
        ({"mask_token": "[MASK]"}, "did you mean mode='mask'"),
    ],
)
def test_rules_are_checked_when_they_are_made(settings, message):
    with pytest.raises(ValueError, match=message):
        RationaleRules(**settings)


def test_one_word_and_all_words_are_different_rules():
    assert RationaleRules(k=1) != RationaleRules(k=1.0)
