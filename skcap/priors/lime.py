"""Attribution priors by the lime package."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from os import PathLike
from types import ModuleType
from typing import Any, Literal

import numpy as np

from skcap.llm import BaseLLM
from skcap.prior_matrix import PriorMatrix
from skcap.priors.perturbation import BasePerturbationPrior
from skcap.utils.cache import PriorCache
from skcap.utils.labels import LabelNames
from skcap.utils.validation import integer, number
from skcap.utils.words import split_words

__all__ = ["LimePriorTransformer"]


class LimePriorTransformer(BasePerturbationPrior):
    r"""LIME scores of a language model, or of any scikit-learn text classifier, as priors.

    For each text, ``lime.lime_text.LimeTextExplainer`` removes random words, asks how likely the
    true label is without them, and regresses that on the words left. Unlike in
    :class:`~skcap.CAPPriorTransformer`, the prompt does not show the other labels, so the scores
    say what makes the label likely, not what distinguishes it from its rivals.

    Parameters
    ----------
    llm : str, path or BaseLLM, default="smollm2-135m"
        A string or a path means ``TransformersLLM(llm)``. Not used if an `estimator` is given.
    estimator : classifier or None, default=None
        A classifier to explain instead of the language model: any whose ``predict_proba`` takes
        a list of texts, such as a pipeline of ``TfidfVectorizer`` and ``LogisticRegression``.
        (Wrap one without ``predict_proba`` in ``CalibratedClassifierCV``.) If it is fitted it is
        used as it is, else a clone is fitted on X and y. ``clone`` and searches drop what a
        classifier has learnt, unless it is wrapped in ``sklearn.frozen.FrozenEstimator``
        (scikit-learn 1.6).
    label_names : mapping, callable, array-like of str, or None, default=None
        What the language model is to call each label; a list holds one name per class in sorted
        order. None turns ``card_arrival`` into ``card arrival``.
    instruction : str
        Replaces ``{instruction}`` in the template.
    template : str
        The prompt, with ``{text}`` and, optionally, ``{instruction}`` and ``{labels}``; the label
        follows it.
    num_samples : int, default=128
        Variants per text, the whole text among them, so at least 2. lime's own default of 5,000
        is meant for models that answer in microseconds; with a language model, 128 cost about
        three times as much as :class:`~skcap.CAPPriorTransformer` on texts of a dozen words. Equal
        variants, of which short texts have many, are asked for once.
    kernel_width : float, default=25
        As in lime: how slowly the weight of a variant falls with the number of words it lacks. The
        distance d from the whole text is lime's, from 0 to 100 (an empty text), and the weight is
        ``exp(-d**2 / (2 * kernel_width**2))``: one word of ten is at 5.1, half of the words at 29.
    target : {"auto", "log_prob", "prob"}, default="auto"
        The number that is explained. "auto" is "prob" for an estimator, as is usual with lime, and
        "log_prob" for a language model: there the probability of a whole label name is tiny, and
        on that scale the one variant that fits best outweighs all others.
    random_state : int, RandomState or None, default=0
        Seeds the variants, together with each text and label. The default is fixed, so that a
        second run finds the cache; None draws anew in each fit and never finds it.
    cache : None, path, PriorCache or False, default=None
        Where scores are kept, one entry per text. None is the user's cache folder, False keeps
        nothing. If any parameter above changes, the model is asked again. So it may be for an
        `estimator` in another process: scikit-learn's vectorizers and torch's modules pickle
        differently there, and are not recognised.
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
        What stands before and after each text; both are empty with an `estimator`.
    estimator_ : classifier
        The fitted `estimator`, if one was given.
    seed_ : int
        What `random_state` gave.

    Notes
    -----
    The scores are those of

    ``LimeTextExplainer(kernel_width=kernel_width, feature_selection="none", bow=False,
    split_expression=r"\s+", mask_string="", random_state=seed)``

    with ``seed = skcap.utils.seeds.content_seed(prior.seed_, text, label_name) % 2**32``. So words
    are those of ``text.split()``, a word that occurs twice is scored twice, and every word is
    scored. Removed words leave no trace (lime by default would put ``UNKWORDZ``), and the words
    left are joined by single spaces. A text without words gets no scores.

    References
    ----------
    Ribeiro, Singh and Guestrin, "Why Should I Trust You?", KDD 2016.

    Examples
    --------
    >>> from skcap.llm import FakeLLM
    >>> from skcap.priors import LimePriorTransformer
    >>> llm = FakeLLM({"cancel": {"cancel alarm": 4.0}, "wake": {"set alarm": 4.0}})
    >>> prior = LimePriorTransformer(llm, cache=False)
    >>> matrix = prior.fit_transform(
    ...     ["cancel the alarm", "wake me up at seven"], ["cancel_alarm", "set_alarm"]
    ... )
    >>> [record.words[record.scores.argmax()] for record in matrix]
    ['cancel', 'wake']
    """

    source = "lime"
    _parameter_constraints: dict[str, Any] = {
        **BasePerturbationPrior._parameter_constraints,
        "num_samples": [integer(2)],
        "kernel_width": [number(1e-100, 1e100)],  # its square and its inverse are numbers
    }

    def __init__(
        self,
        llm: str | PathLike[str] | BaseLLM = "smollm2-135m",
        *,
        estimator: Any = None,
        label_names: LabelNames = None,
        instruction: str = "Give the label of the text.",
        template: str = "{instruction}\n\nText: {text}\nLabel:",
        num_samples: int = 128,
        kernel_width: float = 25,
        target: Literal["auto", "log_prob", "prob"] = "auto",
        random_state: int | np.random.RandomState | None = 0,
        cache: PriorCache | str | PathLike[str] | Literal[False] | None = None,
        n_jobs: int | None = None,
        verbose: int = 1,
    ):
        self.llm = llm
        self.estimator = estimator
        self.label_names = label_names
        self.instruction = instruction
        self.template = template
        self.num_samples = num_samples
        self.kernel_width = kernel_width
        self.target = target
        self.random_state = random_state
        self.cache = cache
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _explainer_parameters(self) -> dict[str, Any]:
        return {"num_samples": int(self.num_samples), "kernel_width": float(self.kernel_width)}

    def _n_variants(self, n_words: int) -> int:
        return int(self.num_samples)

    def _attribute(self, texts: list[str], classes: np.ndarray) -> PriorMatrix:
        self._check_weights(texts)
        return super()._attribute(texts, classes)

    def _check_weights(self, texts: list[str]) -> None:
        """Tell where no variant of a text has any weight, so that its scores are 0."""
        n_words = np.array([len(split_words(text)) for text in texts])
        # A single word is far from nothing by any width that suits longer texts.
        weights = self._largest_weight(n_words[n_words > 1])
        n_lost = int((weights < np.finfo(np.float32).tiny).sum())  # the type of scores
        if not n_lost:
            return
        told = (
            f"kernel_width={self.kernel_width!r} is so small that of {n_lost} of the {len(texts)} "
            "texts only the whole text has any weight, so their scores are 0. Distances run up to "
            "100; raise kernel_width (its default is 25)."
        )
        if n_lost == len(weights):
            raise ValueError(told)
        warnings.warn(told, UserWarning, stacklevel=5)

    def _largest_weight(self, n_words: np.ndarray) -> np.ndarray:
        """Give the weight of a variant that lacks one word, for texts of so many words."""
        distance = 100 * (1 - np.sqrt(1 - 1 / n_words))
        return np.exp(-((distance / float(self.kernel_width)) ** 2) / 2)

    def _explain(
        self, value: Callable[[np.ndarray], np.ndarray], n_words: int, seed: int
    ) -> np.ndarray:
        explainer = _import_lime().LimeTextExplainer(
            kernel_width=float(self.kernel_width),
            feature_selection="none",
            split_expression=r"\s+",
            bow=False,
            mask_string="",
            random_state=seed,
        )

        def classify(variants: Sequence[str]) -> np.ndarray:
            masks = np.zeros((len(variants), n_words), dtype=bool)
            for mask, variant in zip(masks, variants, strict=True):
                mask[[int(position) for position in variant.split()]] = True
            return value(masks)[:, np.newaxis]

        # lime sees positions instead of words, so no character of a word can mislead it.
        explanation = explainer.explain_instance(
            " ".join(map(str, range(n_words))),
            classify,
            labels=(0,),
            num_features=n_words,
            num_samples=int(self.num_samples),
        )
        scores = np.zeros(n_words)
        for position, score in explanation.local_exp[0]:
            scores[position] = score
        return scores


@cache
def _import_lime() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lime's old escapes warn when Python first compiles them
        return import_module("lime.lime_text")
