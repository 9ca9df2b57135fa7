import hashlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import f1_score, jaccard_score

from skcap.metrics import (
    ERASER_BINS,
    comprehensiveness,
    explanation_stability,
    faithfulness_curve,
    keep_words,
    leave_one_out,
    rationale_auprc,
    rationale_iou,
    rationale_iou_f1,
    rationale_masks,
    remove_words,
    sufficiency,
    token_f1,
)
from skcap.prior_matrix import PriorMatrix

NAN = float("nan")

# ------------------------------------------------------------------ models to be explained

WEIGHTS = {"jazz": 0.4, "play": 0.2, "some": 0.1, "please": 0.05, "book": -0.2}


def additive(texts):
    """p(music) = 0.25 + the weights of the words; the other class is the rest."""
    music = np.array([0.25 + sum(WEIGHTS.get(w, 0.0) for w in t.split()) for t in texts])
    return np.column_stack([1 - music, music])


def keyword(texts):
    """Certain of music if "jazz" is in the text, certain of the other class if not."""
    music = np.array([float("jazz" in text.split()) for text in texts])
    return np.column_stack([1 - music, music])


def arbitrary(texts):
    """Probabilities of three classes without rhyme or reason, the same for the same text."""
    digests = [hashlib.sha256(text.encode()).digest()[:3] for text in texts]
    raw = np.array([list(digest) for digest in digests], dtype=float) + 1
    return raw / raw.sum(axis=1, keepdims=True)


class Counting:
    def __init__(self, predict_proba):
        self.predict_proba = predict_proba
        self.calls = []

    def __call__(self, texts):
        assert isinstance(texts, list)
        self.calls.append(texts)
        return self.predict_proba(texts)


# ------------------------------------------------------------------------------ rationales


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
    with pytest.raises(ValueError, match="rounding must be 'floor', 'round', 'ceil', got 'up'"):
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
    with pytest.raises(ValueError, match="mode must be 'delete', 'mask', got 'drop'"):
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


# ----------------------------------------------------------------- faithfulness, by hand

TEXTS = ["please play some jazz", "book jazz", "play", "", "some book please play jazz now"]
SCORES = [[0.1, 0.5, 0.2, 0.9], [0.4, 0.4], [1.0], [], [0.3, -1.0, NAN, 0.6, 0.9, 0.0]]
# p(music): 1.0, 0.45, 0.45, 0.25, 0.8, so music (column 1) is predicted for the first and the last;
# the rest are predicted to be of column 0 with 0.55, 0.55 and 0.75.


def test_by_hand_one_word():
    # rationales: jazz, book (a tie, the earlier), play, none, jazz
    without = [1.0 - 0.6, 0.55 - 0.35, 0.55 - 0.75, 0.0, 0.8 - 0.4]
    alone = [1.0 - 0.65, 0.55 - 0.95, 0.55 - 0.55, 0.0, 0.8 - 0.65]
    per_text = comprehensiveness(additive, TEXTS, SCORES, k=1, per_text=True)
    np.testing.assert_allclose(per_text, without, rtol=0, atol=1e-12)
    assert comprehensiveness(additive, TEXTS, SCORES, k=1) == pytest.approx(0.16, abs=1e-12)
    per_text = sufficiency(additive, TEXTS, SCORES, k=1, per_text=True)
    np.testing.assert_allclose(per_text, alone, rtol=0, atol=1e-12)
    assert sufficiency(additive, TEXTS, SCORES, k=1) == pytest.approx(0.02, abs=1e-12)


def test_by_hand_half_of_the_words_and_a_given_class():
    # rationales: play jazz; book; play; none; some play jazz ("please" is NaN). The class is
    # music throughout.
    full = [1.0, 0.45, 0.45, 0.25, 0.8]
    without = [0.4, 0.65, 0.25, 0.25, 0.1]
    alone = [0.85, 0.05, 0.45, 0.25, 0.95]
    curve = faithfulness_curve(additive, TEXTS, SCORES, k=0.5, target=[1] * 5)
    np.testing.assert_array_equal(curve.sizes[:, 0], [2, 1, 1, 0, 3])
    np.testing.assert_allclose(curve.full, full, atol=1e-12)
    np.testing.assert_allclose(curve.empty, 0.25, atol=1e-12)
    np.testing.assert_allclose(curve.without[:, 0], without, atol=1e-12)
    np.testing.assert_allclose(curve.only[:, 0], alone, atol=1e-12)
    drops = np.subtract(full, without)
    np.testing.assert_allclose(curve.comprehensiveness()[:, 0], drops, atol=1e-12)
    np.testing.assert_allclose(
        curve.comprehensiveness("log_probability")[:, 0], np.log(full) - np.log(without), atol=1e-6
    )


