"""The loaders on small made-up folders, a fake hub, the real files where present, and our set."""

from __future__ import annotations

import csv
import itertools
import os
import re
import statistics
import subprocess
import sys
import types
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from skcap.datasets import (
    load_assistant_intents,
    load_banking77,
    load_banking77_oos,
    load_clinc150,
    load_hint3,
    load_hwu64,
)
from skcap.datasets.intents import BANKING77, CLINC150, HWU64


def write_csv(path: Path, rows: list[tuple[str, str]], text: str = "text") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([(text, "label"), *rows])


@pytest.fixture(autouse=True)
def nowhere(monkeypatch):
    """No folder is named by the environment."""
    monkeypatch.delenv("SKCAP_DATA", raising=False)


@pytest.fixture
def home(tmp_path):
    """A data folder with three classes of Banking77 and two of CLINC150."""
    home = tmp_path / "home"
    rows = [(f"{label} text, number {i}", label) for i in range(8) for label in ("b", "a", "c_d")]
    write_csv(home / "banking77" / "train.csv", rows)
    write_csv(home / "banking77" / "test.csv", [('say "hi", please\ntwice', "a"), ("é £", "b")])
    write_csv(home / "banking77" / "train_5.csv", [("lower", "a"), ("case", "b")])
    clinc = [(f"{label} {i}", label) for label in ("x", "y") for i in range(9)]
    write_csv(home / "clinc150" / "train.csv", clinc)
    write_csv(home / "clinc150" / "valid.csv", clinc[:3])
    write_csv(home / "clinc150" / "oos_train.csv", [(f"odd {i}", "oos") for i in range(7)])
    return home


# --- what a loader returns -------------------------------------------------------------------


def test_bunch_has_the_conventional_fields(home):
    bunch = load_banking77(data_home=home)
    assert len(bunch.data) == 24
    assert all(type(text) is str for text in bunch.data)
    assert isinstance(bunch.target, np.ndarray)
    assert bunch.target.dtype.kind == "U"
    assert bunch.target_names == ["a", "b", "c_d"]
    assert bunch.subset == "train"
    assert bunch.source == str(home / "banking77")
    assert "CC BY 4.0" in bunch.DESCR


def test_return_x_y_gives_the_same_rows(home):
    bunch = load_banking77("test", data_home=home)
    X, y = load_banking77("test", data_home=home, return_X_y=True)
    assert bunch.data == X == ['say "hi", please\ntwice', "é £"]
    assert bunch.target.tolist() == y.tolist() == ["a", "b"]


def test_published_draw_is_given_as_it_is_and_its_case_is_documented(home):
    bunch = load_banking77(shots="published", data_home=home)
    assert bunch.data == ["lower", "case"]
    assert "lower case" in bunch.DESCR
    assert "all lower case" in load_banking77.__doc__


# --- draws -----------------------------------------------------------------------------------


def test_shots_draws_exactly_that_many_in_source_order(home):
    whole = load_banking77(data_home=home)
    drawn = load_banking77(shots=3, random_state=0, data_home=home)
    assert Counter(drawn.target.tolist()) == {"a": 3, "b": 3, "c_d": 3}
    position = {text: i for i, text in enumerate(whole.data)}
    assert sorted(drawn.data, key=position.__getitem__) == drawn.data
    label_of = dict(zip(whole.data, whole.target, strict=True))
    assert all(label_of[t] == y for t, y in zip(drawn.data, drawn.target, strict=True))


def test_draws_follow_the_seed(home):
    draws = [load_banking77(shots=3, random_state=s, data_home=home).data for s in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]
    generator = np.random.RandomState(0)
    assert load_banking77(shots=3, random_state=generator, data_home=home).data == draws[0]


def test_fewer_shots_are_part_of_more(home):
    few = load_banking77(shots=2, random_state=0, data_home=home).data
    assert set(few) < set(load_banking77(shots=5, random_state=0, data_home=home).data)


def test_what_else_is_loaded_does_not_change_the_draw_of_a_class(home):
    def rows_of(label, bunch):
        return [t for t, y in zip(bunch.data, bunch.target, strict=True) if y == label]

    both = load_clinc150(shots=4, random_state=3, data_home=home)
    alone = load_clinc150(shots=4, random_state=3, labels=["y"], data_home=home)
    outside = load_clinc150(shots=4, random_state=3, out_of_scope=True, data_home=home)
    assert alone.data == rows_of("y", both) == rows_of("y", outside)
    assert len(rows_of("oos", outside)) == 4


