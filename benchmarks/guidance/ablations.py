"""What the papers of the masker and of adversarial guidance leave open, one run at a time.

    python -m benchmarks.guidance.ablations --guidance none masker adversarial
    python -m benchmarks.guidance.ablations --guidance masker --extra '{"prior_weight": 1.0}'
    python -m benchmarks.guidance.ablations --guidance adversarial --variant sign --marks speaker

    python -m benchmarks.guidance.ablations --render   # writes ablations.md from all runs

Trained on the published 5-shot draw of HWU64 with one seed and evaluated on validation texts: an
anecdote, enough to see what is far off. With ``--marks speaker`` each training text has the mark of
its class, as in `benchmarks.paper.shortcut`. Each run appends a line to ``results/ablations.jsonl``;
a run that is there is not repeated.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.natural.table import as_table
from benchmarks.paper.cell import faithfulness, to_explain
from benchmarks.paper.draws import Draw, make_draw
from benchmarks.paper.run import keep_run, read_lines
from benchmarks.paper.settings import ROWS, SHARED
from benchmarks.paper.shortcut import others, put, share_of_mark, sign
from benchmarks.paper.teachers import make_prior
from skcap import GuidedTextClassifier, PriorMatrix
from skcap.attribution import baseline_embeddings, find_baseline_token
from skcap.classifier.predicting import batches_by_length
from skcap.guidance import AdversarialGuidance, BaseGuidance, MaskerGuidance
from skcap.guidance import masker as masker_module
from skcap.guidance.adversarial import find_perturbation
from skcap.guidance.explaining import attribute_tokens

PATH = Path(__file__).parent / "results" / "ablations.jsonl"
SEED = 0
EPSILONS = (0.1, 0.3)  # of the attacks that a trained model is tested with
ATTACK_STEPS = 3
N_ATTACKED = 200
N_POINTS = 16  # with four, a model that is trained on single points looks far worse than it is


class AttentionMasker(MaskerGuidance):
    """Masks words by less attention and a smaller share in the mean, not by their embeddings."""

    def _gap(self, step: Any, mask: Tensor) -> Tensor:
        module, batch = step.module, step.batch
        shown = [masker_module._of_tokens(values, batch) for values in (mask, 1 - mask)]
        share = torch.cat(shown).squeeze(2) * batch["attention_mask"].repeat(2, 1)
        less = share.clamp(min=1e-6).log()[:, None, None, :].expand(-1, 1, share.shape[1], -1)
        embeddings = module.embed(batch["input_ids"]).repeat(2, 1, 1)
        states = module.encoder(inputs_embeds=embeddings, attention_mask=less).last_hidden_state
        vectors = (states * share[:, :, None]).sum(dim=1) / share.sum(dim=1, keepdim=True)
        vectors = torch.nn.functional.normalize(vectors, dim=1)
        logits = module.head(module.dropout(vectors))
        found = logits.float().softmax(dim=1).gather(1, step.classes.repeat(2).unsqueeze(1))
        with_mask, without = found.squeeze(1).chunk(2)
        return with_mask - without


class TokenAttack(AdversarialGuidance):
    """Moves each token's embedding by the same share of its own length."""

    def _change(self, step: Any) -> Tensor:
        slope, embeddings = _slope(step)
        size = self.epsilon * embeddings.norm(dim=2, keepdim=True)
        return slope / slope.norm(dim=2, keepdim=True).clamp(min=1e-30) * size


class SignAttack(AdversarialGuidance):
    """Moves each entry of the embeddings by the same size (FGSM), the whole change as long."""

    def _change(self, step: Any) -> Tensor:
        slope, embeddings = _slope(step)
        signs = slope.sign()
        length = (embeddings * (slope != 0)).square().sum(dim=(1, 2), keepdim=True).sqrt()
        own = signs.square().sum(dim=(1, 2), keepdim=True).sqrt().clamp(min=1.0)
        return self.epsilon * length / own * signs


class MiddlePoint(AdversarialGuidance):
    """Explains at the middle of each text's path, not at a random point."""

    _points = {"n_steps": 1, "path": "gausslegendre"}


class FourPoints(AdversarialGuidance):
    """Explains at four points of each text's path, not at a random one."""

    _points = {"n_steps": 4, "path": "gausslegendre"}


def _slope(step: Any) -> tuple[Tensor, Tensor]:
    """Gradient of each text's loss by the embeddings of its words, and the embeddings."""
    point = step.module.embed(step.batch["input_ids"]).detach().requires_grad_()
    logits = step.module(attention_mask=step.batch["attention_mask"], inputs_embeds=point)
    (slope,) = torch.autograd.grad(step.criterion(logits, step.classes).sum(), point)
    return slope * ~step.batch["special"].unsqueeze(2), point.detach()


