"""Parameters: skorch's and the guidance's, get, set, clone, and hints for names that are none."""

import inspect
import warnings

import joblib
import pytest
from keyword_task import LABELS, PRIOR, TEXTS
from sklearn.base import clone
from skorch.callbacks import EarlyStopping

from skcap.classifier import GuidedTextClassifier
from skcap.guidance import AlignmentGuidance, RationaleGuidance, SwapGuidance


def test_the_constructor_has_at_most_25_parameters():
    parameters = list(inspect.signature(GuidedTextClassifier).parameters.values())
    assert parameters.pop().kind is inspect.Parameter.VAR_KEYWORD
    assert len(parameters) <= 25


def test_fit_leaves_parameters_alone(make):
    callbacks = [EarlyStopping(monitor="train_loss", patience=3)]
    classifier = make(
        guidance=AlignmentGuidance(), max_epochs=1, callbacks=callbacks, optimizer__betas=(0.8, 0.9)
    )
    guidance = classifier.guidance
    before = {name: joblib.hash(value) for name, value in classifier.get_params().items()}
    classifier.fit(PRIOR, LABELS)
    assert {name: joblib.hash(value) for name, value in classifier.get_params().items()} == before
    assert classifier.callbacks is callbacks
    assert callbacks[0] not in dict(classifier.net_.callbacks_).values()
    assert classifier.guidance is guidance
    assert classifier.guidance_[0] is not guidance


def test_skorch_parameters_get_set_and_clone(make):
    classifier = make(optimizer__betas=(0.5, 0.9))
    assert classifier.get_params()["optimizer__betas"] == (0.5, 0.9)
    assert classifier.set_params(optimizer__eps=1e-3, beta=0) is classifier
    copied = clone(classifier)
    assert copied.get_params() == classifier.get_params()
    copied.set_params(optimizer__eps=1.0)
    assert classifier.get_params()["optimizer__eps"] == 1e-3
    classifier.set_params(max_epochs=1, iterator_train__drop_last=True).fit(TEXTS[:40], LABELS[:40])
    group = classifier.net_.optimizer_.param_groups[0]
    assert (group["betas"], group["eps"]) == ((0.5, 0.9), 1e-3)
    assert len(classifier.net_.history[0, "batches"]) == 2
    assert "optimizer__betas=(0.5, 0.9)" in repr(classifier)


@pytest.mark.parametrize(("name", "value"), [("foreach", True), ("fused", False)])
def test_the_fused_optimiser_gives_way_to_another_kernel(make, name, value):
    """Torch refuses `fused` together with `foreach`."""
    classifier = make(guidance=None, max_epochs=1).set_params(**{f"optimizer__{name}": value})
    group = classifier.fit(TEXTS, LABELS).net_.optimizer_.param_groups[0]
    assert group[name] == value
    assert not group["fused"]


def test_the_optimiser_is_fused_by_default(make):
    classifier = make(guidance=None, max_epochs=1).fit(TEXTS, LABELS)
    assert classifier.net_.optimizer_.param_groups[0]["fused"]


# -- parameters of the guidance -------------------------------------------------------------------


def test_parameters_of_a_guidance_object_are_the_classifiers():
    classifier = GuidedTextClassifier(guidance=RationaleGuidance(share=0.75))
    assert classifier.get_params()["guidance__share"] == 0.75
    assert "guidance__share" not in classifier.get_params(deep=False)
    classifier.set_params(guidance__share=0.25, guidance__complement="compose", beta=0.5)
    assert repr(classifier.guidance) == "RationaleGuidance(complement='compose', share=0.25)"
    copied = clone(classifier)
    assert copied.get_params() == {**classifier.get_params(), "guidance": copied.guidance}
    assert copied.guidance is not classifier.guidance


def test_a_guidance_by_name_becomes_an_object_when_its_parameters_are_set():
    classifier = GuidedTextClassifier(guidance="rationale")
    assert "guidance__share" not in classifier.get_params()
    assert classifier.guidance == "rationale"
    classifier.set_params(guidance__share=0.25)
    assert repr(classifier.guidance) == "RationaleGuidance(share=0.25)"
    # Both at once, in any order: the nested parameter is the new guidance's.
    classifier.set_params(guidance__n_steps=3, guidance="alignment")
    assert repr(classifier.guidance) == "AlignmentGuidance(n_steps=3)"
    classifier.set_params(guidance=SwapGuidance(["emma"]), guidance__drop=0)
    assert repr(classifier.guidance) == "SwapGuidance(drop=0, shortcuts=['emma'])"