def test_too_few_rows_names_the_class(home):
    with pytest.raises(ValueError, match=r"shots=9, but class 'a' has only 8 rows"):
        load_banking77(shots=9, data_home=home)


@pytest.mark.parametrize("shots", [0, -1, 2.5, True, "all"])
def test_wrong_shots(home, shots):
    with pytest.raises(ValueError, match=r"shots must be None, an int >= 1, or 'published'"):
        load_banking77(shots=shots, data_home=home)


@pytest.mark.parametrize("shots", [5, "published"])
def test_shots_come_from_train_only(home, shots):
    with pytest.raises(ValueError, match=r"draws from the train split, got subset='test'"):
        load_banking77("test", shots=shots, data_home=home)


def test_shots_may_be_a_numpy_integer(home):
    assert len(load_banking77(shots=np.int64(2), data_home=home).data) == 6


# --- subsets, labels, out of scope -----------------------------------------------------------


def test_labels_keep_only_those_classes(home):
    bunch = load_banking77(labels=["c_d", "a"], data_home=home)
    assert bunch.target_names == ["a", "c_d"]
    assert len(bunch.data) == 16


def test_unknown_label_gets_close_matches(home):
    with pytest.raises(ValueError, match=r"no class 'c_b'.*Did you mean 'c_d'"):
        load_banking77(labels=["a", "c_b"], data_home=home)
    with pytest.raises(ValueError, match=r"no class 'zzz'.*None is close"):
        load_banking77(labels=["zzz"], data_home=home)


def test_labels_of_the_wrong_kind(home):
    with pytest.raises(TypeError, match=r"labels=\['a'\]"):
        load_banking77(labels="a", data_home=home)
    with pytest.raises(ValueError, match="labels is empty"):
        load_banking77(labels=[], data_home=home)
    with pytest.raises(TypeError, match="labels must be a list of classes, or None for all, got 1"):
        load_banking77(labels=1, data_home=home)


def test_banking77_has_no_validation_split(home):
    with pytest.raises(ValueError, match=r"no published validation split: take it from train"):
        load_banking77("valid", data_home=home)


def test_unknown_subset_names_those_there_are(home):
    with pytest.raises(ValueError, match=r"\['train', 'valid', 'test'\], got 'dev'"):
        load_hwu64("dev", data_home=home)
    with pytest.raises(ValueError, match=r"\['train', 'test'\], got \['train'\]"):
        load_banking77(["train"], data_home=home)


def test_out_of_scope_rows_are_added_on_request_only(home):
    assert "oos" not in load_clinc150(data_home=home).target_names
    bunch = load_clinc150(out_of_scope=True, data_home=home)
    assert bunch.target.tolist().count("oos") == 7
    assert len(bunch.data) == 18 + 7
    chosen = load_clinc150(out_of_scope=True, labels=["x"], data_home=home)
    assert chosen.target_names == ["oos", "x"]


def test_oos_is_no_intent(home):
    with pytest.raises(ValueError, match=r"no class 'oos'.*out_of_scope=True"):
        load_clinc150(labels=["oos"], data_home=home)
    with pytest.raises(ValueError, match=r"out_of_scope=True adds .*; leave it out of labels"):
        load_clinc150(labels=["x", "oos"], out_of_scope=True, data_home=home)


def test_published_draw_has_no_rows_out_of_scope(home):
    with pytest.raises(ValueError, match="published draw has no rows out of scope"):
        load_clinc150(shots="published", out_of_scope=True, data_home=home)


# --- sets with out-of-scope rows of their own ---------------------------------------------------


@pytest.fixture
def shops(tmp_path):
    """Two classes of HINT3 and of Banking77-OOS, with rows out of scope."""
    rows = [(f"{label} {i}", label) for i in range(4) for label in ("EMI", "ORDER")]
    bot = tmp_path / "hint3" / "v1" / "sofmattress"
    for part in ("train", "subset_train", "test"):
        odd = [("odd", "NO_NODES_DETECTED"), ("odder", "NO_NODES_DETECTED")]
        content = odd + rows if part == "test" else rows[: 4 if part == "subset_train" else 8]
        write_csv(bot.with_name(f"sofmattress_{part}.csv"), content, text="sentence")
    for part in ("train", "test"):
        write_csv(tmp_path / "banking77_oos" / f"{part}.csv", rows)
    write_csv(tmp_path / "banking77_oos" / "id_oos_test.csv", [("near", "its own intent")])
    write_csv(tmp_path / "banking77_oos" / "ood_oos_test.csv", [("far", "oos")])
    return tmp_path