def test_by_hand_log_odds_and_normalised():
    def odds(p):
        return math.log(p / (1 - p))

    texts, scores = ["play jazz"], [[0.1, 0.9]]  # 0.85; without jazz 0.45, jazz alone 0.65
    options = {"k": 1, "target": [1]}
    ask = (additive, texts, scores)
    value = comprehensiveness(*ask, **options, scale="log_odds")
    assert value == pytest.approx(odds(0.85) - odds(0.45), abs=1e-9)
    value = sufficiency(*ask, **options, scale="log_odds")
    assert value == pytest.approx(odds(0.85) - odds(0.65), abs=1e-9)
    # the drop to the empty text, 0.85 - 0.25, is the most that can be lost
    value = comprehensiveness(*ask, **options, scale="normalized")
    assert value == pytest.approx(0.4 / 0.6, abs=1e-9)
    value = sufficiency(*ask, **options, scale="normalized")
    assert value == pytest.approx(1 - 0.2 / 0.6, abs=1e-9)
    # as published: S(r) = 1 - max(0, p(x) - p(r)), and (S(r) - S(empty)) / (1 - S(empty))
    s_r, s_empty = 1 - (0.85 - 0.65), 1 - (0.85 - 0.25)
    assert value == pytest.approx((s_r - s_empty) / (1 - s_empty), abs=1e-9)


def test_normalised_is_clipped_and_undefined_where_nothing_can_be_lost():
    # "book jazz" is 0.45 for music and 0.25 when empty: without book it rises, so nothing is lost;
    # without jazz it falls below the empty text, so more is lost than can be.
    texts, scores = ["book jazz", "book jazz", ""], [[1, 0], [0, 1], []]
    with pytest.warns(UserWarning, match="undefined for 1 of 3 texts"):
        value = comprehensiveness(additive, texts, scores, k=1, target=[1] * 3, scale="normalized")
    assert value == pytest.approx(0.5)
    per_text = comprehensiveness(
        additive, texts, scores, k=1, target=[1] * 3, scale="normalized", per_text=True
    )
    np.testing.assert_array_equal(per_text, [0.0, 1.0, NAN])
    with pytest.warns(UserWarning, match="undefined for every text"):
        assert math.isnan(sufficiency(additive, [""], [[]], scale="normalized"))


def test_logarithms_of_certain_probabilities_are_finite():
    value = comprehensiveness(keyword, ["jazz"], [[1.0]], k=1, scale="log_odds")
    assert value == pytest.approx(2 * math.log((1 - 1e-7) / 1e-7))


# ---------------------------------------------------------------- faithfulness, against ERASER


def eraser(predict_proba, texts, scores, bins, rounding=int):
    """Write down DeYoung et al. (2020), section 4: one text, one bin, one call at a time."""
    comp, suff = [], []
    for text, score in zip(texts, scores, strict=True):
        words = text.split()
        whole = predict_proba([text])[0]
        predicted = max(range(len(whole)), key=lambda j: whole[j])
        ranked = sorted(range(len(words)), key=lambda i: (-score[i], i))
        comp_bins, suff_bins = [], []
        for share in bins:
            chosen = set(ranked[: rounding(share * len(words))])
            rest = " ".join(words[i] for i in range(len(words)) if i not in chosen)
            rationale = " ".join(words[i] for i in range(len(words)) if i in chosen)
            comp_bins.append(whole[predicted] - predict_proba([rest])[0][predicted])
            suff_bins.append(whole[predicted] - predict_proba([rationale])[0][predicted])
        comp.append(sum(comp_bins) / len(bins))
        suff.append(sum(suff_bins) / len(bins))
    return sum(comp) / len(comp), sum(suff) / len(suff)


def random_task(seed, n_texts=25, longest=60):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, longest, n_texts)
    texts = [" ".join(f"w{i}" for i in rng.integers(0, 40, length)) for length in lengths]
    return texts, [rng.normal(size=length).round(1) for length in lengths]  # rounded: with ties


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("rounding", "reference"), [("floor", int), ("ceil", math.ceil), ("round", round)]
)
def test_agrees_with_eraser(seed, rounding, reference):
    texts, scores = random_task(seed)
    comp, suff = eraser(arbitrary, texts, scores, ERASER_BINS, reference)
    options = {"rounding": rounding}
    assert comprehensiveness(arbitrary, texts, scores, **options) == pytest.approx(comp, abs=1e-9)
    assert sufficiency(arbitrary, texts, scores, **options) == pytest.approx(suff, abs=1e-9)
    curve = faithfulness_curve(arbitrary, texts, scores, **options)
    assert curve.comprehensiveness().mean() == pytest.approx(comp, abs=1e-9)
    assert curve.sufficiency().mean() == pytest.approx(suff, abs=1e-9)


