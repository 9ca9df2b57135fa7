"""A task that a tiny encoder learns in a second: the one keyword in a text is its label."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from skcap.classifier import GuidedTextClassifier
from skcap.classifier.batches import TextDataset
from skcap.guidance import Step
from skcap.prior_matrix import PriorMatrix

KEYWORDS = ["alarm", "music", "rain"]
FILLERS = ["please", "now", "set", "for", "the", "a", "to", "is", "it", "on"]


def keyword_task(n_texts: int, seed: int = 0) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Give texts of five words, their labels, and the place of the keyword in each."""
    rng = np.random.default_rng(seed)
    texts, labels, places = [], [], rng.integers(0, 5, n_texts)
    for row, place in enumerate(places):
        words = rng.choice(FILLERS, 4).tolist()
        words.insert(place, KEYWORDS[row % 3])
        texts.append(" ".join(words))
        labels.append(KEYWORDS[row % 3])
    return texts, np.array(labels), places


def prior_on(texts: list[str], places: np.ndarray) -> PriorMatrix:
    """Make a prior that favours the word at the given place of each text."""
    return PriorMatrix(texts, np.eye(5)[places])


TEXTS, LABELS, PLACES = keyword_task(48)
PRIOR = prior_on(TEXTS, PLACES)
NEW_TEXTS, NEW_LABELS, _ = keyword_task(30, seed=1)


@pytest.fixture(scope="session")
def make(tiny_model: Callable[..., str]) -> Callable[..., GuidedTextClassifier]:
    """Make a classifier that learns the keyword task in a second."""

    def classifier(**parameters: Any) -> GuidedTextClassifier:
        quick = {"max_epochs": 6, "batch_size": 16, "lr": 0.01, "head_lr": 0.01}
        same = {"model": tiny_model("bert"), "random_state": 0, "device": "cpu"}
        same["guidance"] = "alignment"
        # Label names are more texts, and most tests count texts.
        return GuidedTextClassifier(**{**same, **quick, "label_weight": 0, **parameters})

    return classifier


@pytest.fixture(scope="session")
def guided(make: Callable[..., GuidedTextClassifier]) -> GuidedTextClassifier:
    """Give a classifier that is fitted with alignment; tests must leave it as it is."""
    return make(beta=2.0, max_epochs=10).fit(PRIOR, LABELS)


@pytest.fixture(scope="session")
def plain(make: Callable[..., GuidedTextClassifier]) -> GuidedTextClassifier:
    """Give a classifier that is fitted without guidance; tests must leave it as it is."""
    return make(guidance=None, max_epochs=10).fit(TEXTS, LABELS)


def weights(classifier: GuidedTextClassifier) -> dict[str, torch.Tensor]:
    """Give the weights of a fitted classifier by name."""
    return classifier.net_.module_.state_dict()


def same_weights(one: GuidedTextClassifier, other: GuidedTextClassifier) -> bool:
    """Tell whether two fitted classifiers have equal weights, to the last bit."""
    pairs = zip(weights(one).values(), weights(other).values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def step_of(
    classifier: GuidedTextClassifier,
    texts: list[str],
    codes: Any,
    prior: Any = None,
    weight: Any = None,
) -> Step:
    """Make the training step of one batch of texts, without dropout."""
    net = classifier.net_
    net.module_.eval()
    columns = {} if prior is None else {"prior": prior}
    dataset = TextDataset(classifier._encode(texts), np.asarray(codes), columns, weight)
    batch = next(iter(net.get_iterator(dataset, training=False)))
    return Step(net.module_, batch[0], batch[1], net.criterion_)
