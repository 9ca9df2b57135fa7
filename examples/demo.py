"""The main job from end to end: priors from a language model guide a small classifier.

Extracts class-aware priors for 5 texts a class of Banking77, trains one classifier with their
guidance and one without, tests both on the real test split, and writes a page and a picture with
the words of a few test texts coloured by the prior and by each model's own attribution, all for the
true label.

    python examples/demo.py            # the 20 most confusable intents, some minutes on two cores
    python examples/demo.py --full     # all 77
    python examples/demo.py --small    # a handful, for a quick check
"""

from __future__ import annotations

import argparse
import html
import time
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import Pipeline

from skcap import CAPPriorTransformer, GuidedTextClassifier, PriorMatrix
from skcap.datasets import load_assistant_intents, load_banking77
from skcap.inspection.plots import plot_words
from skcap.utils.html import color_words, legend, page


def most_confusable(texts: list[str], labels: np.ndarray, n_classes: int) -> list[str]:
    """Classes whose mean TF-IDF vector lies closest to that of another class."""
    vectors = TfidfVectorizer(sublinear_tf=True).fit_transform(texts)
    classes = np.unique(labels)
    means = np.stack([np.asarray(vectors[labels == label].mean(axis=0))[0] for label in classes])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    similarity = means @ means.T
    np.fill_diagonal(similarity, 0)
    return sorted(classes[np.argsort(-similarity.max(axis=1), kind="stable")[:n_classes]])


def load(n_classes: int | None, random_state: int) -> tuple:
    """Five texts a class to learn from, and the whole test split of the same classes."""
    try:
        pool, pool_labels = load_banking77("train", return_X_y=True)
    except OSError as error:
        print(f"Banking77 is not to be had ({error})\nTaking the set that comes with skcap.\n")
        train = load_assistant_intents("train", shots=5, random_state=random_state, return_X_y=True)
        return "assistant intents", *train, *load_assistant_intents("test", return_X_y=True)
    labels = None if n_classes is None else most_confusable(pool, pool_labels, n_classes)
    train = load_banking77(
        "train", shots=5, random_state=random_state, labels=labels, return_X_y=True
    )
    return "Banking77", *train, *load_banking77("test", labels=labels, return_X_y=True)


def train(clf: GuidedTextClassifier, X, y, X_test, y_test) -> tuple[float, float]:
    """Fit a classifier; accuracy on the test split and seconds of training."""
    start = time.perf_counter()
    clf.fit(X, y)
    seconds = time.perf_counter() - start
    return clf.score(X_test, y_test), seconds


def choose_texts(y_test, before, after, n_texts: int, random_state: int) -> np.ndarray:
    """Rows worth a look: those on which the two models differ first, then any."""
    rng = np.random.default_rng(random_state)
    differ = rng.permutation(np.flatnonzero(before != after))
    others = rng.permutation(np.flatnonzero(before == after))
    # Half of the rows at most, so that the page does not show the odd cases alone.
    n_differ = min(len(differ), n_texts // 2)
    return np.concatenate([differ[:n_differ], others[: n_texts - n_differ]])


def write_page(path: Path, table: str, shown: dict[str, PriorMatrix], captions: list[str]) -> None:
    """One page: the table, then each text coloured by every source."""
    texts = []
    for row, caption in enumerate(captions):
        lines = "".join(
            f"<small>{name}</small>{color_words(matrix[row].words, matrix[row].scores)}"
            for name, matrix in shown.items()
        )
        texts.append(f"<p><b>{html.escape(caption)}</b></p>{lines}")
    path.write_text(
        page(
            "Guided by a prior: what the models look at",
            ("Accuracy", f"<pre>{table}</pre>"),
            ("Test texts", legend() + "".join(texts)),
        ),
        encoding="utf-8",
    )


def draw(path: Path, shown: dict[str, PriorMatrix], captions: list[str]) -> None:
    """Draw the first texts of the page as a picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    size = (9, 1.7 * len(captions))
    figure, axes = plt.subplots(len(captions), 1, figsize=size, layout="constrained")
    for row, ax in enumerate(axes):
        plot_words(shown, row, ax=ax, title=captions[row].replace(" (", "\n(", 1))
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--full", action="store_true", help="all classes")
    size.add_argument("--small", action="store_true", help="six classes, few epochs")
    parser.add_argument("--output", type=Path, default=Path("demo_output"))
    parser.add_argument("--random-state", type=int, default=0)
    options = parser.parse_args()
    n_classes = None if options.full else 6 if options.small else 20
    epochs = 4 if options.small else 10
    seed = options.random_state

    name, X, y, X_test, y_test = load(n_classes, seed)
    print(f"{name}: {len(X)} training and {len(X_test)} test texts, {len(set(y))} classes\n")

    prior = CAPPriorTransformer(n_masks=8 if options.small else 16, verbose=1)
    start = time.perf_counter()
    matrix = prior.fit_transform(X, y)
    rows = [("extraction of the priors", None, time.perf_counter() - start)]

    plain = GuidedTextClassifier(beta=0, max_epochs=epochs, random_state=seed, verbose=1)
    guided = GuidedTextClassifier(beta=1.0, max_epochs=epochs, random_state=seed, verbose=1)
    print("\nTraining without guidance")
    rows.append(("unguided", *train(plain, X, y, X_test, y_test)))
    print("\nTraining with guidance")
    rows.append(("guided by CAP", *train(guided, matrix, y, X_test, y_test)))
    pipe = Pipeline([("prior", prior), ("clf", guided)])  # what a user keeps: texts in, labels out
    before, after = plain.predict(X_test), pipe.predict(X_test)

    chosen = choose_texts(y_test, before, after, 12, seed)
    texts = [X_test[row] for row in chosen]
    shown = {
        "prior (CAP)": prior.attribute(texts, y_test[chosen]),
        "guided model": guided.explain(texts, y_test[chosen]),
        "unguided model": plain.explain(texts, y_test[chosen]),
    }
    captions = [
        f"{y_test[row]} (guided model says {after[row]}, unguided {before[row]})" for row in chosen
    ]
    lines = [f"{'':26}{'accuracy':>10}{'seconds':>10}"]
    for what, accuracy, seconds in rows:
        figure = "" if accuracy is None else f"{100 * accuracy:.1f} %"
        lines.append(f"{what:26}{figure:>10}{seconds:>10.1f}")
    table = "\n".join(lines)
    options.output.mkdir(parents=True, exist_ok=True)
    write_page(options.output / "demo.html", table, shown, captions)
    draw(options.output / "demo.png", shown, captions[:4])
    print(f"\n{table}\n\nOne draw and one seed: a difference of a few points is within chance.")
    print(f"Look at {options.output / 'demo.html'} and {options.output / 'demo.png'}")


if __name__ == "__main__":
    main()
