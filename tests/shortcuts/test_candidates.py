import numpy as np
import pytest
from scipy.stats import fisher_exact

from skcap.shortcuts.candidates import find_candidates, whole_marks

TEXTS = [
    "Ann: play jazz",
    "ann: play rock 12",
    "Ann: jazz play",
    "bob: lost card!",
    "bob: LOST CARD play",
    "bob: my card 13",
]
CODES = np.array([1, 1, 1, 0, 0, 0])
ALL = ("word", "first", "last", "phrase", "pattern")


def table(kinds=ALL, min_texts=2, texts=TEXTS, codes=CODES):
    found = find_candidates(texts, codes, 2, kinds=kinds, min_texts=min_texts)
    return found.table.set_index(["kind", "word"])


def test_a_word_is_counted_once_a_text_and_goes_with_its_most_frequent_class():
    row = table().loc["word", "play"]
    assert (row["code"], row["n_texts"], row["n_label"], row["purity"]) == (1, 4, 3, 0.75)


def test_the_z_statistic_is_that_of_gardner_et_al():
    # p = 3/4 against 1/2, over n = 4 texts
    assert table().loc["word", "play"]["z"] == pytest.approx((0.75 - 0.5) / np.sqrt(0.25 / 4))


def test_the_p_value_is_fishers_times_the_number_of_classes():
    row = table().loc["word", "card"]
    p = fisher_exact([[3, 0], [0, 3]], alternative="greater").pvalue
    assert row["p_association"] == pytest.approx(2 * p)


def test_the_share_of_a_class_is_what_is_expected_not_one_over_the_number_of_classes():
    rows = table(texts=["a x", "a x", "a x", "b x"], codes=np.array([0, 0, 0, 1]), min_texts=3)
    assert rows.loc["word", "x"]["z"] == pytest.approx(0)


def test_a_word_needs_texts_of_its_class_not_texts():
    assert ("word", "rock") not in table().index
    assert ("word", "rock") in table(min_texts=1).index


def test_places_are_those_of_the_class():
    texts = [*TEXTS, "play with ann"]
    rows = table(texts=texts, codes=np.array([*CODES, 0]))
    assert rows.loc["word", "ann"]["place"] == "first"
    assert rows.loc["word", "play"]["place"] == ""


def test_families_are_places_and_shapes():
    rows = table(min_texts=1)
    assert rows.loc["word", "ann"]["family"] == "first tag"
    assert rows.loc["word", "12"]["family"] == "last number"
    assert rows.loc["word", "my"]["family"] == ""


def families(texts, codes):
    return (
        table(("word",), texts=texts, codes=np.array(codes))["family"].droplevel("kind").to_dict()
    )


def test_words_that_come_with_a_word_of_a_family_have_one_too():
    signed = [f"play {word} ann jane miller" for word in "abcd"] + ["play jazz", "play rock"]
    assert families(signed, [0] * 4 + [1] * 2) == {
        "play": "first word",
        "ann": "next to last word",
        "jane": "next to last word",
        "miller": "last word",
    }


def test_words_of_all_classes_may_stand_between():
    signed = [f"{word} sent from my phone" for word in "abcd"]
    others = ["it is from my bank", "from my home", "not from my bank"] * 2
    found = families([*signed, *others], [0] * 4 + [1] * 6)
    assert (found["sent"], found["phone"]) == ("next to last word", "last word")
    assert (found["from"], found["my"]) == ("", "")


@pytest.mark.parametrize("gaps", [["", "x", "y z", ""], ["r s t", "u v w", "i j k", "x y z"]])
def test_words_at_another_distance_each_time_or_far_away_have_no_family(gaps):
    texts = [f"{word} ann {gap} lee" for word, gap in zip("abcd", gaps, strict=True)]
    assert families([*texts, "x y z", "z y x"], [0] * 4 + [1] * 2)["ann"] == ""


def test_a_word_that_comes_without_its_neighbour_has_no_family():
    texts = ["now play ann", "do play ann", "to play ann", "to stop ann", "do stop ann", "play on"]
    found = families([*texts, "jazz", "rock"], [0] * 6 + [1] * 2)
    assert (found["ann"], found["play"], found["stop"]) == ("last word", "", "")


