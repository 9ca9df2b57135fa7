import numpy as np
import pytest

from skcap.adversarial import class_keywords, class_overlap, hard_targets
from skcap.prior_matrix import PriorMatrix

NAN = float("nan")
PRIOR = PriorMatrix(
    ["Cancel my alarm!", "cancel it", "set an Alarm", "play 5 songs"],
    [[2.0, 1.0, 1.0], [4.0, 1.0], [1.0, 0.0, 0.5], [-1.0, 3.0, 3.0]],
)
Y = ["remove", "remove", "set", "play"]


def test_weights_are_mean_scores_times_specificity():
    keywords = class_keywords(PRIOR, Y)
    # By hand, after division by each text's largest score: "cancel" has 1 in both texts of its
    # class and in no other; "alarm" has (0.5 + 0) / 2 in remove and 0.5 in set, so a third and two
    # thirds of it are theirs.
    entropy = -(np.log(1 / 3) / 3 + 2 * np.log(2 / 3) / 3)
    specificity = 1 - entropy / np.log(3)
    assert keywords["remove"] == pytest.approx({"cancel": 1.0, "alarm": 0.25 * specificity})
    assert keywords["set"] == pytest.approx({"set": 1.0, "alarm": 0.5 * specificity})
    assert list(keywords["remove"]) == ["cancel", "alarm"]
    assert list(keywords) == ["play", "remove", "set"]


def test_numbers_negative_scores_and_function_words_are_no_keywords():
    assert class_keywords(PRIOR, Y)["play"] == {"songs": 1.0}
    everything = class_keywords(PRIOR, Y, stop_words=None)
    assert {"my", "it"} <= set(everything["remove"])
    assert "5" not in everything["play"]
    assert set(class_keywords(PRIOR, Y, stop_words=["Cancel"])["remove"]) == {"my", "alarm", "it"}


def test_vowel_signs_and_accents_are_parts_of_letters():
    prior = PriorMatrix(["गाना बजाओ", "cafe\u0301s ferme\u0301s"], [[1, 2], [2, 1]])
    keywords = class_keywords(prior, ["play", "open"], stop_words=None)
    assert set(keywords["play"]) == {"गाना", "बजाओ"}
    assert set(keywords["open"]) == {"caf\u00e9s", "ferm\u00e9s"}


def test_joiners_are_parts_of_words():
    words = ["\u0645\u06cc\u200c\u0631\u0648\u0645", "co\u00adop"]  # Persian; a soft hyphen
    assert list(class_keywords(PriorMatrix([" ".join(words)], [[2.0, 1.0]]), ["x"])["x"]) == words


def test_words_that_all_classes_share_alike_drop_out():
    prior = PriorMatrix(["card lost", "card found"], [[1.0, 1.0], [1.0, 1.0]])
    assert class_keywords(prior, [0, 1]) == {0: {"lost": 1.0}, 1: {"found": 1.0}}


def test_repeats_missing_scores_and_texts_count_once():
    prior = PriorMatrix(["jazz Jazz, music", "stop"], [[1.0, 0.5, NAN], [1.0]])
    assert class_keywords(prior, ["a", "b"], normalize=None)["a"] == {"jazz": 1.0}


def test_texts_weigh_alike_unless_told_otherwise():
    prior = PriorMatrix(["jazz", "blues", "stop"], [[100.0], [1.0], [1.0]])
    even = class_keywords(prior, ["a", "a", "b"])["a"]
    assert even["jazz"] == even["blues"]
    assert class_keywords(prior, ["a", "a", "b"], normalize=None)["a"]["jazz"] == 50.0


def test_n_keywords_keeps_the_strongest():
    assert class_keywords(PRIOR, Y, n_keywords=1)["set"] == {"set": 1.0}


def test_one_class_and_classes_without_keywords():
    assert class_keywords(PRIOR[:1], ["x"]) == {"x": {"cancel": 1.0, "alarm": 0.5}}
    with pytest.warns(UserWarning, match="1 of 2 classes have no keywords, such as 'yes'"):
        keywords = class_keywords(
            PriorMatrix(["yes i do", "lost card"], [[1.0, 1.0, 1.0], [1.0, 1.0]]), ["yes", "lost"]
        )
    assert keywords["yes"] == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((PriorMatrix(["a"]), ["x"]), "no scores"),
        ((PRIOR, ["x"]), "inconsistent numbers of samples"),
        ((PRIOR, Y, 0), "n_keywords"),
        ((PRIOR, Y, 5, "l3"), "normalize"),
        ((PRIOR, Y, 5, "max", "klingon"), "stop_words"),
    ],
)
def test_wrong_keyword_arguments(arguments, message):
    names = ("prior", "y", "n_keywords", "normalize", "stop_words")
    with pytest.raises(ValueError, match=message):
        class_keywords(**dict(zip(names, arguments, strict=False)))
    with pytest.raises(TypeError, match="PriorMatrix"):
        class_keywords(["a text"], ["x"])


