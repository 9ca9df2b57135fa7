"""What guidance costs a training step, and what the cheap ways of attributing get wrong.

    python benchmarks/speed_training.py [--parts costs fidelity] [--rounds 5]
    python benchmarks/speed_training.py --accuracy [--seeds 0 1 2] [--settings "random 1" ...]

On the published 5-shot draw of Banking77, all-MiniLM-L6-v2, by `GuidedTextClassifier` itself:

* seconds per step: each setting is fitted for an epoch in turn, several rounds, the first steps of
  each left out. The prior is random, since a step costs the same whatever it says;
* memory: each setting in a process of its own, the peak of its resident memory during an epoch
  less what was resident before the first step, with model and texts loaded (Linux);
* fidelity: attributions by few points against integrated gradients with 64 points, of a model as
  it starts and of one trained without guidance. Random points: the mean over draws of the error of
  one draw.

`--accuracy` instead trains to the end with a CAP prior and appends a line of JSON a run to
`speed_training_accuracy.jsonl`; runs that are there are not repeated. Accuracy is that on training
texts outside of the draw, never on the test split; alignment is that of the final model by 8
Gauss-Legendre points, however it was trained, beside what its own points said in the last epoch.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _intents import load_banking77
from _record import RESULTS, environment, load
from _suite import finish, parse, parser_of, target
from skorch.callbacks import Callback

from skcap import CAPPriorTransformer, FakeLLM, GuidedTextClassifier, PriorMatrix
from skcap.attribution import attribute_words, find_baseline_token
from skcap.classifier.batches import TextDataset
from skcap.guidance import AlignmentGuidance, MaskerGuidance, RationaleGuidance, SwapGuidance
from skcap.utils.norms import normalize_scores

DEFAULT = "{path} {n_steps}".format(**AlignmentGuidance().get_params())
TIMED = {
    "unguided": {"beta": 0.0},
    DEFAULT: {"guidance": "alignment"},
    "rationale": {"guidance": "rationale"},
    "rationale, composed": {"guidance": RationaleGuidance(complement="compose")},
    "swap": {"guidance": SwapGuidance(["card", "my", "the"])},
    "masker": {"guidance": MaskerGuidance(warmup=0)},
    "adversarial": {"guidance": "adversarial"},
    **{
        f"{path} {points}": {"guidance": AlignmentGuidance(path=path, n_steps=points)}
        for path, numbers in (("random", (1, 2, 4)), ("gausslegendre", (1, 2, 4, 8)))
        for points in numbers
    },
    # More weight on the default's one point: whether that makes up for it.
    f"{DEFAULT}, beta 2": {"guidance": "alignment", "beta": 2.0},
}
# What a step costs depends on how many points there are, not on where they lie.
KINDS = ["swap", "rationale", "rationale, composed", "masker", "adversarial"]
COSTED = ["unguided", DEFAULT, *KINDS, *(f"gausslegendre {points}" for points in (1, 2, 4, 8))]
LIMITS = {DEFAULT: 2, "swap": 1.5, "rationale": 1.5}  # times an unguided step
WARM_UP = 2  # steps
WEIGHED = ("unguided", DEFAULT, "gausslegendre 8")  # whose memory is measured: a process for each
PARTS = ("costs", "fidelity")
N_REFERENCE = 64
N_DRAWS = 4


class StepTimer(Callback):
    """Seconds of each training step."""

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Forget an earlier fit."""
        self.seconds_: list[float] = []

    def on_batch_begin(self, net: Any, **kwargs: Any) -> None:
        """Start the clock."""
        self.start_ = time.perf_counter()

    def on_batch_end(self, net: Any, **kwargs: Any) -> None:
        """Stop the clock."""
        self.seconds_.append(time.perf_counter() - self.start_)


