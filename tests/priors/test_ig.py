import pickle
import shutil

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import Callback

from skcap.classifier import GuidedTextClassifier
from skcap.prior_matrix import PriorMatrix
from skcap.priors.integrated_gradients import IGPriorTransformer
from skcap.utils.cache import PriorCache

X = [
    "play some jazz music",
    "turn on the lights",
    "set an alarm for noon",
    "play jazz now, please",
    "lights off",
    "cancel the alarm that is set for tomorrow morning",
]
Y = ["music", "lights", "alarm"] * 2
NEW = ["play music now", "alarm off"]
GOOD = X, Y


@pytest.fixture
def small(tiny_model):
    def make(**parameters):
        how = {
            "head_init": "random",
            "guidance": None,
            "max_epochs": 12,
            "lr": 3e-3,
            "batch_size": 6,
            "device": "cpu",
        }
        # A random tiny encoder learns these few texts better by vectors of any length.
        how |= {"normalize_embeddings": False, "label_weight": 0}
        return GuidedTextClassifier(tiny_model(), **{**how, **parameters})

    return make


@pytest.fixture
def trainings(monkeypatch):
    """Count the fits of classifiers in this process."""
    counted = []
    fit = GuidedTextClassifier.fit

    def counting(self, X, y, sample_weight=None):
        counted.append(list(X))
        return fit(self, X, y, sample_weight)

    monkeypatch.setattr(GuidedTextClassifier, "fit", counting)
    return counted


def captum_by_hand(classifier, text, label, n_steps, baseline="pad"):
    """Attributions of one text, without padding, and what they miss of completeness."""
    from captum.attr import LayerIntegratedGradients

    module, tokenizer = classifier.net_.module_.eval(), classifier.tokenizer_
    batch = tokenizer(text, return_tensors="pt", return_offsets_mapping=True)
    ids, offsets = batch["input_ids"], batch["offset_mapping"][0].tolist()
    filled = torch.full_like(ids, getattr(tokenizer, f"{baseline}_token_id"))
    filled[0, 0], filled[0, -1] = ids[0, 0], ids[0, -1]
    # Through the layer of embeddings and token ids, where the library passes embeddings.
    tokens, delta = LayerIntegratedGradients(
        lambda ids: module(ids), module.encoder.get_input_embeddings()
    ).attribute(
        ids,
        filled,
        target=classifier.classes_.tolist().index(label),
        n_steps=n_steps,
        method="gausslegendre",
        return_convergence_delta=True,
    )
    scores = np.zeros(len(text.split()))
    for (start, end), score in zip(offsets, tokens.sum(dim=2)[0].tolist(), strict=True):
        if end > start:
            scores[len(text[:end].split()) - 1] += score
    return scores, delta.item()


@pytest.mark.parametrize("baseline", ["pad", "mask"])
def test_equals_captum_by_hand(small, baseline):
    prior = IGPriorTransformer(small(), n_steps=7, baseline=baseline, cache=False)
    matrix = prior.fit_transform(X, Y)
    for row, (text, label) in enumerate(zip(X, Y, strict=True)):
        scores, delta = captum_by_hand(prior.classifier_, text, label, 7, baseline)
        assert_allclose(matrix.scores[row], scores, atol=1e-5)
        assert_allclose(prior.convergence_delta_[row], delta, atol=1e-5)


@pytest.mark.parametrize("baseline", ["pad", "mask", "zero"])
@pytest.mark.parametrize("target", ["logit", "log_odds", "probability"])
def test_equals_the_classifiers_own_explanation(small, target, baseline):
    how = {"n_steps": 9, "target": target, "baseline": baseline}
    prior = IGPriorTransformer(small(ig_baseline=baseline), cache=False, **how)
    matrix = prior.fit_transform(X, Y)
    own = prior.classifier_.explain(X, Y, n_steps=9, target=target)
    assert_allclose(matrix.to_dense(), own.to_dense(), atol=1e-5)


def test_batches_change_nothing(small):
    classifier = small(random_state=0).fit(X, Y)
    whole = IGPriorTransformer(classifier, prefit=True).fit_transform(X, Y)
    parts = IGPriorTransformer(classifier, prefit=True, internal_batch_size=2).fit_transform(X, Y)
    assert_allclose(whole.to_dense(), parts.to_dense(), atol=1e-5)


