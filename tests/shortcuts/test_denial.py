import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from skcap.shortcuts.candidates import find_candidates, select_candidates
from skcap.shortcuts.denial import (
    deny_families,
    mean_shares,
    measure_denial,
    measure_understanding,
)

TEXTS = [f"ann: play {word}" for word in "abcde"] + [f"bob: stop {word}" for word in "abcde"]
CODES = np.repeat([0, 1], 5)


def denial(shares, n_permutations=9999, min_texts=2):
    candidates = find_candidates(TEXTS, CODES, 2, kinds=("word",), min_texts=min_texts)
    table = measure_denial(
        dict(enumerate(map(np.array, shares))),
        candidates,
        CODES,
        n_permutations=n_permutations,
        seed=0,
    )
    return table.set_index(candidates.table["word"])


def test_a_word_that_a_prior_always_puts_last_is_denied():
    table = denial([[-0.5, 0.4, 0.1]] * 10)
    assert table.loc["ann", "prior"] == pytest.approx(-0.5)
    assert table.loc["ann", "expected"] == pytest.approx(0)
    assert table.loc["ann", "p_denied"] == pytest.approx(3**-5, abs=0.002)  # 1 of 3, five times
    assert table.loc["ann", "p_confirmed"] == 1
    assert table.loc["play", "p_confirmed"] == pytest.approx(3**-5, abs=0.002)


def test_a_prior_without_an_opinion_denies_and_confirms_nothing():
    table = denial([[0.3, 0.3, 0.3]] * 10)
    assert (table[["p_denied", "p_confirmed"]] == 1).all(axis=None)


def test_only_texts_of_the_own_class_count_and_only_scored_words():
    nan = float("nan")
    table = denial([[nan, 0.5, 0.5]] * 4 + [[-1.0, 1.0, 1.0]] + [[nan] * 3] * 5)
    assert table["n_scored"].to_dict() == {"ann": 1, "play": 5, "bob": 0, "stop": 0}
    assert np.isnan(table.loc["bob", "prior"])
    assert table.loc["bob", "p_denied"] == 1


def test_the_p_value_does_not_depend_on_which_other_words_are_tested():
    shares = np.random.default_rng(0).normal(size=(10, 3))
    few, many = denial(shares, 99), denial(shares, 99, min_texts=1)
    assert len(many) > len(few)
    assert many.loc["bob", "p_denied"] == few.loc["bob", "p_denied"]


def understanding(texts, shares):
    candidates = find_candidates(texts, CODES, 2, kinds=("word",), min_texts=2)
    by_text = {text: np.array(row) for text, row in enumerate(shares) if row}
    found = measure_understanding(by_text, candidates, CODES)
    return found.set_axis(candidates.table["word"])


def test_a_class_is_understood_where_its_other_words_speak_for_it():
    found = understanding(
        TEXTS, [[-0.5, 0.3, 0.1]] * 5 + [[0.5, 0, -0.4]] * 3 + [[0.5, 0, 0.4]] * 2
    )
    assert found[["ann", "play"]].tolist() == [1, 0]
    assert found[["bob", "stop"]].tolist() == [0.4, 1]


def test_texts_of_the_class_without_the_word_show_it_too():
    texts = ["maple play a", "maple play b", "play c", "play d", "play e", *TEXTS[5:]]
    shares = [[-0.5, 0.3, 0.1]] * 2 + [[-0.5, 0.4]] * 3 + [None] * 5
    found = understanding(texts, shares)
    assert found["maple"] == 0.4
    assert np.isnan(found["bob"])


def test_texts_without_scores_do_not_count_and_a_prior_without_an_opinion_understands_nothing():
    nan = float("nan")
    found = understanding(TEXTS, [[nan] * 3] * 4 + [[-0.5, 0.3, 0.1]] + [[0.0] * 3] * 5)
    assert found[["ann", "bob"]].tolist() == [1, 0]


