import datetime
from enum import Enum

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from skcap.utils.labels import check_labels, meaningless_labels, name_labels
from skcap.utils.spelling import check_spelling


class Intent(str, Enum):  # noqa: UP042  (whose str() is not its value)
    CARD = "card arrival"
    TOP = "top up"


TEXTS = ["cancel it", "play jazz", "stop"]


@pytest.mark.parametrize(
    ("y", "dtype"),
    [
        (["a", "b", "a"], "U"),
        (("a", "b", "a"), "U"),
        ([np.str_("a")] * 3, "U"),
        ([0, 1, np.int64(2)], "i"),
        ([1, 2.0, 1], "f"),
        ([True, np.False_, True], "b"),
        (pd.Series(["a", "b", "a"], index=[5, 3, 9]), "O"),
        (pd.Categorical(["a", "b", "a"]), "O"),
        (pd.Series([0, 1, 1], dtype="Int64"), "i"),
        (pd.Series([True, False, True], dtype=object), "b"),
        (np.array([3, 4, 4], dtype=object), "i"),
        (np.ma.array([3, 4, 4]), "i"),
        ({"x": "a", "y": "b", "z": "a"}.values(), "U"),
        (pd.Series([True, False, True], dtype="boolean"), "b"),
    ],
)
def test_labels_of_one_kind_pass(y, dtype):
    labels = check_labels(TEXTS, y)
    assert labels.tolist() == list(y)
    assert labels.dtype.kind == dtype


@pytest.mark.parametrize("missing", [None, np.nan, float("nan"), pd.NA, pd.NaT])
@pytest.mark.parametrize("kind", [list, tuple, lambda y: np.array(y, dtype=object), pd.Series])
def test_missing_labels_are_refused_wherever_they_come_from(missing, kind):
    with pytest.raises(ValueError, match=r"one label per text, but row 1 is .*drop missing labels"):
        check_labels(TEXTS, kind(["a", missing, "b"]))


@pytest.mark.parametrize("y", [[1, "a", 2], ["a", "b", 3.5], ["a", True, "b"], [True, 2, False]])
@pytest.mark.parametrize("kind", [list, tuple, lambda y: np.array(y, dtype=object), pd.Series])
def test_labels_of_different_kinds_are_refused(y, kind):
    message = rf"different kinds, such as {y[0]!r} \(row 0\) and .*all strings"
    with pytest.raises(ValueError, match=message):
        check_labels(TEXTS, kind(y))


@pytest.mark.parametrize(
    "y",
    [
        [["a", "b"], ["b", "a"], ["a", "a"]],
        [["a"], ["a", "b"], []],
        [("a", "b"), ("b",), ()],
        [{"a"}, {"b"}, set()],
        np.eye(3, dtype=int),
        scipy.sparse.csr_matrix(np.eye(3, dtype=int)),
        pd.DataFrame({"a": [0, 1, 1], "b": [1, 0, 1]}),
    ],
)
def test_several_labels_per_text_are_refused(y):
    with pytest.raises(ValueError, match=r"one label per text.*Choose one label per text"):
        check_labels(TEXTS, y)


def test_a_column_of_labels_is_flattened_with_a_warning():
    with pytest.warns(Warning, match="column-vector"):
        assert check_labels(TEXTS, np.array([["a"], ["b"], ["a"]])).tolist() == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (None, ValueError, "y must hold one label per text, got None"),
        ("abc", ValueError, "y must hold one label per text, got 'abc'"),
        (
            [0.5, 1.25, 2.0],
            ValueError,
            r"y is continuous, starting with 0\.5.* sort .* into classes",
        ),
        ([object()] * 3, ValueError, "y is unknown"),
        ([1.0, np.inf, 2.0], ValueError, "y is infinite in places"),
        ([1j, 2j, 1j], ValueError, r"y is no list of classes \(Complex data"),
        (["a", "b"], ValueError, "inconsistent numbers of samples: 3 texts and 2 labels"),
        (["a"] * 4, ValueError, "inconsistent numbers of samples: 3 texts and 4 labels"),
        ((label for label in "abc"), TypeError, r"y is a generator.*list\(y\)"),
        (map(str, "abc"), TypeError, r"y is a map.*list\(y\)"),
    ],
)
def test_what_else_is_refused(y, error, message):
    with pytest.raises(error, match=message):
        check_labels(TEXTS, y)


