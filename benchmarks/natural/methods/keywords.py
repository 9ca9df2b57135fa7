"""Keywords of training texts: what is frequent in one class, and what a model attends to.

As in "MASKER" (Moon et al., AAAI 2021), but by word, where the paper goes by token.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer

from benchmarks.paper.teachers import bare_words
from skcap.attribution import words_from_tokens
from skcap.classifier.batches import TextDataset


def by_frequency(texts: list[str], codes: np.ndarray, per_class: int) -> list[str]:
    """Give the words of the highest TF-IDF of each class, all its texts being one document."""
    documents = [
        [word for row in np.flatnonzero(codes == code) for word in bare_words(texts[row]) if word]
        for code in np.unique(codes)
    ]
    vectorizer = TfidfVectorizer(analyzer=list)
    weights = vectorizer.fit_transform(documents).toarray()
    names = vectorizer.get_feature_names_out()
    best = [np.argsort(-row, kind="stable")[:per_class] for row in weights]
    return sorted({names[i] for row, top in zip(weights, best, strict=True) for i in top if row[i]})


def by_attention(
    classifier: Any, encoded: list[Any], texts: list[str], n_keywords: int
) -> list[str]:
    """Give the words that get the most attention in the last layer, on average over all places.

    Attention is that of the token which is pooled, or the mean over all tokens if all are.
    """
    sums: defaultdict[str, list[float]] = defaultdict(list)
    rows = (row for batch in _attention(classifier, encoded) for row in batch)
    for text, row in zip(texts, rows, strict=True):
        for word, value in zip(bare_words(text), row, strict=False):
            if word and value > 0:  # 0: not seen, since the text was cut off
                sums[word].append(float(value))
    mean = {word: np.mean(values) for word, values in sums.items()}
    return sorted(sorted(mean, key=lambda word: (-mean[word], word))[:n_keywords])


def _attention(classifier: Any, encoded: list[Any]) -> Iterator[np.ndarray]:
    """Give the attention that each word gets, batch by batch; shape (n_texts, n_words)."""
    net = classifier.net_
    module = net.module_.eval()
    with torch.inference_mode(), _eager(module.encoder):
        for batch, _ in net.get_iterator(TextDataset(encoded), training=False):
            ids, mask, words = (
                batch[name].to(net.device) for name in ("input_ids", "attention_mask", "word_ids")
            )
            weights = module.encoder(
                inputs_embeds=module.embed(ids), attention_mask=mask, output_attentions=True
            ).attentions[-1]
            weights = weights.mean(dim=1)  # over heads; (n_texts, from, to)
            share = mask / mask.sum(dim=1, keepdim=True)
            got = weights[:, 0] if module.pooling == "cls" else (weights * share[:, :, None]).sum(1)
            yield words_from_tokens(got, words, int(words.max()) + 1).cpu().numpy()


@contextmanager
def _eager(encoder: Any) -> Iterator[None]:
    """Compute attention in the plain way for a while: fused kernels do not give its weights."""
    before = encoder.config._attn_implementation
    encoder.set_attn_implementation("eager")
    try:
        yield
    finally:
        encoder.set_attn_implementation(before)
