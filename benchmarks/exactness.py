"""How exact the two central computations are: scoring by tree, and integrated gradients.

    python benchmarks/exactness.py

Prints the largest difference in log p between prompts scored as a tree on a cached prefix and each
full prompt scored alone (SmolLM2, float32), the largest difference between our integrated
gradients and captum's LayerIntegratedGradients (all-MiniLM-L6-v2, evaluation mode), and the error
of the gradients through an alignment loss against finite differences (a tiny encoder, float64).
"""

from __future__ import annotations

import numpy as np
import torch
from _record import save
from captum.attr import LayerIntegratedGradients

from skcap import CAPPriorTransformer, GuidedTextClassifier, TransformersLLM
from skcap.attribution import integrated_gradients
from skcap.datasets import load_assistant_intents


def scoring_error(n_texts: int = 6) -> float:
    """Tree against each full prompt in a forward pass of its own."""
    X, y = load_assistant_intents("train", return_X_y=True)
    prior = CAPPriorTransformer(n_masks=8, cache=False).fit(X, y)
    names = dict(zip(prior.classes_, prior.label_names_, strict=True))
    prompt = {"prefix": prior.prompt_.prefix, "suffix": prior.prompt_.suffix}
    tree, alone = TransformersLLM(), TransformersLLM(reuse_prefix=False, batch_size=1)
    worst = 0.0
    for row in range(0, len(X), len(X) // n_texts):
        name = names[y[row]]
        bodies = prior._variants(X[row], name)
        labels = [name] * len(bodies)
        difference = tree.log_likelihood(bodies, labels, **prompt) - alone.log_likelihood(
            bodies, labels, **prompt
        )
        worst = max(worst, float(np.abs(difference).max()))
    return worst


def attribution_error(n_texts: int = 24, n_steps: int = 16) -> tuple[float, float]:
    """Ours against captum's, for the true class of real texts; and the largest attribution."""
    X, y = load_assistant_intents("train", shots=2, random_state=0, return_X_y=True)
    clf = GuidedTextClassifier(beta=0, max_epochs=1, random_state=0).fit(X, y)
    module, tokenizer = clf.net_.module_.eval(), clf.tokenizer_
    batch = tokenizer(
        X[:n_texts], padding=True, return_tensors="pt", return_special_tokens_mask=True
    )
    ids, attention = batch["input_ids"], batch["attention_mask"]
    special = batch["special_tokens_mask"].bool()
    classes = torch.from_numpy(np.searchsorted(clf.classes_, y[:n_texts]))
    filler = torch.where(special, ids, tokenizer.pad_token_id)

    def score(points: torch.Tensor) -> torch.Tensor:
        repeats = len(points) // len(ids)
        logits = module(attention_mask=attention.repeat(repeats, 1), inputs_embeds=points)
        return logits.gather(1, classes.repeat(repeats)[:, None])[:, 0]

    ours = integrated_gradients(score, module.embed(ids), module.embed(filler), n_steps=n_steps)
    reference = LayerIntegratedGradients(
        lambda i, a: module(input_ids=i, attention_mask=a), module.encoder.get_input_embeddings()
    ).attribute(ids, filler, target=classes, additional_forward_args=(attention,), n_steps=n_steps)
    return float((ours - reference.sum(dim=2)).abs().max()), float(ours.abs().max())


def second_order_error() -> float:
    """Gradient of a loss on attributions with respect to weights, against finite differences."""
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True).double()
    x, baseline = torch.randn(3, 5, 8).double(), torch.zeros(3, 5, 8).double()
    goal = torch.randn(3, 5).double()

    def loss() -> torch.Tensor:
        scores = integrated_gradients(
            lambda e: layer(e).mean(dim=1)[:, 0], x, baseline, n_steps=3, create_graph=True
        )
        return (scores - goal).square().mean()

    weight = layer.linear1.weight
    (gradient,) = torch.autograd.grad(loss(), weight)
    worst, step = 0.0, 1e-5
    for place in np.ndindex(4, 4):
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                weight[place] += sign * step
            ends.append(loss().item())
            with torch.no_grad():
                weight[place] -= sign * step
        numeric = (ends[0] - ends[1]) / (2 * step)
        worst = max(worst, abs(numeric - gradient[place].item()))
    return worst


def main() -> None:
    error, largest = attribution_error()
    path = save(
        "exactness",
        {
            "log_p_tree_vs_full_prompt_alone": scoring_error(),
            "integrated_gradients_vs_captum": error,
            "largest_attribution": largest,
            "second_order_gradient_vs_finite_differences": second_order_error(),
        },
    )
    print(path.read_text())


if __name__ == "__main__":
    main()