def test_more_steps_converge(small):
    classifier = small(random_state=0, max_epochs=40).fit(X, Y)
    coarse = IGPriorTransformer(classifier, prefit=True, n_steps=1, target="probability")
    fine = IGPriorTransformer(classifier, prefit=True, n_steps=60, target="probability")
    with pytest.warns(UserWarning, match=r"Raise n_steps \(now 1\)"):
        coarse.fit(X, Y)
    delta = fine.fit_transform(X, Y).provenance["convergence_delta"]
    assert np.abs(fine.convergence_delta_).max() < 0.1 * np.abs(coarse.convergence_delta_).max()
    assert delta["mean"] == np.abs(fine.convergence_delta_).mean()
    assert delta["max"] == np.abs(fine.convergence_delta_).max()


def test_repeated_words_and_texts(small):
    texts = ["no no no alarm", "no no no alarm", *X, "no no no alarm"]
    labels = ["alarm", "alarm", *Y, "music"]
    prior = IGPriorTransformer(small(max_epochs=30), n_steps=5, cache=False)
    matrix = prior.fit_transform(texts, labels)
    assert_array_equal(matrix.scores[0], matrix.scores[1])
    assert len(set(matrix.scores[0].tolist())) == 4
    # The same text has another score for another label.
    assert np.abs(matrix.scores[0] - matrix.scores[-1]).max() > 1e-3
    assert prior.convergence_delta_.shape == (len(texts),)


def test_words_that_are_cut_off_have_no_score(small):
    classifier = small(max_length=6)
    with pytest.warns(UserWarning, match="longer than max_length=6"):
        matrix = IGPriorTransformer(classifier, n_steps=3, cache=False).fit_transform(X, Y)
    cut = [np.isnan(scores).tolist() for scores in matrix.scores]
    assert not any(cut[1])  # "turn on the lights": 4 tokens and 2 special ones
    assert cut[5] == [False] * cut[5].index(True) + [True] * (len(cut[5]) - cut[5].index(True))


def test_text_without_words(small):
    matrix = IGPriorTransformer(small(), n_steps=3, cache=False).fit_transform(
        [*X, ""], [*Y, "music"]
    )
    assert matrix.n_words[-1] == 0


# -- the classifier -------------------------------------------------------------------------------


def test_given_classifier_stays_as_it_is(small):
    classifier = small()
    prior = IGPriorTransformer(classifier, n_steps=3, cache=False).fit(X, Y)
    assert not hasattr(classifier, "net_")
    assert classifier.random_state is None
    assert isinstance(prior.classifier_.random_state, int)


def test_its_own_seed_is_kept(small):
    prior = IGPriorTransformer(small(random_state=5), n_steps=3, cache=False).fit(X, Y)
    assert prior.classifier_.random_state == 5


def test_default_classifier(tiny_model, monkeypatch):
    monkeypatch.setattr("skcap.models.names.resolve_model", lambda name, **_: tiny_model())
    prior = IGPriorTransformer(n_steps=3, cache=False).fit(X[:2] * 24, Y[:2] * 24)
    assert prior.classifier_.get_params() == {
        **GuidedTextClassifier(guidance=None).get_params(),
        "random_state": prior.classifier_.random_state,
    }


def test_prefit_is_used_and_shared_by_clones(small, trainings):
    classifier = small(random_state=0).fit(X, Y)
    trainings.clear()
    prior = clone(IGPriorTransformer(classifier, prefit=True, n_steps=3))
    assert prior.classifier is classifier
    matrix = prior.fit_transform(X[:2], Y[:2])
    own = classifier.explain(X[:2], Y[:2], n_steps=3)
    assert_allclose(matrix.to_dense(), own.to_dense(), atol=1e-5)
    assert trainings == []


def test_a_prefit_classifier_that_is_fitted_again_is_asked_again(small):
    classifier = small(random_state=0).fit(X, Y)
    prior = IGPriorTransformer(classifier, prefit=True, n_steps=3).fit(X[:2], Y[:2])
    classifier.set_params(random_state=1).fit(X, Y)
    again = IGPriorTransformer(classifier, prefit=True, n_steps=3).fit_transform(X[:2], Y[:2])
    assert_allclose(prior.attribute(X[:2], Y[:2]).to_dense(), again.to_dense(), atol=1e-6)


