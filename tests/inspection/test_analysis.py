from enum import Enum

import numpy as np
import pandas as pd
import pytest

from skcap.inspection import (
    class_report,
    class_similarity,
    confusion_pairs,
    corrected_by_lexical_overlap,
    correlation_table,
    embed_texts,
    errors_by_overlap,
    keyword_overlap,
    prior_correlation,
)
from skcap.prior_matrix import PriorMatrix
from skcap.shortcuts import disputed_words

NAN = float("nan")
TEXTS = ["lost my card", "play jazz", "stop"]


def test_correlation_pools_words_that_both_priors_score():
    a = PriorMatrix(TEXTS, [[1, 2, NAN], [4, 3], [7]])
    b = PriorMatrix(TEXTS, [[2, 1, 9], [3, NAN], [5]])
    expected = np.corrcoef([1, 2, 4, 7], [2, 1, 3, 5])[0, 1]
    assert prior_correlation(a, b) == pytest.approx(expected)


def test_normalising_takes_the_scale_of_a_text_out_of_the_correlation():
    a = PriorMatrix(["a b", "c d"], [[1, 2], [10, 20]])
    b = PriorMatrix(["a b", "c d"], [[10, 20], [1, 2]])
    assert prior_correlation(a, b) < 0
    assert prior_correlation(a, b, normalize="l2") == pytest.approx(1)


def test_correlation_within_texts_is_nan_where_it_is_undefined():
    a = PriorMatrix(TEXTS, [[1, 2, 3], [0.1, 0.1], [7]])
    b = PriorMatrix(TEXTS, [[3, 2, 1], [3, 4], [5]])
    np.testing.assert_allclose(prior_correlation(a, b, per_text=True), [-1, NAN, NAN])


def test_undefined_pooled_correlation_warns():
    flat = PriorMatrix(["play jazz"], [[1, 1]])
    with pytest.warns(UserWarning, match="undefined"):
        assert np.isnan(prior_correlation(flat, flat))


def test_correlation_refuses_other_texts():
    with pytest.raises(ValueError, match="'a' and 'b' differ in row 0"):
        prior_correlation(PriorMatrix(["go on"]), PriorMatrix(["stop it"]))
    with pytest.raises(TypeError, match="'b' must be a PriorMatrix, got list"):
        prior_correlation(PriorMatrix(["go on"]), [[1, 2]])


def test_correlation_table_is_symmetric_with_its_pairs():
    rng = np.random.default_rng(0)
    sources = {n: PriorMatrix(["a b c d"], [rng.normal(size=4)]) for n in ("CAP", "LIME", "IG")}
    table = correlation_table(sources)
    assert table.index.tolist() == table.columns.tolist() == list(sources)
    assert (table == table.T).all(axis=None)
    assert np.diag(table).tolist() == [1, 1, 1]
    expected = prior_correlation(sources["CAP"], sources["IG"])
    assert table.loc["IG", "CAP"] == pytest.approx(expected)


def test_words_are_disputed_by_their_mean_share_over_all_places():
    texts = ["Ann: play jazz", "jazz, ANN", "stop -"]
    explained = PriorMatrix(texts, [[6, -2, 2], [1, 1], [1, NAN]])
    prior = PriorMatrix(texts, [[-1, 1, 2], [4, 0], [1, 1]])
    table = disputed_words(explained, prior)
    assert table.index.tolist() == ["ann", "jazz"]
    np.testing.assert_allclose(
        table.to_numpy(),
        [[2, (0.6 + 0.5) / 2, (-0.25 + 0) / 2, 0.675], [2, 0.35, 0.75, -0.4]],
        rtol=1e-6,
    )
    every = disputed_words(explained, prior, min_texts=1)
    assert set(every.index) == {"ann", "jazz", "play", "stop"}


def test_marks_without_letters_are_disputed_too_and_no_texts_give_no_words():
    texts = ["### play jazz", "### stop"]
    explained, prior = (
        PriorMatrix(texts, [[1, 0, 0], [1, 0]]),
        PriorMatrix(texts, [[0, 1, 1], [0, 1]]),
    )
    assert disputed_words(explained, prior)["difference"].to_dict() == {"###": 1.0}
    assert disputed_words(PriorMatrix([]), PriorMatrix([])).empty


