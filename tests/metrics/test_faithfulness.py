import hashlib
import math

import numpy as np
import pytest

from skcap.metrics import (
    ER_TEST,
    ERASER,
    ERASER_BINS,
    RationaleRules,
    comprehensiveness,
    faithfulness_curve,
    leave_one_out,
    sufficiency,
)
from skcap.prior_matrix import PriorMatrix

NAN = float("nan")
ONE_WORD = RationaleRules(k=1)

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


# ----------------------------------------------------------------- faithfulness, by hand

TEXTS = ["please play some jazz", "book jazz", "play", "", "some book please play jazz now"]
SCORES = [[0.1, 0.5, 0.2, 0.9], [0.4, 0.4], [1.0], [], [0.3, -1.0, NAN, 0.6, 0.9, 0.0]]
# p(music): 1.0, 0.45, 0.45, 0.25, 0.8, so music (column 1) is predicted for the first and the last;
# the rest are predicted to be of column 0 with 0.55, 0.55 and 0.75.


def test_by_hand_one_word():
    # rationales: jazz, book (a tie, the earlier), play, none, jazz
    without = [1.0 - 0.6, 0.55 - 0.35, 0.55 - 0.75, 0.0, 0.8 - 0.4]
    alone = [1.0 - 0.65, 0.55 - 0.95, 0.55 - 0.55, 0.0, 0.8 - 0.65]
    per_text = comprehensiveness(additive, TEXTS, SCORES, rules=ONE_WORD, per_text=True)
    np.testing.assert_allclose(per_text, without, rtol=0, atol=1e-12)
    assert comprehensiveness(additive, TEXTS, SCORES, rules=ONE_WORD) == pytest.approx(
        0.16, abs=1e-12
    )
    per_text = sufficiency(additive, TEXTS, SCORES, rules=ONE_WORD, per_text=True)
    np.testing.assert_allclose(per_text, alone, rtol=0, atol=1e-12)
    assert sufficiency(additive, TEXTS, SCORES, rules=ONE_WORD) == pytest.approx(0.02, abs=1e-12)


def test_by_hand_half_of_the_words_and_a_given_class():
    # rationales: play jazz; book; play; none; some play jazz ("please" is NaN). The class is
    # music throughout.
    full = [1.0, 0.45, 0.45, 0.25, 0.8]
    without = [0.4, 0.65, 0.25, 0.25, 0.1]
    alone = [0.85, 0.05, 0.45, 0.25, 0.95]
    curve = faithfulness_curve(additive, TEXTS, SCORES, rules=RationaleRules(k=0.5), target=[1] * 5)
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
    options = {"rules": ONE_WORD, "target": [1]}
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
    options = {"rules": ONE_WORD, "target": [1] * 3, "scale": "normalized"}
    with pytest.warns(UserWarning, match="undefined for 1 of 3 texts"):
        value = comprehensiveness(additive, texts, scores, **options)
    assert value == pytest.approx(0.5)
    per_text = comprehensiveness(additive, texts, scores, **options, per_text=True)
    np.testing.assert_array_equal(per_text, [0.0, 1.0, NAN])
    with pytest.warns(UserWarning, match="undefined for every text"):
        assert math.isnan(sufficiency(additive, [""], [[]], scale="normalized"))


def test_logarithms_of_certain_probabilities_are_finite():
    value = comprehensiveness(keyword, ["jazz"], [[1.0]], rules=ONE_WORD, scale="log_odds")
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
    options = {"rules": RationaleRules(rounding=rounding)}
    assert comprehensiveness(arbitrary, texts, scores, **options) == pytest.approx(comp, abs=1e-9)
    assert sufficiency(arbitrary, texts, scores, **options) == pytest.approx(suff, abs=1e-9)
    curve = faithfulness_curve(arbitrary, texts, scores, **options)
    assert curve.comprehensiveness().mean() == pytest.approx(comp, abs=1e-9)
    assert curve.sufficiency().mean() == pytest.approx(suff, abs=1e-9)


def test_presets_are_the_published_rules():
    texts, scores = random_task(3)
    comp, suff = eraser(arbitrary, texts, scores, ERASER_BINS)
    assert comprehensiveness(arbitrary, texts, scores, rules=ERASER) == pytest.approx(comp)
    assert sufficiency(arbitrary, texts, scores, rules=ERASER) == pytest.approx(suff)
    comp, suff = eraser(arbitrary, texts, scores, ERASER_BINS, lambda size: max(1, round(size)))
    assert comprehensiveness(arbitrary, texts, scores, rules=ER_TEST) == pytest.approx(comp)
    assert sufficiency(arbitrary, texts, scores, rules=ER_TEST) == pytest.approx(suff)


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


