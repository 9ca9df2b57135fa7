"""The model's own attribution while it is trained: where its path starts, and how to compute it."""

from __future__ import annotations

import warnings
from typing import Any

from torch import Tensor

from skcap.attribution import find_baseline_token, integrated_gradients, output_of
from skcap.guidance.base import Task

__all__ = ["attribute_tokens", "find_baseline"]


def find_baseline(task: Task, guidance: Any) -> int | None:
    """Find the token at the start of the path, and warn where such a path would be flat.

    Parameters
    ----------
    task : Task
    guidance : BaseGuidance
        With a parameter `baseline`, "pad", "mask" or "zero".

    Returns
    -------
    int or None
        None for "zero", which stands for no token at all.

    Raises
    ------
    ValueError
        If the tokenizer has no such token.
    """
    token = find_baseline_token(task.tokenizer, guidance.baseline)
    empty = not task.module.embed_token(token).any()
    if empty and task.module.position_table is None:
        warnings.warn(
            f"baseline={guidance.baseline!r} is an all-zero embedding in this encoder, which adds "
            "no positions to its embeddings. Its layer norm undoes all that happens on a path "
            "from zero, so attributions come out close to zero. Use "
            f"{type(guidance).__name__}(baseline='mask').",
            stacklevel=4,
        )
    return token


def attribute_tokens(
    module: Any,
    attention_mask: Tensor,
    embeddings: Tensor,
    baseline: Tensor,
    classes: Tensor,
    *,
    create_graph: bool,
    n_steps: int = 1,
    path: str = "random",
) -> Tensor:
    """Attribute logits to tokens by integrated gradients.

    Parameters
    ----------
    module : skcap.classifier.encoder.TextEncoderClassifier
    attention_mask : Tensor of int64, shape (n_texts, n_tokens)
    embeddings, baseline : Tensor of float, shape (n_texts, n_tokens, width)
        The two ends of the path.
    classes : Tensor of int64, shape (n_texts,)
        The class of each text whose logit is explained.
    create_graph : bool
        Keep the graph, so that the attributions can be differentiated.
    n_steps, path : int, str
        Points of each text's path: one at random by default. See
        :func:`skcap.attribution.integrated_gradients`.

    Returns
    -------
    Tensor of float, shape (n_texts, n_tokens)
    """

    def score(points: Tensor) -> Tensor:
        repeats = len(points) // len(classes)
        logits = module(attention_mask=attention_mask.repeat(repeats, 1), inputs_embeds=points)
        return output_of(logits.float(), classes.repeat(repeats), "logit")

    return integrated_gradients(
        score,
        embeddings,
        baseline,
        n_steps=n_steps,
        path=path,
        create_graph=create_graph,
    )
