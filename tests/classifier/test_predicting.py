"""Predictions and explanations of a fitted classifier, whatever the texts' lengths."""

import copy

import numpy as np
import pytest
import torch
from keyword_task import KEYWORDS, LABELS, NEW_LABELS, NEW_TEXTS, PLACES, PRIOR, TEXTS, same_weights

from skcap import attribution
from skcap.classifier.batches import TextDataset
from skcap.prior_matrix import PriorMatrix


def test_probabilities_keep_the_order_of_texts_of_any_length(guided):
    texts = ["", *NEW_TEXTS[:5], "alarm " * 40, "rain", "the music is on " * 8, "   "]
    together = guided.predict_proba(texts)
    assert together.shape == (10, 3)
    assert together.dtype == np.float32
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(guided.predict_log_proba(texts), np.log(together))
    alone = np.concatenate([guided.predict_proba([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert guided.predict(texts).tolist() == [KEYWORDS[code] for code in together.argmax(axis=1)]


def test_batches_of_prediction_do_not_matter(make):
    classifiers = [
        make(guidance=None, max_epochs=1, iterator_valid__batch_size=size).fit(TEXTS, LABELS)
        for size in (1, 7)
    ]
    sizes = [
        classifier.net_.get_iterator([0], training=False).batch_size for classifier in classifiers
    ]
    assert sizes == [1, 7]
    # The head starts from predictions in these batches, and training adds rounding up.
    first, second = (classifier.net_.module_ for classifier in classifiers)
    second.load_state_dict(first.state_dict())
    one, other = (classifier.predict_proba(NEW_TEXTS) for classifier in classifiers)
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_long_texts_are_cut_with_one_warning(make):
    classifier = make(max_epochs=1, max_length=6)
    with pytest.warns(UserWarning, match=r"48 of 48 texts are longer than max_length=6") as told:
        classifier.fit(PRIOR, LABELS)
    assert len(told) == 1
    assert classifier.max_length_ == 6
    with pytest.warns(UserWarning, match="1 of 2 texts") as told:
        matrix = classifier.explain(["rain", "rain music alarm set for the"])
    assert len(told) == 1
    assert np.isfinite(matrix.scores[0]).all()
    assert np.isnan(matrix.scores[1]).tolist() == [False] * 4 + [True] * 2
    with pytest.warns(UserWarning, match="1 of 1 texts"):
        classifier.predict(["rain music alarm set for the"])


def test_cut_words_are_not_supervised(make):
    """What a prior says of words that the model does not see changes nothing."""
    fits = []
    for beyond in (5.0, np.nan):
        scores = np.eye(5)[PLACES]
        scores[:, 4] = beyond
        with pytest.warns(UserWarning, match="48 of 48"):
            fits.append(make(max_epochs=1, max_length=6).fit(PriorMatrix(TEXTS, scores), LABELS))
    assert same_weights(*fits)


def test_decision_function_gives_the_logits(make, plain):
    scores = plain.decision_function(NEW_TEXTS)
    assert scores.shape == (30, 3)
    assert scores.dtype == np.float32
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    expected = odds / odds.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(plain.predict_proba(NEW_TEXTS), expected, atol=1e-6)


def test_decision_function_of_two_classes_is_their_difference(make):
    fitted = make(guidance=None, max_epochs=1).fit(TEXTS, LABELS == "rain")
    margins = fitted.decision_function(NEW_TEXTS)
    assert margins.shape == (30,)
    second = 1 / (1 + np.exp(-margins))
    np.testing.assert_allclose(fitted.predict_proba(NEW_TEXTS)[:, 1], second, atol=1e-6)


# -- explanations ---------------------------------------------------------------------------------


def test_explain_finds_the_keywords(guided):
    matrix = guided.explain(NEW_TEXTS)
    assert isinstance(matrix, PriorMatrix)
    assert matrix.texts.tolist() == NEW_TEXTS
    top = [record.words[record.scores.argmax()] for record in matrix]
    assert np.mean(np.array(top) == NEW_LABELS) > 0.7
    assert matrix.provenance == {
        "source": "integrated_gradients",
        "model": guided.model,
        "target": "logit",
        "baseline": "pad",
        "n_steps": 16,
        "labels": "predicted",
    }


def test_explained_scores_do_not_depend_on_company_or_order(guided):
    texts = ["", "rain", "set the music on now " * 6, *NEW_TEXTS[:4]]
    together = guided.explain(texts)
    for row, text in enumerate(texts):
        alone = guided.explain([text])
        np.testing.assert_allclose(together.scores[row], alone.scores[0], atol=1e-5)
    assert together.n_words.tolist() == [0, 1, 30, 5, 5, 5, 5]


def test_explain_given_labels(guided):
    predicted = guided.predict(NEW_TEXTS)
    given = guided.explain(NEW_TEXTS, predicted, n_steps=4)
    assert given.provenance["labels"] == "given"
    assert given.provenance["n_steps"] == 4
    np.testing.assert_allclose(
        given.to_dense(), guided.explain(NEW_TEXTS, n_steps=4).to_dense(), atol=1e-6
    )
    other = guided.explain(NEW_TEXTS, ["alarm"] * 30, n_steps=4)
    assert not np.allclose(other.to_dense(), given.to_dense(), atol=0.1)


def test_a_word_without_a_token_explains_nothing(guided):
    scores = guided.explain(["rain \u200b now"]).scores[0]
    assert scores[1] == 0
    assert scores[0] != 0


def test_log_odds_count_what_a_word_does_to_the_other_classes(guided):
    """Integrated gradients add up to the change of the score from the baseline to the text."""
    found = guided.explain(NEW_TEXTS[:4], ["alarm"] * 4, n_steps=64, target="log_odds")
    module, encoded = guided.net_.module_, TextDataset(guided._encode(NEW_TEXTS[:4]))
    batch, _ = next(iter(guided.net_.get_iterator(encoded, training=False)))
    token = attribution.find_baseline_token(guided.tokenizer_, "pad")
    with torch.no_grad():
        points = module.embed(batch["input_ids"])
        start = attribution.baseline_embeddings(module, points, batch["special"], token)
        odds = [
            torch.special.logit(
                module(attention_mask=batch["attention_mask"], inputs_embeds=at).softmax(1)[:, 0]
            )
            for at in (points, start)
        ]
    change = (odds[0] - odds[1]).numpy()
    np.testing.assert_allclose(found.to_dense().sum(axis=1), change, rtol=0.02, atol=0.02)
    assert found.provenance["target"] == "log_odds"


@pytest.mark.parametrize("baseline", ["mask", "zero"])
def test_other_baselines_and_targets(make, baseline):
    classifier = make(guidance=None, max_epochs=1, ig_baseline=baseline, explain_steps=2)
    matrix = classifier.fit(TEXTS, LABELS).explain(NEW_TEXTS, target="probability")
    assert matrix.provenance["baseline"] == baseline
    assert matrix.provenance["target"] == "probability"
    assert matrix.provenance["n_steps"] == 2
    assert 0 < np.abs(matrix.to_dense()).sum(axis=1).max() <= 5
    other = classifier.set_params(ig_baseline="pad").explain(NEW_TEXTS, target="probability")
    assert not np.allclose(matrix.to_dense(), other.to_dense(), atol=1e-3)


def test_bad_questions(guided):
    with pytest.raises(ValueError, match=r"not there in fit: 'snow'\. Known are 'alarm', 'music'"):
        guided.explain(["it is on", "rain"], ["snow", "rain"])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        guided.explain(["it is on"], ["rain", "rain"])
    with pytest.raises(ValueError, match=r"n_steps must be an int in the range \[1, inf\), got 0"):
        guided.explain(["rain"], n_steps=0)
    with pytest.raises(ValueError, match=r"target must be one of 'logit', .*, got 'margin'"):
        guided.explain(["rain"], target="margin")
    with pytest.raises(ValueError, match="X holds no texts"):
        guided.predict([])


@pytest.mark.parametrize("use", ["predict", "explain"])
def test_neither_predictions_nor_explanations_touch_the_generators(guided, use):
    """Threads share them: whoever seeds them disturbs the others, even if only for a while."""

    def states():
        return np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002

    classifier = copy.deepcopy(guided)
    before, seen = states(), []
    classifier.net_.module_.register_forward_hook(lambda *_: seen.append(states()))
    getattr(classifier, use)(NEW_TEXTS[:3])
    assert seen
    assert all(found == before for found in [*seen, states()])
