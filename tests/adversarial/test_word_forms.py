import pytest

from skcap.adversarial.word_forms import (
    article_for,
    fits,
    is_akin,
    is_function_word,
    is_protected,
    label_stems,
    match_form,
    stem,
)
from skcap.utils.words import bare


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("Card's?", "card"), ("(top-up)", "top-up"), ("don\u2019t", "don't"), ("--", ""),
        ("'s", "s"), ("\u00dcber!", "\u00fcber"),
    ],
)  # fmt: skip
def test_bare(word, expected):
    assert bare(word) == expected


def test_contractions_are_function_words():
    assert all(map(is_function_word, ["how's", "i'd", "don't", "where", "please"]))
    assert not any(map(is_function_word, ["card", "cancel", "id"]))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("cards", "card"), ("currencies", "currency"), ("purchases", "purchase"),
        ("taxes", "tax"), ("addresses", "address"), ("status", "status"), ("gas", "gas"),
        ("is", "is"), ("matches", "match"), ("dies", "die"),
    ],
)  # fmt: skip
def test_stem(word, expected):
    assert stem(word) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("cards", "currency", "currencies"), ("Cards?", "tax", "Taxes?"), ("tax", "days", "day"),
        ("alarm's", "timer", "timer's"), ('"Alarm",', "timer", '"Timer",'), ("keys", "day", "days"),
    ],
)  # fmt: skip
def test_match_form(old, new, expected):
    assert match_form(old, new) == expected


def test_articles_go_by_sound():
    words = ["alarm", "card", "user", "hour", "euro", "atm", "one", "umbrella", "uber"]
    articles = ["an", "a", "a", "an", "a", "an", "a", "an", "an"]
    assert [article_for(word) for word in words] == articles


def test_numbers_and_names_are_protected():
    def protected(text):
        words = text.split()
        return [word for place, word in enumerate(words) if is_protected(words, place)]

    assert protected("Did John pay 5 euros on monday? My card works") == [
        "John", "5", "euros", "monday?",
    ]  # fmt: skip
    assert protected("The ATM took it. Why? I don't know, I'm lost") == ["ATM"]
    assert protected("ATM took it") == ["ATM"]
    assert protected("set it for five minutes, wake me") == ["five", "minutes,"]
    assert protected("book 2: flights") == ["2:"]


@pytest.mark.parametrize(
    ("text", "place", "candidate", "expected"),
    [
        ("please order my order", 1, "cancel", True),
        ("please order my order", 3, "cancel", False),
        ("please order my order", 3, "card", True),
        ("the exchange rate is bad", 2, "calculate", False),  # a noun in a compound
        ("i made a withdraw today", 3, "cancel", False),  # a verb after an article
        ("it was declined", 2, "stolen", True),
        ("i found it", 1, "stolen", False),  # past tense against participle
        ("i found it", 1, "lost", True),
        ("my new card", 1, "virtual", True),
        ("my new card", 2, "virtual", False),
        ("turn off it", 0, "cancel", False),  # a verb of two words
        ("my cards", 1, "money", False),  # no plural
        ("my card", 1, "paris", False),  # a name
        ("i am waiting here", 2, "paying", True),
        ("i am waiting here", 2, "pay", False),
        ("table please", 0, "card", True),
        ("i can build it", 2, "card", False),  # a verb that no list has
        ("how long is it", 1, "new", False),
    ],
)  # fmt: skip
def test_fits(text, place, candidate, expected):
    assert fits(text.split(), place, candidate) is expected


def test_label_stems_and_kinship():
    assert label_stems("top up by card") == {"top", "card"}
    assert label_stems("reverted_card_payment?") == {"reverted", "card", "payment"}
    assert is_akin("transfer", "transferred")
    assert not is_akin("car", "card")
