"""Class-aware attribution priors (section 4.1 of the paper)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any, Literal

import numpy as np

from skcap.llm import BaseLLM
from skcap.priors.cost import Work
from skcap.priors.llm_prior import BaseLLMPrior, Question
from skcap.priors.masks import apply_mask, draw_masks
from skcap.priors.ridge import solve_ridge
from skcap.priors.units import UNITS, Splitter, find_units, spread_scores
from skcap.utils.cache import PriorCache
from skcap.utils.labels import LabelNames
from skcap.utils.seeds import content_seed
from skcap.utils.validation import StrOptions, integer, number
from skcap.utils.words import split_words

__all__ = ["PAPER_FORM", "CAPPriorTransformer"]

# -1 / log p has a pole at p = 1. Probabilities above exp(-0.01) = 0.99 count as 0.99, so that no
# single variant outweighs all others in the regression.
_LARGEST_LOG_PROB = -0.01

_TARGETS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "neg_inverse_log": lambda log_p: -1 / np.minimum(log_p, _LARGEST_LOG_PROB),
    "log_prob": lambda log_p: log_p,
    "prob": np.exp,
}

PAPER_FORM: dict[str, Any] = {"target": "neg_inverse_log", "fit_intercept": False}
"""The paper's form of the scores, as in ``CAPPriorTransformer(**PAPER_FORM)``."""


