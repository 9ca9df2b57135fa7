"""What a trained net says of texts: probabilities, and scores of words, in batches."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from skorch.utils import to_numpy, to_tensor
from torch import Tensor

from skcap.classifier.batches import PadCollate, TextDataset
from skcap.classifier.texts import EncodedText, encode_texts
from skcap.utils.progress import show_progress

__all__ = ["batches_by_length", "encode_and_warn", "logits", "probabilities", "scores_by_text"]

_MANY = 4096  # texts of one step of progress


def encode_and_warn(tokenizer: Any, texts: list[str], max_length: int) -> list[EncodedText]:
    """Tokenise texts, and warn of those that are cut.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerFast
    texts : list of str, length n_texts
    max_length : int

    Returns
    -------
    list of EncodedText, length n_texts
    """
    encoded = encode_texts(tokenizer, texts, max_length)
    n_cut = sum(text.truncated.any() for text in encoded)
    if n_cut:
        warnings.warn(
            f"{n_cut} of {len(texts)} texts are longer than max_length={max_length} tokens. The "
            "rest is ignored: no prediction, supervision or attribution uses it. Shorten the "
            "texts, or use an encoder that takes more.",
            stacklevel=4,
        )
    return encoded


def probabilities(net: Any, encoded: Sequence[EncodedText], verbose: int = 0) -> np.ndarray:
    """Predict the probability of each class.

    Parameters
    ----------
    net : GuidedNet
    encoded : sequence of EncodedText, length n_texts
    verbose : int, default=0
        Above 0 shows progress where there are many texts.

    Returns
    -------
    ndarray of float32, shape (n_texts, n_classes)
    """
    return _in_given_order(net.predict_proba, encoded, verbose)


def logits(net: Any, encoded: Sequence[EncodedText], verbose: int = 0) -> np.ndarray:
    """Compute the scores before softmax.

    Parameters
    ----------
    net : GuidedNet
    encoded : sequence of EncodedText, length n_texts
    verbose : int, default=0
        Above 0 shows progress where there are many texts.

    Returns
    -------
    ndarray of float32, shape (n_texts, n_classes)
    """
    return _in_given_order(lambda dataset: to_numpy(net.forward(dataset)), encoded, verbose)


def _in_given_order(
    predict: Callable[[TextDataset], np.ndarray], encoded: Sequence[EncodedText], verbose: int
) -> np.ndarray:
    order = _longest_first(encoded)
    shown = verbose and len(order) > _MANY
    parts = []
    with (
        torch.inference_mode(),
        show_progress(len(order), "predict", "text", verbose=shown) as progress,
    ):
        for start in range(0, len(order), _MANY):
            rows = order[start : start + _MANY]
            parts.append(predict(TextDataset([encoded[row] for row in rows])))
            progress.update(len(rows))
    ordered = np.concatenate(parts)
    result = np.empty_like(ordered)
    result[order] = ordered
    return result


def batches_by_length(
    net: Any, encoded: Sequence[EncodedText], codes: np.ndarray, size: int
) -> Iterator[tuple[np.ndarray, dict[str, Tensor], Tensor]]:
    """Yield batches of texts of like length, so that little is spent on padding.

    Parameters
    ----------
    net : GuidedNet
        Says what to pad with, and where tensors should be.
    encoded : sequence of EncodedText, length n_texts
    codes : ndarray of int64, shape (n_texts,)
        Class of each text.
    size : int
        Texts of a batch.

    Yields
    ------
    rows : ndarray of int64, shape (n_batch,)
        Places of the texts among all.
    batch : dict of Tensor
        See :class:`skcap.classifier.batches.PadCollate`.
    classes : Tensor of int64, shape (n_batch,)
    """
    net.module_.eval()
    collate: PadCollate = net.iterator_valid__collate_fn
    dataset = TextDataset(encoded, codes)
    order = _longest_first(encoded)
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        batch, classes = to_tensor(collate([dataset[row] for row in rows]), device=net.device)
        yield rows, batch, classes


def scores_by_text(words: Tensor, encoded: Sequence[EncodedText]) -> list[np.ndarray]:
    """Cut padded word scores to the words of each text; words that were cut off get NaN.

    Parameters
    ----------
    words : Tensor of float, shape (n_texts, n_words)
    encoded : sequence of EncodedText, length n_texts

    Returns
    -------
    list of ndarray of float, length n_texts
    """
    rows = words.detach().cpu().numpy()
    return [
        np.where(text.truncated, np.nan, row[: text.truncated.size])
        for text, row in zip(encoded, rows, strict=True)
    ]


def _longest_first(encoded: Sequence[EncodedText]) -> np.ndarray:
    """Order texts by length; the longest first, so that memory runs out at once or never."""
    return np.argsort([-text.input_ids.size for text in encoded], kind="stable")
