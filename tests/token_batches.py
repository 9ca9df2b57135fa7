"""Small batches of texts with priors, as the classifier collates them."""

from __future__ import annotations

import torch
from torch import Tensor

CLS, SEP, PAD = 101, 102, 0
NAN = float("nan")


def make_batch(texts: list[list[list[int]]], priors: list[list[float]]) -> dict[str, Tensor]:
    """Make a batch of texts, each a list of words, each a list of tokens."""
    rows = [[CLS, *(t for word in text for t in word), SEP] for text in texts]
    words = [[-1, *(i for i, word in enumerate(text) for _ in word), -1] for text in texts]
    n_tokens, n_words = max(map(len, rows)), max(map(len, texts))
    return {
        "input_ids": torch.tensor([row + [PAD] * (n_tokens - len(row)) for row in rows]),
        "attention_mask": torch.tensor(
            [[1] * len(row) + [0] * (n_tokens - len(row)) for row in rows]
        ),
        "word_ids": torch.tensor([row + [-1] * (n_tokens - len(row)) for row in words]),
        "prior": torch.tensor([row + [NAN] * (n_words - len(row)) for row in priors]),
    }
