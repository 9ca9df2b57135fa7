"""How strong should the guidance be, and how should priors be fused? A grid search tells.

Three priors (class-aware, LIME, integrated gradients) teach a small classifier on the intents that
come with skcap. The search tries strengths of the guidance (beta) and ways of fusing the priors;
every text is scored by the language model once for all settings and folds, and the model behind
the integrated gradients is trained once per fold.

    python examples/grid_search.py            # some minutes on two cores
    python examples/grid_search.py --small    # four intents, for a quick check
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline

from skcap import (
    CAPPriorTransformer,
    GuidedTextClassifier,
    HybridPrior,
    IGPriorTransformer,
    LimePriorTransformer,
)
from skcap.datasets import load_assistant_intents
from skcap.inspection import plot_search, search_frame
from skcap.metrics import FaithfulnessScorer, RationaleRules

FEW_LABELS = ["set_alarm", "cancel_alarm", "set_timer", "cancel_timer"]


def make_pipeline(small: bool, random_state: int) -> Pipeline:
    """Make the pipeline: three priors, fused, before the classifier that they guide."""
    prior = HybridPrior(
        [
            ("cap", CAPPriorTransformer("smollm2-135m", n_masks=8 if small else 32)),
            ("lime", LimePriorTransformer("smollm2-135m", num_samples=16 if small else 64)),
            ("ig", IGPriorTransformer(GuidedTextClassifier(guidance=None), n_steps=20)),
        ]
    )
    classifier = GuidedTextClassifier(
        "all-minilm-l6-v2",
        guidance="alignment",
        max_epochs=4 if small else 8,
        random_state=random_state,
    )
    return Pipeline([("prior", prior), ("clf", classifier)])


def draw(path: Path, search: GridSearchCV) -> None:
    """Draw both metrics against beta."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for ax, metric in zip(axes, ("accuracy", "comprehensiveness"), strict=True):
        plot_search(search, x="clf__beta", line="prior__aggregation", metric=metric, ax=ax)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    """Run the search."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="four intents, few epochs")
    parser.add_argument("--jobs", type=int, default=2, help="fits at once")
    parser.add_argument("--output", type=Path, default=Path("demo_output"))
    parser.add_argument("--random-state", type=int, default=0)
    options = parser.parse_args()
    seed, labels = options.random_state, FEW_LABELS if options.small else None

    X, y = load_assistant_intents(
        "train", shots=4, random_state=seed, labels=labels, return_X_y=True
    )
    X_test, y_test = load_assistant_intents("test", labels=labels, return_X_y=True)
    grid = {
        "clf__beta": [0.0, 1.0] if options.small else [0.0, 0.3, 3.0],
        "prior__aggregation": ["mean", "max"],
    }
    search = GridSearchCV(
        make_pipeline(options.small, seed),
        grid,
        scoring={
            "accuracy": "accuracy",
            "comprehensiveness": FaithfulnessScorer("comprehensiveness", RationaleRules(k=0.3)),
        },
        refit="accuracy",
        cv=StratifiedKFold(2 if options.small else 3, shuffle=True, random_state=seed),
        n_jobs=options.jobs,
        error_score="raise",
        verbose=1,
    )
    start = time.perf_counter()
    search.fit(X, y)
    seconds = time.perf_counter() - start

    frame = search_frame(search).drop(columns=["candidate", "n_splits", "fit_seconds"])
    print(f"\n{frame.round(3).to_string(index=False)}\n")
    print(f"{seconds:.0f} s for the search. Best by accuracy: {search.best_params_}")
    accuracy = search.score(X_test, y_test)
    print(f"Accuracy on {len(X_test)} test texts that the search has not seen: {accuracy:.1%}")
    print("One draw and one seed: a difference of a few points is within chance.")
    options.output.mkdir(parents=True, exist_ok=True)
    draw(options.output / "grid_search.png", search)
    print(f"Look at {options.output / 'grid_search.png'}")


if __name__ == "__main__":
    main()
