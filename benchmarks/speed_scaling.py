"""How cost grows with texts and labels, and what the container and the cache cost at a million.

    python benchmarks/speed_scaling.py [--rows 1000000] [--real 48]

* CAP priors with a language model that costs next to nothing, so that what is measured is skcap:
  100 to 10,000 texts at 10 labels, and 10 to 1,000 labels at 200 texts. The slope of log seconds
  over log size is 1 where cost is proportional, and below where part of it is fixed.
* The same with the real model and `--real N` texts at most.
* `PriorMatrix` (build, save, load, index) and `PriorCache` (set, get), alone, up to `--rows` texts.
  The cache is filled in bulk and single calls are timed at that size.
"""

from __future__ import annotations

import gc
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _suite import finish, parse, parser_of, target

from skcap import CAPPriorTransformer, FakeLLM, PriorMatrix
from skcap.utils.cache import PriorCache
from skcap.utils.cache_store import number_of, pack, use_store

WORDS = [f"word{number}" for number in range(2000)]
N_VALUES = 44  # of a cached text: those of 12 words and 32 masks
SLOPE = 1.1  # the largest that counts as linear: timings are not exact
CALLS = 1000


def synthetic_texts(n_texts: int, n_words: int = 12) -> list[str]:
    """Texts of 6 to 17 words, no two alike, as the cache would compute equal ones once.

    Each dozen has one text of each length, so that a few texts are as long as many.
    """
    rng = np.random.default_rng(0)
    lengths = n_words // 2 + np.arange(n_texts) % n_words
    words = np.array(WORDS, dtype=object)[rng.integers(0, len(WORDS), lengths.sum())]
    parts = np.split(words, np.cumsum(lengths)[:-1])
    return [f"{' '.join(part)} t{row}" for row, part in enumerate(parts)]