def test_clone_copies_what_is_not_prefit(small):
    prior = IGPriorTransformer(small())
    copy = clone(prior)
    assert copy.classifier is not prior.classifier
    assert copy.get_params()["classifier__max_epochs"] == 12


def test_a_model_no_better_than_chance_is_refused(small, tmp_path):
    untrained = small(max_epochs=1, lr=0, head_lr=0)
    prior = IGPriorTransformer(untrained, cache=tmp_path)
    with pytest.raises(ValueError, match=r"gets \d+ of 24 right, .* frequent label \(33%\)"):
        prior.fit(X * 4, Y * 4)
    assert len(PriorCache(tmp_path)) == 0


def test_few_texts_that_are_all_right_are_enough(small):
    # Two of two by luck has a probability of a quarter.
    prior = IGPriorTransformer(small(max_epochs=30), n_steps=3, cache=False)
    assert prior.fit_transform(X[:2], Y[:2]).has_scores


# -- the cache ------------------------------------------------------------------------------------


def test_second_fit_trains_nothing(small, trainings, tmp_path):
    first = IGPriorTransformer(small(), n_steps=3, cache=tmp_path)
    second = clone(first)
    matrix = first.fit_transform(X, Y)
    assert second.fit_transform(X, Y) == matrix
    assert_array_equal(second.convergence_delta_, first.convergence_delta_)
    assert len(trainings) == 1
    assert len(PriorCache(tmp_path)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"n_steps": 4},
        {"target": "probability"},
        {"baseline": "mask"},
        {"random_state": 1},
        {"classifier__max_epochs": 9},
        {"classifier__optimizer__betas": (0.8, 0.9)},
    ],
)
def test_other_settings_train_anew(small, trainings, tmp_path, change):
    prior = IGPriorTransformer(small(), n_steps=3, cache=tmp_path).fit(X, Y)
    clone(prior).set_params(**change).fit(X, Y)
    assert len(trainings) == 2


def test_other_data_or_weights_train_anew(small, trainings, tmp_path):
    prior = IGPriorTransformer(small(), n_steps=3, cache=tmp_path).fit(X, Y)
    prior.fit(X, Y[1:] + Y[:1])
    prior.fit(X[::-1], Y[::-1])
    folder = tmp_path / "copy"
    shutil.copytree(prior.classifier.model, folder)
    prior.set_params(classifier__model=str(folder)).fit(X, Y)
    assert len(trainings) == 3  # the same weights elsewhere are the same
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(
        config.replace('"layer_norm_eps": 1e-12', '"layer_norm_eps": 1e-3')
    )
    prior.fit(X, Y)
    assert len(trainings) == 4


def test_where_the_weights_come_from_is_no_setting_but_other_options_are(
    small, trainings, tmp_path
):
    prior = IGPriorTransformer(small(), n_steps=3, cache=tmp_path).fit(X, Y)
    for same in ({}, {"local_files_only": True}, {"revision": None}):
        clone(prior).set_params(classifier__model_kwargs=same).fit(X, Y)
    assert len(trainings) == 1
    eager = {"attn_implementation": "eager"}
    clone(prior).set_params(classifier__model_kwargs=eager).fit(X, Y)
    assert len(trainings) == 2


@pytest.mark.parametrize("parameters", [{"random_state": None}, {"cache": False}])
def test_nothing_is_kept(small, trainings, tmp_path, parameters):
    how = {"cache": tmp_path, **parameters}
    np.random.seed(0)  # noqa: NPY002  where random_state=None draws from: not any seed will learn
    first = IGPriorTransformer(small(), n_steps=3, **how).fit_transform(X, Y)
    second = IGPriorTransformer(small(), n_steps=3, **how).fit_transform(X, Y)
    assert len(trainings) == 2
    assert list(tmp_path.iterdir()) == []
    assert (first == second) == ("random_state" not in parameters)


def test_unhashable_settings_warn_and_train(small, trainings, tmp_path):
    from skorch.callbacks import EpochScoring

    callback = ("score", EpochScoring(lambda *_: 0.0, on_train=True, use_caching=False))
    prior = IGPriorTransformer(small(callbacks=[callback]), n_steps=3, cache=tmp_path)
    with pytest.warns(UserWarning, match="cannot be hashed"):
        prior.fit(X, Y)
    assert len(trainings) == 1