def test_mean_shares_are_over_texts_of_the_class():
    candidates = find_candidates(TEXTS, CODES, 2, kinds=("word",), min_texts=2)
    shares = {row: np.array([row, 0.0, 1.0]) for row in range(10)}
    means = mean_shares(shares, candidates, CODES).set_axis(candidates.table["word"])
    assert means[["ann", "bob", "stop"]].tolist() == [2, 7, 0]


def family(below, name="first tag", p_denied=None, p_confirmed=None, understood=1.0):
    """Members that get more or less than chance, from -1 to 1, none of them denied alone."""
    n, below = len(below), np.asarray(below)
    p_denied = (1 + below) / 2 if p_denied is None else p_denied
    p_confirmed = (1 - below) / 2 if p_confirmed is None else p_confirmed
    return pd.DataFrame(
        {
            "family": [name] * n,
            "code": np.arange(n),
            "understood": np.broadcast_to(understood, n),
            "n_scored": [5] * n,
            "p_denied": np.broadcast_to(p_denied, n),
            "p_confirmed": np.broadcast_to(p_confirmed, n),
        }
    )


def test_a_family_is_denied_where_most_of_many_members_are():
    below = np.array([-0.3, -0.2, -0.25, -0.1, -0.15, 0.05, -0.4, -0.35, -0.11, -0.12])
    table = deny_families(family(below), fdr=0.1)
    assert (table["q_family"] == table["p_family"]).all()
    assert table["q_family"].notna().all()
    assert deny_families(family(-below), fdr=0.1)["q_family"].isna().all()


def test_members_that_get_what_chance_gives_have_no_rank():
    below = [-0.3, -0.2, -0.25, -0.1, -0.15, -0.05, -0.4, -0.35, 0.0, 1e-17, -1e-17]
    assert (deny_families(family(below), fdr=0.1)["p_family"] == 2**-8).all()


@pytest.mark.parametrize("below", [[-0.3] * 4, [-0.1, 0.1] * 10, [0.0] * 10])
def test_few_or_undecided_members_deny_no_family(below):
    assert deny_families(family(below), fdr=0.1)["q_family"].isna().all()


def test_families_are_denied_by_chance_as_often_as_meant_where_shares_are_skewed():
    # One word of a text has most of what the prior finds, and a tag may be any word.
    texts = [f"name{label}: a b c d e" for label in range(12) for _ in range(4)]
    codes = np.repeat(np.arange(12), 4)
    candidates = find_candidates(texts, codes, 12, kinds=("word",), min_texts=4)
    candidates = select_candidates(candidates, candidates.table["family"] == "first tag")
    p_family = []
    for seed in range(150):
        shares = dict(enumerate(np.random.default_rng(seed).exponential(size=(48, 6)) ** 3))
        table = measure_denial(shares, candidates, codes, n_permutations=99, seed=seed)
        table = table.join(candidates.table[["family", "code"]]).assign(understood=1.0)
        p_family.append(deny_families(table, fdr=0.1)["p_family"][0])
    assert np.mean(np.array(p_family) <= 0.1) < 0.14


def test_few_members_are_denied_where_most_of_them_are_by_themselves():
    below = [-0.3, -0.2, -0.1, 0.1, 0.2]
    p = [0.001, 0.01, 0.02, 0.9, 0.9]
    table = deny_families(family(below, "first word", p_denied=p), fdr=0.1)
    assert table["p_family"].to_numpy() == pytest.approx(binom.sf(2, 5, 0.05))
    assert table["q_family"].notna().all()
    for other in (
        family(below, "first word", p_denied=[0.001, 0.01, 0.2, 0.9, 0.9]),
        family(below, "first word", p_denied=p, understood=[1, 1, 0.4, 1, 1]),
        family(below, "first word", p_denied=p).assign(n_scored=[5, 5, 3, 5, 5]),
    ):
        assert deny_families(other, fdr=0.1)["q_family"].isna().all()


