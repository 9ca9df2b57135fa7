"""Similarity of classes: by their keywords, and by their texts."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from skcap.utils.labels import label_column, value_of
from skcap.utils.validation import check_number, integer
from skcap.utils.words import check_texts

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["class_similarity", "embed_texts", "keyword_overlap"]


def keyword_overlap(class_keywords: Mapping[Hashable, Mapping[str, float]]) -> pd.DataFrame:
    """Compute how much of their keywords' weight classes share, for every pair of them.

    Parameters
    ----------
    class_keywords : mapping of label to {word: weight}, n classes
        Weights of at least 0. In each class they are divided by their sum.

    Returns
    -------
    pandas.DataFrame, shape (n, n)
        Sum over the words of the smaller of the two weights: 0 without a common word, 1 for the
        same keywords with the same weights. Symmetric, with ones on the diagonal. A class without
        keywords (or with zeros only) overlaps with no other.

    Raises
    ------
    TypeError
        If `class_keywords` is no mapping of mappings.
    ValueError
        If a weight is negative or not finite.

    Examples
    --------
    >>> from skcap.inspection import keyword_overlap
    >>> keywords = {"lost": {"card": 1, "lost": 3}, "fee": {"card": 2, "fee": 2}, "pin": {"pin": 1}}
    >>> keyword_overlap(keywords)
          lost   fee  pin
    lost  1.00  0.25  0.0
    fee   0.25  1.00  0.0
    pin   0.00  0.00  1.0
    """
    import pandas as pd

    from skcap.adversarial.keywords import check_weights, class_overlap

    check_weights("class_keywords", class_keywords)
    labels = [value_of(label) for label in class_keywords]
    overlap = class_overlap(class_keywords)[1]
    return pd.DataFrame(overlap, index=labels, columns=labels)


def class_similarity(embeddings: ArrayLike, y: ArrayLike) -> pd.DataFrame:
    """Compare classes by the direction of their texts' mean embedding.

    Parameters
    ----------
    embeddings : array-like of float, shape (n_texts, dim)
        As :func:`embed_texts` returns them.
    y : array-like of str or int, shape (n_texts,)

    Returns
    -------
    pandas.DataFrame, shape (n_classes, n_classes)
        Cosine similarity, labels sorted. A class whose mean embedding is zero has similarity 0 to
        all others.

    Raises
    ------
    ValueError
        If `embeddings` is not a finite matrix with one row per label, or a label is missing.

    Examples
    --------
    >>> from skcap.inspection import class_similarity
    >>> class_similarity([[1, 0], [3, 0], [1, 1], [0, 5]], ["a", "a", "b", "c"]).round(2)
          a     b     c
    a  1.00  0.71  0.00
    b  0.71  1.00  0.71
    c  0.00  0.71  1.00
    """
    import pandas as pd
    from sklearn.metrics.pairwise import cosine_similarity
    from sklearn.utils import check_array, check_consistent_length

    matrix = check_array(embeddings, dtype=np.float64, input_name="embeddings")
    labels = label_column("y", y)
    check_consistent_length(matrix, labels)
    classes, codes = np.unique(labels, return_inverse=True)
    means = np.array([matrix[codes == code].mean(axis=0) for code in range(len(classes))])
    return pd.DataFrame(cosine_similarity(means), index=classes, columns=classes)


def embed_texts(
    texts: Any, model: Any = "all-minilm-l6-v2", *, batch_size: int = 64, device: str = "cpu"
) -> np.ndarray:
    """Embed texts as the mean of an encoder's last hidden states over the tokens of each text.

    Parameters
    ----------
    texts : list, tuple, 1-D array, Series of str, or PriorMatrix, length n_texts
        Texts that are too long for the encoder are truncated, with a warning.
    model : str or fitted GuidedTextClassifier, default="all-minilm-l6-v2"
        Alias, folder or hub id of a pretrained encoder; or a classifier, whose input of its head is
        taken, with its own pooling and on its own device.
    batch_size : int, default=64
    device : str, default="cpu"
        Where a pretrained encoder runs; "auto" is a GPU if there is one.

    Returns
    -------
    ndarray of float32, shape (n_texts, dim)

    Raises
    ------
    TypeError
        If `model` is neither a name nor a fitted GuidedTextClassifier.
    ValueError
        If `batch_size` is no integer from 1, or torch cannot use the device.
    skcap.models.ModelLoadError
        If the model cannot be loaded.

    Examples
    --------
    >>> from skcap.inspection import embed_texts
    >>> embed_texts(["play some jazz", "is it raining?"]).shape  # doctest: +SKIP
    (2, 384)
    """
    import torch

    from skcap.classifier.batches import PadCollate, TextDataset
    from skcap.classifier.texts import encode_texts

    check_number("batch_size", batch_size, integer(1))
    module, tokenizer, max_length, device = _encoder(model, device)
    rows = check_texts(texts, "texts")
    encoded = encode_texts(tokenizer, rows, max_length) if rows else []  # tokenizers need one
    cut = sum(text.truncated.any() for text in encoded)
    if cut:
        warnings.warn(
            f"{cut} of {len(encoded)} texts are longer than {max_length} tokens and are cut.",
            stacklevel=2,
        )
    # Texts of similar length share a batch, so that little is spent on padding.
    order = np.argsort([text.input_ids.size for text in encoded], kind="stable")
    dataset, collate = TextDataset(encoded), PadCollate(tokenizer.pad_token_id or 0)
    pooled: list[torch.Tensor] = []
    module.eval()
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            batch, _ = collate([dataset[row] for row in order[start : start + batch_size]])
            ids, mask = batch["input_ids"].to(device), batch["attention_mask"].to(device)
            pooled.append(module.pool(ids, mask).cpu())
    embeddings = np.empty((len(order), module.head.in_features), dtype=np.float32)
    if pooled:
        embeddings[order] = torch.cat(pooled).float().numpy()
    return embeddings


def _encoder(model: Any, device: str) -> tuple[Any, Any, int, str]:
    """Return the module, its tokenizer, the largest number of tokens of a text, and the device."""
    from skcap.classifier.encoder import TextEncoderClassifier
    from skcap.classifier.texts import load_tokenizer
    from skcap.models import explain_load_errors, resolve_device, resolve_model

    if hasattr(model, "net_") and hasattr(model, "tokenizer_"):
        return model.net_.module_, model.tokenizer_, model.max_length_, model.net_.device
    if not isinstance(model, str):
        raise TypeError(
            "model must be the name of an encoder or a fitted GuidedTextClassifier, got "
            f"{type(model).__name__}. For other models, embed the texts yourself."
        )
    device = resolve_device(device)
    with explain_load_errors(model):
        folder = resolve_model(model)
        tokenizer = load_tokenizer(folder)
        module = TextEncoderClassifier(folder, n_classes=1).to(device)
    max_length = int(min(module.max_tokens, tokenizer.model_max_length))
    return module, tokenizer, max_length, device
