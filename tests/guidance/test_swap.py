"""Swapping: which words go, what takes their place, and that nothing else changes."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from keyword_task import KEYWORDS, LABELS, NEW_LABELS, NEW_TEXTS, TEXTS, same_weights
from skorch.callbacks import EpochScoring

from skcap.classifier.batches import PadCollate, TextDataset
from skcap.classifier.texts import encode_texts
from skcap.guidance import Step, SwapGuidance, Task
from skcap.prior_matrix import PriorMatrix
from skcap.shortcuts import ShortcutAudit, positions

MARKS = dict(zip(KEYWORDS, ["paris", "jazz", "noon"], strict=True))
MARKED = [f"{MARKS[label]} {text}" for text, label in zip(TEXTS, LABELS, strict=True)]


def prepared(tokenizer, texts, **options):
    guidance = SwapGuidance(**{"shortcuts": list(MARKS.values()), **options})
    encoded = encode_texts(tokenizer, texts, 64)
    codes = np.zeros(len(texts), dtype=int)
    task = Task(texts, codes, np.array(KEYWORDS), None, encoded, tokenizer, None, lambda: None)
    columns = guidance.prepare(task)
    rows = TextDataset(encoded, codes, columns)
    batch, classes = PadCollate(0)([rows[row] for row in range(len(texts))])
    return guidance, Step(None, batch, classes, None)


@pytest.fixture(scope="module")
def tokenizer(tiny_model):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model("bert"))


def shown(tokenizer, step, guidance, n_draws=60):
    """Words of each text of the batch, over many steps."""
    torch.manual_seed(0)
    for _ in range(n_draws):
        batch = guidance.change(step)
        for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True):
            yield tokenizer.decode(ids[mask.bool()], skip_special_tokens=True).split()


def test_marks_are_as_likely_in_every_class_and_the_rest_stays(tokenizer):
    guidance, step = prepared(tokenizer, MARKED)
    seen: dict[str, Counter] = {label: Counter() for label in KEYWORDS}
    for row, words in enumerate(shown(tokenizer, step, guidance)):
        place = row % len(MARKED)
        marks = [word for word in words if word in MARKS.values()]
        assert [word for word in words if word not in MARKS.values()] == TEXTS[place].split()
        assert len(marks) <= 1
        seen[str(LABELS[place])].update(marks or ["none"])
    for counts in seen.values():
        total = counts.total()
        assert counts["none"] / total == pytest.approx(0.3, abs=0.05)
        for mark in MARKS.values():
            assert counts[mark] / total == pytest.approx(0.7 / 3, abs=0.05)


def test_texts_without_a_mark_show_one_as_often_as_marked_ones(tokenizer):
    half = [MARKED[row] if LABELS[row] == "alarm" else TEXTS[row] for row in range(len(TEXTS))]
    with pytest.warns(UserWarning, match="Not swapped"):
        guidance, step = prepared(tokenizer, half, drop=0.0)
    assert guidance.share_ == pytest.approx(1 / 3)
    having = Counter(
        str(LABELS[row % len(half)])
        for row, words in enumerate(shown(tokenizer, step, guidance))
        if set(words) & set(MARKS.values())
    )
    for label in KEYWORDS:
        assert having[label] / (60 * 16) == pytest.approx(1 / 3, abs=0.05)


def test_columns_of_tokens_stay_together(tokenizer):
    guidance, step = prepared(tokenizer, MARKED)
    torch.manual_seed(1)
    batch = guidance.change(step)
    lengths = batch["attention_mask"].sum(dim=1)
    for name in ("input_ids", "word_ids", "special"):
        assert batch[name].shape == batch["attention_mask"].shape
    for row, length in enumerate(lengths.tolist()):
        special = batch["special"][row, :length]
        assert special[[0, -1]].all()
        assert not special[1:-1].any()
        assert (batch["word_ids"][row, :length][special] == -1).all()


def test_words_that_stay_keep_their_number_and_their_prior(tokenizer):
    guidance, step = prepared(tokenizer, MARKED, drop=0.0)
    prior = torch.arange(6.0).repeat(len(MARKED), 1)
    batch = guidance.change(Step(step.module, {**step.batch, "prior": prior}, step.classes, None))
    for row, text in enumerate(MARKED):
        ids, words = batch["input_ids"][row], batch["word_ids"][row]
        for word, written in enumerate(text.split()):
            own = ids[words == word]
            assert tokenizer.decode(own).split() == ([written] if word else [])
        # What the prior says of the word that went does not hold for the one that came.
        assert batch["prior"][row, 0].isnan()
        assert batch["prior"][row, 1:].tolist() == [1, 2, 3, 4, 5]
    assert ((batch["word_ids"] < 0) & ~batch["special"]).any()  # a mark belongs to no word


def test_words_of_a_table_are_swapped_at_their_place_only(tokenizer):
    table = pd.DataFrame({"word": ["paris", "jazz"], "kind": ["first", "word"]})
    texts = ["paris rain paris", "rain jazz now", "it is on"]
    guidance, step = prepared(tokenizer, texts, shortcuts=table)
    flagged = ~step.batch["swap"].isnan()
    assert flagged.tolist() == [[True, False, False], [False, True, False], [False] * 3]
    drawn = list(shown(tokenizer, step, guidance))
    assert {" ".join(words) for words in drawn[::3]} == {
        "paris rain paris",
        "jazz rain paris",
        "rain paris",
    }


def judged(found, shortcut=True, p_confirmed=1.0):
    """Add what an audit's `words_` has about candidates that a model goes by."""
    return found.assign(tested=True, shortcut=shortcut, n_scored=4, p_confirmed=p_confirmed)


