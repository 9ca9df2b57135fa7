"""What a prior is worth to a linear model on a frozen encoder, against its controls.

    python -m benchmarks.paper.frozen [--datasets banking77 hwu64 clinc150]

Fine-tuning hides what a prior knows behind what the encoder learns by itself. Here nothing but a
logistic regression learns, on unit-length sentence vectors of all-MiniLM-L6-v2. The prior makes a
second vector of each training text: of the better half of its words alone ("words kept"), or of all
its tokens, weighed by the positive part of their word's score ("words weighed"). Texts to predict
are pooled as always. With and without the names of the labels as texts; 1, 3 and 5 shots out of the
published draw; accuracy on training texts outside of it. Writes `results/frozen.json` and
`docs/images/frozen.png`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import normalize

from benchmarks._intents import LOADERS
from benchmarks._record import save
from benchmarks.paper.draws import Draw, make_draw
from benchmarks.paper.render import PAGES
from benchmarks.paper.run import RESULTS
from benchmarks.paper.settings import ROWS
from benchmarks.paper.teachers import make_prior
from skcap import PriorMatrix
from skcap.classifier.batches import PadCollate, TextDataset
from skcap.classifier.encoder import TextEncoderClassifier
from skcap.classifier.texts import encode_texts, load_tokenizer
from skcap.models import resolve_model
from skcap.utils.labels import name_labels

DRAWS = {1: 5, 3: 3, 5: 1}  # shots -> subsets of the published draw
PRIORS = {
    "CAP, centred": "cap",
    "CAP, the paper's form": "cap_paper",
    "CAP, centred, shuffled": "shuffled",
    "word weights of a model of all training texts": "oracle",
}


class FrozenEncoder:
    """Sentence vectors of unit length."""

    def __init__(self) -> None:
        folder = str(resolve_model("all-minilm-l6-v2"))
        self.tokenizer = load_tokenizer(folder)
        self.model = TextEncoderClassifier(folder, n_classes=2, normalize_embeddings=True).eval()

    @torch.inference_mode()
    def vectors(self, texts: list[str], weights: list[np.ndarray] | None = None) -> np.ndarray:
        """Pool all tokens alike, or those of words by the words' weights."""
        encoded = encode_texts(self.tokenizer, texts, max_length=128)
        columns = None if weights is None else {"prior": weights}
        dataset, collate = TextDataset(encoded, columns=columns), PadCollate(0)
        order = np.argsort([text.input_ids.size for text in encoded])
        found = torch.empty(len(texts), self.model.encoder.config.hidden_size)
        for rows in np.array_split(order, max(1, len(texts) // 64)):
            batch, _ = collate([dataset[row] for row in rows])
            inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
            if weights is None:
                found[rows] = self.model.pool(**inputs)
                continue
            states = self.model.encoder(**inputs).last_hidden_state
            share = _token_weights(batch["prior"].nan_to_num(), batch["word_ids"])
            found[rows] = normalize((states * share.unsqueeze(2)).sum(dim=1), dim=1)
        return found.numpy()


def _token_weights(words: torch.Tensor, word_ids: torch.Tensor) -> torch.Tensor:
    """Share the weight of each word among its tokens."""
    inside = word_ids >= 0
    places = word_ids.clamp(min=0)
    counts = torch.zeros_like(words).scatter_add_(1, places, inside.float())
    return (words / counts.clamp(min=1)).gather(1, places) * inside


def kept(matrix: PriorMatrix) -> list[str]:
    """Keep the better half of the words of each text."""
    texts = []
    for record in matrix:
        best = set(np.argsort(-record.scores)[: max(1, round(len(record.words) / 2))].tolist())
        texts.append(" ".join(word for row, word in enumerate(record.words) if row in best))
    return texts


def positive(matrix: PriorMatrix) -> list[np.ndarray]:
    """Take positive scores as weights, or all words alike where there are none."""
    return [
        np.maximum(scores, 0) if scores.max(initial=0) > 0 else np.ones_like(scores)
        for scores in matrix.scores
    ]


def views(encoder: FrozenEncoder, draw: Draw) -> dict[tuple[str, str], np.ndarray]:
    """Make the second vectors of the training texts, by (view, prior)."""
    found = {}
    for title, row in PRIORS.items():
        matrix = make_prior(ROWS[row], draw, 0, {})
        found["words kept", title] = encoder.vectors(kept(matrix))
        found["words weighed", title] = encoder.vectors(list(draw.X), positive(matrix))
    return found


def measure(dataset: str, encoder: FrozenEncoder) -> list[dict[str, Any]]:
    draw = make_draw(dataset, 5, 0, "valid")
    classes, y = np.unique(draw.y, return_inverse=True)
    y_eval = np.searchsorted(classes, draw.y_eval)
    plain, evaluated = encoder.vectors(draw.X), encoder.vectors(draw.X_eval)
    names = encoder.vectors(name_labels(classes, None))
    second = {("none", "none"): None, **views(encoder, draw)}
    results = []
    for shots, n_draws in DRAWS.items():
        for with_names in (False, True):
            for (view, prior), vectors in second.items():
                figures = []
                for seed in range(n_draws):
                    rows = few(y, shots, seed)
                    parts = [(plain[rows], y[rows])]
                    parts += [(names, np.arange(len(classes)))] if with_names else []
                    parts += [(vectors[rows], y[rows])] if vectors is not None else []
                    X, labels = (np.concatenate(side) for side in zip(*parts, strict=True))
                    model = LogisticRegression(C=10, max_iter=200).fit(X, labels)
                    figures.append(round(float((model.predict(evaluated) == y_eval).mean()), 4))
                results.append(
                    {"dataset": dataset, "shots": shots, "names": with_names}
                    | {"view": view, "prior": prior, "accuracy": figures}
                )
                print(results[-1], flush=True)
    return results


def draw_lines(results: list[dict[str, Any]], path: Path) -> None:
    """Draw accuracy over shots, for words weighed by each prior."""
    import matplotlib.pyplot as plt

    datasets = list(dict.fromkeys(row["dataset"] for row in results))
    size = (4.2 * len(datasets), 4.6)
    figure, axes = plt.subplots(1, len(datasets), figsize=size, layout="constrained", squeeze=False)
    styles = {"none": "black"} | dict(zip(PRIORS, ("C0", "C2", "C3", "C1"), strict=True))
    for ax, dataset in zip(axes[0], datasets, strict=True):
        for prior, color in styles.items():
            for with_names, stroke in ((False, "-"), (True, "--")):
                points = [
                    (row["shots"], 100 * np.mean(row["accuracy"]))
                    for row in results
                    if (row["dataset"], row["prior"], row["names"]) == (dataset, prior, with_names)
                    and row["view"] in ("none", "words weighed")
                ]
                label = "no prior" if prior == "none" else prior
                label = f"{label}, with names" if with_names else label
                ax.plot(*zip(*points, strict=True), stroke, color=color, marker="o", label=label)
        ax.set(title=dataset, xlabel="texts per class", xticks=list(DRAWS))
    axes[0][0].set_ylabel("accuracy (%)")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def few(y: np.ndarray, shots: int, seed: int) -> np.ndarray:
    """Draw rows, so many of each class."""
    rng = np.random.default_rng(seed)
    drawn = [rng.permutation(np.flatnonzero(y == code))[:shots] for code in range(y.max() + 1)]
    return np.sort(np.concatenate(drawn))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", choices=list(LOADERS), default=list(LOADERS))
    options = parser.parse_args()
    encoder = FrozenEncoder()
    results: list[dict[str, Any]] = []
    for dataset in options.datasets:
        results += measure(dataset, encoder)
        save("frozen", {"n_draws": DRAWS, "results": results}, RESULTS)
    draw_lines(results, PAGES / "images" / "frozen.png")


if __name__ == "__main__":
    main()