GUIDANCE: dict[tuple[str, str], type[BaseGuidance]] = {
    ("masker", ""): MaskerGuidance,
    ("masker", "attention"): AttentionMasker,
    ("adversarial", ""): AdversarialGuidance,
    ("adversarial", "token"): TokenAttack,
    ("adversarial", "sign"): SignAttack,
    ("adversarial", "middle"): MiddlePoint,
    ("adversarial", "four points"): FourPoints,
}


def attacked(clf: GuidedTextClassifier, draw: Draw) -> dict[str, float]:
    """Accuracy where embeddings are attacked, and how like explanations are before and after."""
    net, texts = clf.net_, draw.X_eval[:N_ATTACKED]
    codes = np.searchsorted(clf.classes_, draw.y_eval[:N_ATTACKED])
    token = find_baseline_token(clf.tokenizer_, clf.ig_baseline)
    right: dict[float, list[bool]] = {epsilon: [] for epsilon in EPSILONS}
    likeness: list[float] = []
    for _, batch, classes in batches_by_length(net, clf._encode(texts), codes, 64):
        mask, module = batch["attention_mask"], net.module_
        embeddings = module.embed(batch["input_ids"]).detach()
        start = baseline_embeddings(module, embeddings, batch["special"], token)

        explain = partial(
            attribute_tokens,
            module,
            mask,
            baseline=start,
            classes=classes,
            create_graph=False,
            n_steps=N_POINTS,
            path="gausslegendre",
        )

        for epsilon in EPSILONS:
            change = find_perturbation(
                module, batch, classes, net.criterion_, epsilon=epsilon, n_steps=ATTACK_STEPS
            )
            with torch.no_grad():
                logits = module(attention_mask=mask, inputs_embeds=embeddings + change)
            right[epsilon] += (logits.argmax(dim=1) == classes).tolist()
            if epsilon == EPSILONS[0]:
                pair = explain(embeddings), explain(embeddings + change)
                likeness += torch.cosine_similarity(*pair, dim=1).tolist()
    figures = {f"attacked_{epsilon}": float(np.mean(right[epsilon])) for epsilon in EPSILONS}
    return figures | {"explanation_kept": float(np.mean(likeness))}


def shortcut(clf: GuidedTextClassifier, draw: Draw, marks: np.ndarray) -> dict[str, float]:
    """Accuracy with each class's own mark and with another class's; and who looks at the mark."""
    codes = np.searchsorted(clf.classes_, draw.y_eval)
    misled = put(draw.X_eval, marks[others(codes, len(clf.classes_), SEED)])
    same = put(draw.X_eval, marks[codes])
    some = to_explain(misled)
    first = [slice(1)] * len(some)
    figures = {
        "same": float(clf.score(same, draw.y_eval)),
        "misleading": float(clf.score(misled, draw.y_eval)),
        "attributed": share_of_mark(list(clf.explain(some, n_steps=8).scores), first),
    }
    for guidance in clf.guidance_:
        if isinstance(guidance, MaskerGuidance):
            figures["masked_in"] = share_of_mark(list(guidance.masks(clf, some).scores), first)
    return figures


def masks(clf: GuidedTextClassifier, draw: Draw) -> dict[str, float]:
    """Describe the masks of validation texts: mean, spread within a text, and the loss."""
    figures = {}
    for guidance in clf.guidance_:
        if isinstance(guidance, MaskerGuidance):
            scores = [row for row in guidance.masks(clf, draw.X_eval).scores if row.size]
            figures["mask_mean"] = float(np.mean([np.nanmean(row) for row in scores]))
            figures["mask_spread"] = float(np.mean([np.nanstd(row) for row in scores]))
            figures["masker_loss"] = float(np.mean(guidance.masker_losses_[-10:]))
    return figures


def measure(
    setting: dict[str, Any], draw: Draw, marks: np.ndarray | None, prior: PriorMatrix | None
) -> dict[str, Any]:
    """Train and evaluate."""
    guidance = None
    if setting["guidance"] != "none":
        guidance = GUIDANCE[setting["guidance"], setting["variant"]](**setting["extra"])
    parameters = {**SHARED, "guidance": guidance, "beta": setting["beta"]}
    clf = GuidedTextClassifier(random_state=SEED).set_params(**parameters)
    start = time.perf_counter()
    clf.fit(draw.X if prior is None else prior, draw.y)
    seconds = {"fit": round(time.perf_counter() - start, 1)}
    figures = {"accuracy": float(clf.score(draw.X_eval, draw.y_eval))}
    figures |= attacked(clf, draw) | faithfulness(clf, draw.X_eval) | masks(clf, draw)
    if marks is not None:
        figures |= shortcut(clf, draw, marks)
    seconds["all"] = round(time.perf_counter() - start, 1)
    return {"figures": {k: round(v, 5) for k, v in figures.items()}, "seconds": seconds}