class CAPPriorTransformer(BaseLLMPrior):
    """Class-aware attribution priors from a language model (the paper's section 4.1).

    For each text, the model is shown the instruction, *all labels* and the text with some of its
    words removed, and is asked how likely the true label is. A ridge regression of that likelihood
    on the masks gives one score per word, which is high for words that make the true label likely
    *among its rivals*.

    Parameters
    ----------
    llm : str, path or BaseLLM, default="smollm2-135m"
        A string or a path means ``TransformersLLM(llm)``.
    label_names : mapping, callable, array-like of str, or None, default=None
        What the model is to call each label; a list holds one name per class in sorted order.
        None turns ``card_arrival`` into ``card arrival``.
    instruction : str
        Replaces ``{instruction}`` in the template.
    template : str
        The prompt, with ``{instruction}``, ``{labels}`` and ``{text}``; the label follows it.
    n_masks : int, default=32
        Random masks per text, besides those that remove one word each. More masks give steadier
        scores and cost proportionally more. (LIME's ``num_samples`` and SHAP's ``max_evals`` count
        all variants.)
    alpha : float, default=1.0
        Strength of the ridge (the paper's lambda, whose value it does not give); above 0, since
        with fewer masks than words the regression has no unique solution without a ridge.
    fit_intercept : bool, default=True
        Whether to regress on centred values. The paper has no intercept, which gives every word a
        share of the mean, so that all scores of a text are alike.
    target : {"neg_inverse_log", "log_prob", "prob"}, default="log_prob"
        What is regressed on the masks: the paper's ``-1 / log p`` (where p above 0.99 counts as
        0.99, because of the pole at 1), ``log p``, or ``p``. `PAPER_FORM` holds the paper's values
        of `target` and `fit_intercept`.
    n_rivals : int, default=0
        Number of other labels that the true one is compared with: the mean of their ``log p`` is
        subtracted from its own, so that what makes every answer likelier counts for none. They
        are drawn for each text; if there are fewer, all are taken. Needs ``target="log_prob"``.
    unit : {"word", "clause", "sentence"} or callable, default="word"
        What is removed at a time. "clause" and "sentence" are for long texts: the number of
        variants grows with the number of units, and the words of a unit share its score equally.
        Sentences end with ``.``, ``!``, ``?`` or a line, clauses also with ``,``, ``;``, ``:`` or a
        dash; a text that is a single unit is scored by words. A callable takes a text and returns
        its pieces, such as ``nltk.sent_tokenize``. See docs/long_texts.md for what is lost.
    random_state : int, RandomState or None, default=0
        Seeds the masks, together with each text and label. The default is fixed, so that a second
        run finds the cache; None draws new masks in each fit and never finds it.
    cache : None, path, PriorCache or False, default=None
        Where log-likelihoods are kept, one entry per text. None is the user's cache folder, False
        keeps nothing. `alpha`, `fit_intercept` and `target` are applied to what is kept, so
        searching over them calls no model.
    n_jobs : int or None, default=None
        Processes that share the texts. Each loads the model, so on one CPU it is usually better
        to leave the cores to torch's threads.
    verbose : int, default=1
        Above 0 shows progress, rate and time left on stderr, from two seconds on.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
    label_names_ : list of str, length n_classes
    prompt_ : Prompt
        What stands before and after each text.
    seed_ : int
        What `random_state` gave.

    Notes
    -----
    Words are those of ``text.split()``, and variants join them by single spaces. A text of one
    word is scored whole and empty. A text without words gets no scores. The cost of the variants
    that remove one word grows with the square of the text's length: a text of 1,000 words costs
    about as much as 2,000 texts of 20. :meth:`estimate_cost` tells before, and `unit` lowers it.

    A text's prior depends on the text, its label, the set of labels, the prompt, the model and the
    parameters alone, never on the other texts or its row.

    References
    ----------
    "Hybrid Attribution Priors for Explainable and Robust Model Training", arXiv:2512.14719.

    Examples
    --------
    >>> from skcap import CAPPriorTransformer
    >>> from skcap.llm import FakeLLM
    >>> llm = FakeLLM({"cancel": {"cancel alarm": 4.0}, "wake": {"set alarm": 4.0}})
    >>> prior = CAPPriorTransformer(llm, cache=False)
    >>> matrix = prior.fit_transform(
    ...     ["cancel the alarm", "wake me up at seven"], ["cancel_alarm", "set_alarm"]
    ... )
    >>> [record.words[record.scores.argmax()] for record in matrix]
    ['cancel', 'wake']
    """

    source = "cap"
    _required_placeholders = ("text", "labels")
    _parameter_constraints: dict[str, Any] = {
        **BaseLLMPrior._parameter_constraints,
        "n_masks": [integer(0)],
        "alpha": [number(0, above=True)],
        "fit_intercept": ["boolean"],
        "target": [StrOptions(set(_TARGETS))],
        "n_rivals": [integer(0)],
        "unit": [StrOptions(set(UNITS)), callable],
    }

    def __init__(
        self,
        llm: str | PathLike[str] | BaseLLM = "smollm2-135m",
        *,
        label_names: LabelNames = None,
        instruction: str = "Classify the text. Answer with one of the labels and nothing else.",
        template: str = "{instruction}\n\nLabels: {labels}\n\nText: {text}\nLabel:",
        n_masks: int = 32,
        alpha: float = 1.0,
        fit_intercept: bool = True,
        target: Literal["neg_inverse_log", "log_prob", "prob"] = "log_prob",
        n_rivals: int = 0,
        unit: str | Splitter = "word",
        random_state: int | np.random.RandomState | None = 0,
        cache: PriorCache | str | PathLike[str] | Literal[False] | None = None,
        n_jobs: int | None = None,
        verbose: int = 1,
    ):
        self.llm = llm
        self.label_names = label_names
        self.instruction = instruction
        self.template = template
        self.n_masks = n_masks
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.target = target
        self.n_rivals = n_rivals
        self.unit = unit
        self.random_state = random_state
        self.cache = cache
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.n_rivals and self.target != "log_prob":
            raise ValueError(
                f"n_rivals={self.n_rivals!r} compares log p, but target={self.target!r}. Set "
                "target='log_prob', or n_rivals=0."
            )

    def _masks(self, text: str, name: str, units: np.ndarray) -> np.ndarray:
        """Draw which units each variant keeps, shape (n_variants, n_units)."""
        n_units = int(units[-1]) + 1 if units.size else 0
        return draw_masks(n_units, int(self.n_masks), content_seed(self.seed_, text, name))

    def _answers(self, text: str, name: str) -> list[str]:
        """Name the text's own label, then those it is compared with, which are drawn."""
        if not self.n_rivals:
            return [name]
        others = [other for other in self.label_names_ if other != name]
        rng = np.random.default_rng(content_seed(self.seed_, "rivals", text, name))
        n_drawn = min(int(self.n_rivals), len(others))
        drawn = rng.choice(len(others), size=n_drawn, replace=False)
        return [name, *(others[place] for place in drawn)]

    def _evidence_parameters(self, text: str, name: str) -> dict[str, Any]:
        _, *rivals = self._answers(text, name)
        units = find_units(text, self.unit)
        parameters: dict[str, Any] = {"masks": self._masks(text, name, units)}
        # Left out where they are as in older versions, so that entries of these are found.
        if rivals:
            parameters["rivals"] = rivals
        if units.size and units[-1] + 1 < units.size:
            parameters["units"] = units
        return parameters

    def _solve_parameters(self) -> dict[str, Any]:
        return {
            "n_masks": int(self.n_masks),
            "alpha": float(self.alpha),
            "fit_intercept": bool(self.fit_intercept),
            "target": self.target,
            **({"n_rivals": int(self.n_rivals)} if self.n_rivals else {}),
            **({} if self.unit == "word" else {"unit": _name_of(self.unit)}),
        }

    def _work(self, text: str, name: str) -> Work:
        units = find_units(text, self.unit)
        masks = np.unique(self._masks(text, name, units), axis=0)  # equal variants are asked once
        n_answers = len(self._answers(text, name))
        return Work(len(masks) * n_answers, int(masks[:, units].sum()) * n_answers)

    def _variants(self, text: str, name: str) -> list[str]:
        """Make the variants of a text that the model is asked about."""
        words, units = split_words(text), find_units(text, self.unit)
        return [apply_mask(words, mask[units]) for mask in self._masks(text, name, units)]

    def _evidence(self, llm: BaseLLM, asked: Sequence[tuple[str, str]]) -> list[np.ndarray]:
        questions = [
            Question(self._variants(text, name), self._answers(text, name)) for text, name in asked
        ]
        return [
            own - np.mean(rivals, axis=0) if rivals else own
            for own, *rivals in self._score(llm, questions)
        ]

    def _solve(
        self, texts: list[str], names: list[str], evidence: list[np.ndarray]
    ) -> list[np.ndarray]:
        units = [find_units(text, self.unit) for text in texts]
        scores = solve_ridge(
            [self._masks(*row) for row in zip(texts, names, units, strict=True)],
            [_TARGETS[self.target](log_p) for log_p in evidence],
            alpha=float(self.alpha),
            fit_intercept=bool(self.fit_intercept),
        )
        return [spread_scores(*row) for row in zip(scores, units, strict=True)]


def _name_of(unit: str | Splitter) -> str:
    return unit if isinstance(unit, str) else getattr(unit, "__name__", type(unit).__name__)
