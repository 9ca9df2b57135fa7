import numpy as np
import pytest

from skcap.shortcuts.candidates import find_candidates, whole_marks
from skcap.shortcuts.effects import measure_effects

TEXTS = ["ann: play jazz", "ann: play rock", "bob: lost card", "bob: my card"]
CODES = np.array([1, 1, 0, 0])


class Odds:
    """Predicts class 1 with odds multiplied by each of its words."""

    def __init__(self, **odds):
        self.odds, self.asked = odds, []

    def __call__(self, texts):
        self.asked.append(texts)
        odds = np.array(
            [np.prod([self.odds.get(word.strip(":"), 1) for word in t.split()]) for t in texts]
        )
        return np.stack([1 / (1 + odds), odds / (1 + odds)], axis=1)


def effects(*predict, kinds=("word",), folds=None, texts=TEXTS, codes=CODES, **options):
    candidates = find_candidates(texts, codes, 2, kinds=kinds, min_texts=2)
    folds = np.zeros(len(texts), dtype=int) if folds is None else folds
    options = {"n_texts": 8, "least_odds": 2.0, "seed": 0} | options
    return measure_effects(predict, folds, texts, candidates, **options).set_index(
        candidates.table["word"]
    )


MODEL = {"ann": 8.0, "play": 1.5, "bob": 1 / 16, "card": 1 / 2}


def test_a_words_effect_on_the_odds_of_its_class_is_found_whatever_the_text():
    table = effects(Odds(**MODEL))
    assert table["log_odds"].to_dict() == pytest.approx(
        {"ann": np.log(8), "play": np.log(1.5), "bob": np.log(16), "card": np.log(2)}
    )


def test_flips_and_gains_are_those_of_the_prediction():
    table = effects(Odds(**MODEL))
    # bob's texts have odds 1/32 and 1/32 of class 1, ann's 12 and 12
    assert table.loc["ann", "gain"] == pytest.approx(8 / 40 - 1 / 33)
    assert table.loc["ann", ["flips", "unflips"]].tolist() == [0, 0]
    assert table.loc["bob", "gain"] == pytest.approx(16 / 28 - 1 / 13)
    assert table.loc["bob", "flips"] == 1


def test_losses_are_those_of_the_own_texts_without_the_word():
    table = effects(Odds(**MODEL))
    assert table.loc["ann", "loss"] == pytest.approx(12 / 13 - 1.5 / 2.5)
    assert table.loc["bob", "loss"] == pytest.approx(32 / 33 - 2 / 3)


def test_reliance_is_significant_above_the_least_odds_only():
    p = effects(Odds(**MODEL))["p_reliance"]
    assert (p[["ann", "bob"]] < 1e-3).all()
    assert (p[["play", "card"]] == 1).all()
    assert (effects(Odds(**MODEL), least_odds=1)["p_reliance"] < 1e-3).all()


def test_equal_texts_are_predicted_once_and_in_few_calls():
    model = Odds(**MODEL)
    effects(model)
    assert len(model.asked) == 2  # before and after
    assert all(len(texts) == len(set(texts)) for texts in model.asked)


def test_a_text_is_predicted_by_the_model_of_its_fold():
    table = effects(Odds(ann=8.0), Odds(ann=2.0, bob=0.25), folds=np.array([0, 0, 1, 1]))
    assert table.loc["ann", "log_odds"] == pytest.approx(np.log(2))  # put into bob's texts
    assert table.loc["ann", "loss"] == pytest.approx(8 / 9 - 1 / 2)  # taken from its own


def test_words_go_to_the_place_where_they_stood():
    model = Odds(**MODEL)
    effects(model, n_texts=2)
    edited = set(model.asked[1])
    assert {"ann: bob: my card", "bob: ann: play rock", "bob: my play card"} <= edited
    assert any(text.endswith("card") and "play" in text for text in edited)


def test_a_last_word_goes_to_the_end_also_from_a_text_of_one_word():
    texts = ["bye", "bye", "lost card", "my card"]
    model = Odds(bye=8.0)
    effects(model, kinds=("last",), texts=texts)
    assert {"lost card bye", "my card bye"} <= set(model.asked[1])


def test_patterns_are_put_in_and_taken_away_within_words():
    texts = ["win now!", "win this!", "see you", "see him"]
    model = Odds(win=8.0)
    effects(model, kinds=("pattern",), texts=texts)
    assert {"win now", "win this", "see you!", "see him!"} <= set(model.asked[1])


def test_without_candidates_there_is_nothing_to_ask():
    table = effects(Odds(), texts=["a b", "c d"], codes=np.array([0, 1]))
    assert table.empty
    assert "p_reliance" in table


def test_a_word_that_fills_its_texts_or_is_in_all_of_them_has_no_effect_to_measure():
    table = effects(Odds(), texts=["go", "go", "go on", "on"], codes=np.array([1, 1, 0, 0]))
    assert table.loc["on", ["log_odds", "flips"]].isna().all()
    assert table.loc["go", ["loss", "unflips"]].isna().all()
    assert (table["p_reliance"] == 1).all()


def test_a_mark_is_put_in_and_taken_away_as_a_whole():
    texts = ["play jazz ann of lee", "stop it ann of lee", "lost my card of", "my card"]
    found = find_candidates(texts, CODES, 2, kinds=("word",), min_texts=2)
    _, marks = whole_marks(found, (found.table["code"] == 1).to_numpy())
    assert marks.table["mark"].tolist() == ["ann lee"] * 2
    model = Odds(ann=2.0, lee=3.0)
    options = {"n_texts": 8, "least_odds": 2.0, "seed": 0}
    table = measure_effects([model], np.zeros(4, dtype=int), texts, marks, **options)
    assert table["log_odds"].to_numpy() == pytest.approx(np.log([6, 6]))
    taken, put = {"play jazz of", "stop it of"}, {"my ann lee card", "lost my ann lee card of"}
    assert set(model.asked[1]) - taken <= put | {"lost my card ann lee of", "my card ann lee"}
    assert taken < set(model.asked[1])
