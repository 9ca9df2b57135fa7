"""Texts to logits: tokenising with word positions, padding, and the encoder with its head."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from skcap.utils.words import align_tokens, split_words

__all__ = [
    "POOLINGS",
    "EncodedText",
    "PadCollate",
    "TextDataset",
    "TextEncoderClassifier",
    "encode_texts",
    "load_tokenizer",
]

POOLINGS = ("mean", "cls")
TOKEN_COLUMNS = ("input_ids", "attention_mask", "special", "word_ids")  # of a batch, by token


@dataclass(frozen=True)
class EncodedText:
    """A text as a model sees it.

    Attributes
    ----------
    input_ids : ndarray of int64, shape (n_tokens,)
    special : ndarray of bool, shape (n_tokens,)
        True at the tokens that the tokenizer added, such as [CLS].
    word_ids : ndarray of int64, shape (n_tokens,)
        Position of the word that a token belongs to, -1 for none.
    truncated : ndarray of bool, shape (n_words,)
        True at the words that lost tokens because the text is too long.
    """

    input_ids: np.ndarray
    special: np.ndarray
    word_ids: np.ndarray
    truncated: np.ndarray

    @property
    def seen(self) -> np.ndarray:
        """Ndarray of bool, shape (n_words,): the words whose every token the model sees.

        Besides truncated words it leaves out those that have no token at all, such as a lone
        control character.
        """
        seen = np.zeros(len(self.truncated), dtype=bool)
        seen[self.word_ids[self.word_ids >= 0]] = True
        return seen & ~self.truncated


def load_tokenizer(model: str, **options: Any) -> Any:
    """Load a model's tokenizer and check that it can tell where its tokens come from.

    Parameters
    ----------
    model : str
        Folder or hub id.
    **options
        Passed to ``AutoTokenizer.from_pretrained``.

    Returns
    -------
    transformers.PreTrainedTokenizerFast

    Raises
    ------
    ValueError
        If the tokenizer is a slow one, which does not report character offsets.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model, **options)
    if not tokenizer.is_fast:
        raise ValueError(
            f"The tokenizer of {model!r} ({type(tokenizer).__name__}) is a slow one, which does "
            "not tell which characters a token stands for; word attributions need that. Save a "
            "fast tokenizer (tokenizer.json) with the model, or choose another model."
        )
    return tokenizer


def encode_texts(tokenizer: Any, texts: Sequence[str], max_length: int) -> list[EncodedText]:
    """Tokenise texts, cutting them at `max_length` tokens, and align the tokens with words.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerFast
    texts : sequence of str, length n_texts
    max_length : int
        Most tokens of a text, special tokens included.

    Returns
    -------
    list of EncodedText, length n_texts
    """
    batch = tokenizer(list(texts), truncation=True, max_length=max_length, padding=False)
    pad = tokenizer.pad_token_id or 0
    return [_encoded(text, batch.encodings[row], pad) for row, text in enumerate(texts)]


def _encoded(text: str, encoding: Any, pad: int) -> EncodedText:
    special = np.array(encoding.special_tokens_mask or [1], dtype=bool)
    truncated = np.zeros(len(split_words(text)), dtype=bool)
    for rest in encoding.overflowing:
        lost = align_tokens(text, rest.offsets)
        truncated[lost[lost >= 0]] = True
    return EncodedText(
        # Where there are no special tokens, an empty text has none at all; encoders need one.
        input_ids=np.array(encoding.ids or [pad], dtype=np.int64),
        special=special,
        word_ids=np.where(special, -1, align_tokens(text, encoding.offsets or [(0, 0)])),
        truncated=truncated,
    )


class TextDataset(Dataset[tuple[dict[str, Any], int]]):
    """Encoded texts with their classes and, for training, priors and weights.

    Parameters
    ----------
    encoded : sequence of EncodedText, length n_texts
    classes : ndarray of int64, shape (n_texts,), default=None
        None stands for class 0 throughout, where only the texts matter.
    priors : sequence of ndarray of float, length n_texts, default=None
        One score a word; NaN means no supervision. Words that the model does not see get none.
    weights : ndarray of float, shape (n_texts,), default=None
        None weighs all texts the same.
    """

    def __init__(
        self,
        encoded: Sequence[EncodedText],
        classes: np.ndarray | None = None,
        priors: Sequence[np.ndarray] | None = None,
        weights: np.ndarray | None = None,
    ) -> None:
        self.encoded = encoded
        self.classes = np.zeros(len(encoded), dtype=np.int64) if classes is None else classes
        self.weights = np.ones(len(encoded)) if weights is None else weights
        self.priors = priors and [
            np.where(text.seen, prior, np.nan) for text, prior in zip(encoded, priors, strict=True)
        ]

    def __len__(self) -> int:
        return len(self.encoded)

    def __getitem__(self, row: int) -> tuple[dict[str, Any], int]:
        text = self.encoded[row]
        item = {
            "input_ids": text.input_ids,
            "special": text.special,
            "word_ids": text.word_ids,
            "weight": self.weights[row],
        }
        if self.priors is not None:
            item["prior"] = self.priors[row]
        return item, int(self.classes[row])


class PadCollate:
    """Make a batch of rows of a :class:`TextDataset`, padded on the right to its longest.

    Parameters
    ----------
    pad_id : int
        Token to pad with. It is never attended to.
    """

    def __init__(self, pad_id: int) -> None:
        self.pad_id = pad_id

    def __call__(self, rows: list[tuple[dict[str, Any], int]]) -> tuple[dict[str, Tensor], Tensor]:
        """Give the batch's tensors by name, and its classes.

        Returns
        -------
        dict of Tensor
            input_ids, attention_mask, special (True at padding as well) and word_ids of shape
            (n_texts, n_tokens), weight of shape (n_texts,), and, if the rows have it, prior of
            shape (n_texts, n_words), padded with NaN.
        Tensor of int64, shape (n_texts,)
        """
        items = [item for item, _ in rows]
        batch = {
            "input_ids": _pad(items, "input_ids", self.pad_id),
            "attention_mask": _pad([{"n": np.ones_like(i["input_ids"])} for i in items], "n", 0),
            "special": _pad(items, "special", True),
            "word_ids": _pad(items, "word_ids", -1),
            "weight": torch.tensor([item["weight"] for item in items], dtype=torch.float32),
        }
        if "prior" in items[0]:
            batch["prior"] = _pad(items, "prior", np.nan).float()
        return batch, torch.tensor([label for _, label in rows])


def _pad(items: Sequence[Mapping[str, Any]], name: str, filler: Any) -> Tensor:
    rows = [torch.from_numpy(item[name]) for item in items]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=filler)


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
        self.head = nn.Linear(self.encoder.config.hidden_size, n_classes)

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

    shown, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if shown:
            logging.enable_progress_bar()
