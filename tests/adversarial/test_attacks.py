import dataclasses
import enum

import numpy as np
import pytest

from skcap.adversarial import (
    AdversarialSet,
    BaseWriter,
    LLMWriter,
    RejectedEditError,
    keyword_addition,
    keyword_replacement,
)
from skcap.llm.chat import FakeChat

KEYWORDS = {
    "alarm_remove": {"cancel": 1.0, "alarm": 0.6, "school": 0.3, "early": 0.1},
    "calendar_remove": {"party": 1.0, "calendar": 0.8, "cancel": 0.5, "delete": 0.4},
    "pending_transfer": {"pending": 1.0, "transfer": 0.5},
    "general": {},
}
TARGETS = {
    "alarm_remove": ["calendar_remove"],
    "calendar_remove": ["alarm_remove", "pending_transfer"],
    "pending_transfer": ["calendar_remove"],
    "general": ["alarm_remove"],
}
TEXTS = [
    "Cancel my school alarm at 7",
    "delete the party from my calendar",
    "my transfer is still pending",
    "cancel the calendar event on monday",
]
Y = ["alarm_remove", "calendar_remove", "pending_transfer", "calendar_remove"]


def add(texts=TEXTS, y=Y, **options):
    return keyword_addition(texts, y, KEYWORDS, TARGETS, **options)


def swap(texts=TEXTS, y=Y, **options):
    return keyword_replacement(texts, y, KEYWORDS, TARGETS, **options)


@pytest.mark.parametrize("attack", [add, swap])
def test_every_text_is_attacked_once_a_target(attack):
    attacked = attack()
    tried = [(item.row, item.target) for item in attacked.items]
    assert tried == [(row, t) for row, label in enumerate(Y) for t in TARGETS[label]]
    assert len(attacked) + len(attacked.rejected) == len(tried)
    for item in attacked.items:
        assert (item.original, item.label) == (TEXTS[item.row], Y[item.row])
        assert item.writer == "rules"
        assert (item.text is None) == (item.reason is not None)
    assert attacked.labels.tolist() == [Y[row] for row in attacked.rows]


def test_addition_takes_words_of_the_target_that_mislead():
    for seed in range(30):
        for item in add(random_state=seed).made:
            assert 1 <= len(item.added) <= 2
            assert set(item.added) <= set(KEYWORDS[item.target])
            assert item.removed == ()
            assert item.original in item.text
            # "cancel" is stronger in alarm_remove; "calendar" would complete the target's label
            if item.label == "alarm_remove":
                assert set(item.added) <= {"party", "calendar", "delete"}


def test_addition_never_completes_the_words_of_the_targets_label():
    keywords = {"a": {"lost": 1.0}, "pending_transfer": {"pending": 1.0, "slow": 0.1}}
    texts = ["lost what i transferred", "lost it"]
    for seed in range(20):
        first, second = keyword_addition(
            texts, ["a", "a"], keywords, {"a": ["pending_transfer"]}, random_state=seed
        ).made
        assert first.added == ("slow",)
        assert set(second.added) == {"pending", "slow"}


@pytest.mark.parametrize("sign", ["_", "-", " "])
def test_words_of_a_label_may_have_hyphens_between_them(sign):
    table, flight = f"book{sign}table", f"book{sign}flight"
    keywords = {table: {"seat": 1.0}, flight: {"flight": 1.0}}
    item = keyword_addition(["book a seat"], [table], keywords, {table: [flight]}).rejected[0]
    assert item.reason == "no keyword of the target fits"
    alarm, timer = f"set{sign}alarm", f"set{sign}timer"
    keywords = {alarm: {"school": 2.0, "alarm": 1.0}, timer: {"kitchen": 0.2}}
    item = keyword_replacement(
        ["is my alarm in the school"], [alarm], keywords, {alarm: [timer]}, n_words=1
    ).rejected[0]
    assert item.reason == "too little would be left of the true class"


def test_hyphens_within_a_word_of_a_label_stay():
    keywords = {"card": {"card": 1.0}, "top-up": {"top-up": 1.0}}
    item = keyword_addition(["my card"], ["card"], keywords, {"card": ["top-up"]}).rejected[0]
    assert item.reason == "no keyword of the target fits"


def test_marks_without_letters_are_no_words_of_a_text_or_a_class():
    keywords = {"a": {"card": 1.0}, "b": {"🔥": 1.0}, "c": {"pin": 1.0}}
    targets = {"a": ["b", "c"]}
    attacked = keyword_addition(["lost card 🔥", "", "???"], ["a"] * 3, keywords, targets)
    assert [(item.row, item.target) for item in attacked.made] == [(0, "c")]
    assert attacked.report()["reasons"] == {
        "the text holds no words": 4,
        "no keyword of the target fits": 1,
    }


def test_addition_draws_by_weight_and_n_words():
    keywords = {"a": {}, "b": {"heavy": 9.0, "light": 1.0}}
    drawn = [
        keyword_addition(["go"], ["a"], keywords, {"a": ["b"]}, n_words=1, random_state=seed)
        .made[0]
        .added
        for seed in range(300)
    ]
    assert drawn.count(("heavy",)) / 300 == pytest.approx(0.9, abs=0.05)