def test_words_that_either_side_does_not_score_are_not_disputed():
    texts = ["play jazz", "play jazz"]
    table = disputed_words(
        PriorMatrix(texts, [[1, 1], [NAN, 1]]), PriorMatrix(texts, [[1, NAN], [1, NAN]])
    )
    assert table.empty
    assert (
        disputed_words(*[PriorMatrix(texts, [[1, 0], [0, 1]])] * 2).loc["play", "difference"] == 0
    )


def test_disputed_words_refuse_other_texts_and_no_texts():
    with pytest.raises(ValueError, match="'explained' and 'prior' differ in row 0"):
        disputed_words(PriorMatrix(["go on"], [[1, 2]]), PriorMatrix(["stop it"], [[1, 2]]))
    one = PriorMatrix(["go on"], [[1, 2]])
    for number in (0, 1.5, "2"):
        with pytest.raises(ValueError, match=rf"min_texts must be an int .*, got {number!r}"):
            disputed_words(one, one, min_texts=number)
    with pytest.raises(TypeError, match="prior must be a PriorMatrix, got list"):
        disputed_words(one, ["go on"])


def test_keyword_overlap_by_hand():
    # Shares: a: x .25, y .75; b: y .5, z .5; they share min(.75, .5) of y.
    overlap = keyword_overlap({"a": {"x": 1, "y": 3}, "b": {"y": 2, "z": 2}, "none": {}})
    expected = [[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]]
    np.testing.assert_allclose(overlap, expected)


def test_no_classes_overlap_in_nothing():
    assert keyword_overlap({}).shape == (0, 0)


@pytest.mark.parametrize("weight", [-1, NAN, float("inf")])
def test_keyword_overlap_refuses_weights_that_are_no_shares(weight):
    with pytest.raises(ValueError, match=r"class_keywords\['a'\]\['x'\] must be a finite weight"):
        keyword_overlap({"a": {"x": weight}})


def test_class_similarity_is_the_cosine_of_means():
    similarity = class_similarity([[2, 0], [0, 2], [3, 0], [0, -1]], [1, 1, 0, 2])
    half = np.sqrt(0.5)
    expected = [[1, half, 0], [half, 1, -half], [0, -half, 1]]
    np.testing.assert_allclose(similarity, expected, atol=1e-12)
    assert similarity.index.tolist() == [0, 1, 2]


def test_class_similarity_refuses_rows_without_a_label():
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        class_similarity([[1, 0], [0, 1]], ["a"])


def test_embeddings_do_not_depend_on_batch_or_order(tiny_model):
    folder = str(tiny_model("bert"))
    texts = ["play jazz", "where is my card?", "stop", "will it rain in paris tomorrow at noon"]
    embeddings = embed_texts(texts, folder, batch_size=2)
    assert embeddings.shape == (4, 16)
    alone = np.vstack([embed_texts([text], folder) for text in texts])
    np.testing.assert_allclose(embeddings, alone, atol=1e-5)
    assert not np.allclose(embeddings[0], embeddings[1])


def test_embeddings_are_the_mean_of_the_last_states(tiny_model):
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = str(tiny_model("bert"))
    tokens = AutoTokenizer.from_pretrained(folder)(["play some jazz"], return_tensors="pt")
    with torch.no_grad():
        states = AutoModel.from_pretrained(folder).eval()(**tokens).last_hidden_state
    expected = states.mean(dim=1).numpy()
    np.testing.assert_allclose(embed_texts(["play some jazz"], folder), expected, atol=1e-5)


def test_embeddings_warn_of_cut_texts(tiny_model):
    with pytest.warns(UserWarning, match="1 of 2 texts are longer than 64 tokens"):
        embed_texts(["play " * 100, "stop"], str(tiny_model("bert")))


@pytest.mark.parametrize("batch_size", [-1, 0, 1.5])
def test_embeddings_come_in_batches_of_one_text_or_more(batch_size):
    with pytest.raises(ValueError, match="batch_size must be an int in the range"):
        embed_texts(["stop"], "all-minilm-l6-v2", batch_size=batch_size)