def test_new_texts_train_on_demand_once(small, trainings, tmp_path):
    first = IGPriorTransformer(small(), n_steps=3, cache=tmp_path).fit(X, Y)
    second = clone(first).fit(X, Y)
    assert not hasattr(second, "classifier_")
    labels = ["music", "alarm"]
    second.attribute(X[:3], Y[:3])
    assert len(trainings) == 1
    assert second.attribute(NEW, labels) == first.attribute(NEW, labels)
    second.attribute(NEW, labels)
    assert trainings == [X, X]


@pytest.mark.parametrize("verbose", [0, 1])
def test_progress_counts_texts(small, monkeypatch, capsys, verbose):
    monkeypatch.setattr("skcap.utils.progress._FIRST_LINE", 0)
    monkeypatch.setattr("skcap.utils.progress._NEXT_LINE", 0)
    IGPriorTransformer(small(), n_steps=3, cache=False, verbose=verbose).fit(X, Y)
    assert ("ig: 6 of 6 texts" in capsys.readouterr().err) == bool(verbose)


def test_rows_of_the_training_texts_are_looked_up(small):
    prior = IGPriorTransformer(small(), n_steps=3, cache=False)
    matrix = prior.fit_transform(X, Y)
    assert prior.attribute(X[3:1:-1], Y[3:1:-1]) == matrix[[3, 2]]


@pytest.mark.parametrize("change", [{"n_steps": 8}, {"target": "log_odds"}, {"baseline": "zero"}])
def test_settings_changed_after_fit_hold_for_training_texts_too(small, trainings, change):
    prior = IGPriorTransformer(small(), n_steps=4, cache=False).fit(X, Y)
    before = prior.attribute(X, Y)
    after = prior.set_params(**change).attribute(X, Y)
    fresh = IGPriorTransformer(small(), n_steps=4, cache=False).set_params(**change)
    for ours, theirs in zip(after.scores, fresh.fit_transform(X, Y).scores, strict=True):
        assert_allclose(ours, theirs, atol=1e-6)
    assert len(trainings) == 2  # one of each
    assert after != before
    assert {name: after.provenance[name] for name in change} == change
    assert "convergence_delta" in before.provenance
    assert "convergence_delta" not in after.provenance  # it was that of the fit's settings
    prior.set_params(prefit=True)  # holds from the next fit on
    assert prior.attribute(X, Y) == after


def test_transform_trains_and_scores_nothing(small, trainings, tmp_path):
    IGPriorTransformer(small(), n_steps=3, cache=tmp_path).fit(X, Y)
    prior = IGPriorTransformer(small(), n_steps=3, cache=tmp_path).fit(X, Y)
    matrix = prior.transform(NEW)
    assert isinstance(matrix, PriorMatrix)
    assert not matrix.has_scores
    assert len(trainings) == 1


def test_pickles_when_fitted(small):
    prior = IGPriorTransformer(small(), n_steps=3, cache=False).fit(X, Y)
    again = pickle.loads(pickle.dumps(prior))
    labels = ["music", "alarm"]
    assert again.attribute(NEW, labels) == prior.attribute(NEW, labels)


def test_same_seed_same_scores(small):
    first, second = (
        IGPriorTransformer(small(), n_steps=3, cache=False).fit_transform(X, Y) for _ in range(2)
    )
    assert first == second


# -- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("classifier", "bert"),
        ("prefit", "yes"),
        ("n_steps", 0),
        ("n_steps", True),
        ("internal_batch_size", 2.5),
        ("baseline", "none"),
        ("target", "log_prob"),
        ("cache", 3),
        ("cache", True),
        ("random_state", "seed"),
        ("verbose", -1),
    ],
)
def test_every_parameter_out_of_range_is_named(name, value):
    with pytest.raises((ValueError, TypeError), match=name):
        IGPriorTransformer(**{name: value}).fit(X, Y)


