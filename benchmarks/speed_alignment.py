"""Three ways to differentiate an alignment loss at one point, against a plain training step.

    python benchmarks/speed_alignment.py [--rounds 7] [--threads 1]

On one batch of the published 5-shot draw of Banking77, all-MiniLM-L6-v2. What is timed is the loss
of a batch and its gradient with respect to all weights:

* plain: cross-entropy alone. What follows is added to it.
* twice: the gradient with respect to the embeddings is differentiated again, as
  `AlignmentGuidance` does. No fused attention has a second derivative.
* difference: the loss's derivative is that of a directional derivative, so two passes at points
  close by on either side give it, with fused attention and nothing differentiated twice.
* one-sided: the same with the text itself as the point, whose pass the cross-entropy has made.

How well they agree is the cosine of their gradients with that of "twice" at the same point. And
how good a point is, is the cosine of attributions there with integrated gradients of 64 points, in
a model whose encoder is as it came.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from _suite import alternate, finish, paired_ratio, parse, parser_of, target
from speed_training import few_shot
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from skcap import GuidedTextClassifier
from skcap.classifier.batches import TextDataset

STEP = 1e-2  # of a difference, as a share of the length of the embeddings


class Ways:
    """One batch, and the gradient of its losses by each way."""

    def __init__(self, n_texts: int, small: bool):
        matrix, y = few_shot(small)
        still = {"lr": 0.0, "head_lr": 0.0, "max_epochs": 1}
        clf = GuidedTextClassifier(guidance=None, device="cpu", random_state=0, **still)
        clf.fit(matrix, y)
        texts, labels = list(matrix.texts[:n_texts]), y[:n_texts]
        data = TextDataset(clf._encode(texts), np.searchsorted(clf.classes_, labels))
        (batch, classes), *_ = clf.net_.get_iterator(data, training=False)
        self.module, self.classes = clf.net_.module_.eval(), classes
        self.mask, self.ids, special = (
            batch[name] for name in ("attention_mask", "input_ids", "special")
        )
        pad = self.module.embed(torch.full_like(self.ids, clf.tokenizer_.pad_token_id)).detach()
        self.kept = special[:, :, None]
        self.pad = pad
        generator = torch.Generator().manual_seed(0)
        self.wanted = torch.randn(self.ids.shape, generator=generator) * ~special
        self.wanted = torch.nn.functional.normalize(self.wanted, dim=1)
        self.weights = [p for p in self.module.parameters() if p.requires_grad]

    def ends(self) -> tuple[Tensor, Tensor]:
        embeddings = self.module.embed(self.ids)
        return embeddings, torch.where(self.kept, embeddings, self.pad)

    def logit(self, points: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.module(attention_mask=self.mask, inputs_embeds=points).float()
        return logits, logits.gather(1, self.classes[:, None]).squeeze(1)

    def error(self, attribution: Tensor) -> Tensor:
        found = torch.nn.functional.normalize(attribution, dim=1)
        return (found - self.wanted).square().sum()

    def plain(self) -> Tensor:
        logits, _ = self.logit(self.module.embed(self.ids))
        return torch.nn.functional.cross_entropy(logits, self.classes)

    def twice(self, share: float) -> Tensor:
        embeddings, start = self.ends()
        points = start + share * (embeddings - start)
        with sdpa_kernel(SDPBackend.MATH):
            _, own = self.logit(points)
            (slope,) = torch.autograd.grad(own.sum(), points, create_graph=True)
            return self.error(((embeddings - start) * slope).sum(dim=2))

    def direction(self, slope: Tensor, embeddings: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
        """Give the way to go in, which depends on the weights, and how far."""
        way = embeddings - start
        attribution = (way.detach() * slope).sum(dim=2).requires_grad_()
        (pull,) = torch.autograd.grad(self.error(attribution), attribution)
        way = way * pull[:, :, None]
        length = way.detach().flatten(1).norm(dim=1).clamp(min=1e-12)
        far = STEP * embeddings.detach().flatten(1).norm(dim=1) / length
        return way, far[:, None, None]

    def difference(self, share: float) -> Tensor:
        embeddings, start = self.ends()
        points = start + share * (embeddings - start)
        free = points.detach().requires_grad_()
        (slope,) = torch.autograd.grad(self.logit(free)[1].sum(), free)
        way, far = self.direction(slope, embeddings, start)
        both = torch.cat([points + far * way, points - far * way])
        logits = self.module(attention_mask=self.mask.repeat(2, 1), inputs_embeds=both).float()
        own = logits.gather(1, self.classes.repeat(2)[:, None]).squeeze(1)
        ahead, behind = own.chunk(2)
        return ((ahead - behind) / (2 * far.flatten())).sum()

    def one_sided(self) -> Tensor:
        """Cross-entropy and alignment together, since they share a pass."""
        embeddings, start = self.ends()
        logits, own = self.logit(embeddings)
        (slope,) = torch.autograd.grad(own.sum(), embeddings, retain_graph=True)
        way, far = self.direction(slope, embeddings, start)
        _, ahead = self.logit(embeddings + far * way)
        loss = torch.nn.functional.cross_entropy(logits, self.classes)
        return loss + ((ahead - own) / far.flatten()).sum()

    def fidelity(self, share: float) -> float:
        """Cosine of attributions at one point to integrated gradients, mean over texts."""
        ends = [end.detach() for end in self.ends()]
        exact = sum(self.slopes(*ends, at) for at in (np.arange(64) + 0.5) / 64) / 64
        return float(torch.cosine_similarity(exact, self.slopes(*ends, share), dim=1).mean())

    def slopes(self, embeddings: Tensor, start: Tensor, share: float) -> Tensor:
        points = (start + share * (embeddings - start)).requires_grad_()
        (slope,) = torch.autograd.grad(self.logit(points)[1].sum(), points)
        return ((embeddings - start) * slope).sum(dim=2)

    def gradient(self, *losses: Callable[[], Tensor]) -> Tensor:
        parts = [torch.autograd.grad(loss(), self.weights, allow_unused=True) for loss in losses]
        zero = [torch.zeros_like(weight) for weight in self.weights]
        return sum(
            torch.cat([(z if g is None else g).flatten() for g, z in zip(part, zero, strict=True)])
            for part in parts
        )


def measure(options: argparse.Namespace) -> dict[str, Any]:
    ways = Ways(options.texts, options.small)
    jobs = {
        "plain": lambda: ways.gradient(ways.plain),
        "twice": lambda: ways.gradient(ways.plain, lambda: ways.twice(0.5)),
        "difference": lambda: ways.gradient(ways.plain, lambda: ways.difference(0.5)),
        "one-sided": lambda: ways.gradient(ways.one_sided),
    }
    exact, at_end = (ways.gradient(lambda s=share: ways.twice(s)) for share in (0.5, 1.0))
    cosine = torch.nn.functional.cosine_similarity
    rough = ways.gradient(lambda: ways.difference(0.5))
    sided = ways.gradient(ways.one_sided) - ways.gradient(ways.plain)
    seconds = alternate(jobs, options.rounds)
    ratios = {name: paired_ratio(found, seconds["plain"]) for name, found in seconds.items()}
    return {
        "n_texts": options.texts,
        "threads": torch.get_num_threads(),
        "seconds": {name: float(np.median(found)) for name, found in seconds.items()},
        "times_a_plain_step": ratios,
        "cosine_of_gradients": {
            "difference": float(cosine(exact, rough, dim=0)),
            "one-sided": float(cosine(at_end, sided, dim=0)),
        },
        "cosine_to_integrated_gradients": {
            "the middle": ways.fidelity(0.5),
            "the text itself": ways.fidelity(1.0),
        },
        "targets": [
            target(20, f"alignment at one point, {name}, over a plain step", ratios[name], 2)
            for name in list(jobs)[1:]
        ],
    }


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--texts", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    options = parse(parser)
    if options.small:
        options.texts, options.rounds = 8, 1
    finish("speed_alignment", measure(options), options)


if __name__ == "__main__":
    main()