def test_embeddings_refuse_other_models_and_devices():
    with pytest.raises(TypeError, match="got dict"):
        embed_texts(["stop"], {})
    with pytest.raises(ValueError, match=r"device must be 'auto' or a device .* got 'gpu'"):
        embed_texts(["stop"], "all-minilm-l6-v2", device="gpu")


def test_no_texts_have_no_embeddings(tiny_model):
    assert embed_texts([], str(tiny_model("bert"))).shape == (0, 16)


def test_errors_by_overlap_lists_every_ordered_pair():
    overlap = keyword_overlap({"a": {"x": 1}, "b": {"x": 1, "y": 1}, "c": {"z": 1}})
    table = errors_by_overlap(["a", "a", "b", "c"], ["b", "b", "b", "a"], overlap)
    assert len(table) == 6
    assert table.iloc[0].tolist() == ["a", "b", 0.5, 2]
    assert table.iloc[1].tolist() == ["c", "a", 0.0, 1]
    # among the pairs without an error, those with the most overlap come first
    assert table.iloc[2].tolist() == ["b", "a", 0.5, 0]
    assert table["errors"].sum() == 3


def test_errors_by_overlap_names_a_class_that_is_missing():
    with pytest.raises(ValueError, match="not in overlap, such as 'b'"):
        errors_by_overlap(["a"], ["b"], keyword_overlap({"a": {"x": 1}}))
    crooked = pd.DataFrame([[1, 0], [0, 1]], index=["a", "b"], columns=["b", "a"])
    twice = pd.DataFrame(np.eye(3), index=[*"aba"], columns=[*"aba"])
    for table in (crooked, twice):
        with pytest.raises(ValueError, match=r"same labels in rows and columns, .* each once"):
            errors_by_overlap(["a"], ["b"], table)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="y_true 1, before 2, after 1"):
        class_report(["a"], ["a", "b"], ["a"])


@pytest.mark.parametrize("kind", ["Int64", object])
def test_integers_stay_integers_and_booleans_booleans(kind):
    pairs = confusion_pairs(pd.Series([0, 1], dtype=kind), pd.Series([1, 1], dtype=kind))
    assert pairs["first"].tolist() == [0]
    assert pairs["first"].dtype == np.int64
    similarity = class_similarity([[1, 0], [0, 1]], pd.Series([0, 1], dtype=kind))
    assert similarity.index.dtype == np.int64
    kind = "boolean" if kind == "Int64" else object
    pairs = confusion_pairs(pd.Series([False, True], dtype=kind), [True, True])
    assert pairs["first"].tolist() == [False]


@pytest.mark.parametrize(
    "y",
    [
        ["a", None],
        ["a", NAN],
        np.ma.array(["a", "b"], mask=[False, True]),
        np.array([["a"], [None]], dtype=object),
        pd.DataFrame({"label": ["a", None]}),
    ],
)
def test_missing_labels_are_refused(y):
    with pytest.raises(ValueError, match="y_true must hold one label per text, but row 1 is"):
        confusion_pairs(y, ["a", "b"])
    with pytest.raises(ValueError, match="y must hold one label per text, but row 1 is"):
        class_similarity([[1, 0], [0, 1]], y)


def test_members_of_an_enumeration_stand_for_their_values():
    intents = Enum("Intent", {"FEE": "fee", "PIN": "pin"})
    y, predicted = [intents.FEE, intents.PIN], [intents.PIN, intents.PIN]
    overlap = keyword_overlap({intents.FEE: {"card": 1}, intents.PIN: {"card": 1}})
    assert errors_by_overlap(y, predicted, overlap)["errors"].tolist() == [1, 0]
    mapping = {intents.FEE: "card fee", intents.PIN: "card pin"}
    for names in (mapping, pd.Series(mapping)):
        cases = corrected_by_lexical_overlap(y, predicted, y, names)
        assert cases["corrected"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["card fee", "card pin"], "label_names must map labels to names, or be None, got list"),
        ({"fee": 1, "pin": 2}, "label_names must hold strings, got 1 for 'fee'"),
    ],
)
def test_names_that_are_none_are_told(names, message):
    y = ["fee", "pin"]
    with pytest.raises(TypeError, match=message):
        corrected_by_lexical_overlap(y, ["pin", "pin"], y, names)


