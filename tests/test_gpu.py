"""What must hold on a GPU as it does on a CPU; skipped where there is none."""

import pickle

import numpy as np
import pytest
import torch

from skcap import CAPPriorTransformer, IGPriorTransformer, TransformersLLM
from skcap.classifier import GuidedTextClassifier
from skcap.guidance import GUIDANCE, RationaleGuidance, SwapGuidance
from skcap.llm import release_models
from skcap.prior_matrix import PriorMatrix

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

TEXTS = [
    "set the alarm now",
    "please play jazz music",
    "is it raining",
    "wake me with an alarm",
    "music please",
    "will it rain in paris tomorrow morning",
] * 4
LABELS = np.array(["alarm", "music", "weather"] * 8)
PRIOR = PriorMatrix(TEXTS, [np.linspace(1, 0, len(text.split())) for text in TEXTS])


@pytest.fixture(scope="module")
def make(tiny_model):
    def classifier(**parameters):
        quick = {"max_epochs": 8, "batch_size": 8, "lr": 0.01, "random_state": 0, "amp": False}
        quick["guidance"] = "alignment"
        return GuidedTextClassifier(tiny_model("bert"), **{**quick, **parameters})

    return classifier


KINDS = {
    **dict.fromkeys(GUIDANCE),
    "swap": SwapGuidance(["please", "now"]),
    "rationale, composed": RationaleGuidance(complement="compose"),
    "alignment and swap": ["alignment", SwapGuidance(["please"])],
}


@pytest.mark.parametrize("amp", [False, "auto"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_guidance_learns(make, kind, amp):
    classifier = make(guidance=KINDS[kind] or kind, amp=amp).fit(PRIOR, LABELS)
    assert next(classifier.net_.module_.parameters()).is_cuda
    assert classifier.score(TEXTS, LABELS) > 0.9
    history = classifier.net_.history
    for name in (part for guidance in classifier.guidance_ for part in guidance.parts):
        assert np.isfinite(history[:, f"train_{name}"]).all()
    assert history[-1, "train_ce"] < history[0, "train_ce"]


def test_predicts_and_explains_as_on_a_cpu(make):
    there = make(guidance=None, lr=0.0, head_lr=0.0, max_epochs=1).fit(TEXTS, LABELS)
    here = make(guidance=None, lr=0.0, head_lr=0.0, max_epochs=1, device="cpu").fit(TEXTS, LABELS)
    here.net_.module_.load_state_dict(there.net_.module_.state_dict())
    np.testing.assert_allclose(
        there.predict_proba(TEXTS), here.predict_proba(TEXTS), rtol=1e-3, atol=1e-5
    )
    for one, other in zip(there.explain(TEXTS).scores, here.explain(TEXTS).scores, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-2, atol=1e-4)


def test_pickled_on_a_gpu_and_loaded_again(make):
    classifier = make(guidance=None).fit(TEXTS, LABELS)
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_allclose(again.predict_proba(TEXTS), classifier.predict_proba(TEXTS), 1e-5)


@pytest.mark.parametrize("reuse_prefix", [True, False])
def test_language_model_scores_as_on_a_cpu(tiny_llm, reuse_prefix):
    bodies, names = TEXTS[:6], LABELS[:6].tolist()
    scores = [
        TransformersLLM(
            str(tiny_llm("llama")), device=device, dtype="float32", reuse_prefix=reuse_prefix
        ).log_likelihood(bodies, names, prefix="Text: ", suffix="\nLabel:")
        for device in ("cpu", "cuda")
    ]
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-3)
    release_models()


def test_texts_are_asked_about_together_and_score_as_on_a_cpu(tiny_llm):
    both = [
        CAPPriorTransformer(
            TransformersLLM(str(tiny_llm("llama")), device=device, dtype="float32"), cache=False
        ).fit_transform(TEXTS, LABELS)
        for device in ("cpu", "cuda")
    ]
    for one, other in zip(both[0].scores, both[1].scores, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)
    release_models()


def test_priors_in_half_precision_and_from_gradients(tiny_llm, make):
    for dtype in ("bfloat16", "float16"):
        llm = TransformersLLM(str(tiny_llm("llama")), dtype=dtype)
        matrix = CAPPriorTransformer(llm, cache=False).fit_transform(TEXTS[:6], LABELS[:6])
        assert all(np.isfinite(scores).all() for scores in matrix.scores)
    matrix = IGPriorTransformer(make(guidance=None)).fit_transform(TEXTS, LABELS)
    assert np.abs(np.concatenate(list(matrix.scores))).max() > 0