def test_replacement_keeps_the_label_words_and_the_strongest_keyword():
    for seed in range(30):
        item = swap(TEXTS[:1], Y[:1], random_state=seed).made[0]
        # "alarm" tells alarm_remove from calendar_remove; "cancel" is the strongest keyword
        assert item.removed == ("school",)
        assert item.added in {("party",), ("calendar",)}
        assert item.text == f"Cancel my {item.added[0]} alarm at 7"


@pytest.mark.parametrize(
    ("text", "label", "reason"),
    [
        ("what is it", "alarm_remove", "no keyword of the true class may be replaced"),
        ("the alarm", "alarm_remove", "no keyword of the true class may be replaced"),
        ("the School alarm", "alarm_remove", "no keyword of the true class may be replaced"),
        ("5 school alarm", "alarm_remove", "no keyword of the true class may be replaced"),
        ("alarm early", "alarm_remove", "no keyword of the target fits"),
        ("cancel cancel", "alarm_remove", "no keyword of the true class may be replaced"),
        ("the school", "alarm_remove", "too little would be left of the true class"),
    ],
)
def test_replacement_says_why_it_refuses(text, label, reason):
    (item,) = swap([text], [label]).rejected
    assert item.reason == reason


def test_half_of_the_evidence_may_stand_for_the_strongest_keyword():
    keywords = {"a": {"dog": 1.0, "cat": 0.7, "cow": 0.7}, "b": {"car": 1.0, "bus": 1.0}}
    removed = {
        keyword_replacement(
            ["dog cat cow"], ["a"], keywords, {"a": ["b"]}, n_words=1, random_state=seed
        ).made[0].removed
        for seed in range(30)
    }  # fmt: skip
    assert removed == {("dog",), ("cat",), ("cow",)}
    for seed in range(30):
        both = keyword_replacement(
            ["dog cat cow"], ["a"], keywords, {"a": ["b"]}, n_words=2, random_state=seed
        )
        assert "dog" not in both.made[0].removed or len(both.made[0].removed) == 1


def test_what_comes_in_may_not_outweigh_what_is_left():
    keywords = {"a": {"dog": 1.0, "cat": 0.7}, "b": {"car": 1.1, "bus": 0.9}}
    for seed in range(20):
        attacked = keyword_replacement(
            ["dog or cat"], ["a"], keywords, {"a": ["b"]}, random_state=seed
        )
        assert attacked.texts == ["dog or bus"]


def test_replacement_reaches_every_place_and_number_of_a_word():
    keywords = {"a": {"dog": 1.0, "cats": 0.7}, "b": {"cars": 1.0}}
    attacked = keyword_replacement(["dog, cat or cats"], ["a"], keywords, {"a": ["b"]})
    assert attacked.texts == ["dog, car or cars"]


@pytest.mark.parametrize("attack", [add, swap])
def test_rows_and_neighbours_do_not_matter(attack):
    whole = attack()
    for row, (text, label) in enumerate(zip(TEXTS, Y, strict=True)):
        alone = attack([text], [label])
        with_row = [dataclasses.replace(item, row=row) for item in alone.items]
        assert with_row == [item for item in whole.items if item.row == row]
    backwards = attack(TEXTS[::-1], Y[::-1])
    assert backwards.content_hash == whole.content_hash
    assert len({attack(random_state=seed).content_hash for seed in range(6)}) > 1


def test_classes_without_keywords_and_int_labels():
    item = add(["cancel it"], ["general"]).made[0]
    assert "cancel" not in item.added
    keywords = {0: {"cat": 1.0}, 1: {"dog": 1.0}}
    attacked = keyword_addition(["a cat"], np.array([0]), keywords, {0: [1]})
    assert attacked.labels.tolist() == [0]
    named = {0: "the cat", 1: "the dog"}
    refused = keyword_addition(["a cat"], [0], keywords, {0: [1]}, label_names=named)
    assert refused.report()["reasons"] == {"no keyword of the target fits": 1}


def test_keywords_of_no_class_may_stand_beside_labels_that_are_integers():
    keywords = {0: {"cat": 1.0}, 1: {"dog": 1.0}, "no class": {"window": 1.0}}
    control = keyword_addition(["a cat"], [0], keywords, {0: ["no class"]})
    assert control.made[0].added == ("window",)


def test_keys_and_targets_may_be_members_of_an_enumeration_and_targets_an_iterator():
    label = enum.Enum("label", {"A": "a", "B": "b"})
    keywords = {label.A: {"dog": 1.0}, label.B: {"car": 1.0}}
    texts, y = ["my dog", "a dog"], [label.A, label.A]
    found = keyword_addition(texts, y, keywords, {label.A: [label.B]})
    plain = {"a": {"dog": 1.0}, "b": {"car": 1.0}}
    assert found == keyword_addition(texts, ["a", "a"], plain, {"a": ["b"]})
    assert found == keyword_addition(texts, ["a", "a"], plain, {"a": iter(["b"])})
    assert len(found) == 2


