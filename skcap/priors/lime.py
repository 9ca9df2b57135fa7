"""Attribution priors by the lime package."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from os import PathLike
from types import ModuleType
from typing import Any, Literal

import numpy as np

from skcap.llm import BaseLLM
from skcap.priors.perturbation import BasePerturbationPrior
from skcap.utils.cache import PriorCache

__all__ = ["LimePriorTransformer"]


class LimePriorTransformer(BasePerturbationPrior):
    r"""LIME scores of a language model, or of any scikit-learn text classifier, as priors.

    For each text, ``lime.lime_text.LimeTextExplainer`` removes random words, asks how likely the
    true label is without them, and regresses that on the words left. Unlike
    :class:`~skcap.CAPPriorTransformer` the prompt does not show the label space, so the scores say
    what makes the label likely, not what tells it from its rivals.

    Parameters
    ----------
    llm : str or BaseLLM, default="smollm2-135m"
        A string means ``TransformersLLM(llm)``. Not used if there is an `estimator`.
    estimator : classifier or None, default=None
        Explained in place of the language model: any classifier whose ``predict_proba`` takes a
        list of texts, such as a pipeline of ``TfidfVectorizer`` and ``LogisticRegression``. One
        that ``check_is_fitted`` finds fitted is used as it is, any other is cloned and fitted on
        X and y. Searches and ``clone`` hand on classifiers unfitted, unless they are wrapped in
        ``sklearn.frozen.FrozenEstimator`` (scikit-learn 1.6).
    label_names : mapping, callable or None, default=None
        What the language model is to call each label. None makes ``card_arrival``
        ``card arrival``.
    instruction : str
        Goes where the template has ``{instruction}``.
    template : str
        The prompt, with ``{text}`` and as wanted ``{instruction}`` and ``{labels}``; the label
        follows it.
    num_samples : int, default=128
        Variants of each text, as in lime, whose default of 5,000 is meant for models that answer
        in microseconds. 128 cost a language model about three times what
        :class:`~skcap.CAPPriorTransformer` costs on texts of a dozen words; equal variants, of
        which short texts have many, are asked for once.
    kernel_width : float, default=25
        As in lime: how fast the weight of a variant falls with the words it lacks.
    target : {"auto", "log_prob", "prob"}, default="auto"
        The number that is explained. "auto" is "prob" for an estimator, which is what lime's own
        users explain, and "log_prob" for a language model, where the probability of a whole label
        name is tiny: on that scale the one variant that fits best outweighs all others.
    random_state : int, RandomState or None, default=0
        Seeds the variants, together with each text and label. The default is fixed, so that a
        second run finds the cache; None draws anew in each fit and never hits it.
    cache : None, path, PriorCache or False, default=None
        Where scores are kept, one entry a text. None is the user's cache folder, False keeps
        nothing. A change of any parameter above asks the model anew.
    n_jobs : int or None, default=None
        Processes that share the texts. Each loads the model, so on one CPU threads of torch are
        usually the better use of the cores.
    verbose : int, default=0
        Above 0 shows progress, rate and time left.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
    label_names_ : list of str, length n_classes
    prompt_ : Prompt
        What stands before and after each text; nothing with an estimator.
    estimator_ : classifier
        The fitted one; only with `estimator`.
    seed_ : int

    Notes
    -----
    The scores are those of

    ``LimeTextExplainer(kernel_width=kernel_width, feature_selection="none", bow=False,
    split_expression=r"\s+", mask_string="", random_state=seed)``

    with ``seed = skcap.utils.seeds.content_seed(prior.seed_, text, label_name) % 2**32``. So words
    are those of ``text.split()``, the same word at two places is scored twice, and every word is
    scored. Removed words leave no trace, where lime by default would put ``UNKWORDZ``, and the
    words left are joined by single spaces. A text without words gets no scores.

    References
    ----------
    Ribeiro, Singh and Guestrin, "Why Should I Trust You?", KDD 2016.

    Examples
    --------
    >>> from skcap.llm import FakeLLM
    >>> from skcap.priors.lime import LimePriorTransformer
    >>> llm = FakeLLM({"cancel": {"cancel alarm": 4.0}, "wake": {"set alarm": 4.0}})
    >>> prior = LimePriorTransformer(llm, cache=False)
    >>> matrix = prior.fit_transform(
    ...     ["cancel the alarm", "wake me up at seven"], ["cancel_alarm", "set_alarm"]
    ... )
    >>> [record.words[record.scores.argmax()] for record in matrix]
    ['cancel', 'wake']
    """

    source = "lime"

    def __init__(
        self,
        llm: str | BaseLLM = "smollm2-135m",
        *,
        estimator: Any = None,
        label_names: Mapping[Any, str] | Callable[[Any], str] | None = None,
        instruction: str = "Give the label of the text.",
        template: str = "{instruction}\n\nText: {text}\nLabel:",
        num_samples: int = 128,
        kernel_width: float = 25,
        target: Literal["auto", "log_prob", "prob"] = "auto",
        random_state: int | np.random.RandomState | None = 0,
        cache: PriorCache | str | PathLike[str] | Literal[False] | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
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

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not isinstance(self.num_samples, numbers.Integral) or self.num_samples < 2:
            raise ValueError(
                f"num_samples must be an integer of 2 or more, got {self.num_samples!r}: the first "
                "one is the whole text."
            )
        if not isinstance(self.kernel_width, numbers.Real) or not 0 < self.kernel_width < np.inf:
            raise ValueError(f"kernel_width must be a number above 0, got {self.kernel_width!r}.")

    def _explainer_parameters(self) -> dict[str, Any]:
        return {"num_samples": int(self.num_samples), "kernel_width": float(self.kernel_width)}

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

        # lime sees positions in place of words, so no character of a word can mislead it.
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
