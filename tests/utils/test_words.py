import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skcap.prior_matrix import PriorMatrix
from skcap.utils.words import (
    align_tokens,
    bare,
    check_encodable,
    check_texts,
    listed_form,
    split_affixes,
    split_words,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \t\n", []),
        ("the card, the CARD", ["the", "card,", "the", "CARD"]),
        ("a\u00a0b\u2003c\x1fd", ["a", "b", "c", "d"]),  # every kind of space that str knows
        ("a\u200bb", ["a\u200bb"]),  # zero width space is none
        ("שלום עולם 👋🏽", ["שלום", "עולם", "👋🏽"]),
        ("{braces} <|im_end|>", ["{braces}", "<|im_end|>"]),
    ],
)
def test_split_words(text, words):
    assert split_words(text) == words


@pytest.mark.parametrize(
    "texts",
    [
        ["a b", "c"],
        ("a b", "c"),
        np.array(["a b", "c"]),
        np.array(["a b", "c"], dtype=object),
        pd.Series(["a b", "c"], index=[7, 3]),
        PriorMatrix(["a b", "c"]),
    ],
    ids=lambda texts: type(texts).__name__,
)
def test_check_texts_takes_any_collection(texts):
    checked = check_texts(texts)
    assert checked == ["a b", "c"]
    assert [type(text) for text in checked] == [str, str]  # numpy's own str type is gone


@pytest.mark.parametrize(
    "texts",
    [pd.Series(["a b", "c"], index=["texts", "other"]), pd.Series({"texts": "a b", "x": "c"})],
)
def test_a_row_called_texts_is_no_collection_of_texts(texts):
    assert check_texts(texts) == ["a b", "c"]


def test_a_table_with_a_column_called_texts_is_refused():
    with pytest.raises(ValueError, match="Select the text column"):
        check_texts(pd.DataFrame({"texts": ["a"]}))


def test_check_texts_copies():
    texts = ["a"]
    check_texts(texts).append("b")
    assert texts == ["a"]


@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        ("one text", TypeError, "X is a single string"),
        (np.array([["a"], ["b"]]), ValueError, r"one-dimensional .* got shape \(2, 1\)"),
        (np.array("a"), ValueError, r"got shape \(\)"),
        (pd.DataFrame({"text": ["a"]}), ValueError, "Select the text column"),
        (7, TypeError, "collection of texts, got int"),
        (["a", None], TypeError, "row 1 is NoneType"),
        (pd.Series(["a", np.nan], dtype=object), TypeError, "row 1 is float .*nan.*missing texts"),
        (["a", pd.NA], TypeError, "row 1 is NAType .*missing texts"),
        ([np.array([1, 2])], TypeError, "row 0 is ndarray .*must be one text"),
        ([b"a"], TypeError, "row 0 is bytes .*Decode it"),
        ([7], TypeError, r"row 0 is int \(7\)\. Each row must be one text"),
    ],
)
def test_check_texts_refuses(texts, error, message):
    with pytest.raises(error, match=message):
        check_texts(texts)


def test_check_texts_uses_the_name():
    with pytest.raises(TypeError, match=r"^queries is a single"):
        check_texts("one", "queries")


@pytest.mark.parametrize(
    ("text", "offsets", "words"),
    [
        ("my cards", [(0, 2), (2, 7), (7, 8)], [0, 1, 1]),  # the space counts to the token after
        ("my cards", [(0, 3), (3, 8)], [0, 1]),  # and to the token before
        ("a b", [(0, 3)], [1]),  # a token over two words goes to the last
        ("a  b", [(0, 1), (1, 2), (1, 3), (3, 4)], [0, -1, -1, 1]),  # spaces alone to none
        ("a", [(0, 0), (0, 1), (1, 1)], [-1, 0, -1]),  # special tokens to none
        ("", [(0, 0)], [-1]),
        ("a b", [], []),
        ("👋 hi", [(0, 1), (0, 1), (1, 4)], [0, 0, 1]),  # a character in several byte tokens
    ],
)
def test_align_tokens(text, offsets, words):
    aligned = align_tokens(text, offsets)
    assert aligned.dtype == np.int64
    assert aligned.tolist() == words


@given(st.text(st.characters(), max_size=40))
def test_align_tokens_agrees_with_split_words(text):
    by_character = align_tokens(text, [(at, at + 1) for at in range(len(text))])
    words = split_words(text)
    joined = [""] * len(words)
    for character, word in zip(text, by_character, strict=True):
        if word >= 0:
            joined[word] += character
        else:
            assert character.isspace()
    assert joined == words


# -- texts that are refused -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ((text for text in ["a"]), r"X is a generator.*X=list\(texts\)"),
        (map(str, ["a"]), r"X is a map.*X=list\(texts\)"),
        ({"a": [1.0]}, "X is a dict"),
        ({"a"}, "X is a set"),
    ],
)
def test_collections_without_rows_are_refused(X, message):
    with pytest.raises(TypeError, match=message):
        check_texts(X)


def test_lone_surrogates_are_named_with_their_row_and_the_remedy():
    check_encodable(["", "é 🙂", "plain"])
    message = r"bodies must hold valid Unicode, but row 1 holds the lone surrogate '\\ud83d'"
    with pytest.raises(ValueError, match=message) as caught:
        check_encodable(["a", "smile \ud83d!", "\udc00"], "bodies")
    assert "text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace')" in str(caught.value)
    repaired = "smile \ud83d!".encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    check_encodable([repaired])
    pair = "\ud83d\ude42".encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert pair == "🙂"


# -- the form in which words are compared ---------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "form"),
    [
        ("Card's?", "card"),
        ('"Emma"\'s', "emma"),  # punctuation within the possessive
        ("ALİ", "ali\u0307"),  # its lower case has a dot of its own
        ("की", "की"),  # vowel signs are letters' parts: else ka, ki and ke would be one word
        ("के।", "के"),
        ("ที่", "ที่"),
        ("cafe\u0301!", "caf\u00e9"),  # typed as two characters
        ("hello❤\ufe0f", "hello"),
        ("1\ufe0f\u20e3", "1"),
        ("❤\ufe0f", ""),
        ("...", ""),
    ],
)
def test_bare(word, form):
    assert bare(word) == form
    assert listed_form(word) == (form or word)


@given(st.text(max_size=8) | st.text("aS'\u2019\"İΣς\u0307e\u0301\ufe0f1-.", max_size=8))
def test_a_bare_form_is_its_own(word):
    assert bare(bare(word)) == bare(word)
    assert "".join(split_affixes(word)) == word