def test_one_sided_values_ask_for_one_side():
    ask = Counting(arbitrary)
    comprehensiveness(ask, ["a b c d"], [[4, 3, 2, 1]], rules=ONE_WORD)
    assert sorted(ask.calls[0]) == ["", "a b c d", "b c d"]
    sufficiency(ask, ["a b c d"], [[4, 3, 2, 1]], rules=ONE_WORD)
    assert sorted(ask.calls[1]) == ["", "a", "a b c d"]


def test_one_word_text_and_text_without_scores():
    assert comprehensiveness(keyword, ["jazz"], [[1.0]]) == 1.0
    assert sufficiency(keyword, ["jazz"], [[1.0]]) == 0.0
    # no word has a score: the rationale is empty, nothing is removed and nothing is kept
    assert comprehensiveness(keyword, ["some jazz"], [[NAN, NAN]]) == 0.0
    assert sufficiency(keyword, ["some jazz"], [[NAN, NAN]]) == 1.0


def test_masking():
    ask = Counting(keyword)
    rules = RationaleRules(k=1, mode="mask", mask_token="[MASK]")
    curve = faithfulness_curve(ask, ["some jazz"], [[0, 1]], rules=rules)
    assert sorted(ask.calls[0]) == ["[MASK] [MASK]", "[MASK] jazz", "some [MASK]", "some jazz"]
    assert curve.comprehensiveness()[0, 0] == 1.0
    assert curve.empty[0] == 0.0


def test_target_classes_by_name():
    texts, scores = ["some jazz", "book now"], [[0, 1], [1, 0]]
    classes = np.array(["other", "music"])
    options = {"rules": ONE_WORD, "per_text": True}
    named = comprehensiveness(
        additive, texts, scores, target=["music", "other"], classes=classes, **options
    )
    np.testing.assert_allclose(named, [0.4, 0.2])
    numbered = comprehensiveness(additive, texts, scores, target=[1, 0], **options)
    np.testing.assert_array_equal(named, numbered)


def test_accepts_a_prior_matrix_of_the_same_texts_only():
    prior = PriorMatrix(["some jazz"], [[0.0, 1.0]])
    assert comprehensiveness(keyword, prior.texts, prior) == 1.0
    assert comprehensiveness(keyword, prior, prior) == 1.0
    with pytest.raises(ValueError, match="differ in row 0: 'some jazz'"):
        comprehensiveness(keyword, ["other jazz"], prior)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attributions": [[1.0]]}, "1 scores in row 0, whose text has 2 words"),
        ({"attributions": []}, "attributions has 0 rows for 1 texts"),
        (
            {"attributions": [["no", 1]]},
            r"attributions must hold one array of numbers per text.*no",
        ),
        ({"attributions": None}, "attributions must hold one array of numbers per text, got None"),
        ({"texts": [], "attributions": []}, "texts is empty"),
        ({"target": "true"}, "target must be one of 'predicted' or an array of one class per text"),
        ({"target": [0, 1]}, "target has 2 rows for 1 texts"),
        ({"target": ["music"]}, "classes that the model does not know: music"),
        ({"target": ["music"], "classes": ["a", "b", "c"]}, "classes has 3 items for 2 columns"),
        ({"scale": "logit"}, "scale must be"),
        ({"predict_proba": lambda texts: np.ones(len(texts))}, r"returned shape \(\d+,\)"),
        ({"predict_proba": lambda texts: np.ones((1, 2))}, r"returned shape \(1, 2\)"),
        ({"predict_proba": lambda texts: 9 * keyword(texts) - 4}, "numbers from -4 to 5; apply so"),
    ],
)
def test_errors_of_faithfulness(changes, message):
    arguments = {"predict_proba": keyword, "texts": ["some jazz"], "attributions": [[0, 1]]}
    for measure in (comprehensiveness, sufficiency):
        with pytest.raises(ValueError, match=message):
            measure(**{**arguments, **changes})


def test_rules_are_an_object():
    for measure in (comprehensiveness, sufficiency, faithfulness_curve):
        with pytest.raises(TypeError, match=r"such as RationaleRules\(k=0.2\), got 0.3"):
            measure(keyword, ["some jazz"], [[0, 1]], rules=0.3)
    with pytest.raises(TypeError, match="rules must be a RationaleRules"):
        leave_one_out(keyword, ["some jazz"], rules={"k": 1})


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
    prior = leave_one_out(ask, ["play jazz"], rules=RationaleRules(mode="mask", mask_token="_"))
    assert sorted(ask.calls[0]) == ["_ jazz", "play _", "play jazz"]
    assert prior.provenance["mode"] == "mask"
    with pytest.raises(ValueError, match="texts is empty"):
        leave_one_out(additive, [])


def test_leave_one_out_of_empty_texts_only():
    assert leave_one_out(additive, ["", " "]).n_words.tolist() == [0, 0]