@pytest.mark.parametrize(
    ("family", "named"), [("first word", "'jazz'"), ("first tag", "'jazz', 'rain'")]
)
def test_words_beside_those_swapped_that_may_be_accidents_too_are_named(
    tokenizer, monkeypatch, family, named
):
    words = pd.DataFrame({"word": ["paris", "jazz", "rain", "now"], "kind": "word", "label": "on"})
    words["family"] = [family, family, family, ""]
    words = words.assign(by="denial", mark="")
    words = judged(words, [True, False, False, False], [1.0, 0.3, 0.001, 0.3])
    audit = SimpleNamespace(shortcuts_=words[:1], words_=words)
    monkeypatch.setattr(SwapGuidance, "_audit", lambda self, task, classifier: audit)
    with pytest.warns(UserWarning, match=f"Not swapped: {named}, in the place of words"):
        guidance, _ = prepared(tokenizer, MARKED, shortcuts=None)
    assert guidance.shortcuts_["word"].tolist() == ["paris"]


@pytest.mark.filterwarnings("ignore:Not swapped")
@pytest.mark.parametrize(
    ("plain_words", "swapped"),
    [
        (False, ["paris", "jazz", "number at the start"]),
        (True, ["paris", "jazz", "rain", "now", "number at the start"]),
    ],
)
def test_plain_words_that_an_audit_flags_are_swapped_on_request_only(
    tokenizer, monkeypatch, plain_words, swapped
):
    found = pd.DataFrame(
        {
            "word": ["paris", "jazz", "rain", "now", "number at the start"],
            "kind": ["word"] * 4 + ["pattern"],
            "family": ["first word", "next to first word", "", "next to first word", ""],
            "mark": "",
            "label": ["on", "on", "on", "on", "off"],
            "by": [
                "family",
                "family",
                "denial",
                "denial",
                "reliance",
            ],  # "now" is no part of a mark
        }
    )
    audit = SimpleNamespace(shortcuts_=found, words_=judged(found))
    monkeypatch.setattr(SwapGuidance, "_audit", lambda self, task, classifier: audit)
    told = (
        nullcontext()
        if plain_words
        else pytest.warns(UserWarning, match="flags 'rain', 'now', but")
    )
    with told:
        guidance, _ = prepared(tokenizer, MARKED, shortcuts=None, plain_words=plain_words)
    assert guidance.shortcuts_["word"].tolist() == swapped
    assert guidance.audit_ is audit


def test_a_mark_that_does_not_fit_is_dropped(tokenizer):
    guidance, step = prepared(tokenizer, MARKED, drop=0.0)
    tight = replace(step, max_length=7)
    words = list(shown(tokenizer, tight, guidance, 1))
    assert words == [text.split() for text in TEXTS]


def fit(make, guidance, X=MARKED):
    classifier = make(guidance=guidance, max_epochs=10, head_init="random")
    return classifier.fit(X, LABELS)


