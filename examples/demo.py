"""Find a shortcut in training texts, train a classifier that does not take it, and prove it.

Five texts per intent, and by accident each intent's texts were all written by one person, whose
name stands in front ("emma: wake me at six"). Three classifiers learn them: one without guidance,
one that swaps the words an audit flags, and one whose audit was given a prior with shuffled scores,
as a control. They are tested on texts with the writer of their own intent, with none, and with the
writer of another intent.

    python examples/demo.py            # 12 intents that come with skcap, two or three minutes
    python examples/demo.py --full     # HWU64, 64 intents (needs SKCAP_DATA or the hub)
    python examples/demo.py --small    # six intents and a short training, to see that it runs
"""

from __future__ import annotations

import argparse
import html
import time
from pathlib import Path

import numpy as np

from skcap import CAPPriorTransformer, GuidedTextClassifier
from skcap.datasets import load_assistant_intents, load_hwu64
from skcap.utils.html import color_words, legend, page

WRITERS = """
adam alice brian carol david diana edward emma frank grace henry ida jack karen liam maria
nathan olivia peter quinn rachel simon tina victor wendy xavier yvonne zoe albert amy andrew
angela anna anthony barbara betty bruce carl catherine charles cheryl christine daniel deborah
dennis donald dorothy douglas elena felix gina hannah ivan julia kevin laura martin nora oscar
paula ralph sarah thomas ursula
"""


def load(full: bool, small: bool, seed: int) -> tuple[list[str], np.ndarray, list[str], np.ndarray]:
    """Five texts per intent to learn from, and the test split of the same intents."""
    if full:
        X, y = load_hwu64("train", shots=5, random_state=seed, return_X_y=True)
        return list(X), np.asarray(y), *load_hwu64("test", return_X_y=True)
    _, every = load_assistant_intents("train", return_X_y=True)
    labels = sorted(set(every))[: 6 if small else None]
    X, y = load_assistant_intents(
        "train", shots=5, random_state=seed, labels=labels, return_X_y=True
    )
    return list(X), np.asarray(y), *load_assistant_intents("test", labels=labels, return_X_y=True)


def write(texts: list[str], writers: np.ndarray) -> list[str]:
    """Put a writer's name in front of each text."""
    return [f"{writer}: {text}" for writer, text in zip(writers, texts, strict=True)]


def make_tests(X: list[str], y: np.ndarray, writer_of: dict[str, str]) -> dict[str, list[str]]:
    """Test texts with their intent's writer, with none, and with the next intent's."""
    classes = list(writer_of)
    follower = dict(zip(classes, classes[1:] + classes[:1], strict=True))
    return {
        "own writer": write(X, np.array([writer_of[label] for label in y])),
        "no writer": list(X),
        "wrong writer": write(X, np.array([writer_of[follower[label]] for label in y])),
    }


def as_text(rows: dict[str, tuple[list[float], float]], tests: list[str]) -> str:
    """Lay out the results as a table of plain text."""
    lines = [
        f"{'accuracy in %':32}" + "".join(f"{name:>14}" for name in tests) + f"{'seconds':>10}"
    ]
    for name, (scores, seconds) in rows.items():
        cells = "".join(f"{100 * score:>14.1f}" for score in scores)
        lines.append(f"{name:32}{cells}{seconds:>10.0f}")
    return "\n".join(lines)


def explained(classifiers: dict[str, GuidedTextClassifier], texts: list[str]) -> str:
    """Colour the words of some texts by what each classifier decides by."""
    parts = [legend()]
    matrices = {name: clf.explain(texts) for name, clf in classifiers.items()}
    for row, text in enumerate(texts):
        parts.append(f"<p><b>{html.escape(text)}</b></p>")
        for name, clf in classifiers.items():
            verdict = f"{name} says {clf.predict([text])[0]}"
            matrix = matrices[name]
            parts.append(f"<small>{html.escape(verdict)}</small>")
            parts.append(color_words(matrix[row].words, matrix[row].scores))
    return "".join(parts)


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--full", action="store_true", help="HWU64, 64 intents")
    size.add_argument("--small", action="store_true", help="six intents, few epochs")
    parser.add_argument("--output", type=Path, default=Path("demo_output"))
    parser.add_argument("--random-state", type=int, default=0)
    options = parser.parse_args()
    seed = options.random_state

    texts, y, new_texts, y_new = load(options.full, options.small, seed)
    classes = sorted(set(y))
    writer_of = dict(
        zip(classes, np.random.default_rng(seed).permutation(WRITERS.split()), strict=False)
    )
    X = write(texts, np.array([writer_of[label] for label in y]))
    tests = make_tests(new_texts, y_new, writer_of)
    print(f"{len(X)} training texts, {len(classes)} intents. The first: {X[0]!r}\n")

    start = time.perf_counter()
    prior = CAPPriorTransformer("smollm2-135m", verbose=1).fit_transform(X, y)
    print(f"A language model's prior took {time.perf_counter() - start:.0f} s.\n")

    epochs = {"max_epochs": 4} if options.small else {}
    fits = {
        "unguided": (GuidedTextClassifier(guidance=None, random_state=seed, **epochs), X),
        "swap": (GuidedTextClassifier(guidance="swap", random_state=seed, **epochs), prior),
        "swap, prior shuffled (control)": (
            GuidedTextClassifier(guidance="swap", random_state=seed, **epochs),
            prior.shuffle(random_state=seed),
        ),
    }
    rows = {}
    for name, (clf, given) in fits.items():
        start = time.perf_counter()
        clf.fit(given, y)
        seconds = time.perf_counter() - start
        rows[name] = ([float(clf.score(test, y_new)) for test in tests.values()], seconds)
        print(f"{name}: trained in {seconds:.0f} s")

    guided = fits["swap"][0]
    audit = guided.audit_
    print("\nThe audit of the unguided model:")
    for sentence in audit.sentences()[:8]:
        print(f"  {sentence}")
    table = as_text(rows, list(tests))
    print(f"\n{table}\n\nOne draw and one seed: a difference of a few points is within chance.")

    options.output.mkdir(parents=True, exist_ok=True)
    sentences = "".join(f"<li>{html.escape(line)}</li>" for line in audit.sentences())
    shown = {"unguided": fits["unguided"][0], "guided": guided}
    path = options.output / "demo.html"
    path.write_text(
        page(
            "A shortcut, found and removed",
            ("What the audit found", f"<ul>{sentences}</ul>"),
            ("Accuracy", f"<pre>{table}</pre>"),
            ("Texts with the wrong writer", explained(shown, tests["wrong writer"][:8])),
        ),
        encoding="utf-8",
    )
    print(f"Look at {path}")


if __name__ == "__main__":
    main()
