"""The start of the head: a linear probe of the encoder before training."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from skorch.utils import to_numpy

__all__ = ["HEAD_INITS", "probe_head"]

HEAD_INITS = ("probe", "random")

_STRENGTH = 10.0  # the C of logistic regression, for vectors of mean length one


def probe_head(net: Any, dataset: Any) -> None:
    """Set the head to a logistic regression on what the encoder gives before any training.

    Fine-tuning from there bends the encoder less than from a random head, whose first gradients
    are noise ("linear probing, then fine-tuning", Kumar et al., ICLR 2022).

    Parameters
    ----------
    net : GuidedNet
        Initialised; its head is overwritten.
    dataset : skcap.classifier.batches.TextDataset or a subset of one
        The texts to learn from. A class without any keeps its random weights.
    """
    vectors, classes, weights = _pooled(net, dataset)
    if np.unique(classes).size < 2:
        return
    scale = np.linalg.norm(vectors, axis=1).mean()
    probe = LogisticRegression(C=_STRENGTH, max_iter=200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a start need not be an optimum
        probe.fit(vectors / scale, classes, sample_weight=weights)
    slopes, intercepts = probe.coef_ / scale, probe.intercept_
    if len(slopes) == 1:  # two classes share one row: half of it to each, with opposite signs
        slopes, intercepts = np.stack([-slopes[0], slopes[0]]) / 2, np.tile(intercepts, 2) / 2
        intercepts[0] *= -1
    head = net.module_.head
    rows = torch.as_tensor(probe.classes_, device=head.weight.device)
    with torch.no_grad():
        head.weight[rows] = torch.as_tensor(slopes).to(head.weight)
        head.bias[rows] = torch.as_tensor(intercepts).to(head.bias)


def _pooled(net: Any, dataset: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    net.module_.eval()
    parts = []
    with torch.inference_mode():
        for batch, classes in net.get_iterator(dataset, training=False):
            seen = net.changed(net.step_of((batch, classes))).batch
            vectors = net.module_.pool(seen["input_ids"], seen["attention_mask"])
            parts.append((to_numpy(vectors), to_numpy(classes), to_numpy(seen["weight"])))
    vectors, labels, weights = (np.concatenate(part) for part in zip(*parts, strict=True))
    return vectors.astype(np.float64), labels, weights.astype(np.float64)
