"""What every guidance has in common: what it needs, what it prepares, what it adds to the loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from torch import Tensor

from skcap.utils.validation import check_parameters

__all__ = ["BaseGuidance", "Step", "Task"]


@dataclass(frozen=True)
class Task:
    """What a guidance can look at before training begins: the training set and the model.

    n texts.

    Attributes
    ----------
    texts : list of str, length n
    codes : ndarray of int64, shape (n,)
        Position of each text's label in `classes`.
    classes : ndarray, shape (n_classes,)
        The labels, sorted.
    priors : list of ndarray of float, length n, or None
        One score per word, NaN for none.
    encoded : list of skcap.classifier.texts.EncodedText, length n
        Tokens of the texts, with the word that each belongs to.
    tokenizer : transformers.PreTrainedTokenizerFast
    module : skcap.classifier.encoder.TextEncoderClassifier
        The model before training.
    unguided : callable
        Trains the same classifier without guidance and returns it, fitted. Once: a second call
        returns the same classifier.
    verbose : int
        Above 0, say what takes long.

    Examples
    --------
    >>> from skcap.guidance import BaseGuidance
    >>> class CountTexts(BaseGuidance):
    ...     def prepare(self, task):
    ...         self.n_texts_ = len(task.texts)
    """

    texts: list[str]
    codes: np.ndarray
    classes: np.ndarray
    priors: list[np.ndarray] | None
    encoded: list[Any]
    tokenizer: Any
    module: Any
    unguided: Callable[[], Any]
    verbose: int = 0


def _itself(values: Tensor) -> Tensor:
    return values


@dataclass(frozen=True)
class Step:
    """One training step: a batch, the model, and how texts count.

    Attributes
    ----------
    module : skcap.classifier.encoder.TextEncoderClassifier
    batch : mapping of str to Tensor
        What :class:`skcap.classifier.batches.PadCollate` makes of the texts: `input_ids`,
        `attention_mask`, `special`, `word_ids` of shape (n_texts, n_tokens), `weight` of shape
        (n_texts,), and columns by word, such as `prior`, of shape (n_texts, n_words), NaN where a
        word has no value.
    classes : Tensor of int64, shape (n_texts,)
    criterion : callable
        Loss of each row, from logits and classes, not reduced.
    progress : float
        Share of the training that is over, from 0 to 1.
    average : callable
        Averages a tensor over the processes that train together, such as the gradients of weights
        that a guidance trains itself. All of them must ask. One process gets the tensor back.
    max_length : int
        Most tokens of a text, special ones included, that the classifier looks at.

    Examples
    --------
    >>> import torch
    >>> from skcap.guidance import Step
    >>> step = Step(None, {"weight": torch.tensor([1.0, 3.0])}, torch.tensor([0, 1]), None)
    >>> step.mean(torch.tensor([2.0, 4.0]))
    tensor(7.)
    """

    module: Any
    batch: Mapping[str, Tensor]
    classes: Tensor
    criterion: Callable[[Tensor, Tensor], Tensor]
    progress: float = 0.0
    average: Callable[[Tensor], Tensor] = _itself
    max_length: int = 10**9

    def mean(self, values: Tensor, rows: Tensor | None = None) -> Tensor:
        """Average values of texts as the cross-entropy is averaged.

        Parameters
        ----------
        values : Tensor of float, shape (n_rows,)
        rows : Tensor of int64, shape (n_rows,), default=None
            The text that each is of; None means one value per text, in order.

        Returns
        -------
        Tensor of float, shape ()
            Sum of weight times value over the number of texts of the batch: texts that are not
            among the rows count as zero, so that one text of 32 counts once, not 32 times.
        """
        weight = self.batch["weight"]
        weights = weight if rows is None else weight[rows]
        return (values * weights).sum() / len(weight)

    def cross_entropy(self, ids: Tensor, mask: Tensor, rows: Tensor) -> Tensor:
        """Average the loss of changed texts.

        Parameters
        ----------
        ids, mask : Tensor of int64, shape (n_rows, n_tokens)
            Tokens, and 1 where there is one that should be seen.
        rows : Tensor of int64, shape (n_rows,)
            The text of the batch that each was made from.

        Returns
        -------
        Tensor of float, shape ()
        """
        if not len(rows):
            return self.batch["weight"].new_zeros(())
        logits = self.module(ids, mask).float()
        return self.mean(self.criterion(logits, self.classes[rows]), rows)


class BaseGuidance(BaseEstimator):
    """Base of everything that guides the training of ``GuidedTextClassifier``.

    A guidance is a scikit-learn estimator without `fit`: its constructor stores parameters, so
    that it can be cloned, printed and searched over (``clf__guidance__share``). The classifier
    clones it for each fit and calls :meth:`prepare` once, then in each training step
    :meth:`change` and :meth:`losses`, and :meth:`review` after training.

    Write your own by overriding what it needs. All methods have a default that does nothing.

    Attributes
    ----------
    parts : tuple of str
        Names of the losses that :meth:`losses` yields. The history of the training has each as
        ``train_<name>``.
    needs_prior : bool
        Whether it can only be used with a PriorMatrix that has scores.

    Examples
    --------
    Words are hidden at random, and the class should still be recognised:

    >>> import torch
    >>> from skcap.guidance import BaseGuidance
    >>> from skcap.utils.validation import number
    >>> class WordDropout(BaseGuidance):
    ...     parts = ("word_dropout",)
    ...     _parameter_constraints = {"share": [number(0, 1)]}
    ...
    ...     def __init__(self, share=0.3):
    ...         self.share = share
    ...
    ...     def losses(self, step):
    ...         batch = step.batch
    ...         hidden = torch.rand(batch["word_ids"].shape) < self.share
    ...         shown = ~hidden.to(batch["word_ids"].device) | batch["special"]
    ...         rows = torch.arange(len(step.classes), device=shown.device)
    ...         mask = batch["attention_mask"] * shown
    ...         yield "word_dropout", step.cross_entropy(batch["input_ids"], mask, rows)
    >>> from skcap import GuidedTextClassifier
    >>> GuidedTextClassifier(guidance=WordDropout(share=0.2))
    GuidedTextClassifier(guidance=WordDropout(share=0.2))
    """

    parts: tuple[str, ...] = ()
    _parameter_constraints: dict[str, Any] = {}

    @property
    def needs_prior(self) -> bool:
        """Whether it can only be used with a PriorMatrix that has scores."""
        return False

    def check(self) -> None:
        """Check the parameters, before anything costly is done.

        Raises
        ------
        ValueError
            Names the parameter.
        """
        check_parameters(self)

    def prepare(self, task: Task) -> Mapping[str, Sequence[np.ndarray]]:
        """Look at the training set once, before training.

        What is learned here is kept in attributes that end in an underscore.

        Parameters
        ----------
        task : Task

        Returns
        -------
        mapping of str to list of ndarray, length n
            Further columns of the batches by name, each with one value per word, NaN for none.
        """
        return {}

    def is_idle(self) -> bool:
        """Tell, once prepared, whether there is nothing to do, so that training is unguided."""
        return False

    def change(self, step: Step) -> Mapping[str, Tensor]:
        """Change the texts of a batch before they are learned.

        Returns
        -------
        mapping of str to Tensor
            The batch, changed or as it was.
        """
        return step.batch

    def losses(self, step: Step) -> Iterator[tuple[str, Tensor]]:
        """Yield what is added to the loss of a batch, times the classifier's `beta`.

        Each part is differentiated, and its graph freed, before the next is asked for. Parts of
        one name add up.

        Yields
        ------
        name : str
            One of `parts`.
        loss : Tensor of float, shape ()
        """
        yield from ()

    def review(self, task: Task, classifier: Any) -> bool:
        """Look at the trained classifier, and say whether to prepare and train once more.

        Parameters
        ----------
        task : Task
        classifier : GuidedTextClassifier
            Fitted.

        Returns
        -------
        bool
            True trains anew, from the start, with what the guidance has learned.
        """
        return False
