"""Scoring by tree: tokens, matrix products, peers, memory, other sources, padding, bfloat16.

    python benchmarks/speed_scoring.py [--parts tokens rate ...] [--texts 32] [--masks 64]

The job is that of a class-aware prior: every variant of a Banking77 text that lacks one word, and
`--masks` random ones, behind the prompt with its 77 labels; SmolLM2-135M says how likely the true
label is after each. Parts that are not run keep the figures that the file has from before.

* tokens: those put through the model, against the distinct ones that have to be.
* rate: a text's seconds, against plain products of the shapes that its linear layers and its
  attention had, and against those of the linear layers alone; and where the rest goes, by torch's
  profiler.
* peers: our own padded full prompts, a plain Hugging Face loop, and captum on the same masks.
* memory: the peak above the weights with a prefix of 4,000 tokens, in a fresh process (Linux).
* sources: CAP, LIME and SHAP priors with and without the tree.
* padding: its share of the tokens on three data sets; needs the tokenizer alone.
* bfloat16: priors against those in float32, by rank.
"""

from __future__ import annotations

import datetime
import json
import multiprocessing
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from _intents import LOADERS, load_banking77
from _record import RESULTS
from _suite import finish, parse, parser_of, target
from scipy.stats import spearmanr

from skcap import CAPPriorTransformer, TransformersLLM
from skcap.llm import loaded_model as engine
from skcap.llm import release_models
from skcap.llm.prompt_encoding import EncodedPrompt, PromptEncoder
from skcap.llm.token_tree import common_prefix_length, grow_trees
from skcap.models import resolve_model
from skcap.priors.lime import LimePriorTransformer
from skcap.priors.masks import apply_mask
from skcap.priors.shap import ShapPriorTransformer
from skcap.priors.units import find_units

MODEL = "smollm2-135m"
PADDED_BATCH = 4096  # tokens: about as many full prompts as the plain loop takes at once
PREFIX_TOKENS = 4000


class Job(NamedTuple):
    """One text, its label's name, and its distinct variants with the masks that made them."""

    text: str
    name: str
    variants: list[str]
    masks: np.ndarray

    def score(self, llm: TransformersLLM, prefix: str, suffix: str) -> np.ndarray:
        """Log-likelihood of the name after each variant."""
        names = [self.name] * len(self.variants)
        return llm.log_likelihood(self.variants, names, prefix=prefix, suffix=suffix)


class Work(NamedTuple):
    """A prior fitted on Banking77, and texts to score."""

    prior: CAPPriorTransformer
    jobs: list[Job]

    @property
    def frame(self) -> tuple[str, str]:
        """What stands before and after each variant."""
        return self.prior.prompt_.prefix, self.prior.prompt_.suffix


def jobs_of(prior: CAPPriorTransformer, X: list[str], y: np.ndarray) -> list[Job]:
    names = dict(zip(prior.classes_, prior.label_names_, strict=True))
    jobs = []
    for text, label in zip(X, y, strict=True):
        words, name, units = text.split(), names[label], find_units(text, prior.unit)
        masks = {apply_mask(words, mask): mask for mask in prior._masks(text, name, units)}
        jobs.append(Job(text, name, list(masks), np.array(list(masks.values()))))
    return jobs


def make_work(n_texts: int, n_masks: int) -> Work:
    X, y = load_banking77("train", shots="published", return_X_y=True)
    prior = CAPPriorTransformer(MODEL, n_masks=n_masks, cache=False).fit(X, y)
    rows = np.random.default_rng(0).choice(len(X), n_texts, replace=False)
    return Work(prior, jobs_of(prior, [X[row] for row in rows], y[rows]))


# -- tokens -----------------------------------------------------------------------------------


def n_distinct(prompts: list[EncodedPrompt], n_shared: int = 0) -> int:
    """Count the nodes of the prefix tree over what is read: all tokens but the last."""
    inputs = [prompt.ids[n_shared:-1] for prompt in prompts]
    return len({ids[:end] for ids in inputs for end in range(1, len(ids) + 1)})


