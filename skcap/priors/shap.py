"""Attribution priors by the shap package."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from os import PathLike
from types import ModuleType
from typing import Any, Literal

import numpy as np

from skcap.llm import BaseLLM
from skcap.priors.perturbation import BasePerturbationPrior
from skcap.utils.cache import PriorCache
from skcap.utils.labels import LabelNames
from skcap.utils.validation import integer

__all__ = ["ShapPriorTransformer"]


class ShapPriorTransformer(BasePerturbationPrior):
    """Shapley values of a language model, or of any scikit-learn text classifier, as priors.

    The score of a word is what it adds to the likelihood of the true label, averaged over the
    orders in which the words could be added one by one; the scores of a text add up to the
    difference between the whole text and an empty one. They are exact for short texts and
    estimated by ``shap.PermutationExplainer`` for others. As with
    :class:`~skcap.LimePriorTransformer`, the prompt does not show the other labels.

    Needs the shap package: ``pip install 'skcap[shap]'``.

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
    max_evals : int, default=128
        Variants per text. Texts of up to 7 words have no more than 128, so their scores are
        exact. A text of d words needs 2d + 1 for one permutation, forwards and backwards, and gets
        at least that one, even if it exceeds `max_evals`. 128 are enough for five permutations of
        a dozen words, at about three times the cost of :class:`~skcap.CAPPriorTransformer`. Equal
        variants are asked for once.
    target : {"auto", "log_prob", "prob"}, default="auto"
        The number that is explained. "auto" is "prob" for an estimator, as is usual with shap, and
        "log_prob" for a language model: words multiply a label's likelihood, and Shapley values
        divide up sums.
    random_state : int, RandomState or None, default=0
        Seeds the permutations, together with each text and label. The default is fixed, so that a
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
    The features are the words of ``text.split()`` by position; a variant joins the words that are
    left by single spaces. The scores are those of ``shap.ExactExplainer(model, masker)`` where
    ``2**n_words <= max_evals``, else of ``shap.PermutationExplainer(model, masker, seed=seed)``,
    with ``seed = skcap.utils.seeds.content_seed(prior.seed_, text, label_name) % 2**32`` and a
    masker that joins words. A text without words gets no scores. In each process, shap compiles
    some of its code on first use, which takes seconds.

    References
    ----------
    Lundberg and Lee, "A Unified Approach to Interpreting Model Predictions", NeurIPS 2017.

    Examples
    --------
    >>> from skcap.llm import FakeLLM
    >>> from skcap.priors import ShapPriorTransformer
    >>> llm = FakeLLM({"cancel": {"cancel alarm": 4.0}, "wake": {"set alarm": 4.0}})
    >>> prior = ShapPriorTransformer(llm, cache=False)
    >>> matrix = prior.fit_transform(
    ...     ["cancel the alarm", "wake me up at seven"], ["cancel_alarm", "set_alarm"]
    ... )
    >>> [record.words[record.scores.argmax()] for record in matrix]
    ['cancel', 'wake']
    """

    source = "shap"
    _parameter_constraints: dict[str, Any] = {
        **BasePerturbationPrior._parameter_constraints,
        "max_evals": [integer(1)],
    }

    def __init__(
        self,
        llm: str | PathLike[str] | BaseLLM = "smollm2-135m",
        *,
        estimator: Any = None,
        label_names: LabelNames = None,
        instruction: str = "Give the label of the text.",
        template: str = "{instruction}\n\nText: {text}\nLabel:",
        max_evals: int = 128,
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
        self.max_evals = max_evals
        self.target = target
        self.random_state = random_state
        self.cache = cache
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _check_parameters(self) -> None:
        if find_spec("shap") is None:
            raise ImportError(
                "ShapPriorTransformer needs the shap package, which is not installed. Install it "
                "with: pip install 'skcap[shap]'"
            )
        super()._check_parameters()

    def _explainer_parameters(self) -> dict[str, Any]:
        return {"max_evals": int(self.max_evals)}

    def _n_variants(self, n_words: int) -> int:
        return max(int(self.max_evals), 2 * n_words + 1)

    def _explain(
        self, value: Callable[[np.ndarray], np.ndarray], n_words: int, seed: int
    ) -> np.ndarray:
        # shap asks for one permutation at a time. What it asks does not depend on the answers, so a
        # first run collects the masks, the model is called once, and a second run gets its answers.
        asked: list[np.ndarray] = []

        def collect(masks: np.ndarray) -> np.ndarray:
            asked.append(masks)
            return np.zeros(len(masks))

        self._shapley_values(collect, n_words, seed)
        masks = np.unique(np.concatenate(asked), axis=0)
        answers = {mask.tobytes(): v for mask, v in zip(masks, value(masks), strict=True)}
        return self._shapley_values(
            lambda masks: np.array([answers[mask.tobytes()] for mask in masks]), n_words, seed
        )

    def _shapley_values(
        self, model: Callable[[np.ndarray], np.ndarray], n_words: int, seed: int
    ) -> np.ndarray:
        explainers = _import_shap().explainers

        def masker(mask: np.ndarray, _: np.ndarray) -> np.ndarray:
            return mask[np.newaxis]

        max_evals = self._n_variants(n_words)
        with _global_random_state_kept():
            if n_words < 63 and 2**n_words <= self.max_evals:
                explainer = explainers.ExactExplainer(model, masker)
            else:
                explainer = explainers.PermutationExplainer(model, masker, seed=seed)
            explanation = explainer(np.ones((1, n_words)), max_evals=max_evals, silent=True)
        return np.asarray(explanation.values[0], dtype=np.float64)


@cache
def _import_shap() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # shap prepares plots, in ways that matplotlib deprecates
        return import_module("shap")


_global_random_state = threading.Lock()


@contextmanager
def _global_random_state_kept() -> Iterator[None]:
    """Restore NumPy's global generator: shap seeds it and draws from it."""
    with _global_random_state:
        state = np.random.get_state()  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(state)  # noqa: NPY002