def test_labels_of_different_kinds_are_not_made_strings():
    with pytest.raises(ValueError, match="y_true holds labels of different kinds"):
        confusion_pairs(["a", 1], ["a", "1"])


def test_confusion_pairs_count_both_directions_and_rank_by_both_models():
    y = [0, 0, 1, 1, 2, 2]
    before = [1, 0, 0, 1, 2, 2]
    after = [2, 2, 1, 1, 0, 0]
    pairs = confusion_pairs(y, before, after)
    assert pairs.to_numpy().tolist() == [[0, 2, 0, 4], [0, 1, 2, 0]]
    assert confusion_pairs(y, before, top=1).to_numpy().tolist() == [[0, 1, 2]]
    assert confusion_pairs(y, y).empty
    for top in (0, 1.5, "1"):
        with pytest.raises(ValueError, match="top must be an int in the range"):
            confusion_pairs(y, before, top=top)


LABELS = {0: "card lost", 1: "card fee", 2: "Lost_Card!", 3: "top up"}


def test_corrections_by_shared_words_by_hand():
    y = [0, 0, 0, 3, 3]
    before = [1, 2, 1, 0, 3]
    after = [0, 0, 2, 0, 1]
    table = corrected_by_lexical_overlap(y, before, after, LABELS)
    assert table.index.tolist() == [0, 1, 2]
    assert table["wrong_before"].tolist() == [1, 2, 1]
    assert table["corrected"].tolist() == [0, 1, 1]
    assert table["newly_wrong"].tolist() == [1, 0, 0]


def test_corrections_by_share_of_words():
    # 0 and 1 share 1 of 3 words, 0 and 2 all, 0 and 3 none.
    table = corrected_by_lexical_overlap([0, 0, 0], [1, 2, 3], [0, 0, 3], LABELS, by="share")
    assert table["wrong_before"].to_dict() == {
        "0 %": 1, "1-20 %": 0, "21-40 %": 1, "41-60 %": 0, "61-80 %": 0, "81-100 %": 1,
    }  # fmt: skip
    assert table["corrected"].tolist() == [0, 0, 1, 0, 0, 1]


def test_accents_and_vowel_signs_are_parts_of_a_labels_words():
    # the two labels have a letter in common, but no word
    table = corrected_by_lexical_overlap(["कार्ड_खोया"], ["पैसा_काट"], ["कार्ड_खोया"])
    assert table.index.tolist() == [0]
    table = corrected_by_lexical_overlap(["cafe\u0301_a"], ["caf\u00e9_b"], ["cafe\u0301_a"])
    assert table["corrected"].tolist() == [0, 1]


def test_corrections_refuse_unknown_names_and_ways():
    with pytest.raises(ValueError, match="no name for the label 4"):
        corrected_by_lexical_overlap([0], [4], [0], LABELS)
    with pytest.raises(ValueError, match="by must be 'words' or 'share'"):
        corrected_by_lexical_overlap([0], [1], [0], by="letters")


def test_class_report_by_hand():
    y = ["a", "a", "a", "a", "b", "b"]
    before = ["b", "b", "c", "a", "b", "b"]
    after = ["a", "a", "c", "a", "a", "b"]
    report = class_report(y, before, after)
    assert report.index.tolist() == ["a", "b"]  # "c" has no texts; "a" improved most
    a, b = report.loc["a"], report.loc["b"]
    assert a.tolist() == [4, 0.25, 0.75, 0.5, "b", 2, "c", 1]
    assert b.tolist() == [2, 1.0, 0.5, -0.5, None, 0, "a", 1]


def test_class_report_keeps_int_labels():
    report = class_report([0, 0, 1], [1, 0, 1], [0, 0, 1])
    assert report.loc[0, "confused_before"] == 1
    assert isinstance(report.loc[0, "confused_before"], int)