class Careless(BaseWriter):
    def write(self, edit):
        if "pending" in edit.text:
            raise RejectedEditError("not in the mood")
        return edit.text

    def describe(self):
        return "careless"


def test_writers_are_checked_and_reported():
    attacked = add(writer=Careless())
    assert attacked.report() == {
        "attempted": 6,
        "made": 0,
        "rejected": 6,
        "reasons": {"the text was not changed": 5, "not in the mood": 1},
    }
    assert {item.writer for item in attacked.items} == {"careless"}
    assert all(item.added for item in attacked.rejected)


def test_llm_writer_in_an_attack():
    replies = {"cancel": "cancel my school alarm at 7, party calendar delete", "delete": "I cannot"}
    chat = FakeChat(lambda messages: replies["cancel" if TEXTS[0] in str(messages) else "delete"])
    attacked = add(TEXTS[:2], Y[:2], writer=LLMWriter(chat, n_tries=2))
    assert attacked.texts == [replies["cancel"]]
    assert attacked.report()["reasons"] == {"the text is much longer or shorter": 2}
    assert {item.writer for item in attacked.items} == {"llm:fake"}
    assert len(chat.requests_) == 1 + 2 * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"texts": ["a"], "y": ["alarm_remove", "general"]}, "inconsistent numbers of samples"),
        ({"texts": ["a"], "y": ["unknown"]}, "targets has no entry for the class 'unknown'"),
        ({"targets": {"general": ["missing"]}}, "keywords has no entry for the class 'missing'"),
        ({"targets": {"general": ["general"]}}, "the class itself"),
        ({"targets": {"general": "alarm_remove"}}, "must be a list of labels, got 'alarm_remove'"),
        ({"targets": {"general": 3}}, "must be a list of labels, got 3. Put it into a list"),
        ({"keywords": {"general": {"top up": 1.0}}}, "hold single words, got 'top up'"),
        ({"keywords": {"general": {"card": float("nan")}}}, "finite weights, got nan for 'card'"),
        ({"texts": ["a \ud83d"]}, "texts must hold valid Unicode, but row 0 holds"),
        ({"n_words": 0}, "n_words"),
        ({"random_state": "x"}, "random_state"),
        ({"y": [float("nan")]}, "row 0 is nan"),
    ],
)
def test_wrong_arguments(arguments, message):
    given = {"texts": ["a"], "y": ["general"], "keywords": KEYWORDS, "targets": TARGETS}
    for attack in (keyword_addition, keyword_replacement):
        with pytest.raises(ValueError, match=message):
            attack(**given | arguments)
        with pytest.raises(TypeError, match="single string"):
            attack("a text", ["general"], KEYWORDS, TARGETS)
        with pytest.raises(TypeError, match=r"keywords\['general'\] must be a mapping of words"):
            attack(["a text"], ["general"], {"general": ["card"]}, TARGETS)
        with pytest.raises(TypeError, match="targets must be a mapping with the labels of y"):
            attack(["a text"], ["general"], KEYWORDS, ["general"])
        with pytest.raises(TypeError, match="writer must be a BaseWriter or None, got str"):
            attack(["a text"], ["general"], KEYWORDS, TARGETS, writer="rules")


def test_save_and_load(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "set.parquet"
    for attacked in (add(), swap(), AdversarialSet([])):
        attacked.save(path)
        loaded = AdversarialSet.load(path)
        assert loaded == attacked
        assert loaded.content_hash == attacked.content_hash
    assert [p.name for p in tmp_path.iterdir()] == ["set.parquet"]
    numbered = keyword_addition(["a cat"], [0], {0: {}, 1: {"dog": 1.0}}, {0: [1]})
    numbered.save(path)
    assert AdversarialSet.load(path).labels.tolist() == [0]
    of_numpy = keyword_addition(["a cat"], [0], {0: {}, 1: {"dog": 1.0}}, {0: np.array([1])})
    assert of_numpy == numbered
    assert of_numpy.content_hash == numbered.content_hash


def test_load_refuses_what_is_not_ours_or_was_changed(tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "set.parquet"
    add().save(path)
    table = pq.read_table(path)
    pq.write_table(table.slice(1), path)
    with pytest.raises(ValueError, match="does not match its hash"):
        AdversarialSet.load(path)
    pq.write_table(table.replace_schema_metadata({}), path)
    with pytest.raises(ValueError, match=r"not written by AdversarialSet\.save"):
        AdversarialSet.load(path)
    path.write_text("text")
    with pytest.raises(ValueError, match="not a Parquet file"):
        AdversarialSet.load(path)
    mixed = [dataclasses.replace(item, target=1) for item in add().items]
    with pytest.raises(ValueError, match="all strings or all integers"):
        AdversarialSet(mixed).save(path)


def test_frame_shows_every_item():
    frame = add().to_frame()
    assert len(frame) == 6
    assert list(frame.columns[:4]) == ["attack", "row", "original", "text"]
    assert " " in frame["added"].iloc[1]
