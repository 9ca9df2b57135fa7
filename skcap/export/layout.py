"""The model's files: a folder that sentence-transformers loads, and transformers where it can.

====================  ==============================================================================
``modules.json``      what sentence-transformers runs, in order: encoder, pooling, unit length, head
``0_Transformer``     the encoder and its tokenizer
``1_Pooling``         mean of the tokens, or the first
``2_Normalize``       has no file of its own; only with ``normalize_embeddings=True``
``3_Dense``           the head, whose outputs are the logits (``2_Dense`` without unit length)
``config.json``       refuses to be loaded by transformers, and says why
====================  ==============================================================================

Where a ``*ForSequenceClassification`` class of transformers can hold the classifier, its files lie
in the folder itself, and there is no ``0_Transformer``: all libraries then share the same weights.
"""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from skcap.export.sequence_head import hold_as_sequence_classifier
from skcap.models.quiet import no_loading_bars

__all__ = ["load_head", "serving_tokenizer", "write_model"]

_ENCODER = "0_Transformer"
_TYPES = "sentence_transformers.models."  # understood by all versions from 2 to 6
_REFUSAL = (
    "skcap classifier that no ForSequenceClassification class can hold, since it {reason}; load it "
    "with sentence_transformers.SentenceTransformer, with GuidedTextClassifier.from_pretrained of "
    "skcap, or as ONNX"
)


def write_model(
    folder: Path, module: Any, tokenizer: Any, max_length: int, labels: Sequence[str]
) -> str:
    """Write encoder, tokenizer and head.

    Parameters
    ----------
    folder : pathlib.Path
        Empty.
    module : skcap.classifier.encoder.TextEncoderClassifier
        Fitted.
    tokenizer : transformers.PreTrainedTokenizerFast
    max_length : int
    labels : sequence of str, length n_classes

    Returns
    -------
    str
        The encoder's folder inside of `folder`, "" for `folder` itself.

    Raises
    ------
    ValueError
        If the encoder's architecture is code from elsewhere, which nothing here would load.
    """
    _refuse_own_code(module.encoder)
    held = hold_as_sequence_classifier(module, labels)
    place = _ENCODER if held is None else ""
    with no_loading_bars():
        (module.encoder if held is None else held).save_pretrained(folder / place)
    if held is None:
        _write_json(folder / "config.json", {"model_type": _REFUSAL.format(reason=_reason(module))})
    _write_tokenizer(folder / place, serving_tokenizer(tokenizer, max_length), module.encoder)
    _write_modules(folder, module, place, max_length, has_pooler=_has_pooler(held))
    return place


def _refuse_own_code(encoder: Any) -> None:
    if not type(encoder).__module__.startswith("transformers."):
        raise ValueError(
            f"The encoder is a {type(encoder).__name__}, whose code is not part of transformers "
            "(trust_remote_code). A saved classifier runs no code from its folder, so it could not "
            "be loaded again. Pickle it, or start from an encoder that transformers knows."
        )


def _reason(module: Any) -> str:
    if module.pooling != "cls":
        return "averages token states"
    if module.normalize_embeddings:
        return "brings text vectors to unit length"
    return f"puts one linear layer on a {type(module.encoder).__name__}"


def _has_pooler(held: Any) -> bool:
    base = held and getattr(held, held.base_model_prefix)
    return getattr(base, "pooler", None) is not None


def serving_tokenizer(tokenizer: Any, max_length: int) -> Any:
    """Copy a tokenizer, with what it must do to texts fixed in its own files.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerFast
    max_length : int

    Returns
    -------
    transformers.PreTrainedTokenizerFast
        Its ``tokenizer.json`` cuts texts at `max_length` tokens and pads batches on the right, in
        whichever library it is loaded.
    """
    served = copy.deepcopy(tokenizer)
    served.model_max_length = max_length
    served.padding_side = "right"
    backend = served.backend_tokenizer
    backend.enable_truncation(max_length, direction=served.truncation_side)
    if served.pad_token_id is not None:
        backend.enable_padding(
            direction="right", pad_id=served.pad_token_id, pad_token=served.pad_token
        )
    return served


def _write_tokenizer(folder: Path, tokenizer: Any, encoder: Any) -> None:
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_bytes())
    if config.get("tokenizer_class") == "TokenizersBackend":
        # The name of transformers 5 for what both 4 and 5 call PreTrainedTokenizerFast.
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
    # Some tokenizers give token types that their encoder does not take.
    taken = inspect.signature(encoder.forward).parameters
    config["model_input_names"] = [n for n in tokenizer.model_input_names if n in taken]
    _write_json(path, config)


def _write_modules(
    folder: Path, module: Any, place: str, max_length: int, *, has_pooler: bool
) -> None:
    """Write what sentence-transformers reads, and the head."""
    names = ["Transformer", "Pooling", *["Normalize"] * module.normalize_embeddings, "Dense"]
    paths = [place, *(f"{position}_{name}" for position, name in enumerate(names) if position)]
    modules = [
        {"idx": position, "name": str(position), "path": path, "type": _TYPES + name}
        for position, (name, path) in enumerate(zip(names, paths, strict=True))
    ]
    _write_json(folder / "modules.json", modules)
    _write_json(folder / "config_sentence_transformers.json", {"prompts": {}})
    options: dict[str, Any] = {"max_seq_length": max_length, "do_lower_case": False}
    if not has_pooler and "add_pooling_layer" in inspect.signature(type(module.encoder)).parameters:
        options["model_args"] = {"add_pooling_layer": False}  # else one is drawn at random
    _write_json(folder / place / "sentence_bert_config.json", options)
    _write_json(
        folder / paths[1] / "config.json",
        {
            "word_embedding_dimension": module.head.in_features,
            "pooling_mode_cls_token": module.pooling == "cls",
            "pooling_mode_mean_tokens": module.pooling == "mean",
        },
    )
    _write_head(folder / paths[-1], module.head)


def _write_head(folder: Path, head: Any) -> None:
    _write_json(
        folder / "config.json",
        {
            "in_features": head.in_features,
            "out_features": head.out_features,
            "bias": True,
            "activation_function": "torch.nn.modules.linear.Identity",
        },
    )
    tensors = {f"linear.{name}": value.cpu().clone() for name, value in head.state_dict().items()}
    save_file(tensors, folder / "model.safetensors")


def load_head(folder: Path) -> dict[str, Tensor]:
    """Read the weights of the head.

    Parameters
    ----------
    folder : pathlib.Path

    Returns
    -------
    dict of Tensor
        `weight`, shape (n_classes, width), and `bias`, shape (n_classes,).
    """
    last = Path(json.loads((folder / "modules.json").read_bytes())[-1]["path"])
    tensors = load_file(folder / last.name / "model.safetensors")
    return {name.removeprefix("linear."): tensor for name, tensor in tensors.items()}


def _write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")