def slope(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def seconds_of(work: Callable[[], Any]) -> float:
    gc.collect()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


# -- priors ----------------------------------------------------------------------------------------


def time_prior(llm: Any, n_texts: int, n_labels: int) -> float:
    """Score texts anew, with no cache; learning the label space is not counted."""
    names = [f"{WORDS[row]}_{WORDS[-row]}" for row in range(n_labels)]
    prior = CAPPriorTransformer(llm, cache=False).fit(2 * names, 2 * names)
    texts = synthetic_texts(n_texts)
    labels = [names[row % n_labels] for row in range(n_texts)]
    return seconds_of(lambda: prior.attribute(texts, labels))


def scaling(
    llm: Any, text_sizes: Sequence[int], label_sizes: Sequence[int], few: int
) -> dict[str, dict[str, Any]]:
    """Grow the texts at 10 labels, and the labels at a few texts."""
    time_prior(llm, 2, 10)  # warm up
    figures = {}
    for what, sizes, shape in (
        ("texts", text_sizes, lambda size: (size, 10)),
        ("labels", label_sizes, lambda size: (few, size)),
    ):
        seconds = [time_prior(llm, *shape(size)) for size in sizes]
        a_text = [taken / shape(size)[0] for taken, size in zip(seconds, sizes, strict=True)]
        figures[what] = {
            "sizes": list(sizes),
            "seconds_a_text": a_text,
            "slope": slope(sizes, seconds),
        }
        print(what, figures[what], flush=True)
    return figures


# -- container and cache ---------------------------------------------------------------------------


def held_bytes(work: Callable[[], Any]) -> tuple[int, int]:
    """Bytes that a result takes, and the most that were taken on the way."""
    gc.collect()
    tracemalloc.start()
    result = work()
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del result
    return held, peak


def measure_container(n_rows: int, folder: Path) -> dict[str, float]:
    texts = synthetic_texts(n_rows)
    flat = np.random.default_rng(1).normal(size=20 * n_rows).astype(np.float32)
    scores = [flat[20 * row :][: text.count(" ") + 1] for row, text in enumerate(texts)]
    rows = np.random.default_rng(2).permutation(n_rows)
    path = folder / "matrix.npz"
    matrix = PriorMatrix(texts, scores)
    work = {
        "build": lambda: PriorMatrix(texts, scores),
        "save": lambda: matrix.save(path),
        "load": lambda: PriorMatrix.load(path),
        "slice": lambda: matrix[: n_rows // 2],
        "index": lambda: matrix[rows],
        "mask": lambda: matrix[rows % 2 == 0],
    }
    microseconds = {
        name: 1e6 * min(seconds_of(job) for _ in range(3)) / n_rows for name, job in work.items()
    }
    held, peak = held_bytes(lambda: PriorMatrix(texts, scores))
    return {
        "n_rows": n_rows,
        **{f"{name}_microseconds_a_text": value for name, value in microseconds.items()},
        "file_bytes_a_text": path.stat().st_size / n_rows,
        "memory_bytes_a_text": held / n_rows,  # without the strings, which are the caller's
        "peak_bytes_a_text": peak / n_rows,
    }


def fill(cache: PriorCache, keys: Sequence[str], values: np.ndarray) -> None:
    """Write many entries at once, which the cache itself does not do: a text costs far more."""
    names = map(bytes.fromhex, keys)
    rows = [(number_of(name), pack(name, values)) for name in names]
    use_store(cache.path, lambda store: store.put_many(rows))


def measure_cache(sizes: Sequence[int], folder: Path) -> list[dict[str, float]]:
    cache = PriorCache(folder / "cache")
    values = np.random.default_rng(0).normal(size=N_VALUES)
    rng = np.random.default_rng(1)
    filled, figures = 0, []
    for size in sizes:
        for start in range(filled, size - CALLS, 10_000):
            stop = min(start + 10_000, size - CALLS)
            fill(cache, [PriorCache.key({"text": row}) for row in range(start, stop)], values)
        new = [PriorCache.key({"text": row}) for row in range(size - CALLS, size)]
        there = [PriorCache.key({"text": int(row)}) for row in rng.integers(0, size, CALLS)]
        put = seconds_of(lambda new=new: [cache.set(key, values) for key in new])
        get = seconds_of(lambda there=there: [cache.get(key) for key in there])
        if len(cache) != size:
            raise AssertionError(f"{len(cache)} entries where {size} were put.")
        filled = size
        figures.append(
            {
                "n_rows": size,
                "put_microseconds_a_text": 1e6 * put / CALLS,
                "get_microseconds_a_text": 1e6 * get / CALLS,
                "bytes_a_text": cache.size / size,
            }
        )
        print(figures[-1], flush=True)
    return figures


def growth_targets(what: str, found: Sequence[dict[str, float]]) -> list[dict[str, Any]]:
    """Linear means that a text costs no more among many; some noise is allowed for."""
    if len(found) < 2:
        return []
    sizes = [row["n_rows"] for row in found]
    names = [name for name in found[0] if name.endswith("microseconds_a_text")]
    totals = {name: [row[name] * row["n_rows"] for row in found] for name in names}
    return [
        target(10, f"{what}, {name.split('_')[0]}, slope", slope(sizes, seconds), SLOPE, "")
        for name, seconds in totals.items()
    ]


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="for container and cache")
    parser.add_argument("--real", type=int, default=0, help="texts for the real model, 0 for none")
    options = parse(parser)
    if options.small:
        options.rows = min(options.rows, 10_000)
    sizes = [size for size in (1_000, 10_000, 100_000, 1_000_000) if size <= options.rows]
    sizes = sizes[-2:] if options.small else [size for size in sizes if size >= 10_000]
    text_sizes = (50, 100, 200) if options.small else (100, 316, 1_000, 3_162, 10_000)
    label_sizes = (10, 100) if options.small else (10, 32, 100, 316, 1_000)
    figures: dict[str, Any] = {
        "fake": scaling(FakeLLM(), text_sizes, label_sizes, 20 if options.small else 200)
    }
    if options.real:
        from skcap import TransformersLLM

        few = max(options.real // 4, 1)
        figures["real"] = scaling(TransformersLLM(), (few, 2 * few, 4 * few), (10, 30, 100), few)
    with tempfile.TemporaryDirectory() as folder:
        figures["container"] = [measure_container(size, Path(folder)) for size in sizes]
        print(figures["container"], flush=True)
        figures["cache"] = measure_cache(sizes, Path(folder))
    targets = [
        target(10, f"{kind} model, seconds over {what}, slope", found["slope"], SLOPE, "")
        for kind in ("fake", "real")
        for what, found in figures.get(kind, {}).items()
    ]
    targets += growth_targets("PriorMatrix", figures["container"])
    targets += growth_targets("PriorCache", figures["cache"])
    finish("speed_scaling", {**figures, "targets": targets}, options)


if __name__ == "__main__":
    main()
