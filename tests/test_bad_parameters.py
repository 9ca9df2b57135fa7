"""A wrong parameter gets an error that names it. A further class needs one line in CASES."""

import math
import re

import joblib
import pytest
from sklearn.base import BaseEstimator
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline

from skcap.adversarial import Edit, LLMWriter, RuleWriter
from skcap.llm import EstimatorLLM, FakeLLM, TransformersLLM
from skcap.llm.chat import ChatError, FakeChat, OpenAIChat, TransformersChat
from skcap.priors import (
    CAPPriorTransformer,
    HybridPrior,
    LimePriorTransformer,
    PrecomputedPrior,
    ShapPriorTransformer,
)

# The string is the name of no file, folder or model on a hub.
WRONG = [-1, 0, 1.5, math.nan, math.inf, True, "./nonsense", "", b"x", [], {}, object(), None]
TEXTS, LABELS = ["play jazz", "stop it"], ["music", "alarm"]
ASK = [{"role": "user", "content": "where is my card"}]
EDIT = Edit("play jazz", "music", "radio", added=("station",))


def fit(estimator):
    estimator.fit(TEXTS, LABELS).attribute(TEXTS, LABELS)


def score(llm):
    llm.fingerprint()
    llm.log_likelihood(["play jazz"], ["music"])


def chat(model):
    model.complete(ASK, max_tokens=2)


def classifier():
    return make_pipeline(CountVectorizer(), MultinomialNB()).fit(TEXTS, LABELS)


def prior(kind, **parameters):
    return lambda folder: kind(FakeLLM(), cache=False, **parameters)


# How to make an object (from the folder of a tiny language model), and how to use it.
CASES = {
    "cap": (prior(CAPPriorTransformer, n_masks=2), fit),
    "lime": (prior(LimePriorTransformer, num_samples=4), fit),
    "shap": (prior(ShapPriorTransformer, max_evals=4), fit),
    "precomputed": (lambda folder: PrecomputedPrior([[1, 2], [3, 4]]), fit),
    "lexicon": (lambda folder: PrecomputedPrior({"jazz": 1}, by="word"), fit),
    "hybrid": (lambda folder: HybridPrior([("own", PrecomputedPrior([[1, 2], [3, 4]]))]), fit),
    "fake llm": (lambda folder: FakeLLM(), score),
    "estimator": (lambda folder: EstimatorLLM(classifier(), {"music": 1}), score),
    "transformers": (TransformersLLM, score),
    "fake chat": (lambda folder: FakeChat(["hello"]), chat),
    "transformers chat": (TransformersChat, chat),
    "server chat": (
        lambda folder: OpenAIChat("http://127.0.0.1:9/v1", "m", max_retries=0, retry_wait=0), chat,
    ),
    "llm writer": (
        lambda folder: LLMWriter(FakeChat(lambda _: "play jazz on a station")),
        lambda writer: writer.write(EDIT),
    ),
    "rule writer": (lambda folder: RuleWriter(), lambda writer: writer.write(EDIT)),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch, tmp_path):
    """Files that a legal path names are made in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SKCAP_CACHE", str(tmp_path))


def make(name, tiny_llm):
    if name == "shap":
        pytest.importorskip("shap")
    if name == "server chat":
        pytest.importorskip("httpx")
        pytest.importorskip("tenacity")
    return CASES[name][0](tiny_llm())


def error_of(use):
    try:
        with joblib.parallel_config("threading"):
            use()
    except ChatError:
        return None  # there is no server, so all was well until it was asked
    except Exception as error:
        return error
    return None


def assert_named_or_legal(parameter, value, use):
    error = error_of(use)
    told = str(error)
    if isinstance(error, OSError):  # the name of a file or model that is not there
        assert isinstance(value, str)
        assert value in told
    elif error is not None:
        assert isinstance(error, TypeError | ValueError), repr(error)
        assert re.search(rf"\b{parameter}\b", told), f"{parameter}={value!r} is unnamed: {told}"


@pytest.mark.parametrize("name", CASES)
def test_wrong_parameters_are_named(name, tiny_llm):
    for parameter in make(name, tiny_llm).get_params(deep=False):
        for value in WRONG:
            thing = make(name, tiny_llm)
            setattr(thing, parameter, value)
            assert_named_or_legal(parameter, value, lambda thing=thing: CASES[name][1](thing))


@pytest.mark.parametrize("name", CASES)
def test_every_parameter_is_constrained(name, tiny_llm):
    thing = make(name, tiny_llm)
    assert isinstance(thing, BaseEstimator)
    assert set(thing.get_params(deep=False)) <= set(type(thing)._parameter_constraints)


@pytest.mark.parametrize("name", ["fake chat", "transformers chat", "server chat"])
@pytest.mark.parametrize("argument", ["messages", "max_tokens", "temperature", "seed"])
def test_wrong_requests_are_named(name, argument, tiny_llm):
    model = make(name, tiny_llm)
    for value in WRONG:
        request = {"messages": ASK, "max_tokens": 2} | {argument: value}
        assert_named_or_legal(argument, value, lambda request=request: model.complete(**request))
