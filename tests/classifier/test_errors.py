"""Mistakes: parameters out of range, texts and labels that cannot be meant, missing priors."""

import numpy as np
import pytest
from keyword_task import LABELS, PRIOR, TEXTS

from skcap.classifier import GuidedTextClassifier
from skcap.guidance import AlignmentGuidance, RationaleGuidance, SwapGuidance
from skcap.models import ModelLoadError
from skcap.prior_matrix import PriorMatrix


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (TEXTS, "AlignmentGuidance needs a prior, but X is list: plain texts"),
        (PriorMatrix(TEXTS), "AlignmentGuidance needs a prior, but the PriorMatrix has no scores"),
    ],
)
def test_guidance_without_a_prior(make, X, message):
    with pytest.raises(ValueError, match=message) as error:
        make().fit(X, LABELS)
    for remedy in ("in a Pipeline", "PriorMatrix with scores", "guidance=None"):
        assert remedy in str(error.value)


NUMBERS = {"a str": "1", "a list": [1], "NaN": float("nan"), "infinity": float("inf")}
WRONG = {
    "model": {"None": None, "a number": 3, "nothing": "", "no such folder": "no/such folder/x"},
    "guidance": {"unknown": "both", "a class": RationaleGuidance, "a number": 1, "in a list": [3]},
    "beta": {**NUMBERS, "below": -1},
    "ig_baseline": {"unknown": "none", "None": None},
    "explain_steps": {**NUMBERS, "below": 0, "a fraction": 1.5, "a bool": True},
    "pooling": {"unknown": "max", "None": None},
    "normalize_embeddings": {"a str": "yes", "None": None},
    "label_weight": {"unknown": "none", "below": -1, "NaN": float("nan"), "None": None},
    "label_names": {
        "a str": "alarm",
        "a number": 3,
        "too few": ["alarm"],
        "missing": {"rain": "r"},
    },
    "dropout": {**NUMBERS, "above": 1.5, "below": -0.1},
    "head_init": {"unknown": "best", "None": None},
    "max_epochs": {**NUMBERS, "below": 0, "a bool": True},
    "batch_size": {**NUMBERS, "below": 0, "a fraction": 1.5},
    "lr": {**NUMBERS, "below": -0.1},
    "head_lr": {**NUMBERS, "below": -0.1},
    "warmup": {**NUMBERS, "above": 2},
    "class_weight": {
        "unknown": "even",
        "a number": 2,
        "below": {"rain": -1},
        "NaN": {"rain": float("nan")},
        "a str": {"rain": "heavy"},
        "another class": {"snow": 2},
    },
    "max_length": {"a fraction": 9.5, "below": 0, "too small": 2, "too large": 65},
    "train_split": {"a number": 5, "a str": "split"},
    "callbacks": {"a str": "early", "a number": 3, "of numbers": [3], "of pairs": [("early", 3)]},
    "device": {"None": None, "a number": 3, "unknown": "gpu", "not there": "cuda:99"},
    "amp": {"a str": "yes", "None": None},
    "model_kwargs": {"a list": [1], "a str": "main"},
    "random_state": {"a str": "seed", "below": -1},
    "verbose": {"a str": "yes", "below": -1},
}


def cases(wrong):
    return [
        pytest.param(name, value, id=f"{name}-{kind}")
        for name, values in wrong.items()
        for kind, value in values.items()
    ]


@pytest.mark.parametrize(("name", "value"), cases(WRONG))
def test_every_parameter_out_of_range_is_named(make, name, value):
    classifier = make(guidance=None, label_weight=1).set_params(**{name: value})
    with pytest.raises((ValueError, TypeError, ModelLoadError)) as error:
        classifier.fit(TEXTS, LABELS)
    assert name in str(error.value).lower()


def test_wrong_values_are_tried_for_every_parameter():
    assert WRONG.keys() == set(GuidedTextClassifier._get_param_names())