def measure_tokens(work: Work, options: Any) -> dict[str, Any]:
    release_models()  # so that the prefix is computed in this run
    llm = TransformersLLM(MODEL)
    loaded = llm._load()
    forwards: list[int] = []
    handle = loaded.model.register_forward_pre_hook(
        lambda _module, _args, inputs: forwards.append(inputs["input_ids"].numel()),
        with_kwargs=True,
    )
    prefix, suffix = work.frame
    nodes, ids = 0, []
    for job in work.jobs:
        job.score(llm, prefix, suffix)
        pairs = [(variant, job.name) for variant in job.variants]
        prompts = llm._encode(loaded, pairs, prefix, suffix)
        nodes += n_distinct(prompts)
        ids += [prompt.ids for prompt in prompts]
    handle.remove()
    # What the prompts of all texts begin with has to be computed once, not once per text.
    n_shared = common_prefix_length(min(ids), max(ids))
    distinct = nodes - (len(work.jobs) - 1) * n_shared
    ratio = sum(forwards) / distinct
    return {
        "put_through_the_model": sum(forwards),
        "forwards": len(forwards),
        "distinct": distinct,
        "shared_by_all": n_shared,
        "ratio": ratio,
        "in_full_prompts": sum(map(len, ids)) - len(ids),
        "targets": [target(1, "tokens put through the model per distinct one", ratio, 1.15)],
    }


# -- rate -------------------------------------------------------------------------------------


class Products(NamedTuple):
    """What a forward pass multiplied."""

    linear: list[tuple[torch.Tensor, int]]  # weight of a layer, and rows of its input
    attention: list[tuple[torch.Size, torch.Size]]  # shapes of queries and keys

    def flops(self) -> int:
        """Count multiplications and additions."""
        linear = sum(2 * rows * weight.numel() for weight, rows in self.linear)
        # Queries by keys, and then their weights by values.
        return linear + sum(4 * q.numel() * k[-2] for q, k in self.attention)


