import numpy as np
import pandas as pd
import pytest

from skcap.shortcuts import check_shortcuts, match_shortcuts, shortcut_positions

TEXTS = ["Bob: play jazz 12", "play bob, please", "", "Ann: who is Bob's friend? #7"]


def positions(shortcuts):
    return [np.flatnonzero(found).tolist() for found in shortcut_positions(TEXTS, shortcuts)]


def test_a_word_is_found_wherever_it_stands_and_however_it_is_written():
    assert positions(["Bob:"]) == [[0], [1], [], [3]]


@pytest.mark.parametrize(
    ("kind", "word", "found"),
    [
        ("first", "bob", [[0], [], [], []]),
        ("last", "please", [[], [2], [], []]),
        ("phrase", "play jazz", [[1, 2], [], [], []]),
        ("pattern", "number at the end", [[3], [], [], [5]]),
        ("pattern", "tag at the start", [[0], [], [], [0]]),
        ("pattern", "question mark", [[], [], [], []]),  # within a word
        ("pattern", "at most 3 words", [[], [], [], []]),
    ],
)
def test_each_kind_is_found_where_it_counts(kind, word, found):
    assert positions(pd.DataFrame({"word": [word], "kind": [kind]})) == found


def test_marks_without_letters_and_phrases_in_a_list_are_found():
    found = match_shortcuts(["*** play jazz", "play 🎉"], ["***", "🎉", "play jazz"])
    assert [rows.tolist() for rows in found] == [[0, 2, 2], [-1, 1]]
    assert positions(["play jazz"]) == [[1, 2], [], [], []]


def test_a_phrase_may_be_as_long_as_a_signature():
    texts = ["it broke. Kind regards, Tom Baker", "kind regards", "Tom Baker"]
    found = match_shortcuts(texts, ["Kind regards, Tom Baker", "tom baker"])
    assert [rows.tolist() for rows in found] == [[-1, -1, 0, 0, 0, 0], [-1, -1], [1, 1]]


def test_of_two_shortcuts_of_one_word_the_first_row_counts():
    table = pd.DataFrame({"word": ["bob", "tag at the start"], "kind": ["word", "pattern"]})
    assert [rows.tolist() for rows in match_shortcuts(TEXTS[:1], table)] == [[0, -1, -1, -1]]
    assert match_shortcuts(TEXTS[:1], table[::-1])[0][0] == 0
    assert match_shortcuts(TEXTS[1:2], table[::-1])[0].tolist() == [-1, 1, -1]


def test_a_table_keeps_its_other_columns_and_an_index_of_words_is_taken_for_them():
    table = pd.DataFrame({"label": ["a"], "q": [0.01]}, index=pd.Index(["Bob"], name="word"))
    checked = check_shortcuts(table)
    assert checked.to_dict("records") == [{"word": "bob", "label": "a", "kind": "word", "q": 0.01}]


def test_kinds_may_be_a_category_with_gaps():
    kinds = pd.Series(["first", None], dtype="category")
    table = check_shortcuts(pd.DataFrame({"word": ["bob", "play jazz"], "kind": kinds}))
    assert table["kind"].tolist() == ["first", "phrase"]


def test_words_that_pandas_reads_as_numbers_and_gaps_are_told_how_to_be_read(tmp_path):
    (tmp_path / "words.csv").write_text("word,kind\n7,word\nnull,\n")
    with pytest.raises(
        TypeError, match=r"got 7.0 \(float\).* read_csv\(\.\.\., dtype=str, keep_default_na=False\)"
    ):
        check_shortcuts(pd.read_csv(tmp_path / "words.csv"))
    table = check_shortcuts(pd.read_csv(tmp_path / "words.csv", dtype=str, keep_default_na=False))
    assert table[["word", "kind"]].values.tolist() == [["7", "word"], ["null", "word"]]


@pytest.mark.parametrize(("yes", "no"), [(True, False), ("TRUE", "FALSE"), ("yes ", "No"), (1, 0)])
def test_of_a_table_with_verdicts_only_those_that_say_yes_are_taken(yes, no):
    words = ["ann", "jazz", "bob", "jazz"]
    table = pd.DataFrame({"word": words, "shortcut": [yes, no, yes, no]})
    assert check_shortcuts(table)["word"].tolist() == ["ann", "bob"]
    assert match_shortcuts(TEXTS[1:2], table)[0].tolist() == [-1, 1, -1]


def test_no_shortcuts_are_found_nowhere():
    assert positions([]) == [[], [], [], []]


@pytest.mark.parametrize(
    ("shortcuts", "error", "message"),
    [
        ("bob", TypeError, "a table or a list of words, got 'bob'"),
        ([3], TypeError, "words as str, got 3"),
        (iter(["bob"]), TypeError, "a table or a list of words"),
        ({"bob": True, "play": False}, TypeError, "list of words, got .*dict"),
        (["bob", "Bob"], ValueError, "'bob' is twice"),
        (pd.DataFrame({"word": ["a b"], "kind": ["word"]}), ValueError, "'a b'. Several words in"),
        (
            pd.DataFrame({"word": ["a"], "kind": ["phrase"]}),
            ValueError,
            "must be two words or more",
        ),
        ([" "], ValueError, "must be one word, got ' '"),
        (pd.DataFrame({"words": ["bob"]}), ValueError, "a column 'word'"),
        (pd.DataFrame({"word": ["bob"], "kind": ["name"]}), ValueError, "got 'name'"),
        (pd.DataFrame({"word": ["bob"], "kind": ["pattern"]}), ValueError, "is not a pattern"),
        (pd.DataFrame({"word": ["bob"], "shortcut": ["?"]}), ValueError, "yes or no, got '?'"),
    ],
)
def test_what_is_no_list_of_shortcuts_is_refused(shortcuts, error, message):
    with pytest.raises(error, match=message):
        check_shortcuts(shortcuts)