def test_parameters_of_a_missing_guidance_are_refused():
    with pytest.raises(ValueError, match="Invalid parameter 'share' for estimator Swap"):
        GuidedTextClassifier().set_params(guidance__share=0.5)
    with pytest.raises(ValueError, match=r"guidance__share needs a single.* guidance is None"):
        GuidedTextClassifier(guidance=None).set_params(guidance__share=0.5)
    with pytest.raises(ValueError, match=r"guidance__drop needs a single.* is \['swap'\]"):
        GuidedTextClassifier(guidance=["swap"]).set_params(guidance__drop=0.5)
    with pytest.raises(ValueError, match="guidance must be one of 'alignment', 'rationale', 'swap"):
        GuidedTextClassifier(guidance="both").set_params(guidance__drop=0.5)


# -- names that are no parameters -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("optimizer__betaz", "optimizer__betas"),
        ("optimizer_betas", "optimizer__betas"),
        ("iterator_train_shuffle", "iterator_train__shuffle"),
        ("optimizer__lr", "lr"),
        ("module__dropout", "dropout"),
        ("bata", "beta"),
        ("learning_rate", "lr"),
        ("head_learning_rate", "head_lr"),
        ("epochs", "max_epochs"),
        ("num_epochs", "max_epochs"),
        ("num_train_epochs", "max_epochs"),
        ("max_iter", "max_epochs"),
        ("per_device_train_batch_size", "batch_size"),
        ("max_seq_length", "max_length"),
        ("seed", "random_state"),
        ("model_name_or_path", "model"),
        ("warmup_ratio", "warmup"),
    ],
)
def test_unknown_parameters_get_a_hint(name, hint):
    assert_refused(name, f"GuidedTextClassifier has no parameter '{name}'. Did you mean '{hint}'?")


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("beta_schedule", "constant beta"),
        ("n_distractors", "guidance='swap'"),
        ("rationale_share", "guidance=RationaleGuidance(share=...)"),
        ("complement_weight", "guidance=RationaleGuidance(complement_weight=...)"),
        ("alignment_loss", "mean squared error"),
        ("alignment_limit", "made no difference"),
        ("normalize", "guidance=AlignmentGuidance(normalize=...)"),
        ("ig_steps", "guidance=AlignmentGuidance(n_steps=...)"),
        ("ig_path", "guidance=AlignmentGuidance(path=...)"),
        ("ig_target", "explain(X, target=...)"),
        ("weight_decay", "optimizer__weight_decay="),
        ("revision", "model_kwargs={'revision': ...}"),
        ("local_files_only", "model_kwargs={'local_files_only': True}"),
        ("trust_remote_code", "model_kwargs={'trust_remote_code': True}"),
    ],
)
def test_removed_parameters_name_what_replaces_them(name, instead):
    message = assert_refused(name, f"GuidedTextClassifier has no parameter '{name}'. ")
    assert instead in message


@pytest.mark.parametrize("option", ["batch_sampler", "drop_last", "sampler", "shuffle"])
def test_predictions_keep_the_order_of_texts(option):
    message = assert_refused(f"iterator_valid__{option}", "GuidedTextClassifier has no parameter")
    assert message.endswith("All texts are predicted, in their order.")


def test_batches_of_a_users_own_are_refused():
    """Torch takes no batch_sampler beside the size of batches, which skorch always passes."""
    message = assert_refused("iterator_train__batch_sampler", "GuidedTextClassifier has no par")
    assert "iterator_train__sampler takes another order" in message


def test_replacements_named_in_errors_exist():
    assert {"share", "complement_weight"} <= RationaleGuidance().get_params().keys()
    assert {"normalize", "n_steps", "path"} <= AlignmentGuidance().get_params().keys()
    GuidedTextClassifier(optimizer__weight_decay=0.1, model_kwargs={"revision": "main"})


def assert_refused(name, start):
    """Check that constructor and set_params refuse a name in the same words, and give these."""
    with pytest.raises(TypeError) as error:
        GuidedTextClassifier(**{name: 1})
    assert str(error.value).startswith(start)
    with pytest.raises(ValueError, match="has no parameter") as again:
        GuidedTextClassifier().set_params(**{name: 1})
    assert str(again.value) == str(error.value)
    return str(error.value)


def test_the_default_guidance_is_the_one_that_costs_nothing_on_clean_texts():
    assert GuidedTextClassifier().guidance == "swap"


@pytest.mark.parametrize(("guidance", "beta", "warns"), [("swap", 0.3, True), ("swap", 1, False)])
def test_a_beta_that_weighs_nothing_is_told(make, guidance, beta, warns):
    classifier = make(guidance=guidance, beta=beta, max_epochs=1)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        classifier.fit(PRIOR, LABELS)
    said = [str(warning.message) for warning in told]
    assert any(f"beta={beta} changes nothing" in text for text in said) == warns


@pytest.mark.parametrize("guidance", ["alignment", ["swap", "alignment"], None])
def test_a_beta_that_weighs_something_is_not_told(make, guidance):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(guidance=guidance, beta=0.3, max_epochs=1).fit(PRIOR, LABELS)