@contextmanager
def recorded_products(model: torch.nn.Module) -> Iterator[Products]:
    """Note the matrix products of linear layers and of attention."""
    products = Products([], [])
    attend = torch.nn.functional.scaled_dot_product_attention

    def note(layer: torch.nn.Linear, args: tuple[torch.Tensor]) -> None:
        products.linear.append((layer.weight, args[0].numel() // layer.in_features))

    def noted(query: torch.Tensor, key: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        products.attention.append((query.shape, key.shape))
        return attend(query, key, *args, **kwargs)

    layers = [layer for layer in model.modules() if isinstance(layer, torch.nn.Linear)]
    handles = [layer.register_forward_pre_hook(note) for layer in layers]
    try:
        with patch.object(torch.nn.functional, "scaled_dot_product_attention", noted):
            yield products
    finally:
        for handle in handles:
            handle.remove()


def now(device: torch.device) -> float:
    """Give the time once the device has done what it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def seconds_of_linear(products: Products) -> float:
    """Time the products of linear layers with nothing around them."""
    device = products.linear[0][0].device
    inputs = {
        (rows, weight.shape[1]): torch.randn(rows, weight.shape[1], device=device).to(weight.dtype)
        for weight, rows in products.linear
    }
    with torch.inference_mode():
        start = now(device)
        for weight, rows in products.linear:
            inputs[rows, weight.shape[1]] @ weight.T
        return now(device) - start


def seconds_of_attention(products: Products, dtype: torch.dtype) -> float:
    """Time the two products of each attention, without mask, softmax or copies."""
    device = products.linear[0][0].device
    sides = {}
    for query, key in dict.fromkeys(products.attention):
        heads = (*query[:2], *key[2:])  # each query's head has keys, shared or not
        scores = (*query[:3], key[2])
        sides[query, key] = [
            torch.randn(shape, device=device).to(dtype) for shape in (query, heads, scores)
        ]
    with torch.inference_mode():
        start = now(device)
        for shapes in products.attention:
            queries, keys, scores = sides[shapes]
            queries @ keys.transpose(-1, -2)
            scores @ keys
        return now(device) - start


def compare_with_products(work: Work, dtype: str) -> dict[str, Any]:
    llm = TransformersLLM(MODEL, dtype=dtype)
    model = llm._load().model

    def measure(job: Job) -> tuple[float, float, float, int]:
        with recorded_products(model) as products:
            start = time.perf_counter()
            job.score(llm, *work.frame)
            seconds = time.perf_counter() - start
        linear = seconds_of_linear(products)
        return seconds, linear, seconds_of_attention(products, model.dtype), products.flops()

    measure(work.jobs[0])  # warms up, and computes the prefix
    scoring, linear, attention, flops = np.sum([measure(job) for job in work.jobs], axis=0).tolist()
    return {
        "seconds": {"scoring": scoring, "linear layers": linear, "attention": attention},
        "gflops_per_second": {
            "scoring": flops / scoring / 1e9,
            "bare products": flops / (linear + attention) / 1e9,
        },
        "share": (linear + attention) / scoring,
        "share_of_linear_layers": linear / scoring,
    }


STAGES = {
    "tokenising": (PromptEncoder, "encode"),
    "tree building": (engine, "grow_trees"),
    "rows": (engine, "put_in_rows"),
    "masks": (engine.LoadedModel, "_mask"),
    "forward": (engine.LoadedModel, "_forward"),
    "log-softmax": (engine, "_log_prob"),
}


def labelled(name: str, function: Callable) -> Callable:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with torch.profiler.record_function(name):
            result = function(*args, **kwargs)
            return iter(list(result)) if isinstance(result, Iterator) else result

    return wrapper


def profile_stages(work: Work) -> dict[str, float]:
    """Shares of the time, from inside; the profiler itself takes some, mostly of small steps."""
    llm = TransformersLLM(MODEL)
    work.jobs[0].score(llm, *work.frame)
    with ExitStack() as stack:
        for name, (owner, function) in STAGES.items():
            stack.enter_context(
                patch.object(owner, function, labelled(name, getattr(owner, function)))
            )
        profiler = stack.enter_context(torch.profiler.profile())
        start = time.perf_counter()
        for job in work.jobs[:4]:
            job.score(llm, *work.frame)
        total = time.perf_counter() - start
    spent = {event.key: event.cpu_time_total / 1e6 for event in profiler.key_averages()}
    parts = {name: spent.get(name, 0.0) for name in STAGES}
    parts["products"] = spent["aten::linear"]
    parts["attention"] = spent["aten::scaled_dot_product_attention"]
    parts["rest of the forward"] = parts.pop("forward") - parts["products"] - parts["attention"]
    parts["the rest"] = total - sum(parts.values())
    return {name: round(seconds / total, 4) for name, seconds in parts.items()}


def has_fast_bfloat16() -> bool:
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and bool(re.search(r"amx_bf16|avx512_bf16", cpuinfo.read_text()))


def measure_rate(work: Work, options: Any) -> dict[str, Any]:
    figures: dict[str, Any] = {"float32": compare_with_products(work, "float32")}
    if has_fast_bfloat16():
        figures["bfloat16"] = compare_with_products(work, "bfloat16")
    figures["targets"] = [
        target(2, f"scoring against its bare products, {what}, {dtype}", 1 / found[share], 1 / 0.6)
        for dtype, found in figures.items()
        for what, share in (
            ("linear layers and attention", "share"),
            ("linear layers alone", "share_of_linear_layers"),
        )
    ]
    figures["share_of_the_time_float32"] = profile_stages(work)
    return figures


# -- peers ------------------------------------------------------------------------------------


def peers_of(work: Work) -> dict[str, Callable[[Job], np.ndarray]]:
    from scoring_peers import Weights, captum_scores, plain_loop

    tree = TransformersLLM(MODEL)
    padded = TransformersLLM(MODEL, reuse_prefix=False, batch_size=PADDED_BATCH)
    weights = Weights(MODEL)
    prefix, suffix = work.frame
    return {
        "ours": lambda job: job.score(tree, prefix, suffix),
        "ours, padded full prompts": lambda job: job.score(padded, prefix, suffix),
        "plain Hugging Face loop": lambda job: plain_loop(
            weights, [prefix + variant + suffix for variant in job.variants], job.name
        ),
        "captum LLMAttribution": lambda job: captum_scores(
            weights, prefix, job.text.split(), suffix, job.masks, job.name
        ),
    }


def measure_peers(work: Work, options: Any) -> dict[str, Any]:
    peers = peers_of(work)
    first = work.jobs[0]
    for score in peers.values():
        score(first._replace(variants=first.variants[:2], masks=first.masks[:2]))
    seconds = dict.fromkeys(peers, 0.0)
    worst = dict.fromkeys(peers, 0.0)
    jobs = work.jobs[: options.peer_texts]
    for turn, job in enumerate(jobs):
        found = {}
        for name in list(peers)[:: -1 if turn % 2 else 1]:
            start = time.perf_counter()
            found[name] = peers[name](job)
            seconds[name] += time.perf_counter() - start
        for name, scores in found.items():
            worst[name] = max(worst[name], float(np.abs(scores - found["ours"]).max()))
        print(f"{turn + 1}/{len(jobs)}", {k: round(v, 1) for k, v in seconds.items()}, flush=True)
    ours = seconds["ours"]
    others = [name for name in peers if name != "ours"]
    return {
        "n_texts": len(jobs),
        "n_variants": sum(len(job.variants) for job in jobs),
        "seconds": seconds,
        "times_faster": {name: seconds[name] / ours for name in others},
        "largest_difference_in_log_p": {name: worst[name] for name in others},
        "targets": [
            *(target(3, f"time against {name}", ours / seconds[name], 1 / 15) for name in others),
            *(target(3, f"log p against {name}", 1e4 * worst[name], 1, "1e-4") for name in others),
        ],
    }


# -- memory -----------------------------------------------------------------------------------


def resident(what: str) -> float:
    """MiB of this process: VmRSS now, VmHWM at most since the last reset."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{what}:\s+(\d+)", status)[1]) / 1024


def peak_with_long_prefix(n_masks: int, threads: int) -> dict[str, float]:
    """Score one text behind a long prefix; to be called in a fresh process."""
    torch.set_num_threads(threads)
    X, y = load_banking77("train", shots="published", return_X_y=True)
    prior = CAPPriorTransformer(MODEL, n_masks=n_masks, cache=False).fit(X, y)
    row = max(range(len(X)), key=lambda row: len(X[row].split()))
    (job,) = jobs_of(prior, [X[row]], y[[row]])
    llm = TransformersLLM(MODEL)
    loaded = llm._load()
    prefix, suffix = prior.prompt_
    examples = iter(X * 4)
    while len(loaded.tokenizer(prefix)["input_ids"]) < PREFIX_TOKENS:
        prefix = next(examples) + "\n" + prefix
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts anew
    before = resident("VmRSS")
    start = time.perf_counter()
    job.score(llm, prefix, suffix)
    return {
        "seconds": time.perf_counter() - start,
        "prefix_tokens": len(loaded.prefix_ids),
        "n_variants": len(job.variants),
        "batch_size": llm._batch_size(),
        "mib_of_the_weights": sum(p.nbytes for p in loaded.model.parameters()) / 2**20,
        "mib_before": before,
        "mib_above_the_weights": resident("VmHWM") - before,
        "mib_kept_afterwards": resident("VmRSS") - before,
    }


def measure_memory(work: Work, options: Any) -> dict[str, Any]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        figures = pool.submit(
            peak_with_long_prefix, options.masks, torch.get_num_threads()
        ).result()
    peak = figures["mib_above_the_weights"] / 1024
    what = "memory above the weights, prefix of 4,000 tokens"
    return {**figures, "targets": [target(4, what, peak, 1, "GiB")]}


# -- sources ----------------------------------------------------------------------------------


def measure_sources(work: Work, options: Any) -> dict[str, Any]:
    X, y = load_banking77("train", shots="published", return_X_y=True)
    jobs = work.jobs[: options.peer_texts]
    llms = {
        "tree": TransformersLLM(MODEL),
        "padded": TransformersLLM(MODEL, reuse_prefix=False, batch_size=PADDED_BATCH),
    }
    figures: dict[str, Any] = {"n_texts": len(jobs)}
    for source in (work.prior, LimePriorTransformer(), ShapPriorTransformer()):
        source = source.set_params(cache=False).fit(X, y)
        for llm in llms.values():  # shap compiles some of its code when it is first used
            source._evidence(llm, [("where is my new card by the way", jobs[0].name)])
        seconds = dict.fromkeys(llms, 0.0)
        worst = 0.0
        for turn, job in enumerate(jobs):
            scores = {}
            for name in list(llms)[:: -1 if turn % 2 else 1]:
                start = time.perf_counter()
                evidence = source._evidence(llms[name], [(job.text, job.name)])
                seconds[name] += time.perf_counter() - start
                (scores[name],) = source._solve([job.text], [job.name], evidence)
            worst = max(worst, float(np.abs(scores["tree"] - scores["padded"]).max()))
        figures[source.source] = {
            "seconds": seconds,
            "times_faster": seconds["padded"] / seconds["tree"],
            "largest_difference_of_a_score": worst,
        }
        print(source.source, figures[source.source], flush=True)
    return figures


# -- padding ----------------------------------------------------------------------------------


def padding_of(load: Callable, n_texts: int | None, n_masks: int) -> Counter[str]:
    """Count tokens and padding over the texts of a 5-shot draw, as trees and as padded rows."""
    from transformers import AutoTokenizer

    encoder = PromptEncoder(AutoTokenizer.from_pretrained(resolve_model(MODEL)), False)
    X, y = load("train", shots="published", return_X_y=True)
    prior = CAPPriorTransformer(MODEL, n_masks=n_masks, cache=False).fit(X, y)
    prefix, suffix = prior.prompt_
    batch_size = TransformersLLM()._batch_size()
    count: Counter[str] = Counter()
    for job in jobs_of(prior, X[:n_texts], y[:n_texts]):
        full = [prefix + variant + suffix for variant in job.variants]
        prompts = encoder.encode(full, [job.name] * len(full))
        n_shared = engine._shared_length(prompts)
        for tree in grow_trees(prompts, n_shared, batch_size):
            count["tree"] += len(tree.tokens)
            inside = [prompts[row] for row in np.unique(tree.prompts)]
            count["distinct in a tree"] += n_distinct(inside, n_shared)
        count["distinct"] += n_distinct(prompts, n_shared)
        lengths = sorted((len(prompt.ids) - 1 for prompt in prompts), reverse=True)
        while lengths:
            n_rows = max(1, PADDED_BATCH // lengths[0])
            batch, lengths = lengths[:n_rows], lengths[n_rows:]
            count["rows"] += batch[0] * len(batch)
            count["read in rows"] += sum(batch)
    return count


def measure_padding(work: Work, options: Any) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    targets = []
    for name, load in LOADERS.items():
        count = padding_of(load, 4 if options.small else None, options.masks)
        padding = 1 - count["distinct in a tree"] / count["tree"]
        figures[name] = {
            "padding_in_trees": padding,
            "repeated_where_a_tree_ends": count["tree"] / count["distinct"] - 1,
            "padding_in_padded_full_prompts": 1 - count["read in rows"] / count["rows"],
            "tokens_in_trees": count["tree"],
            "tokens_in_padded_full_prompts": count["rows"],
        }
        targets.append(target(6, f"padding, scoring, {name}", 100 * padding, 10, "% of the tokens"))
        print(name, figures[name], flush=True)
    return {**figures, "targets": targets}


# -- bfloat16 ---------------------------------------------------------------------------------

FORMS = {"paper": ("neg_inverse_log", False), "centred": ("log_prob", True)}


def measure_bfloat16(work: Work, options: Any) -> dict[str, Any]:
    llms = {dtype: TransformersLLM(MODEL, dtype=dtype) for dtype in ("float32", "bfloat16")}
    for llm in llms.values():
        work.jobs[0].score(llm, *work.frame)
    seconds = dict.fromkeys(llms, 0.0)
    ranks: dict[str, list[float]] = {form: [] for form in FORMS}
    tops: dict[str, list[bool]] = {form: [] for form in FORMS}
    differences = []
    for turn, job in enumerate(work.jobs):
        evidence = {}
        for dtype in list(llms)[:: -1 if turn % 2 else 1]:
            start = time.perf_counter()
            (evidence[dtype],) = work.prior._evidence(llms[dtype], [(job.text, job.name)])
            seconds[dtype] += time.perf_counter() - start
        differences.append(np.abs(evidence["float32"] - evidence["bfloat16"]).mean())
        for form, (regressed, fit_intercept) in FORMS.items():
            work.prior.set_params(target=regressed, fit_intercept=fit_intercept)
            exact, rough = (
                work.prior._solve([job.text], [job.name], [evidence[dtype]])[0] for dtype in llms
            )
            tops[form].append(exact.argmax() == rough.argmax())
            if len(exact) > 2:  # two words have hardly an order
                ranks[form].append(float(spearmanr(exact, rough).statistic))
    return {
        "cpu_has_bfloat16_products": has_fast_bfloat16(),
        "n_texts": len(work.jobs),
        "seconds": seconds,
        "seconds_ratio": seconds["bfloat16"] / seconds["float32"],
        "mean_difference_in_log_p": float(np.mean(differences)),
        "rank_correlation": {form: float(np.mean(found)) for form, found in ranks.items()},
        "lowest_rank_correlation": {form: min(found) for form, found in ranks.items()},
        "same_top_word": {form: float(np.mean(found)) for form, found in tops.items()},
    }


PARTS: dict[str, Callable[[Work, Any], dict[str, Any]]] = {
    "tokens": measure_tokens,
    "rate": measure_rate,
    "peers": measure_peers,
    "memory": measure_memory,
    "sources": measure_sources,
    "padding": measure_padding,
    "bfloat16": measure_bfloat16,
}


def figures_from_before(options: Any) -> dict[str, Any]:
    """Read the parts that the file holds, if this run goes into it and leaves some out."""
    path = (options.output or RESULTS) / "speed_scoring.json"
    is_saved = options.output or not options.small
    if not is_saved or set(options.parts) == set(PARTS) or not path.exists():
        return {}
    return json.loads(path.read_text(encoding="utf-8"))["parts"]


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--texts", type=int, default=32)
    parser.add_argument("--masks", type=int, default=64, help="random ones for each text")
    parser.add_argument("--peer-texts", type=int, default=4, help="for peers and sources")
    options = parse(parser)
    if options.small:
        options.texts, options.masks, options.peer_texts = 2, 3, 1
    parts = figures_from_before(options)
    for name in options.parts:
        found = PARTS[name](make_work(options.texts, options.masks), options)
        parts[name] = {
            "date": datetime.date.today().isoformat(),
            "threads": torch.get_num_threads(),
            "texts": options.texts,
            "masks": options.masks,
            "targets": [],
            **found,
        }
        targets = [row for part in parts.values() for row in part["targets"]]
        figures = {"model": MODEL, "dtype": "float32", "parts": parts, "targets": targets}
        finish("speed_scoring", figures, options)


if __name__ == "__main__":
    main()
