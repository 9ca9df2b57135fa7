"""Integrated gradients that keep their graph, so that a loss on them can train the model."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

__all__ = [
    "BASELINES",
    "OUTPUTS",
    "PATHS",
    "EmbeddingModel",
    "attribute_words",
    "baseline_embeddings",
    "find_baseline_token",
    "integrated_gradients",
    "output_of",
    "words_from_tokens",
]

PATHS = ("gausslegendre", "random")
OUTPUTS = ("logit", "log_odds", "probability")
BASELINES = ("pad", "mask", "zero")


class EmbeddingModel(Protocol):
    """What is asked of a model: to compute logits from word embeddings.

    Examples
    --------
    >>> from skcap.attribution import EmbeddingModel
    >>> [name for name in vars(EmbeddingModel) if name.startswith("embed")]
    ['embed', 'embed_token']
    """

    def embed(self, input_ids: Tensor) -> Tensor:
        """Look up word embeddings, shape (n_texts, n_tokens, width)."""

    def embed_token(self, token: int | None) -> Tensor:
        """Look up the embedding of one token, zeros for None; shape (width,)."""

    def __call__(self, *, attention_mask: Tensor, inputs_embeds: Tensor) -> Tensor:
        """Compute logits, shape (n_texts, n_classes)."""


def find_baseline_token(tokenizer: Any, baseline: str, name: str = "baseline") -> int | None:
    """Find the token that stands in for every word at the start of a path.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerFast
    baseline : {"pad", "mask", "zero"}
    name : str, default="baseline"
        What the error calls the parameter.

    Returns
    -------
    int or None
        None for "zero", which stands for no token at all.

    Raises
    ------
    ValueError
        If the tokenizer has no such token.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from skcap.attribution import find_baseline_token
    >>> find_baseline_token(SimpleNamespace(pad_token_id=0), "pad")
    0
    """
    if baseline == "zero":
        return None
    token = getattr(tokenizer, f"{baseline}_token_id")
    if token is None:
        raise ValueError(
            f"{name}={baseline!r} needs a {baseline} token, which the model's tokenizer does not "
            f"have. Choose another of {', '.join(map(repr, BASELINES))}."
        )
    return int(token)


def baseline_embeddings(
    model: EmbeddingModel, embeddings: Tensor, special: Tensor, token: int | None
) -> Tensor:
    """Give the start of the path: every token but the special ones replaced by the baseline's.

    Parameters
    ----------
    model : EmbeddingModel
    embeddings : Tensor of float, shape (n_texts, n_tokens, width)
    special : Tensor of bool, shape (n_texts, n_tokens)
        True at special and padding tokens, which stay as they are and so get no attribution.
    token : int or None

    Returns
    -------
    Tensor of float, shape (n_texts, n_tokens, width)

    Examples
    --------
    >>> import torch
    >>> from types import SimpleNamespace
    >>> from skcap.attribution import baseline_embeddings
    >>> model = SimpleNamespace(embed_token=lambda token: torch.zeros(2))
    >>> special = torch.tensor([[True, False]])
    >>> baseline_embeddings(model, torch.ones(1, 2, 2), special, None)[0, :, 0]
    tensor([1., 0.])
    """
    return torch.where(special.unsqueeze(2), embeddings, model.embed_token(token))


def integrated_gradients(
    forward: Callable[[Tensor], Tensor],
    embeddings: Tensor,
    baseline: Tensor,
    *,
    n_steps: int,
    path: str = "gausslegendre",
    create_graph: bool = False,
    generator: torch.Generator | None = None,
    internal_batch_size: int | None = None,
) -> Tensor:
    """Attribute a score to tokens: ``(x - baseline) * mean gradient on the way to x``.

    Parameters
    ----------
    forward : callable
        Maps embeddings, shape (m, n_tokens, width), to the score of each row, shape (m,). It gets
        ``m = k * n_texts`` rows: all texts at one point of the path, then all at the next.
    embeddings, baseline : Tensor of float, shape (n_texts, n_tokens, width)
        The two ends of the straight path. A token that is the same in both gets exactly 0.
    n_steps : int
        Number of points on the path. All are computed in one batch.
    path : {"gausslegendre", "random"}, default="gausslegendre"
        "gausslegendre" takes the nodes and weights of Gauss-Legendre quadrature, so that few
        points make an accurate integral. "random" draws one point for each text in each of
        `n_steps` equal parts of the path: unbiased even with one point, but far off in each draw.
    create_graph : bool, default=False
        Keep the graph, so that the attributions can be differentiated again. Attention is then
        computed without fused kernels, which have no second derivative.
    generator : torch.Generator, default=None
        Source of the random path, on the device of `embeddings`; None is torch's global one.
    internal_batch_size : int, default=None
        Most rows in one call of `forward`, against running out of memory; at least one point of
        the path for all texts is computed at a time. None sets no limit.

    Returns
    -------
    Tensor of float, shape (n_texts, n_tokens)
        Summed over the width of the embeddings. By completeness they add up to the difference of
        the scores of the two ends, the better the more steps.

    Raises
    ------
    ValueError
        If `path` is unknown or `n_steps` is below 1.

    Examples
    --------
    >>> import torch
    >>> from skcap.attribution import integrated_gradients
    >>> x = torch.tensor([[[1.0], [2.0]]])
    >>> integrated_gradients(
    ...     lambda e: (e**2).sum(dim=(1, 2)), x, torch.zeros_like(x), n_steps=2
    ... )
    tensor([[1., 4.]])
    """
    if n_steps < 1:
        raise ValueError(f"n_steps must be at least 1, got {n_steps!r}.")
    if not create_graph:
        embeddings, baseline = embeddings.detach(), baseline.detach()
    n_texts = len(embeddings)
    positions, weights = _path(path, n_steps, n_texts, embeddings, generator)
    chunk = n_steps if internal_batch_size is None else max(1, internal_batch_size // n_texts)
    difference = embeddings - baseline
    gradient = torch.zeros_like(difference)
    kernel = sdpa_kernel(SDPBackend.MATH) if create_graph else contextlib.nullcontext()
    with torch.enable_grad(), kernel:
        for start in range(0, n_steps, chunk):
            here = positions[start : start + chunk]
            points = (baseline + here * difference).flatten(0, 1)
            if not points.requires_grad:
                points.requires_grad_()
            (slope,) = torch.autograd.grad(forward(points).sum(), points, create_graph=create_graph)
            weight = weights[start : start + chunk, None, None, None]
            gradient = gradient + (slope.unflatten(0, (len(here), n_texts)) * weight).sum(dim=0)
    return (difference * gradient).sum(dim=2)


def _path(
    path: str, n_steps: int, n_texts: int, like: Tensor, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """Give the points, shape (n_steps, n_texts, 1, 1), and their weights, shape (n_steps,)."""
    kind: Any = {"dtype": like.dtype, "device": like.device}
    if path == "gausslegendre":
        nodes, weights = np.polynomial.legendre.leggauss(n_steps)  # on [-1, 1]
        positions = torch.as_tensor((1 + nodes) / 2, **kind)[:, None].expand(n_steps, n_texts)
        return positions[:, :, None, None], torch.as_tensor(weights / 2, **kind)
    if path == "random":
        part = torch.arange(n_steps, **kind)[:, None]
        positions = (part + torch.rand(n_steps, n_texts, generator=generator, **kind)) / n_steps
        return positions[:, :, None, None], torch.full((n_steps,), 1 / n_steps, **kind)
    raise ValueError(f"path must be one of {', '.join(map(repr, PATHS))}, got {path!r}.")


def words_from_tokens(token_scores: Tensor, word_ids: Tensor, n_words: int) -> Tensor:
    """Sum the scores of tokens into words.

    The sum, not the mean: attributions of integrated gradients then stay complete.

    Parameters
    ----------
    token_scores : Tensor of float, shape (n_texts, n_tokens)
    word_ids : Tensor of int64, shape (n_texts, n_tokens)
        Position of each token's word, -1 where a token belongs to none.
    n_words : int
        Number of words to make room for.

    Returns
    -------
    Tensor of float, shape (n_texts, n_words)
        Zero for words without tokens. Differentiable.

    Examples
    --------
    >>> import torch
    >>> from skcap.attribution import words_from_tokens
    >>> words_from_tokens(torch.tensor([[9.0, 1.0, 2.0, 4.0]]), torch.tensor([[-1, 0, 0, 1]]), 2)
    tensor([[3., 4.]])
    """
    bins = torch.where(word_ids < 0, n_words, word_ids)  # one bin more takes what has no word
    sums = token_scores.new_zeros(len(token_scores), n_words + 1)
    return sums.scatter_add(1, bins, token_scores)[:, :n_words]


def attribute_words(
    model: EmbeddingModel,
    batch: Mapping[str, Tensor],
    classes: Tensor,
    *,
    n_words: int,
    n_steps: int,
    baseline_token: int | None,
    path: str = "gausslegendre",
    output: str = "logit",
    create_graph: bool = False,
    internal_batch_size: int | None = None,
) -> Tensor:
    """Attribute a text classifier's scores of given classes to the words of its texts.

    Parameters
    ----------
    model : EmbeddingModel
    batch : mapping of Tensor
        What :class:`skcap.classifier.batches.PadCollate` makes of texts.
    classes : Tensor of int64, shape (n_texts,)
        The class of each text that is to be explained.
    n_words : int
        Number of words to make room for.
    n_steps, path, create_graph, internal_batch_size
        See :func:`integrated_gradients`.
    baseline_token : int or None
        Token whose embedding every token but the special ones has at the start of the path; None
        means zeros. Special and padding tokens stay as they are and so get no attribution.
    output : {"logit", "log_odds", "probability"}, default="logit"
        What is attributed. Log-odds are the logit less the log of the sum of the exponentials of
        the other classes' logits: a word that lowers all of them speaks for the class, too.

    Returns
    -------
    Tensor of float, shape (n_texts, n_words)

    Raises
    ------
    ValueError
        If `output` or `path` is unknown.

    Examples
    --------
    >>> from skcap.attribution import attribute_words
    >>> scores = attribute_words(
    ...     clf.net_.module_, batch, classes, n_words=12, n_steps=16, baseline_token=0
    ... )  # of a fitted GuidedTextClassifier, as in its explain  # doctest: +SKIP
    """
    _check_output(output)  # before the encoder does its work
    attention = batch["attention_mask"]
    embeddings = model.embed(batch["input_ids"])
    baseline = baseline_embeddings(model, embeddings, batch["special"], baseline_token)

    def score(points: Tensor) -> Tensor:
        repeats = len(points) // len(attention)
        logits = model(attention_mask=attention.repeat(repeats, 1), inputs_embeds=points)
        return output_of(logits, classes.repeat(repeats), output)

    tokens = integrated_gradients(
        score,
        embeddings,
        baseline,
        n_steps=n_steps,
        path=path,
        create_graph=create_graph,
        internal_batch_size=internal_batch_size,
    )
    return words_from_tokens(tokens, batch["word_ids"], n_words)


def output_of(logits: Tensor, classes: Tensor, output: str) -> Tensor:
    """Take from logits what is attributed for a class of each row.

    Parameters
    ----------
    logits : Tensor of float, shape (n_rows, n_classes)
    classes : Tensor of int64, shape (n_rows,)
    output : {"logit", "log_odds", "probability"}
        See :func:`attribute_words`.

    Returns
    -------
    Tensor of float, shape (n_rows,)
        Differentiable.

    Raises
    ------
    ValueError
        If `output` is unknown.

    Examples
    --------
    >>> import torch
    >>> from skcap.attribution import output_of
    >>> output_of(torch.tensor([[2.0, 0.5]]), torch.tensor([0]), "log_odds")
    tensor([1.5000])
    """
    _check_output(output)
    places = classes.unsqueeze(1)
    scores = logits.softmax(dim=1) if output == "probability" else logits
    found = scores.gather(1, places).squeeze(1)
    if output == "log_odds":
        found = found - logits.scatter(1, places, -torch.inf).logsumexp(dim=1)
    return found


def _check_output(output: str) -> None:
    if output not in OUTPUTS:
        raise ValueError(f"output must be one of {', '.join(map(repr, OUTPUTS))}, got {output!r}.")