def test_hint3(shops):
    train = load_hint3("SOFMattress", data_home=shops)
    assert (len(train.data), train.target_names) == (8, ["EMI", "ORDER"])
    assert "Open Database License" in train.DESCR
    assert len(load_hint3("SOFMattress", variant="subset", data_home=shops).data) == 4
    assert load_hint3("SOFMattress", "test", data_home=shops).target_names == ["EMI", "ORDER"]
    both = load_hint3("SOFMattress", "test", out_of_scope=True, labels=["EMI"], data_home=shops)
    assert both.target.tolist() == ["EMI"] * 4 + ["NO_NODES_DETECTED"] * 2
    X, y = load_hint3("SOFMattress", shots=2, random_state=0, data_home=shops, return_X_y=True)
    assert (len(X), y.shape) == (4, (4,))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"bot": "sofa"},
            r"bot must be one of 'SOFMattress', 'Curekart', 'Powerplay11', got 'sofa'",
        ),
        ({"subset": "valid"}, r"no validation split"),
        ({"version": "v3"}, r"version must be one of 'v1', 'v2', got 'v3'"),
        ({"variant": "half"}, r"variant must be one of 'full', 'subset', got 'half'"),
        ({"variant": "subset", "version": "v2"}, r"variant='subset' is there for train of v1"),
        ({"variant": "subset", "subset": "test"}, r"variant='subset' is there for train of v1"),
        ({"out_of_scope": True}, r"only test has rows out of scope"),
        ({"labels": ["NO_NODES_DETECTED"], "subset": "test"}, r"pass out_of_scope=True"),
    ],
)
def test_hint3_arguments(shops, arguments, message):
    with pytest.raises(ValueError, match=message):
        load_hint3(**{"bot": "SOFMattress", **arguments}, data_home=shops)


def test_banking77_oos(shops):
    train = load_banking77_oos(data_home=shops)
    assert (len(train.data), train.target_names) == (8, ["EMI", "ORDER"])
    near = load_banking77_oos("test", out_of_scope="in_domain", labels=["EMI"], data_home=shops)
    assert (near.data[-1], near.target_names) == ("near", ["EMI", "oos"])
    far = load_banking77_oos("test", out_of_scope="other_domains", data_home=shops)
    assert (far.data[-1], far.target[-1]) == ("far", "oos")
    with pytest.raises(ValueError, match=r"train has no rows out of scope"):
        load_banking77_oos(out_of_scope="in_domain", data_home=shops)
    with pytest.raises(ValueError, match=r"out_of_scope must be one of None, 'in_domain'"):
        load_banking77_oos("test", out_of_scope=True, data_home=shops)


@pytest.mark.parametrize("load", [lambda: load_hint3("Curekart"), load_banking77_oos])
def test_sets_on_no_hub_say_where_their_files_are(load):
    with pytest.raises(OSError, match=r"on no hub.*https://github.*SKCAP_DATA.*\.csv"):
        load()


# --- where the files come from ---------------------------------------------------------------


def test_data_home_goes_before_the_environment(home, tmp_path, monkeypatch):
    monkeypatch.setenv("SKCAP_DATA", str(home))
    assert load_banking77().source == str(home / "banking77")
    write_csv(tmp_path / "other" / "banking77" / "train.csv", [("t", "a")])
    assert load_banking77(data_home=str(tmp_path / "other")).data == ["t"]


def test_no_folder_is_guessed(tmp_path, monkeypatch, fake_hub):
    fake_hub(banking_rows())
    for base in (tmp_path, tmp_path / "project"):
        write_csv(base / "shared" / "data" / "banking77" / "train.csv", [("guessed", "a")])
    monkeypatch.chdir(tmp_path / "project")
    assert load_banking77().source == "hub:mteb/banking77"
    monkeypatch.setenv("SKCAP_DATA", "")
    assert load_banking77().source == "hub:mteb/banking77"


@pytest.mark.parametrize("how", ["data_home", "SKCAP_DATA"])
def test_a_named_folder_without_the_data_is_an_error(how, tmp_path, monkeypatch, fake_hub):
    fake_hub(banking_rows())
    if how == "SKCAP_DATA":
        monkeypatch.setenv(how, str(tmp_path))
    with pytest.raises(FileNotFoundError, match=rf"{how} is .* no folder .*banking77"):
        load_banking77(data_home=tmp_path if how == "data_home" else None)