# ------------------------------------------------------------------ faithfulness, properties

MUSIC = [
    "i would like to hear some jazz now",
    "jazz",
    "put on the jazz station for me please",
    "is there any good jazz on tonight",
]


def test_perfect_attribution_of_a_keyword_classifier():
    scores = [[float(word == "jazz") for word in text.split()] for text in MUSIC]
    assert comprehensiveness(keyword, MUSIC, scores) == 1.0
    assert sufficiency(keyword, MUSIC, scores) == 0.0
    assert comprehensiveness(keyword, MUSIC, leave_one_out(keyword, MUSIC)) == 1.0
    normalised = {"scale": "normalized"}
    assert comprehensiveness(keyword, MUSIC, scores, **normalised) == 1.0
    assert sufficiency(keyword, MUSIC, scores, **normalised) == 1.0


def test_random_attribution_is_clearly_worse():
    texts = [text for text in MUSIC if " " in text] * 30
    rng = np.random.default_rng(0)
    scores = [rng.random(len(text.split())) for text in texts]
    assert comprehensiveness(keyword, texts, scores) < 0.4
    assert sufficiency(keyword, texts, scores) > 0.6


def test_order_of_rows_does_not_matter():
    texts, scores = random_task(7)
    order = np.random.default_rng(0).permutation(len(texts))
    shuffled = [texts[i] for i in order], [scores[i] for i in order]
    for measure in (comprehensiveness, sufficiency):
        per_text = measure(arbitrary, texts, scores, per_text=True)
        np.testing.assert_array_equal(measure(arbitrary, *shuffled, per_text=True), per_text[order])
        assert measure(arbitrary, *shuffled) == pytest.approx(measure(arbitrary, texts, scores))


@pytest.mark.parametrize("measure", [comprehensiveness, sufficiency, faithfulness_curve])
def test_one_call_with_each_distinct_text_once(measure):
    ask = Counting(arbitrary)
    texts = ["a b c d", "a b c d", "a b"]
    measure(ask, texts, [[4, 3, 2, 1], [1, 2, 3, 4], [2, 1]])
    [asked] = ask.calls
    assert len(asked) == len(set(asked))
    assert set(texts) <= set(asked)


def test_one_sided_figures_ask_for_one_side():
    ask = Counting(arbitrary)
    comprehensiveness(ask, ["a b c d"], [[4, 3, 2, 1]], k=1)
    assert sorted(ask.calls[0]) == ["", "a b c d", "b c d"]
    sufficiency(ask, ["a b c d"], [[4, 3, 2, 1]], k=1)
    assert sorted(ask.calls[1]) == ["", "a", "a b c d"]


def test_one_word_text_and_text_without_scores():
    assert comprehensiveness(keyword, ["jazz"], [[1.0]]) == 1.0
    assert sufficiency(keyword, ["jazz"], [[1.0]]) == 0.0
    # no word has a score: the rationale is empty, nothing is removed and nothing is kept
    assert comprehensiveness(keyword, ["some jazz"], [[NAN, NAN]]) == 0.0
    assert sufficiency(keyword, ["some jazz"], [[NAN, NAN]]) == 1.0


def test_masking():
    ask = Counting(keyword)
    options = {"k": 1, "mode": "mask", "mask_token": "[MASK]"}
    curve = faithfulness_curve(ask, ["some jazz"], [[0, 1]], **options)
    assert sorted(ask.calls[0]) == ["[MASK] [MASK]", "[MASK] jazz", "some [MASK]", "some jazz"]
    assert curve.comprehensiveness()[0, 0] == 1.0
    assert curve.empty[0] == 0.0


def test_target_classes_by_name():
    texts, scores = ["some jazz", "book now"], [[0, 1], [1, 0]]
    classes = np.array(["other", "music"])
    named = comprehensiveness(
        additive, texts, scores, k=1, target=["music", "other"], classes=classes, per_text=True
    )
    np.testing.assert_allclose(named, [0.4, 0.2])
    numbered = comprehensiveness(additive, texts, scores, k=1, target=[1, 0], per_text=True)
    np.testing.assert_array_equal(named, numbered)


