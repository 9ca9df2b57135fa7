"""Attribution priors by the shap package."""

from __future__ import annotations

import numbers
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
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

__all__ = ["ShapPriorTransformer"]


class ShapPriorTransformer(BasePerturbationPrior):
    """Shapley values of a language model, or of any scikit-learn text classifier, as priors.

    The score of a word is what it adds to the likelihood of the true label, averaged over the
    orders in which the words of the text could come in; the scores of a text add up to the
    difference between the whole text and an empty one. They are exact for short texts, and
    otherwise estimated by ``shap.PermutationExplainer``. As with
    :class:`~skcap.priors.lime.LimePriorTransformer`, the prompt does not show the label space.

    Needs the shap package: ``pip install 'skcap[shap]'``.

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
    max_evals : int, default=128
        Variants of each text. Texts of up to 7 words have no more than 128, so their scores are
        exact. A text of d words takes 2d + 1 for one permutation, forth and back, and gets at
        least that one, even if it is above `max_evals`. 128 make five for a dozen words, at about
        three times the cost of :class:`~skcap.CAPPriorTransformer`. Equal variants are asked for
        once.
    target : {"auto", "log_prob", "prob"}, default="auto"
        The number that is explained. "auto" is "prob" for an estimator, which is what shap's own
        users explain, and "log_prob" for a language model: what words add to a label's likelihood
        is a factor, and Shapley values share out sums.
    random_state : int, RandomState or None, default=0
        Seeds the permutations, together with each text and label. The default is fixed, so that a
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
    The features are the words of ``text.split()`` by position; a variant joins those that are left
    by single spaces. The scores are those of ``shap.ExactExplainer(model, masker)`` where
    ``2**n_words <= max_evals``, else of ``shap.PermutationExplainer(model, masker, seed=seed)``,
    with ``seed = skcap.utils.seeds.content_seed(prior.seed_, text, label_name) % 2**32`` and a
    masker that joins words. A text without words gets no scores. shap compiles some of its code
    when it is first used in a process, which takes seconds.

    References
    ----------
    Lundberg and Lee, "A Unified Approach to Interpreting Model Predictions", NeurIPS 2017.

    Examples
    --------
    >>> from skcap.llm import FakeLLM
    >>> from skcap.priors.shap import ShapPriorTransformer
    >>> llm = FakeLLM({"cancel": {"cancel alarm": 4.0}, "wake": {"set alarm": 4.0}})
    >>> prior = ShapPriorTransformer(llm, cache=False)
    >>> matrix = prior.fit_transform(
    ...     ["cancel the alarm", "wake me up at seven"], ["cancel_alarm", "set_alarm"]
    ... )
    >>> [record.words[record.scores.argmax()] for record in matrix]
    ['cancel', 'wake']
    """

    source = "shap"

    def __init__(
        self,
        llm: str | BaseLLM = "smollm2-135m",
        *,
        estimator: Any = None,
        label_names: Mapping[Any, str] | Callable[[Any], str] | None = None,
        instruction: str = "Give the label of the text.",
        template: str = "{instruction}\n\nText: {text}\nLabel:",
        max_evals: int = 128,
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
        if not isinstance(self.max_evals, numbers.Integral) or self.max_evals < 1:
            raise ValueError(f"max_evals must be an integer of 1 or more, got {self.max_evals!r}.")

    def _explainer_parameters(self) -> dict[str, Any]:
        return {"max_evals": int(self.max_evals)}

    def _explain(
        self, value: Callable[[np.ndarray], np.ndarray], n_words: int, seed: int
    ) -> np.ndarray:
        # shap asks permutation by permutation. What it asks does not depend on the answers, so a
        # first run collects the masks for one call of the model, and a second one gets its answers.
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

        max_evals = max(int(self.max_evals), 2 * n_words + 1)
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
        warnings.simplefilter(
            "ignore"
        )  # importing shap sets up plots, in ways that matplotlib drops
        return import_module("shap")


_global_random_state = threading.Lock()


@contextmanager
def _global_random_state_kept() -> Iterator[None]:
    """Give numpy's global generator back as it was: shap seeds it and draws from it."""
    with _global_random_state:
        state = np.random.get_state()  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(state)  # noqa: NPY002