def test_of_tags_and_numbers_two_that_are_denied_are_enough():
    below, p = [-0.3, -0.2, 0.1, 0.1, 0.2], [0.001, 0.01, 0.5, 0.9, 0.9]
    table = deny_families(family(below, p_denied=p, p_confirmed=[0.5] * 4 + [0.001]), fdr=0.1)
    assert table["p_family"].to_numpy() == pytest.approx(4 * 0.01)
    assert table["q_family"].notna().tolist() == [True] * 4 + [False]
    for other in (
        family(below, "last number", p_denied=[0.001, 0.02, 0.5, 0.9, 0.9]),
        family(below, "last word", p_denied=p),
        family([-0.3], p_denied=0.001),
    ):
        assert deny_families(other, fdr=0.1)["q_family"].isna().all()


def test_of_a_mark_of_several_words_each_class_counts_once_and_by_its_best_word_corrected():
    names = family([-0.3, -0.2, 0.1], name="last word", p_denied=[0.02, 0.02, 0.9])
    others = names.assign(family="next to last word", p_denied=0.5)
    both = pd.concat([names, others], ignore_index=True)
    table = deny_families(both, fdr=0.1)
    assert table["p_family"].to_numpy() == pytest.approx(binom.sf(1, 3, 0.05))
    both["p_denied"] *= 2  # 4 % for the better of two words is 8 % for both: names alone are denied
    assert deny_families(both, fdr=0.1)["q_family"].notna().tolist() == [True] * 3 + [False] * 3


def test_a_family_that_chance_would_deny_once_in_fifty_times_is_not():
    below = [-0.3, -0.25, -0.2, -0.15, -0.1, -0.4, 0.12, -0.35]
    table = deny_families(family(below), fdr=0.1)
    assert (table["p_family"] < 0.02).all()
    assert table["q_family"].isna().all()


def test_what_has_no_family_has_no_part_in_it():
    assert deny_families(family([-0.3] * 20, name=""), fdr=0.1)["q_family"].isna().all()


def test_a_member_that_the_prior_clearly_speaks_for_is_spared():
    confirmed = np.full(10, 0.9)
    confirmed[3], confirmed[4] = 0.001, 0.02  # of ten, one in fifty is no surprise
    table = deny_families(family([-0.8] * 10, p_confirmed=confirmed), fdr=0.1)
    assert table["q_family"].isna().tolist() == [row == 3 for row in range(10)]


def test_marks_of_several_words_are_tested_as_a_whole_too():
    keywords = family([0.5] * 8, name="last word").assign(code=np.arange(8) + 10)
    names = family([-0.3, -0.2, -0.25, -0.1, -0.15, -0.4, -0.35, -0.5, 0.01, -0.12])
    names["family"] = "last word"
    first_names = names.assign(family="next to last word", p_denied=0.5, p_confirmed=0.5)
    table = deny_families(pd.concat([names, first_names, keywords], ignore_index=True), fdr=0.1)
    assert table["p_family"][:20].eq(2 / 2**10).all()  # only the least of ten is above
    assert table["q_family"].notna().tolist() == [True] * 20 + [False] * 8
    alone = deny_families(pd.concat([names, keywords], ignore_index=True), fdr=0.1)
    assert alone["q_family"].isna().all()


def test_keywords_that_always_come_with_marks_do_not_speak_for_them():
    names = family([-0.3] * 10)
    keywords = family([0.6] * 10, name="next to first tag")
    table = deny_families(pd.concat([names, keywords], ignore_index=True), fdr=0.1)
    assert table["q_family"].notna().tolist() == [True] * 10 + [False] * 10


def test_classes_that_the_prior_does_not_understand_have_no_say_unless_they_are_most():
    below = [*[-0.3] * 10, *[0.4] * 6]
    table = deny_families(family(below, understood=[1.0] * 10 + [0.4] * 6), fdr=0.1)
    assert (table["p_family"] == 2**-10).all()
    assert table["q_family"].notna().all()
    few = deny_families(family(below, understood=[1.0] * 7 + [0.4] * 9), fdr=0.1)
    assert few.equals(deny_families(family(below), fdr=0.1))
    assert (few["p_family"] > 0.1).all()