def test_accepts_a_prior_matrix_of_the_same_texts_only():
    prior = PriorMatrix(["some jazz"], [[0.0, 1.0]])
    assert comprehensiveness(keyword, prior.texts, prior) == 1.0
    assert comprehensiveness(keyword, prior, prior) == 1.0
    with pytest.raises(ValueError, match="row 0: 'some jazz' against 'other jazz'"):
        comprehensiveness(keyword, ["other jazz"], prior)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attributions": [[1.0]]}, "1 scores in row 0, whose text has 2 words"),
        ({"attributions": []}, "attributions has 0 rows for 1 texts"),
        ({"texts": [], "attributions": []}, "texts is empty"),
        ({"target": "true"}, "target must be 'predicted' or an array of one class a text"),
        ({"target": [0, 1]}, "target has 2 rows for 1 texts"),
        ({"target": ["music"]}, "classes that the model does not know: music"),
        ({"target": ["music"], "classes": ["a", "b", "c"]}, "classes has 3 items for 2 columns"),
        ({"k": []}, "k is empty"),
        ({"k": [0.5, 2.0]}, "got 2.0"),
        ({"scale": "logit"}, "scale must be"),
        ({"mode": "blank"}, "mode must be"),
        ({"predict_proba": lambda texts: np.ones(len(texts))}, r"returned shape \(\d+,\)"),
        ({"predict_proba": lambda texts: np.ones((1, 2))}, r"returned shape \(1, 2\)"),
    ],
)
def test_errors_of_faithfulness(changes, message):
    arguments = {"predict_proba": keyword, "texts": ["some jazz"], "attributions": [[0, 1]]}
    for measure in (comprehensiveness, sufficiency):
        with pytest.raises(ValueError, match=message):
            measure(**{**arguments, **changes})


def test_estimator_instead_of_function():
    with pytest.raises(TypeError, match=r"as in classifier\.predict_proba"):
        comprehensiveness(object(), ["some jazz"], [[0, 1]])


# --------------------------------------------------------------------------- leave one out


def test_leave_one_out():
    ask = Counting(additive)
    prior = leave_one_out(ask, ["play some jazz", "", "book", "play some jazz"])
    assert len(ask.calls) == 1
    assert sorted(ask.calls[0]) == [
        "",
        "book",
        "play jazz",
        "play some",
        "play some jazz",
        "some jazz",
    ]
    assert isinstance(prior, PriorMatrix)
    np.testing.assert_allclose(prior.scores[0], [0.2, 0.1, 0.4], atol=1e-6)
    np.testing.assert_array_equal(prior.scores[3], prior.scores[0])
    assert prior.scores[1].size == 0
    np.testing.assert_allclose(prior.scores[2], [0.2], atol=1e-6)  # of the other class


def test_leave_one_out_of_a_given_class_and_masked():
    options = {"target": ["other"], "classes": ["other", "music"]}
    prior = leave_one_out(additive, ["play jazz"], **options)
    np.testing.assert_allclose(prior.scores[0], [-0.2, -0.4], atol=1e-6)
    ask = Counting(additive)
    prior = leave_one_out(ask, ["play jazz"], mode="mask", mask_token="_")
    assert sorted(ask.calls[0]) == ["_ jazz", "play _", "play jazz"]
    assert prior.provenance["mode"] == "mask"
    with pytest.raises(ValueError, match="texts is empty"):
        leave_one_out(additive, [])


def test_leave_one_out_of_empty_texts_only():
    assert leave_one_out(additive, ["", " "]).n_words.tolist() == [0, 0]


# ---------------------------------------------------------------------------- plausibility

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
    with pytest.raises(ValueError, match="threshold must be above 0"):
        rationale_iou_f1(ours, human, threshold=0)


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


@pytest.mark.parametrize("measure", [token_f1, rationale_iou, rationale_iou_f1, rationale_auprc])
def test_errors_of_plausibility(measure):
    with pytest.raises(ValueError, match="human has 1 rows for 2 texts"):
        measure([[1], [0]], [[1]])
    with pytest.raises(ValueError, match=r"human has shape \(1,\) in row 0; it must be \(2,\)"):
        measure([[1, 0]], [[1]])
    with pytest.raises(ValueError, match="human must hold booleans"):
        measure([[1, 0]], [[0.5, 0.5]])
    if measure in (token_f1, rationale_iou_f1):
        with pytest.raises(ValueError, match="average must be"):
            measure([[1]], [[1]], average="weighted")


# ------------------------------------------------------------------------------- stability


def test_stability_is_spearmans_correlation():
    texts, a = random_task(1)
    _, b = random_task(1)
    rng = np.random.default_rng(2)
    b = [(scores + rng.normal(size=scores.size)).round(1) for scores in b]
    kept = [i for i, text in enumerate(texts) if len(text.split()) > 3]
    texts, a, b = ([rows[i] for i in kept] for rows in (texts, a, b))
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
    with pytest.raises(ValueError, match="by must be 'position', 'word', got 'token'"):
        explanation_stability(a, a, by="token")
