"""The torch module: a Hugging Face encoder, pooled, with a linear head."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from skcap.models.quiet import no_loading_bars

__all__ = ["POOLINGS", "TextEncoderClassifier"]

POOLINGS = ("mean", "cls")


class TextEncoderClassifier(nn.Module):
    """A Hugging Face encoder, pooled, with dropout and a linear head.

    Parameters
    ----------
    model : str
        Folder or hub id of the encoder; weights are read from safetensors, in float32.
    n_classes : int
    pooling : {"mean", "cls"}, default="mean"
        Mean of the last hidden states over the text's tokens, or the state of its first token.
    dropout : float, default=0.1
        Before the head. The encoder's own dropout is as its configuration says.
    normalize_embeddings : bool, default=False
        Bring what is pooled to unit length.
    options : mapping, default=None
        Passed to ``AutoModel.from_pretrained``.

    Raises
    ------
    ValueError
        If `pooling` is unknown.
    """

    def __init__(
        self,
        model: str,
        n_classes: int,
        pooling: str = "mean",
        dropout: float = 0.1,
        normalize_embeddings: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            allowed = ", ".join(map(repr, POOLINGS))
            raise ValueError(f"pooling must be one of {allowed}, got {pooling!r}.")
        self.pooling = pooling
        self.normalize_embeddings = normalize_embeddings
        self.encoder = _load_encoder(model, dict(options or {}))
        self.dropout = nn.Dropout(dropout)
        width = self.encoder.config.hidden_size
        # As the encoder, also where torch's default is another.
        self.head = nn.Linear(width, n_classes, dtype=torch.float32)

    @property
    def position_table(self) -> nn.Embedding | None:
        """The embeddings of absolute positions, None where the encoder has no such thing."""
        embeddings = getattr(self.encoder, "embeddings", None)
        table = getattr(embeddings, "position_embeddings", None)
        return table if isinstance(table, nn.Embedding) else None

    @property
    def max_tokens(self) -> int:
        """The most tokens of a text, special ones included, that the encoder has positions for."""
        table = self.position_table
        if table is not None:
            # RoBERTa and its kin count positions from the one after the padding's.
            first = 0 if table.padding_idx is None else table.padding_idx + 1
            return table.num_embeddings - first
        return int(getattr(self.encoder.config, "max_position_embeddings", None) or 10**9)

    def embed(self, input_ids: Tensor) -> Tensor:
        """Look up the word embeddings of tokens.

        Parameters
        ----------
        input_ids : Tensor of int64, shape (n_texts, n_tokens)

        Returns
        -------
        Tensor of float, shape (n_texts, n_tokens, width)
        """
        return self.encoder.get_input_embeddings()(input_ids)

    def embed_token(self, token: int | None) -> Tensor:
        """Look up the word embedding of one token.

        Parameters
        ----------
        token : int or None
            None stands for no token at all.

        Returns
        -------
        Tensor of float, shape (width,)
            Zeros for None.
        """
        table = self.encoder.get_input_embeddings().weight
        return torch.zeros_like(table[0]) if token is None else table[token]

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
    ) -> Tensor:
        """Compute logits from tokens or from their word embeddings.

        Parameters
        ----------
        input_ids : Tensor of int64, shape (n_texts, n_tokens), default=None
        attention_mask : Tensor of int64, shape (n_texts, n_tokens), default=None
            1 at tokens, 0 at padding, which must be on the right. None means no padding.
        inputs_embeds : Tensor of float, shape (n_texts, n_tokens, width), default=None
            Used instead of `input_ids`, as :meth:`embed` gives them.

        Returns
        -------
        Tensor of float, shape (n_texts, n_classes)
        """
        return self.head(self.dropout(self.pool(input_ids, attention_mask, inputs_embeds)))

    def pool(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
    ) -> Tensor:
        """Compute one vector a text: what the head sees.

        Parameters
        ----------
        input_ids, attention_mask, inputs_embeds
            As for :meth:`forward`.

        Returns
        -------
        Tensor of float, shape (n_texts, width)
        """
        if inputs_embeds is None:
            if input_ids is None:
                raise ValueError("Pass input_ids or inputs_embeds.")
            # Both ways in lead through the embeddings, so that positions never depend on ids:
            # some encoders skip whatever carries the padding's id, even inside of a text.
            inputs_embeds = self.embed(input_ids)
        if attention_mask is None:
            attention_mask = inputs_embeds.new_ones(inputs_embeds.shape[:2], dtype=torch.int64)
        hidden = self.encoder(
            inputs_embeds=inputs_embeds, attention_mask=attention_mask
        ).last_hidden_state
        if self.pooling == "cls":
            vectors = hidden[:, 0]
        else:
            share = attention_mask.unsqueeze(2).to(hidden.dtype)
            vectors = (hidden * share).sum(dim=1) / share.sum(dim=1).clamp(min=1)
        return nn.functional.normalize(vectors, dim=1) if self.normalize_embeddings else vectors


def _load_encoder(model: str, options: dict[str, Any]) -> Any:
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.from_pretrained(model, **options)
    if config.model_type == "modernbert":
        # transformers 4 compiles parts of it and prefers flash attention where it can; neither has
        # second derivatives.
        config.reference_compile = False
        options["attn_implementation"] = "sdpa"
    # A pooler would be weights without use, newly drawn where the checkpoint has none.
    known: Any = AutoModel._model_mapping
    architecture = known.get(type(config), None)
    parameters = inspect.signature(architecture).parameters if inspect.isclass(architecture) else ()
    if "add_pooling_layer" in parameters:
        options["add_pooling_layer"] = False
    with _quiet_transformers():
        # float32 whatever the checkpoint was saved in: half precision is no ground to train on.
        encoder, report = AutoModel.from_pretrained(
            model,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )
    drawn = sorted({*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])})
    if drawn:
        warnings.warn(
            f"{len(drawn)} weights of {type(encoder).__name__} are not in {model!r} and were drawn "
            f"at random, such as {drawn[0]!r}. Is it a checkpoint of this architecture?",
            stacklevel=2,
        )
    return encoder


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Spare a grid search a progress bar and a report a fit; leave the user's settings alone.

    What matters of the report, weights that the checkpoint lacks, is told as a warning instead.
    """
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        with no_loading_bars():
            yield
    finally:
        logging.set_verbosity(verbosity)