DAYS = pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03"])


@pytest.mark.parametrize(
    "y",
    [
        DAYS.to_numpy(),
        DAYS,
        pd.Series(DAYS),
        pd.Series(DAYS).dt.tz_localize("UTC"),
        list(DAYS),
        [datetime.date(2026, 1, day) for day in (1, 2, 3)],
        np.array([1, 2, 3], dtype="timedelta64[D]"),
    ],
)
def test_dates_are_refused(y):
    with pytest.raises(ValueError, match=r"y holds dates or times, .* \[str\(label\) for label"):
        check_labels(TEXTS, y)
    check_labels(TEXTS, [str(label) for label in y])


def test_labels_of_a_file_that_look_alike_are_refused():
    with pytest.raises(ValueError, match=r"a\.csv: the labels ' rain' and 'rain' differ by white"):
        check_spelling("a.csv", ["music", " rain", "music", "rain"])
    check_spelling("a.csv", [" rain", "music", " rain", "Rain"])


def test_no_texts():
    with pytest.raises(ValueError, match="at least one is needed"):
        check_labels([], [])


# -- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [list, tuple, np.array, pd.Series])
def test_names_may_come_in_the_order_of_the_classes(kind):
    assert name_labels(np.array(["off", "on"]), kind(["turn off", "turn on"])) == [
        "turn off",
        "turn on",
    ]


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        (["no"], ValueError, r"one name for each of the 2 classes .*\(0, 1\), got 1 names"),
        (["no", "yes", "so"], ValueError, "got 3 names"),
        (["no", 1], ValueError, "non-empty string, got 1 for the label 1"),
        (["no", " "], ValueError, "non-empty string, got ' ' for the label 1"),
        (["no", "yes "], ValueError, "begins or ends with white space"),
        (["no", "yes \ud83d"], ValueError, "label 1 a name that is not valid Unicode"),
        (["no", "no"], ValueError, "0 and 1 share the name 'no'"),
        ({0: "no"}, ValueError, "label_names lacks 1 of the 2 classes, such as 1"),
        ({0: "no", "1": "yes"}, ValueError, "such as 1. Did you write '1' for it?"),
        ("no", TypeError, "label_names must be a mapping.* got str"),
        (3, TypeError, "label_names must be a mapping.* got int"),
        ([["no"], ["yes"]], TypeError, "label_names must be a mapping.* got list"),
    ],
)
def test_names_that_are_refused(names, error, message):
    with pytest.raises(error, match=message):
        name_labels(np.array([0, 1]), names)


@pytest.mark.parametrize(
    ("classes", "kind"),
    [
        ([0, 1], "numbers"),
        (["0", "1.5"], "numbers"),
        ([False, True], "booleans"),
        (["0", "one"], None),
        (["yes", "no"], None),
    ],
)
def test_labels_that_do_not_say_what_they_mean(classes, kind):
    assert meaningless_labels(np.array(classes)) == kind


def test_members_of_an_enumeration_stand_for_their_values():
    labels = check_labels(TEXTS, [Intent.CARD, Intent.TOP, Intent.CARD])
    assert labels.tolist() == ["card arrival", "top up", "card arrival"]
    names = name_labels(np.unique(labels), {Intent.CARD: "a card", Intent.TOP: "money"})
    assert names == ["a card", "money"]


def test_masked_labels_are_missing():
    y = np.ma.array(["a", "b", "c"], mask=[0, 0, 1])
    with pytest.raises(ValueError, match="row 2 is None"):
        check_labels(TEXTS, y)


def test_names_by_the_index_of_a_series():
    names = pd.Series({"c": "cee", "b": "bee", "a": "ay"})
    assert name_labels(np.array(["a", "b", "c"]), names) == ["ay", "bee", "cee"]
    assert name_labels(np.array(["a", "b"]), pd.Series(["ay", "bee"])) == ["ay", "bee"]
    assert name_labels(np.array([1, 2]), pd.Series({2: "two", 1: "one"})) == ["one", "two"]