class MemoryMeter(Callback):
    """Resident memory before the first step, and its peak from there on."""

    def on_batch_begin(self, net: Any, **kwargs: Any) -> None:
        """Note what is resident, and restart the kernel's record of the peak."""
        if hasattr(self, "before_"):
            return
        gc.collect()
        # What loading has freed would otherwise hide what the steps take.
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        self.before_ = _resident("VmRSS")

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Read the peak."""
        self.peak_ = _resident("VmHWM")


def _resident(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))


def few_shot(small: bool) -> tuple[PriorMatrix, np.ndarray]:
    X, y = load_banking77(shots="published", return_X_y=True)
    if small:
        X, y = X[:40], y[:40]
    rng = np.random.default_rng(0)
    return PriorMatrix(X, [rng.normal(size=len(text.split())) for text in X]), y


def fit(name: str, data: tuple[PriorMatrix, np.ndarray], **params: Any) -> GuidedTextClassifier:
    settings = {"device": "cpu", "max_epochs": 1, "random_state": 0, **TIMED[name], **params}
    return GuidedTextClassifier(**settings).fit(*data)


# -- cost ------------------------------------------------------------------------------------------


def time_steps(options: argparse.Namespace, names: list[str]) -> dict[str, list[float]]:
    data = few_shot(options.small)
    size = {"batch_size": 8} if options.small else {}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(options.rounds):
        for name in names[:: -1 if turn % 2 else 1]:
            clf = fit(name, data, callbacks=[StepTimer()], **size)
            seconds[name] += dict(clf.net_.callbacks_)["StepTimer"].seconds_[WARM_UP:]
        print(f"round {turn + 1} of {options.rounds} done", flush=True)
    return seconds


def memory_of(name: str, options: argparse.Namespace) -> dict[str, int]:
    """Measure in a process of its own."""
    command = [sys.executable, __file__, "--memory-of", name]
    command += ["--small"] if options.small else []
    command += ["--threads", str(options.threads)] if options.threads else []
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


def print_memory(name: str, small: bool) -> None:
    clf = fit(name, few_shot(small), callbacks=[MemoryMeter()])
    meter = dict(clf.net_.callbacks_)["MemoryMeter"]
    print(json.dumps({"before": meter.before_, "peak": meter.peak_}))


def measure_costs(options: argparse.Namespace, names: list[str]) -> dict[str, dict[str, float]]:
    seconds = time_steps(options, names)
    weighed = [name for name in names if name in WEIGHED]
    memory = {name: memory_of(name, options) for name in weighed}
    added = {name: memory[name]["peak"] - memory[name]["before"] for name in weighed}
    costs = {}
    for name in names:
        costs[name] = {
            "seconds_a_step": statistics.median(seconds[name]),
            "mean_seconds_a_step": statistics.mean(seconds[name]),
            "n_steps": len(seconds[name]),
            "time_ratio": sum(seconds[name]) / sum(seconds["unguided"]),
        }
        if name in weighed:
            costs[name] |= {
                "memory_mib": added[name] / 2**20,
                "memory_ratio": added[name] / added["unguided"],
                "memory_before_mib": memory[name]["before"] / 2**20,
            }
        print(name, costs[name], flush=True)
    return costs


# -- fidelity --------------------------------------------------------------------------------------


def attributions(
    clf: GuidedTextClassifier, batches: list[Any], n_words: int, points: int, path: str
) -> torch.Tensor:
    """Word attributions of all texts for their labels, padded with 0 to one width."""
    rows = [
        attribute_words(
            clf.net_.module_.eval(),
            batch,
            classes,
            n_words=n_words,
            n_steps=points,
            path=path,
            baseline_token=find_baseline_token(clf.tokenizer_, clf.ig_baseline),
            internal_batch_size=64,
        )
        for batch, classes in batches
    ]
    return torch.cat(rows)


def fidelity(clf: GuidedTextClassifier, texts: list[str], y: np.ndarray, small: bool) -> list[dict]:
    dataset = TextDataset(clf._encode(texts), np.searchsorted(clf.classes_, y))
    batches = list(clf.net_.get_iterator(dataset, training=False))
    n_words = max(len(text.split()) for text in texts)
    n_reference = 16 if small else N_REFERENCE
    reference = attributions(clf, batches, n_words, n_reference, "gausslegendre")
    torch.manual_seed(0)
    found = []
    for path, n_draws in (("gausslegendre", 1), ("random", N_DRAWS)):
        for points in (1, 4) if small else (1, 2, 4, 8, 16):
            draws = [attributions(clf, batches, n_words, points, path) for _ in range(n_draws)]
            errors = [(d - reference).norm(dim=1) / reference.norm(dim=1) for d in draws]
            cosines = [torch.cosine_similarity(d, reference, dim=1) for d in draws]
            found.append(
                {
                    "path": path,
                    "points": points,
                    "relative_error": float(torch.stack(errors).mean()),
                    "cosine": float(torch.stack(cosines).mean()),
                }
            )
            print(found[-1], flush=True)
    return found


def measure_fidelity(options: argparse.Namespace) -> dict[str, Any]:
    matrix, y = few_shot(options.small)
    rows = np.random.default_rng(0).permutation(len(y))[: 8 if options.small else options.texts]
    texts = list(matrix.texts[rows])
    epochs = 1 if options.small else GuidedTextClassifier().max_epochs
    still = {"lr": 0.0, "head_lr": 0.0}  # as training starts: the encoder as it came, and the probe
    return {
        "n_texts": len(texts),
        "untrained": fidelity(fit("unguided", (matrix, y), **still), texts, y[rows], options.small),
        "trained": fidelity(
            fit("unguided", (matrix, y), max_epochs=epochs), texts, y[rows], options.small
        ),
    }


# -- accuracy --------------------------------------------------------------------------------------


def unseen_texts(X: list[str], small: bool) -> tuple[list[str], np.ndarray]:
    """Draw 1,200 training texts that are not in the published draw, lower-cased as it is."""
    bunch = load_banking77("train")
    known = {text.lower() for text in X}
    rows = [row for row, text in enumerate(bunch.data) if text.strip().lower() not in known]
    drawn = np.random.default_rng(0).permutation(rows)[: 40 if small else 1200]
    return [bunch.data[row].lower() for row in drawn], bunch.target[drawn]


def alignment_by_quadrature(clf: GuidedTextClassifier, prior: PriorMatrix, y: np.ndarray) -> float:
    """Alignment loss of a trained model on its training texts, by 8 Gauss-Legendre points."""
    goal = torch.from_numpy(prior.to_dense())
    own = torch.from_numpy(clf.explain(prior, y, n_steps=8).to_dense())
    supervised = ~(goal.isnan() | own.isnan())
    wanted, found = (normalize_scores(side.nan_to_num(), supervised, "l2") for side in (goal, own))
    return float((wanted - found)[supervised].square().mean())


def measure_accuracy(options: argparse.Namespace) -> None:
    path = (options.output or RESULTS) / "speed_training_accuracy.jsonl"
    keep = options.output is not None or not options.small
    X, y = load_banking77(shots="published", return_X_y=True)
    if options.small:
        X, y = X[:40], y[:40]
    llm = FakeLLM() if options.small else "smollm2-135m"
    cache = False if options.small else None
    source = CAPPriorTransformer(llm, cache=cache, verbose=1)
    prior = source.fit_transform(X, y)
    X_unseen, y_unseen = unseen_texts(X, options.small)
    epochs = {"max_epochs": 2 if options.small else GuidedTextClassifier().max_epochs}
    lines = path.read_text().splitlines() if path.exists() else []
    done = {json.dumps(json.loads(line)["setting"], sort_keys=True) for line in lines}
    for seed in options.seeds:
        for name in options.settings:
            clf = GuidedTextClassifier(device="cpu", random_state=seed, **TIMED[name], **epochs)
            plain = {k: v for k, v in clf.get_params().items() if isinstance(v, int | float | str)}
            setting = {"name": name, "seed": seed, "classifier": plain}
            if json.dumps(setting, sort_keys=True) in done:
                continue
            start = time.perf_counter()
            clf.fit(prior, y)
            seconds = time.perf_counter() - start
            own = clf.net_.history[-1].get("train_alignment")  # none where there was no guidance
            figures = {
                "setting": setting,
                "seconds": round(seconds, 1),
                "accuracy": round(clf.score(X_unseen, y_unseen), 4),
                "alignment": round(alignment_by_quadrature(clf, prior, y), 5),
                "train_alignment": None if own is None else round(float(own), 5),
                "n_unseen": len(X_unseen),
                "environment": environment(),
            }
            if keep:
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(figures) + "\n")
            shown = {key: figures[key] for key in ("seconds", "accuracy", "alignment")}
            print(f"{name}, seed {seed}: {shown}", flush=True)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--parts", nargs="+", choices=["costs", "fidelity"], default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--texts", type=int, default=128, help="texts for the fidelity curve")
    parser.add_argument("--accuracy", action="store_true", help="train to the end instead; slow")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--settings",
        nargs="+",
        choices=list(TIMED),
        default=["random 1", "random 4", "gausslegendre 8"],
        help="what --accuracy trains",
    )
    parser.add_argument("--memory-of", choices=list(TIMED), help=argparse.SUPPRESS)
    options = parse(parser)
    if options.memory_of:
        print_memory(options.memory_of, options.small)
        return
    if options.accuracy:
        measure_accuracy(options)
        return
    figures: dict[str, Any] = {"model": GuidedTextClassifier().model}
    if set(options.parts) != set(PARTS):  # keep what is not measured anew
        figures = load("speed_training", options.output or RESULTS) | figures
    if "costs" in options.parts:
        figures |= measured_costs(options)
        finish("speed_training", figures, options)  # the curve takes longer than all of that
    if "fidelity" in options.parts:
        finish("speed_training", figures | {"fidelity": measure_fidelity(options)}, options)


def measured_costs(options: argparse.Namespace) -> dict[str, Any]:
    names = ["unguided", DEFAULT] if options.small else list(dict.fromkeys(COSTED))
    options.rounds = 1 if options.small else options.rounds
    costs = measure_costs(options, names)
    default = costs[DEFAULT]
    return {
        "costs": costs,
        "targets": [
            target(7, "guided step, one point", default["time_ratio"], 3),
            target(7, "memory of a guided step, one point", default["memory_ratio"], 1.6),
            *(
                target(20, f"guided step, {name}", costs[name]["time_ratio"], limit)
                for name, limit in LIMITS.items()
                if name in costs
            ),
        ],
    }


if __name__ == "__main__":
    main()
