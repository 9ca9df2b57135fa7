"""Predicting and explaining against the plainest loops that do the same, and padding's share.

    python benchmarks/speed_prediction.py [--texts 3080] [--explained 512] [--repeats 5]

* `predict_proba` against a plain Hugging Face loop on the same weights: all texts tokenised at
  once, sorted by length, batches of 64, mean pooling, unit length, head, softmax; equal to 1e-5.
* `explain` with n steps against n times one forward and backward pass of the same batches, by
  which is meant the gradient of the label's logit with respect to the embeddings alone.
* How many of the tokens that reach the encoder are padding: in `predict_proba`, in `explain` and
  in the batches of an epoch of training, on three data sets.

Ratios are medians over rounds in which both sides take turns.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from _intents import LOADERS, load_banking77
from _suite import alternate, finish, paired_ratio, parse, parser_of, target

from skcap import GuidedTextClassifier
from skcap.classifier.batches import TextDataset
from skcap.models import resolve_model

MODEL = "all-minilm-l6-v2"
BATCH = 64
STEPS = (1, 8, 16)


def plain_loop(clf: GuidedTextClassifier) -> Callable[[list[str]], np.ndarray]:
    """Give what one would write by hand around the same weights."""
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()  # the checkpoint's pooler is not used, and it would say so
    logging.disable_progress_bar()
    folder = resolve_model(MODEL)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    encoder = AutoModel.from_pretrained(folder, dtype=torch.float32, add_pooling_layer=False)
    encoder.load_state_dict(clf.net_.module_.encoder.state_dict())
    encoder.eval()
    head = clf.net_.module_.head

    def predict_proba(texts: list[str]) -> np.ndarray:
        encoded = tokenizer(texts, truncation=True, max_length=clf.max_length_)
        order = np.argsort([-len(ids) for ids in encoded["input_ids"]], kind="stable")
        probabilities = np.empty((len(texts), head.out_features), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(texts), BATCH):
                rows = order[start : start + BATCH]
                batch = tokenizer.pad(
                    {name: [column[row] for row in rows] for name, column in encoded.items()},
                    return_tensors="pt",
                )
                hidden = encoder(**batch).last_hidden_state
                mask = batch["attention_mask"].unsqueeze(2).float()
                pooled = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
                pooled = torch.nn.functional.normalize(pooled, dim=1)
                probabilities[rows] = head(pooled).softmax(dim=1).numpy()
        return probabilities

    return predict_proba


def compare_prediction(clf: GuidedTextClassifier, texts: list[str], repeats: int) -> dict[str, Any]:
    plain = plain_loop(clf)
    difference = float(np.abs(clf.predict_proba(texts) - plain(texts)).max())
    if difference > 1e-5:
        raise AssertionError(f"predict_proba is off the plain loop by {difference:.1e}.")
    seconds = alternate(
        {"skcap": lambda: clf.predict_proba(texts), "plain": lambda: plain(texts)}, repeats
    )
    return {
        "n_texts": len(texts),
        "largest_difference": difference,
        "seconds": {name: statistics.median(values) for name, values in seconds.items()},
        "ratio": paired_ratio(seconds["skcap"], seconds["plain"]),
    }


def forward_backward(clf: GuidedTextClassifier, texts: list[str], codes: np.ndarray) -> Callable:
    """Prepare batches as `explain` has them; give the pass over all of them."""
    encoded = clf._encode(texts)
    order = np.argsort([-text.input_ids.size for text in encoded], kind="stable")
    dataset = TextDataset([encoded[row] for row in order], codes[order])
    batches = list(clf.net_.get_iterator(dataset, training=False))
    module = clf.net_.module_.eval()

    def run() -> None:
        for batch, classes in batches:
            embeddings = module.embed(batch["input_ids"]).detach().requires_grad_()
            logits = module(attention_mask=batch["attention_mask"], inputs_embeds=embeddings)
            score = logits.gather(1, classes.unsqueeze(1)).sum()
            torch.autograd.grad(score, embeddings)

    return run


def compare_explain(
    clf: GuidedTextClassifier, texts: list[str], steps: tuple[int, ...], repeats: int
) -> list[dict[str, Any]]:
    codes = clf.predict_proba(texts).argmax(axis=1)
    labels = clf.classes_[codes]
    once = forward_backward(clf, texts, codes)
    rows = []
    for n_steps in steps:
        seconds = alternate(
            {
                "given": lambda n=n_steps: clf.explain(texts, labels, n_steps=n),
                "predicted": lambda n=n_steps: clf.explain(texts, n_steps=n),
                "passes": lambda n=n_steps: [once() for _ in range(n)],
            },
            repeats,
        )
        rows.append(
            {
                "n_steps": n_steps,
                "n_texts": len(texts),
                "seconds": {name: statistics.median(values) for name, values in seconds.items()},
                "ratio": paired_ratio(seconds["given"], seconds["passes"]),
                "ratio_labels_predicted_first": paired_ratio(
                    seconds["predicted"], seconds["passes"]
                ),
            }
        )
        print(rows[-1], flush=True)
    return rows


@contextmanager
def counted_tokens(encoder: torch.nn.Module) -> Iterator[dict[str, int]]:
    """Count what reaches the encoder: all tokens, and those that are padding."""
    count = {"all": 0, "padding": 0}

    def note(module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        mask = kwargs["attention_mask"]
        count["all"] += mask.numel()
        count["padding"] += int((mask == 0).sum())

    handle = encoder.register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield count
    finally:
        handle.remove()


def training_padding(clf: GuidedTextClassifier, texts: list[str]) -> float:
    dataset = TextDataset(clf._encode(texts))
    masks = [batch["attention_mask"] for batch, _ in clf.net_.get_iterator(dataset, training=True)]
    return 1 - sum(int(mask.sum()) for mask in masks) / sum(mask.numel() for mask in masks)


def padding_shares(clf: GuidedTextClassifier, limit: int | None) -> dict[str, dict[str, float]]:
    """Share of padding by data set; one tokenizer reads them all, so one classifier does."""
    shares = {}
    for name, load in LOADERS.items():
        texts = load("test").data[:limit]
        found = {}
        for what, work in (
            ("predict_proba", lambda texts: clf.predict_proba(texts)),
            ("explain", lambda texts: clf.explain(texts, [clf.classes_[0]] * len(texts), 1)),
        ):
            with counted_tokens(clf.net_.module_.encoder) as count:
                work(texts)
            found[what] = count["padding"] / count["all"]
        found["training, 5-shot"] = training_padding(clf, load(shots="published").data)
        found["training, all texts"] = training_padding(clf, load("train").data[:limit])
        shares[name] = {what: round(share, 4) for what, share in found.items()}
        print(name, shares[name], flush=True)
    return shares


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--texts", type=int, default=3080)
    parser.add_argument("--explained", type=int, default=512, help="texts for explain")
    parser.add_argument("--repeats", type=int, default=5)
    options = parse(parser)
    steps = (1, 4) if options.small else STEPS
    if options.small:
        options.texts, options.explained, options.repeats = 128, 32, 2
    X, y = load_banking77(shots="published", return_X_y=True)
    texts = load_banking77("test").data[: options.texts]
    clf = GuidedTextClassifier(MODEL, beta=0, max_epochs=1, device="cpu", random_state=0)
    clf.fit(X[:50] if options.small else X, y[:50] if options.small else y)

    prediction = compare_prediction(clf, texts, options.repeats)
    print(prediction, flush=True)
    explained = compare_explain(clf, texts[: options.explained], steps, options.repeats)
    padding = padding_shares(clf, 64 if options.small else None)
    targets = [target(8, "predict_proba against a plain loop", prediction["ratio"], 1.05)]
    for row in explained:
        what = f"explain, {row['n_steps']} steps, against forward-backward"
        targets.append(target(8, what, row["ratio"], 1.1))
    for name, shares in padding.items():
        for what, share in shares.items():
            targets.append(target(6, f"padding, {name}, {what}", 100 * share, 10, "%"))
    finish(
        "speed_prediction",
        {
            "model": MODEL,
            "repeats": options.repeats,
            "prediction": prediction,
            "explain": explained,
            "padding": padding,
            "targets": targets,
        },
        options,
    )


if __name__ == "__main__":
    main()
