"""Classifiers held by transformers' own classes: the same logits, or none at all."""

import pytest
import torch

from skcap.classifier.encoder import TextEncoderClassifier
from skcap.export import hold_as_sequence_classifier

LABELS = ["a", "b", "c"]
LAST_NORM = {
    "bert": lambda encoder: encoder.encoder.layer[-1].output.LayerNorm,
    "roberta": lambda encoder: encoder.encoder.layer[-1].output.LayerNorm,
    "distilbert": lambda encoder: encoder.transformer.layer[-1].output_layer_norm,
    "deberta-v2": lambda encoder: encoder.encoder.layer[-1].output.LayerNorm,
}


def module_of(folder, **options):
    torch.manual_seed(0)
    return TextEncoderClassifier(folder, 3, **{"pooling": "cls", **options}).eval()


def logits(model, module):
    ids = torch.arange(5, 35).reshape(3, 10)
    with torch.inference_mode():
        return model(input_ids=ids).logits, module(ids)


@pytest.mark.parametrize("family", LAST_NORM)
@pytest.mark.parametrize("outlier", [1.0, 60.0])
def test_the_same_logits_also_where_states_are_large(tiny_model, family, outlier):
    module = module_of(tiny_model(family))
    LAST_NORM[family](module.encoder).weight.data[3] *= outlier
    model = hold_as_sequence_classifier(module, LABELS)
    theirs, ours = logits(model, module)
    torch.testing.assert_close(theirs, ours, rtol=1e-5, atol=2e-5)
    assert model.config.id2label == dict(enumerate(LABELS))
    assert model.config.label2id["c"] == 2


def test_the_classifier_is_left_as_it_was(tiny_model):
    module = module_of(tiny_model("deberta-v2")).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    hold_as_sequence_classifier(module, LABELS)
    assert module.training
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert module.encoder.config.pooler_hidden_act == "gelu"


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("bert", {"pooling": "mean"}),
        ("bert", {"normalize_embeddings": True}),
        ("modernbert", {}),
    ],
)
def test_what_no_class_can_hold(tiny_model, family, options):
    assert hold_as_sequence_classifier(module_of(tiny_model(family), **options), LABELS) is None


def test_a_head_that_does_not_agree_is_refused(tiny_model):
    module = module_of(tiny_model("bert"))
    module.head.register_forward_hook(lambda layer, inputs, output: output + 0.001)
    assert hold_as_sequence_classifier(module, LABELS) is None
