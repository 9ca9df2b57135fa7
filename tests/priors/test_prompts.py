import numpy as np
import pytest

from skcap.priors.prompts import build_prompt
from skcap.utils.labels import name_labels

CLASSES = np.array(["card_arrival", "top_up"])


def test_prompt_is_the_template_split_at_the_text():
    prompt = build_prompt(
        "{instruction}\nLabels: {labels}\nText: {text}\nOne of {labels}:",
        instruction="Classify.",
        labels=["card arrival", "top up"],
    )
    assert prompt.prefix == "Classify.\nLabels: card arrival, top up\nText: "
    assert prompt.suffix == "\nOne of card arrival, top up:"


def test_braces_are_literal_where_they_are_doubled_or_filled_in():
    prompt = build_prompt(
        "{{json}} {instruction} {text} {{}}", instruction="{text} {0}", labels=["{a}"]
    )
    assert prompt == ("{json} {text} {0} ", " {}")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{labels}", r"must hold \{text\} exactly once"),
        ("{text} {text} {labels}", r"must hold \{text\} exactly once"),
        ("{text}", r"must hold \{labels\} at least once"),
        ("{text} {labels} {label}", r"unknown placeholder \{label\}; allowed are \{instruction\}"),
        ("{text} {labels} {}", r"unknown placeholder \{\}"),
        ("{text} {labels} {0}", r"unknown placeholder \{0\}"),
        ("{text.upper} {labels}", r"unknown placeholder \{text.upper\}"),
        ("{text} {labels} {", r"template is malformed .* Double the braces"),
        ("{text} } {labels}", r"template is malformed .* Double the braces"),
        ("{text!r} {labels}", r"formats a placeholder .* write \{text\}"),
        ("{text:>9} {labels}", r"formats a placeholder .* write \{text\}"),
    ],
)
def test_template_errors(template, message):
    with pytest.raises(ValueError, match=message):
        build_prompt(template, instruction="", labels=["a"], required=("text", "labels"))


def test_labels_need_not_be_shown_unless_asked_for():
    assert build_prompt("{text}:", instruction="", labels=["a"]) == ("", ":")


def test_label_names_by_default_are_the_labels_in_words():
    classes = np.array(["a__b_", "card_arrival", "Top-Up?"])
    assert name_labels(classes, None) == ["a b", "card arrival", "Top-Up?"]
    assert name_labels(np.array([0, 10]), None) == ["0", "10"]
    assert name_labels(np.array([False, True]), None) == ["False", "True"]


def test_label_names_from_mapping_or_callable():
    mapping = {"top_up": "add money", "card_arrival": "card is late", "unused": "x"}
    assert name_labels(CLASSES, mapping) == ["card is late", "add money"]
    assert name_labels(CLASSES, str.upper) == ["CARD_ARRIVAL", "TOP_UP"]
    assert name_labels(np.array([1, 0]), {0: "no", 1: "yes"}) == ["yes", "no"]
    # Callables get plain Python values, not NumPy's.
    assert name_labels(np.array([1]), lambda label: type(label).__name__) == ["int"]


@pytest.mark.parametrize(
    ("label_names", "error", "message"),
    [
        ({"top_up": "a"}, ValueError, r"lacks 1 of the 2 classes, such as 'card_arrival'"),
        ({}, ValueError, r"lacks 2 of the 2 classes"),
        (lambda _: "same", ValueError, r"'card_arrival' and 'top_up' share the name 'same'"),
        (lambda _: "", ValueError, r"non-empty string, got '' for the label 'card_arrival'"),
        (lambda _: " ", ValueError, r"non-empty string"),
        (lambda _: 3, ValueError, r"non-empty string, got 3"),
        (lambda label: label + " ", ValueError, r"begins or ends with white space, 'card_arr"),
        (["a"], ValueError, r"one name for each of the 2 classes"),
    ],
)
def test_label_names_errors(label_names, error, message):
    with pytest.raises(error, match=message):
        name_labels(CLASSES, label_names)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("PlayMusic", "Play Music"),
        ("bookFlight", "book Flight"),
        ("GetATMCode", "Get ATM Code"),
        ("ORDER_STATUS", "ORDER STATUS"),
        ("Card_Arrival", "Card Arrival"),
        ("HTTP", "HTTP"),
        ("card-arrival", "card-arrival"),
        ("q2", "q2"),
        ("ÉTAT", "ÉTAT"),
    ],
)
def test_a_label_is_named_by_its_words(label, name):
    assert name_labels(np.array([label, "other"]), None) == [name, "other"]


def test_labels_that_differ_by_underscores_only_clash():
    with pytest.raises(ValueError, match=r"'a b' and 'a_b' share the name 'a b'"):
        name_labels(np.array(["a b", "a_b"]), None)
    with pytest.raises(ValueError, match="non-empty string, got '' for the label '_'"):
        name_labels(np.array(["_", "a"]), None)