def test_overlap_is_the_shared_mass_of_the_distributions():
    keywords = {
        "a": {"card": 3.0, "lost": 1.0},
        "b": {"card": 1.0, "new": 1.0},
        "c": {},
        "d": {"jazz": 0.1},
    }
    classes, matrix = class_overlap(keywords)
    assert classes.tolist() == ["a", "b", "c", "d"]
    expected = np.eye(4)
    expected[0, 1] = expected[1, 0] = 0.5
    np.testing.assert_allclose(matrix, expected)
    # the weights' scale means nothing
    doubled = {label: {w: 2 * x for w, x in words.items()} for label, words in keywords.items()}
    np.testing.assert_allclose(class_overlap(doubled)[1], matrix)


def overlap_of(rows):
    matrix = np.array(rows, dtype=float)
    return np.array(list("abcdefgh"[: len(matrix)])), matrix


def test_hardest_targets_come_by_falling_overlap():
    overlap = overlap_of([[1, 0.2, 0.9, 0.5], [0.2, 1, 0, 0], [0.9, 0, 1, 0], [0.5, 0, 0, 1]])
    targets = hard_targets(overlap, 2)
    assert targets["a"] == ["c", "d"]
    assert targets["b"][0] == "a"
    assert all(label not in chosen for label, chosen in targets.items())


def test_proportional_draws_follow_the_overlap():
    overlap = overlap_of([[1, 0.75, 0.25, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    first = [
        hard_targets(overlap, 1, how="proportional", random_state=seed)["a"][0]
        for seed in range(400)
    ]
    assert "d" not in first
    assert first.count("b") / 400 == pytest.approx(0.75, abs=0.07)
    uniform = [
        hard_targets(overlap, 1, how="uniform", random_state=seed)["a"][0] for seed in range(400)
    ]
    assert uniform.count("d") / 400 == pytest.approx(1 / 3, abs=0.08)


def test_targets_are_repeatable_and_fill_up_where_nothing_overlaps():
    overlap = overlap_of(np.eye(5))
    once = hard_targets(overlap, 3, how="proportional", random_state=1)
    assert once == hard_targets(overlap, 3, how="proportional", random_state=1)
    assert all(len(set(chosen)) == 3 for chosen in once.values())
    # ties do not all go to the first class
    assert len({chosen[0] for chosen in hard_targets(overlap, 1).values()}) > 1


@pytest.mark.parametrize("n_targets", [0, 2, 1.5])
def test_wrong_target_arguments(n_targets):
    overlap = overlap_of(np.eye(2))
    with pytest.raises(ValueError, match="n_targets"):
        hard_targets(overlap, n_targets)
    with pytest.raises(ValueError, match="how"):
        hard_targets(overlap, 1, how="easiest")


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        (["card"], TypeError, "keywords must map labels to words with weights, got list"),
        ({"a": ["card"]}, TypeError, r"keywords\['a'\] must be a mapping .*fromkeys\(words, 1.0\)"),
        ({"a": {"card": -1.0}}, ValueError, r"\['a'\]\['card'\] must be a finite weight .* -1.0"),
        ({"a": {"card": float("nan")}}, ValueError, "finite weight of at least 0, got nan"),
    ],
)
def test_what_has_no_weights_has_no_overlap(keywords, error, message):
    with pytest.raises(error, match=message):
        class_overlap(keywords)


def test_keywords_in_place_of_their_overlap_are_refused():
    with pytest.raises(TypeError, match=r"the pair \(classes, matrix\) .* got dict"):
        hard_targets({"a": {"card": 1.0}, "b": {"card": 1.0}}, 1)


def test_integer_labels_stay_integers():
    keywords = class_keywords(PRIOR, [3, 3, 1, 2])
    targets = hard_targets(class_overlap(keywords), 1)
    assert list(keywords) == list(targets) == [1, 2, 3]
    assert targets[1] == [3]