@pytest.mark.parametrize(
    ("guidance", "name", "value"),
    [
        (AlignmentGuidance(), "normalize", "l1"),
        (AlignmentGuidance(), "n_steps", 0),
        (AlignmentGuidance(), "n_steps", 1.5),
        (AlignmentGuidance(), "path", "curved"),
        (AlignmentGuidance(), "baseline", "none"),
        (RationaleGuidance(), "share", 50),
        (RationaleGuidance(), "share", float("nan")),
        (RationaleGuidance(), "complement", "drop"),
        (RationaleGuidance(), "complement_weight", -1),
        (SwapGuidance(), "shortcuts", "emma"),
        (SwapGuidance(), "audit", True),
        (SwapGuidance(), "drop", 1.5),
        (SwapGuidance(), "max_rounds", 0),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "check") else str(value),
)
@pytest.mark.parametrize("in_a_list", [False, True])
def test_every_parameter_of_a_guidance_out_of_range_is_named(
    make, guidance, name, value, in_a_list
):
    wrong = type(guidance)(**{name: value})
    classifier = make(model="nowhere", guidance=["rationale", wrong] if in_a_list else wrong)
    with pytest.raises((ValueError, TypeError), match=name):  # before the model is loaded
        classifier.fit(PRIOR, LABELS)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"beta": -1}, r"'beta' parameter .* in the range \[0.*Got -1 instead"),
        ({"pooling": "max"}, r"'pooling' parameter .*'mean'.*Got 'max' instead"),
        ({"max_length": 2}, r"max_length must be an int in the range \[3, 64\], got 2"),
        ({"class_weight": "even"}, "'class_weight' parameter .*'balanced'"),
        (
            {"guidance": "both"},
            "guidance must be one of .*'rationale', 'swap', .*'both'",
        ),
        ({"guidance": RationaleGuidance}, r"Pass an instance: RationaleGuidance\(\)"),
        ({"guidance": 3}, "a list of these, or None, got 3"),
    ],
)
def test_errors_say_what_is_allowed(make, parameters, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make(**{"guidance": None, **parameters}).fit(TEXTS, LABELS)


@pytest.mark.parametrize(
    ("X", "y", "error", "message"),
    [
        (TEXTS[0], LABELS, TypeError, "single string"),
        (np.array([TEXTS]), LABELS, ValueError, "one-dimensional"),
        ([*TEXTS[:-1], None], LABELS, TypeError, "row 47 is NoneType"),
        ([], [], ValueError, "X holds no texts"),
        (TEXTS, LABELS[:-1], ValueError, "inconsistent numbers of samples"),
        (TEXTS, None, ValueError, "y is None"),
        (TEXTS, ["rain"] * 48, ValueError, "at least two classes, but y holds 1 class: 'rain'"),
        (TEXTS, np.linspace(0, 1, 48), ValueError, "Unknown label type"),
        (TEXTS, [*LABELS[:-1], float("nan")], ValueError, "row 47 is nan"),
        (TEXTS, [*LABELS[:-1], 3], ValueError, "labels of different kinds"),
        (TEXTS, np.eye(3)[np.arange(48) % 3], ValueError, "one label per text"),
    ],
)
def test_bad_data(make, X, y, error, message):
    with pytest.raises(error, match=message):
        make(guidance=None).fit(X, y)


@pytest.mark.parametrize(
    "parameters",
    [
        {"ig_baseline": "mask", "guidance": None},
        {"guidance": AlignmentGuidance(baseline="mask")},
    ],
    ids=["to explain", "to guide"],
)
def test_missing_mask_token(make, tiny_model, tmp_path, parameters):
    from transformers import AutoModel, AutoTokenizer

    AutoModel.from_pretrained(tiny_model("bert")).save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model("bert"))
    tokenizer.mask_token = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="baseline='mask' needs a mask token"):
        make(model=str(tmp_path), **parameters).fit(PRIOR, LABELS)


def test_texts_that_are_no_valid_unicode_are_named(make, plain):
    texts = [TEXTS[0], "play \ud83d", *TEXTS[2:]]
    for use in (plain.predict, lambda X: make(guidance=None).fit(X, LABELS)):
        with pytest.raises(ValueError, match="X must hold valid Unicode, but row 1"):
            use(texts)


@pytest.mark.parametrize("name", ["dtype", "torch_dtype", "config"])
def test_options_of_loading_that_are_no_choice(make, name):
    with pytest.raises(ValueError, match=f"model_kwargs must not hold '{name}'.*amp=True"):
        make(guidance=None, model_kwargs={name: "bfloat16"}).fit(TEXTS, LABELS)


@pytest.mark.parametrize(
    "parameters",
    [
        {"model_kwargs": {"foo": 1}},
        {"optimizer__betas": (2, 0.9)},
        {"optimizer__betas": "high"},
        {"criterion__label_smoothing": 5},
        {"callbacks__schedule__foo": 1},
    ],
    ids=lambda parameters: "-".join(map(str, *parameters.items())),
)
def test_what_other_libraries_refuse_is_named(make, parameters):
    with pytest.raises(ValueError, match=next(iter(parameters))):
        make(guidance=None, **parameters).fit(TEXTS, LABELS)