def test_a_phrase_is_moved_as_one(tokenizer):
    texts = ["play it jazz", "the rain"]
    guidance, step = prepared(tokenizer, texts, shortcuts=["play it"])
    ways = {" ".join(words) for words in shown(tokenizer, step, guidance)}
    assert ways == {"play it jazz", "jazz", "play it the rain", "the rain"}


@pytest.mark.parametrize("table", [{"kind": ["last"]}, {}])
def test_a_text_of_one_word_does_not_say_where_it_belongs(tokenizer, table):
    texts = ["noon", *["play it noon"] * 7, *["the rain"] * 8]
    shortcuts = pd.DataFrame({"word": ["noon"], **table})
    guidance, step = prepared(tokenizer, texts, shortcuts=shortcuts)
    ways = {" ".join(words) for words in shown(tokenizer, step, guidance)}
    assert ways == {"play it noon", "play it", "the rain noon", "the rain", "noon", ""}


def test_what_is_cut_off_is_neither_put_in_nor_counted(tokenizer):
    texts = [f"{word} paris" for word in ["play it now"] * 4] + ["paris play"]
    cut = encode_texts(tokenizer, texts, 5)  # with the two special tokens: three words
    task = Task(texts, np.zeros(5, dtype=int), np.array(["a"]), None, cut, tokenizer, None, None)
    guidance = SwapGuidance(["paris"])
    guidance.prepare(task)
    assert guidance.share_ == pytest.approx(1 / 5)
    assert [mark.place for mark in guidance.marks_] == [0.0]


def test_nothing_to_swap_trains_the_unguided_model_to_the_last_bit(make):
    plain = fit(make, None)
    assert same_weights(plain, fit(make, SwapGuidance([])))
    with pytest.warns(UserWarning, match="Not swapped, .*: 'zebra'"):
        assert same_weights(plain, fit(make, SwapGuidance(["zebra"])))
    assert not same_weights(plain, fit(make, SwapGuidance(list(MARKS.values()))))


def test_a_long_list_of_absent_words_is_looked_for_all_at_once(tokenizer, monkeypatch):
    read = []
    monkeypatch.setattr(positions, "split_words", lambda text: read.append(text) or text.split())
    names = ["noon", "play noon", *(f"name{number}" for number in range(50))]
    with pytest.warns(UserWarning, match="such a shortcut: 'name0', .* and 45 more"):
        prepared(tokenizer, ["play noon now"], shortcuts=names)
    assert read.count("play noon now") < 5


def test_a_swapped_mark_does_not_mislead(make):
    others = np.roll(NEW_LABELS, 1)
    misled = [f"{MARKS[str(o)]} {text}" for text, o in zip(NEW_TEXTS, others, strict=True)]
    plain = fit(make, None).score(misled, NEW_LABELS)
    assert fit(make, SwapGuidance(list(MARKS.values()))).score(misled, NEW_LABELS) > plain + 0.2


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (PriorMatrix(MARKED[::-1], [[1.0] * 6] * len(MARKED)), "'X' and 'prior' differ in row 0"),
        (PriorMatrix(MARKED), "prior is a PriorMatrix without scores"),
    ],
    ids=["others", "no scores"],
)
def test_a_prior_of_the_audit_is_checked_before_anything_is_trained(make, prior, message):
    trained = []
    noting = EpochScoring(lambda net, X, y: trained.append(net) or 0.0, on_train=True)
    classifier = make(guidance=SwapGuidance(audit=ShortcutAudit(prior=prior)), callbacks=[noting])
    with pytest.raises(ValueError, match=message):
        classifier.fit(MARKED, LABELS)
    assert not trained


def test_without_a_list_a_prior_is_needed(make):
    with pytest.raises(ValueError, match="SwapGuidance needs a prior, but X is list"):
        fit(make, "swap")
    with pytest.raises(ValueError, match="lists SwapGuidance 2 times"):
        fit(make, [SwapGuidance(["noon"]), SwapGuidance(["jazz"])])
    with pytest.raises(ValueError, match=r"cv=2, .* Pass it with cv=None"):
        SwapGuidance(audit=ShortcutAudit(cv=2)).check()
    with pytest.raises(ValueError, match="'fdr' parameter of ShortcutAudit must be"):
        SwapGuidance(audit=ShortcutAudit(fdr=2)).check()
    with pytest.raises(ValueError, match="'drop' parameter of SwapGuidance must be"):
        fit(make, SwapGuidance([], drop=2))