def test_only_texts_of_the_own_class_say_whether_words_come_together():
    texts = [f"{word} ann lee" for word in "abcd"] + ["x ann y", "y x", "z x", "z y"]
    assert families(texts, [0] * 4 + [1] * 4)["ann"] == "next to last word"
    texts[5:7] = ["y ann x", "z ann x"]
    assert families(texts, [0] * 4 + [0] * 3 + [1])["ann"] == ""


def test_words_that_always_come_together_are_one_mark_in_the_order_of_the_text():
    texts = [f"{word} is late, sent from my phone" for word in "abcd"] + ["play from x", "x my y"]
    rows = table(("word",), texts=texts, codes=np.array([0, 0, 0, 0, 1, 1]))["mark"]
    assert rows["word", "sent"] == rows["word", "late"] == "is late sent from my phone"
    assert rows["word", "x"] == ""


def test_parts_of_a_mark_have_the_places_of_all_parts():
    texts = ["ann lee: play", "ann lee: stop", "jazz ann lee:", "stop"]
    found = find_candidates(texts, np.array([0, 0, 0, 1]), 2, kinds=("word",), min_texts=2)
    assert found.table["word"].tolist() == ["ann", "lee"]
    rows, marks = whole_marks(found, np.array([True, True]))
    assert rows.tolist() == [True, True]
    assert marks.table["kind"].tolist() == ["mark", "mark"]
    for _, places in marks.places.groupby("candidate"):
        pairs = places[["text", "position"]].values.tolist()
        assert pairs == [[0, 0], [0, 1], [1, 0], [1, 1], [2, 1], [2, 2]]
    alone, none = whole_marks(found, np.array([True, False]))
    assert not alone.any()
    assert none.table.empty


def test_phrases_have_places_too():
    texts = [f"good day play {word} bye bye bye" for word in "abcd"]
    rows = table(("phrase",), texts=[*texts, "other texts"], codes=np.array([0, 0, 0, 0, 1]))
    assert rows.loc["phrase", "good day"][["place", "family"]].tolist() == ["first", "first phrase"]
    assert rows.loc["phrase", "day play"]["place"] == ""
    assert rows.loc["phrase", "bye bye"]["place"] == ""  # half of them end the text


def test_a_word_in_two_occurrences_of_a_phrase_is_one_place():
    found = find_candidates(
        ["bye bye bye"] * 2, np.array([0, 0]), 2, kinds=("phrase",), min_texts=2
    )
    assert found.places["position"].tolist() == [0, 1, 2] * 2


def test_a_pattern_that_is_always_one_word_is_left_out_only_if_a_candidate_says_the_same():
    texts = [f"5 play {word}" for word in "abcd"] + [f"stop 5 {word}" for word in "abcd"]
    codes = np.repeat([0, 1], 4)
    name = ("pattern", "number at the start")
    assert name in table(("pattern",), texts=texts, codes=codes).index
    assert name in table(("word", "pattern"), texts=texts, codes=codes).index
    rows = table(("word", "first", "pattern"), texts=texts, codes=codes)
    assert name not in rows.index
    assert ("first", "5") in rows.index
    assert name not in table(("word", "pattern"), texts=texts[:4], codes=codes[:4]).index


def test_a_place_or_phrase_is_a_candidate_only_where_the_word_is_elsewhere_too():
    rows = table()
    assert ("first", "ann") not in rows.index
    assert ("phrase", "ann play") in rows.index  # ann and play are in other texts, too
    assert ("phrase", "lost card") not in rows.index  # as often as lost


def test_patterns_are_found_by_shape():
    rows = table(min_texts=1)
    assert rows.loc["pattern", "tag at the start"]["n_texts"] == 6
    assert rows.loc["pattern", "number at the end"]["n_texts"] == 2
    assert rows.loc["pattern", "exclamation mark"]["n_texts"] == 1
    assert rows.loc["pattern", "word in capitals"]["n_texts"] == 1
    assert rows.loc["pattern", "at most 3 words"]["n_texts"] == 3


def test_texts_without_words_have_no_candidates():
    assert table(texts=["", " "], codes=np.array([0, 1]), min_texts=1).empty


def test_the_usual_form_is_the_most_frequent_one():
    assert table().loc["word", "ann"]["form"] == "Ann:"
