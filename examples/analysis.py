"""Every plot of skcap, on the data that ships with it, and the report of one model.

Trains a classifier on five texts per class of the assistant intents, takes its own attributions
(integrated gradients) as a prior for a second one, and compares the two: what they look at, which
classes they confuse, what the second corrects and what it gets newly wrong. Needs no language
model, but a few minutes on two cores.

    python examples/analysis.py --output analysis_output
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")

from skcap import GuidedTextClassifier
from skcap.adversarial import class_keywords
from skcap.datasets import load_assistant_intents
from skcap.inspection import (
    class_report,
    correlation_table,
    errors_by_overlap,
    keyword_overlap,
    prior_correlation,
    write_report,
)
from skcap.inspection.plots import (
    ClassSimilarityDisplay,
    ConfusionPairsDisplay,
    CorrectionsDisplay,
    OverlapErrorsDisplay,
    plot_words,
)
from skcap.metrics import leave_one_out


def main() -> None:
    """Train, analyse, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("analysis_output"))
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)

    X, y = load_assistant_intents(shots=5, random_state=0, return_X_y=True)
    X_test, y_test = load_assistant_intents("test", return_X_y=True)
    plain = GuidedTextClassifier(guidance=None, max_epochs=options.epochs, random_state=0).fit(X, y)
    prior = plain.explain(X, y)
    guided = GuidedTextClassifier(
        "all-minilm-l6-v2", guidance="alignment", max_epochs=options.epochs, random_state=0
    )
    guided.fit(prior, y)
    before, after = plain.predict(X_test), guided.predict(X_test)

    def save(ax, name: str) -> None:
        ax.figure.savefig(options.output / f"{name}.png", dpi=120)

    # How alike are the priors that could guide a third model?
    sources = {
        "integrated gradients": prior,
        "the same, guided": guided.explain(X, y),
        "leave one out": leave_one_out(plain.predict_proba, X, y, classes=plain.classes_),
    }
    print("Correlation of the priors over all words\n", correlation_table(sources).round(2), "\n")
    by_text = prior_correlation(prior, sources["leave one out"], per_text=True)
    by_text[prior.n_words < 6] = 1  # a text of a few words shows little
    row = int(np.nanargmin(by_text))
    print(f"Least alike within a text: {X[row]!r}\n")
    save(plot_words(sources, row, title=y[row]), "words")

    # Do the errors come with keywords that classes share?
    overlap = keyword_overlap(class_keywords(prior, y))
    print(errors_by_overlap(y_test, before, overlap).head(), "\n")
    save(OverlapErrorsDisplay.from_predictions(y_test, before, overlap).ax_, "overlap_errors")

    # Which classes are alike, before any training and in the trained model?
    pretrained = ClassSimilarityDisplay.from_estimator("all-minilm-l6-v2", X, y)
    save(pretrained.ax_, "class_similarity")
    save(ClassSimilarityDisplay.from_estimator(guided, X, y).ax_, "class_similarity_trained")

    # What did guidance change?
    print(class_report(y_test, before, after), "\n")
    save(CorrectionsDisplay.from_predictions(y_test, before, after).ax_, "corrections")
    pairs = ConfusionPairsDisplay.from_estimator(
        plain, X_test, y_test, guided, names=("plain", "guided")
    )
    save(pairs.ax_, "confusion_pairs")

    report = options.output / "report.html"
    # Every other text: explaining all of them takes longer than everything above.
    write_report(
        report, guided, X_test[::2], y_test[::2], baseline=plain, title="Assistant intents"
    )
    print(f"Pictures and {report.name} are in {options.output}.")


if __name__ == "__main__":
    main()