# Columns of the page: what each figure is called there, and whether it is a share.
COLUMNS = {
    "accuracy": "accuracy",
    "attacked_0.1": "attacked",
    "explanation_kept": "explanation kept",
    "comprehensiveness": "comprehensiveness",
    "sufficiency": "sufficiency",
    "mask_mean": "mean mask",
}
MARKED = {"same": "own name", "accuracy": "no name", "misleading": "another's name"}
MARKED |= {"attributed": "attributed to the name", "masked_in": "mask of the name"}
PERCENT = ("accuracy", "attacked_0.1", "same", "misleading")


def render() -> None:
    """Write the page of all runs."""
    runs = read_lines(PATH)
    by_marks = {
        marks: [run for run in runs if run["settings"]["marks"] == marks]
        for marks in ("none", "speaker")
    }
    environment = runs[-1]["environment"]
    lines = [
        "# What the papers of the masker and of adversarial guidance leave open",
        "",
        "Written by `python -m benchmarks.guidance.ablations --render`; do not edit. HWU64, five texts",
        "per class, one seed, validation texts: an anecdote a row. *Attacked*: accuracy where the",
        "embeddings of a text are moved by a tenth of their length against it. *Explanation kept*:",
        "cosine of a text's attributions (16 points) before and after; blank where not measured. "
        f"{environment['cpu']}, torch {environment['torch']}, {environment['date']}.",
        "",
        _table(by_marks["none"], COLUMNS),
        "",
        "Trained on texts that each begin with a name, the same for all of a class:",
        "",
        _table(by_marks["speaker"], MARKED),
    ]
    PATH.parents[1].joinpath("ablations.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _table(runs: list[dict[str, Any]], columns: dict[str, str]) -> str:
    head = ["guidance", *columns.values()]
    rows = [
        [
            _name_of(run["settings"]),
            *(_shown(name, run["figures"].get(name)) for name in columns),
        ]
        for run in sorted(runs, key=lambda run: _order_of(run["settings"]))
    ]
    return as_table(head, rows)


def _order_of(setting: dict[str, Any]) -> tuple[bool, str]:
    return setting["guidance"] != "none", _name_of(setting)


def _name_of(setting: dict[str, Any]) -> str:
    own = [setting["guidance"], setting["variant"] and f"{setting['variant']} variant"]
    own += [f"{name} {value}" for name, value in setting["extra"].items()]
    own += ["CAP's prior"] if setting["prior"] != "none" else []
    return ", ".join(filter(None, own))


def _shown(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{100 * value:.1f}" if name in PERCENT else f"{value:.3f}"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = sorted({name for name, _ in GUIDANCE})
    parser.add_argument("--guidance", nargs="+", choices=["none", *names], default=names)
    variants = sorted({variant for _, variant in GUIDANCE})
    parser.add_argument("--variant", choices=variants, default="")
    parser.add_argument("--extra", nargs="+", default=["{}"], help="JSON of parameters")
    parser.add_argument("--beta", type=float, default=1.0)
    parser.add_argument("--marks", choices=["none", "speaker"], default="none")
    parser.add_argument("--prior", choices=["none", "cap"], default="none")
    parser.add_argument("--render", action="store_true", help="only write the page")
    parser.add_argument("--prior-file", help="npz file of CAP's scores of these training texts")
    return parser.parse_args()


def main() -> None:
    options = parse()
    if options.render:
        render()
        return
    draw, marks, prior = make_draw("hwu64", 5, SEED, "valid"), None, None
    if options.marks != "none":
        draw, marks = sign(draw, SEED, options.marks)
    if options.prior_file:
        prior = PriorMatrix.load(options.prior_file)
        if list(prior.texts) != draw.X:
            raise SystemExit(f"{options.prior_file} holds the scores of other texts.")
    elif options.prior != "none":
        prior = make_prior(ROWS[options.prior], draw, SEED, SHARED)
    for guidance, extra in itertools.product(options.guidance, options.extra):
        setting = {"guidance": guidance, "variant": options.variant, "extra": json.loads(extra)}
        setting |= {"beta": options.beta, "marks": options.marks, "seed": SEED}
        setting |= {"prior": "none" if prior is None else "cap", "data": draw.data_hash}
        record = keep_run(PATH, setting, partial(measure, setting, draw, marks, prior))
        if record is not None:
            print(setting, record["figures"], record["seconds"], flush=True)


if __name__ == "__main__":
    main()
