"""A classifier as one of transformers' own ``*ForSequenceClassification``, where one can hold it.

These classes put layers between the first token's state and the logits that our head does not have:
a square matrix and an activation. Such a layer can be set so that it lets the state through, up to
the rounding of float32. Means over tokens, and vectors of unit length, none of them can hold.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from skcap.utils.seeds import seeded

__all__ = ["hold_as_sequence_classifier"]

# How far states are scaled down for tanh, which differs from x by less than x**3 / 3. Powers of two
# round nothing. The first that is enough is taken: small numbers are rounded in half precision.
_SCALES = (2.0**-13, 2.0**-17, 2.0**-21)


def hold_as_sequence_classifier(module: Any, labels: Sequence[str]) -> Any:
    """Make the ``*ForSequenceClassification`` that computes the same logits, if there is one.

    Parameters
    ----------
    module : skcap.classifier.encoder.TextEncoderClassifier
        Left as it is.
    labels : sequence of str, length n_classes

    Returns
    -------
    transformers.PreTrainedModel or None
        On the CPU. None if no class of transformers can hold it: the token states are averaged or
        brought to unit length, the architecture has no such class, or its head has layers that
        cannot be made to pass states through. Equal logits are checked, not taken for granted.
    """
    if module.pooling != "cls" or module.normalize_embeddings:
        return None
    model = _build(module.encoder, labels)
    for scale in _SCALES:
        if model is None or not _set_head(model, module, scale):
            return None
        if _agrees(model, module):
            return model
    return None


def _build(encoder: Any, labels: Sequence[str]) -> Any:
    from transformers import AutoModelForSequenceClassification

    config = copy.deepcopy(encoder.config)
    known: Any = AutoModelForSequenceClassification._model_mapping
    architecture = known.get(type(config), None)
    if architecture is None:
        return None
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: code for code, label in enumerate(labels)}
    config.problem_type = "single_label_classification"
    with seeded(0):  # weights are drawn, and then overwritten
        model = architecture(config).eval()
    base = getattr(model, model.base_model_prefix, None)
    if base is None:
        return None
    missing, unexpected = base.load_state_dict(encoder.state_dict(), strict=False)
    if unexpected or any(not name.startswith("pooler.") for name in missing):
        return None
    return model


@torch.no_grad()
def _set_head(model: Any, module: Any, scale: float) -> bool:
    """Set the head's layers by its shape; tell whether that is a known one."""
    weight, bias = module.head.weight.cpu(), module.head.bias.cpu()
    last: Any = getattr(model, "classifier", None)
    base = getattr(model, model.base_model_prefix)
    if hasattr(last, "dense") and hasattr(last, "out_proj"):  # RoBERTa and its kin
        _through_tanh(last.dense, last.out_proj, weight, bias, scale)
    elif not isinstance(last, nn.Linear):
        return False
    elif isinstance(getattr(model, "pre_classifier", None), nn.Linear):  # DistilBERT
        return _through_relu(model.pre_classifier, last, weight, bias, module.encoder)
    elif hasattr(getattr(base, "pooler", None), "dense"):  # BERT
        _through_tanh(base.pooler.dense, last, weight, bias, scale)
    elif hasattr(model.config, "pooler_hidden_act") and hasattr(model, "pooler"):  # DeBERTa
        model.config.pooler_hidden_act = "linear"
        _fill(model.pooler.dense, torch.eye(weight.shape[1]))
        _fill(last, weight, bias)
    else:
        return False
    return True


def _through_tanh(
    dense: nn.Linear, last: nn.Linear, weight: Tensor, bias: Tensor, scale: float
) -> None:
    """Shrink states to where tanh does nothing, and enlarge them after it."""
    _fill(dense, scale * torch.eye(weight.shape[1]))
    _fill(last, weight / scale, bias)


def _through_relu(
    dense: nn.Linear, last: nn.Linear, weight: Tensor, bias: Tensor, encoder: Any
) -> bool:
    """Raise states above zero, where ReLU does nothing, and lower the logits by as much."""
    try:
        norm = encoder.transformer.layer[-1].output_layer_norm
    except AttributeError:
        return False
    # What a layer norm gives has mean 0 and variance 1 before its own scale and shift.
    scale, shift = norm.weight.detach().cpu(), norm.bias.detach().cpu()
    bound = scale.abs() * weight.shape[1] ** 0.5 + shift.abs()
    _fill(dense, torch.eye(weight.shape[1]), bound)
    _fill(last, weight, (bias.double() - weight.double() @ bound.double()).float())
    return True


def _fill(layer: nn.Linear, weight: Tensor, bias: Tensor | None = None) -> None:
    layer.weight.copy_(weight)
    layer.bias.copy_(torch.zeros(len(weight)) if bias is None else bias)


@torch.inference_mode()
def _agrees(model: Any, module: Any) -> bool:
    """Compare logits and probabilities on drawn tokens, with padding."""
    device = module.head.weight.device
    pad = model.config.pad_token_id or 0
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(model.config.vocab_size, (8, 12), generator=generator)
    ids[ids == pad] = pad + 1
    mask = torch.ones_like(ids)
    mask[4:, 7:] = 0
    ids[mask == 0] = pad
    ids, mask = ids.to(device), mask.to(device)
    was_training = module.training
    ours = module.eval()(ids, mask)
    module.train(was_training)
    theirs = model.to(device)(input_ids=ids, attention_mask=mask).logits
    model.cpu()
    difference = (ours - theirs).abs().max() / ours.abs().max().clamp(min=1)
    return bool(difference < 1e-5) and torch.allclose(ours.softmax(1), theirs.softmax(1), atol=1e-5)