def test_missing_file_and_wrong_header_are_named(home):
    with pytest.raises(FileNotFoundError, match=r"lacks the file oos_valid\.csv"):
        load_clinc150("valid", out_of_scope=True, data_home=home)
    path = home / "banking77" / "test.csv"
    path.write_text("text,category\nhi,a\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"test\.csv lacks the column label"):
        load_banking77("test", data_home=home)
    path.write_text("text,label\nhi,a\nhalf a row\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"line 3 has no label: 'half a row'"):
        load_banking77("test", data_home=home)
    path.write_text("label,text\na,hi\nb\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"line 3 has no text: 'b'"):
        load_banking77("test", data_home=home)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,label\nhi,a\nhello, world,b\n", r"test\.csv: line 3 has 3 fields, not 2.*'hello'"),
        ("text,label\nhi,a\nhello,\n", r"test\.csv: line 3 has no label: 'hello'"),
        ("text,label\nhi,a\ncaf\xe9,b\n", r"test\.csv: line 3 is not valid UTF-8"),
        ('text,label\n"hi,a\nyou,b\n"so" it,c\n', r"test\.csv: .* ends in line 4 is broken"),
        ('text,label\n"hi,a\nyou,b\n', r"test\.csv: .* ends in line 3 is broken"),
        ("text,label\n", r"test\.csv holds no rows"),
        ("text,label\nhi,a\nyou, a\n", r"test\.csv: the labels 'a' and ' a' differ by white sp"),
    ],
    ids=["comma", "label", "bytes", "quote", "open quote", "no rows", "white space"],
)
def test_damaged_rows_are_named_by_their_line(home, content, message):
    (home / "banking77" / "test.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError, match=message):
        load_banking77("test", data_home=home)


def test_files_of_spreadsheets_begin_with_a_mark(home):
    path = home / "banking77" / "test.csv"
    path.write_text('text,label\n"hello, world",a\n', encoding="utf-8-sig")
    assert load_banking77("test", data_home=home).data == ["hello, world"]


def test_texts_may_be_longer_than_csv_allows_by_default(home):
    path = home / "banking77" / "test.csv"
    path.write_text(f"text,label\n{'x' * 131_073},a\n", encoding="utf-8")
    csv.field_size_limit(131_072)  # whatever was read before
    assert len(load_banking77("test", data_home=home).data[0]) == 131_073


# --- the hub, faked --------------------------------------------------------------------------


class FakeTable:
    """As much of ``datasets.Dataset`` as the loaders use."""

    def __init__(self, columns, names=None):
        self.columns = columns
        self.features = {
            column: types.SimpleNamespace(names=names) if names else object() for column in columns
        }

    def __getitem__(self, column):
        return iter(self.columns[column])


def banking_rows(n=10_003, n_classes=77):
    return FakeTable(
        {
            "text": [f"text {i}" for i in range(n)],
            "label_text": [f"class_{i % n_classes}" for i in range(n)],
        }
    )


@pytest.fixture
def fake_hub(monkeypatch):
    """Install a fake ``datasets`` that gives one table (or raises it); returns the calls."""

    def install(table):
        calls = []

        def load_dataset(path, name=None, split=None):
            calls.append((path, name, split))
            if isinstance(table, Exception):
                raise table
            return table

        module = types.ModuleType("datasets")
        module.load_dataset = load_dataset
        monkeypatch.setitem(sys.modules, "datasets", module)
        return calls

    return install


def test_hub_is_asked_when_there_is_no_folder(fake_hub):
    calls = fake_hub(banking_rows())
    bunch = load_banking77(shots=5, random_state=0)
    assert calls == [("mteb/banking77", None, "train")]
    assert len(bunch.data) == 5 * 77
    assert bunch.source == "hub:mteb/banking77"


def test_hub_is_not_asked_when_there_is_a_folder(home, fake_hub):
    calls = fake_hub(banking_rows())
    load_banking77(data_home=home)
    assert calls == []


def test_hub_class_numbers_become_names_and_oos_rows_are_set_apart(fake_hub):
    names = [f"intent {i}" for i in range(150)] + ["oos"]
    numbers = [i % 150 for i in range(3_000)] + [150] * 100
    numbers = numbers[::-1]  # the hub does not keep oos rows last
    table = {"text": [f"text {i}" for i in range(3_100)], "intent": numbers}
    calls = fake_hub(FakeTable(table, names))
    inside = load_clinc150("valid")
    assert calls == [("clinc/clinc_oos", "plus", "validation")]
    assert len(inside.data) == 3_000
    assert inside.target[0] == "intent_149"
    fake_hub(FakeTable(table, names))
    outside = load_clinc150("valid", out_of_scope=True)
    assert outside.data[:3_000] == inside.data
    assert set(outside.target[3_000:]) == {"oos"}


def test_hub_copy_unlike_the_published_set_warns(fake_hub):
    fake_hub(banking_rows(n=9_000, n_classes=76))
    with pytest.warns(
        UserWarning, match="9000 rows instead of 10003, 76 classes instead of 77"
    ) as caught:
        load_banking77()
    assert caught[0].filename == __file__


def test_hub_hwu64(fake_hub):
    n = 1_076
    table = {"text": ["hi"] * n, "label": [f"alarm {i % 64}" for i in range(n)]}
    calls = fake_hub(FakeTable(table))
    assert "alarm_63" in load_hwu64("valid").target_names
    assert calls == [("FastFit/hwu_64", None, "validation")]


def test_missing_package_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)  # importing it now fails
    with pytest.raises(OSError, match="not installed") as caught:
        load_hwu64()
    for step in ("SKCAP_DATA", "hwu64/", "pip install 'skcap[hub]'", "load_assistant_intents()"):
        assert step in str(caught.value)
    assert isinstance(caught.value.__cause__, ImportError)


def test_unreachable_hub_says_what_to_do_and_why(fake_hub):
    fake_hub(ConnectionError("no route"))
    with pytest.raises(OSError, match=r"ConnectionError: no route") as caught:
        load_clinc150()
    for step in ("SKCAP_DATA", "clinc150/", "load_assistant_intents()"):
        assert step in str(caught.value)


def test_published_draw_is_not_on_the_hub(fake_hub):
    calls = fake_hub(banking_rows())
    with pytest.raises(OSError, match=r"not on the hub.*banking77/train_5\.csv.*SKCAP_DATA"):
        load_banking77(shots="published")
    assert calls == []


# --- the real files, where there are any -----------------------------------------------------

BESIDE = Path(__file__).resolve().parents[3] / "shared" / "data"
REAL = Path(os.environ.get("SKCAP_DATA") or BESIDE)
needs_files = pytest.mark.skipif(
    not (REAL / "banking77").is_dir(), reason="needs SKCAP_DATA or ../shared/data"
)


@needs_files
@pytest.mark.parametrize(
    ("spec", "load"),
    [
        (BANKING77, load_banking77),
        (CLINC150, load_clinc150),
        (HWU64, load_hwu64),
    ],
)
def test_real_counts_are_the_published_ones(spec, load):
    for subset, n_rows in spec.n_rows.items():
        bunch = load(subset, data_home=REAL)
        assert (len(bunch.data), len(bunch.target_names)) == (n_rows, spec.n_classes)
    drawn = load(shots=5, random_state=0, data_home=REAL)
    published = load(shots="published", data_home=REAL)
    for bunch in (drawn, published):
        assert set(Counter(bunch.target.tolist()).values()) == {5}
        assert len(bunch.target_names) == spec.n_classes
    assert sorted(drawn.data) != sorted(published.data)


@needs_files
def test_real_out_of_scope_counts():
    for subset, n_oos in CLINC150.n_oos.items():
        target = load_clinc150(subset, out_of_scope=True, data_home=REAL).target
        assert np.count_nonzero(target == "oos") == n_oos


@needs_files
def test_real_published_banking77_draw_is_lower_case():
    assert all(t == t.lower() for t in load_banking77(shots="published", data_home=REAL).data)
    assert any(t != t.lower() for t in load_banking77(data_home=REAL).data)


@needs_files
@pytest.mark.parametrize(
    ("bot", "n_classes", "n_train", "n_few", "n_inside", "n_outside"),
    [("SOFMattress", 21, 328, 180, 231, 166), ("Curekart", 28, 600, 413, 452, 539)],
)
def test_real_hint3_counts(bot, n_classes, n_train, n_few, n_inside, n_outside):
    train = load_hint3(bot, data_home=REAL)
    assert (len(train.data), len(train.target_names)) == (n_train, n_classes)
    assert len(load_hint3(bot, variant="subset", data_home=REAL).data) == n_few
    assert len(load_hint3(bot, "test", data_home=REAL).data) == n_inside
    target = load_hint3(bot, "test", out_of_scope=True, data_home=REAL).target
    assert np.count_nonzero(target == "NO_NODES_DETECTED") == n_outside
    corrected = load_hint3(bot, "test", version="v2", out_of_scope=True, data_home=REAL).target
    assert len(corrected) == n_inside + n_outside
    assert np.count_nonzero(corrected == "NO_NODES_DETECTED") < n_outside


@needs_files
def test_real_banking77_oos_counts():
    published = {"train": (5_905, 0, 0), "valid": (1_506, 530, 200), "test": (2_000, 1_080, 1_000)}
    for subset, (n_rows, n_near, n_far) in published.items():
        bunch = load_banking77_oos(subset, data_home=REAL)
        assert (len(bunch.data), len(bunch.target_names)) == (n_rows, 50)
        for which, n_outside in (("in_domain", n_near), ("other_domains", n_far)):
            if n_outside:
                options = {"out_of_scope": which, "data_home": REAL}
                target = load_banking77_oos(subset, **options).target
                assert np.count_nonzero(target == "oos") == n_outside


# --- assistant intents -----------------------------------------------------------------------


def plain(text: str) -> str:
    return " ".join(re.sub(r"[^\w\s]", "", text.lower()).split())


@pytest.fixture(scope="module")
def assistant():
    return {subset: load_assistant_intents(subset) for subset in ("train", "test")}


def test_assistant_counts(assistant):
    names = sorted(
        f"{act}_{thing}"
        for act in ("set", "query", "cancel")
        for thing in ("alarm", "timer", "reminder", "calendar")
    )
    for subset, per_class in (("train", 20), ("test", 10)):
        assert assistant[subset].target_names == names
        assert set(Counter(assistant[subset].target.tolist()).values()) == {per_class}
    assert "CC0" in assistant["train"].DESCR


def test_assistant_texts_are_distinct_and_no_variants_of_each_other(assistant):
    texts = [plain(text) for bunch in assistant.values() for text in bunch.data]
    labels = [label for bunch in assistant.values() for label in bunch.target]
    assert len(set(texts)) == len(texts) == 360
    for (a, label_a), (b, label_b) in itertools.combinations(zip(texts, labels, strict=True), 2):
        if label_a == label_b:
            words_a, words_b = set(a.split()), set(b.split())
            assert len(words_a & words_b) <= 0.8 * len(words_a | words_b), (a, b)


def test_assistant_texts_vary_in_length_within_every_class_and_split(assistant):
    for bunch in assistant.values():
        for name in bunch.target_names:
            lengths = [
                len(text.split())
                for text, label in zip(bunch.data, bunch.target, strict=True)
                if label == name
            ]
            assert min(lengths) >= 2
            assert max(lengths) <= 25
            assert statistics.pstdev(lengths) >= 2, name


def test_assistant_texts_are_tidy(assistant):
    for bunch in assistant.values():
        assert all(text == " ".join(text.split()) for text in bunch.data)
        cased = sum(text != text.lower() for text in bunch.data)
        assert 0.2 < cased / len(bunch.data) < 0.8


def test_assistant_keywords_alone_do_not_tell_the_intent(assistant):
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    train, test = assistant["train"], assistant["test"]
    pipe = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(train.data, train.target)
    assert 0.2 < pipe.score(test.data, test.target) < 0.8


def test_assistant_shots_and_labels():
    bunch = load_assistant_intents(shots=5, random_state=1, labels=["set_alarm", "query_alarm"])
    assert Counter(bunch.target.tolist()) == {"set_alarm": 5, "query_alarm": 5}
    with pytest.raises(ValueError, match=r"class 'cancel_alarm' has only 20 rows"):
        load_assistant_intents(shots=21)
    with pytest.raises(ValueError, match=r"None, an int >= 1, got 'published'"):
        load_assistant_intents(shots="published")
    with pytest.raises(ValueError, match=r"Did you mean 'set_alarm'"):
        load_assistant_intents(labels=["setalarm"])
    with pytest.raises(ValueError, match=r"\['train', 'test'\], got 'valid'"):
        load_assistant_intents("valid")


def test_import_is_light():
    code = (
        "import sys, skcap.datasets as d; d.load_assistant_intents(); "
        "heavy = {'torch', 'transformers', 'datasets', 'matplotlib'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