class Raise(Callback):
    """Stops the training at the end of an epoch, or at its first batch."""

    def __init__(self, error, at_once=False):
        self.error = error
        self.at_once = at_once

    def on_batch_begin(self, net, **kwargs):
        if self.at_once:
            raise self.error

    def on_epoch_end(self, net, **kwargs):
        raise self.error


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_what_is_cut_short_is_neither_kept_nor_fitted(small, tmp_path, error, at_once):
    prior = IGPriorTransformer(small(), n_steps=3, cache=tmp_path).fit(X[:4], Y[:4])
    assert len(PriorCache(tmp_path)) == 1
    prior.set_params(classifier__callbacks=[Raise(error, at_once)])
    with pytest.raises(error):
        prior.fit(X, Y)
    assert len(PriorCache(tmp_path)) == 1
    assert_not_fitted(prior)
    prior.set_params(classifier__callbacks=None)
    assert prior.fit_transform(X, Y).has_scores
    assert len(PriorCache(tmp_path)) == 2


def test_an_interrupted_attribution_is_neither_kept_nor_fitted(small, tmp_path, monkeypatch):
    def interrupt(*args, **options):
        raise KeyboardInterrupt

    prior = IGPriorTransformer(small(), n_steps=3, cache=tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("captum.attr.IntegratedGradients.attribute", interrupt)
        with pytest.raises(KeyboardInterrupt):
            prior.fit_transform(X, Y)
    assert len(PriorCache(tmp_path)) == 0
    assert_not_fitted(prior)


@pytest.mark.parametrize(
    ("change", "X", "y"),
    [
        ({"n_steps": 0}, X, Y),
        ({"classifier__beta": -1}, X, Y),
        ({"classifier__guidance": "alignment"}, X, Y),
        ({"classifier__lr": 0, "classifier__head_lr": 0}, X * 4, Y * 4),  # it does not learn
        ({"classifier__model": "no/such folder"}, X, Y),
        ({}, X, Y[:3]),
        ({}, X, ["music"] * 6),
        ({}, None, Y),
    ],
)
def test_a_failed_refit_leaves_nothing_of_the_fit_before(small, change, X, y):
    prior = IGPriorTransformer(small(), n_steps=3, cache=False).fit(*GOOD)
    with pytest.raises((ValueError, TypeError, OSError)):
        prior.set_params(**change).fit(X, y)
    assert_not_fitted(prior)


def assert_not_fitted(prior):
    with pytest.raises(NotFittedError):
        check_is_fitted(prior)
    with pytest.raises(NotFittedError):
        prior.transform(NEW)
    assert [name for name in vars(prior) if name.endswith("_")] == []


@pytest.mark.parametrize("unguided", [{"guidance": None}, {"guidance": []}, {"beta": 0}])
def test_unguided_classifiers_of_any_kind_are_taken(small, unguided):
    classifier = small(**{"guidance": "alignment", **unguided})
    assert IGPriorTransformer(classifier, n_steps=3, cache=False).fit_transform(X, Y).has_scores


def test_bad_classifiers(small):
    with pytest.raises(TypeError, match=r"classifier must be a GuidedTextClassifier, .* got str"):
        IGPriorTransformer("bert").fit(X, Y)
    with pytest.raises(ValueError, match=r"classifier has guidance='alignment' and beta=0\.5"):
        IGPriorTransformer(small(guidance="alignment", beta=0.5)).fit(X, Y)
    with pytest.raises(NotFittedError, match="prefit=True needs a fitted classifier"):
        IGPriorTransformer(small(), prefit=True).fit(X, Y)
    fitted = small(random_state=0).fit(X, Y)
    with pytest.raises(ValueError, match="does not know, such as 'weather'"):
        IGPriorTransformer(fitted, prefit=True).fit(X, [*Y[:5], "weather"])


def test_usual_mistakes(small):
    prior = IGPriorTransformer(small(), n_steps=3, cache=False)
    with pytest.raises(NotFittedError):
        prior.transform(X)
    with pytest.raises(ValueError, match="needs y"):
        prior.fit_transform(X)
    with pytest.raises(ValueError, match="labels that fit did not see"):
        prior.fit(X, Y).attribute(NEW, ["weather", "alarm"])


def test_a_trained_prior_holds_no_texts(small, tmp_path):
    prior = IGPriorTransformer(small(), n_steps=2, cache=tmp_path).fit(X, Y)
    cached = clone(prior).fit(X, Y)
    assert X[0].encode() in pickle.dumps(cached)  # which may have to train yet
    cached.attribute(NEW, ["music", "alarm"])
    for fitted in (prior, cached):
        assert X[0].encode() not in pickle.dumps(fitted)
        assert_array_equal(fitted.attribute(X, Y).to_dense(), prior.attribute(X, Y).to_dense())
