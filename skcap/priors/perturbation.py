"""What LIME and SHAP have in common: a package explains one number per text, word by word."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, Literal

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from skcap.llm import BaseLLM
from skcap.llm.estimator import LEAST_LOG_PROB, EstimatorLLM
from skcap.priors.cost import Work
from skcap.priors.llm_prior import BaseLLMPrior, Question
from skcap.priors.masks import apply_mask
from skcap.priors.prompts import Prompt
from skcap.utils.cache import resolve_cache
from skcap.utils.seeds import content_seed
from skcap.utils.validation import HasMethods, StrOptions
from skcap.utils.words import split_words

__all__ = ["BasePerturbationPrior"]


class BasePerturbationPrior(BaseLLMPrior):
    """A prior that explains a language model, or a classifier, by removing words.

    The evidence of a text, which is cached, is its scores. Subclasses say which package explains
    (`source`, `_explain`) and with which parameters (`_explainer_parameters`).
    """

    estimator: Any
    target: Literal["auto", "log_prob", "prob"]

    _parameter_constraints: dict[str, Any] = {
        **BaseLLMPrior._parameter_constraints,
        "estimator": [HasMethods("predict_proba"), None],
        "target": [StrOptions({"auto", "log_prob", "prob"})],
    }

    def _check_parameters(self) -> None:
        if isinstance(self.estimator, type):
            raise TypeError(
                f"estimator must be a classifier, got the class {self.estimator.__name__}. Pass "
                f"an instance, as in {self.estimator.__name__}()."
            )
        super()._check_parameters()

    @property
    def _asks_estimator(self) -> bool:
        """Whether it explains a classifier; once it is fitted, as it was then."""
        if hasattr(self, "prompt_"):
            return hasattr(self, "estimator_")
        return self.estimator is not None

    def _fit(self, texts: list[str], labels: np.ndarray) -> None:
        if self.estimator is not None and not hasattr(self.estimator, "fit"):
            self.estimator_ = self.estimator  # a wrapper of a model that is trained elsewhere
        elif self.estimator is not None:
            try:
                check_is_fitted(self.estimator)
                self.estimator_ = self.estimator
            except NotFittedError:
                self.estimator_ = clone(self.estimator).fit(texts, labels)
        super()._fit(texts, labels)

    def _fit_prompt(self) -> None:
        if self.estimator is None:
            super()._fit_prompt()
        else:  # a classifier is asked by column, so there is nothing to phrase
            self.label_names_ = [str(label) for label in self.classes_.tolist()]
            self.prompt_ = Prompt("", "")

    def _model(self) -> BaseLLM:
        if not self._asks_estimator:
            return super()._model()
        if not hasattr(self.estimator_, "classes_"):
            raise ValueError(
                f"estimator is {type(self.estimator_).__name__}, which has no classes_ to say "
                "which column of predict_proba is which label. Give it that attribute."
            )
        known = np.asarray(self.estimator_.classes_).tolist()
        if len(set(known)) < len(known):
            raise ValueError(
                f"estimator is {type(self.estimator_).__name__}, whose classes_ must differ, got "
                f"{known!r:.120}. Give each column of predict_proba one class."
            )
        labels = self.classes_.tolist()
        unknown = [label for label in labels if label not in known]
        if unknown:
            raise ValueError(
                f"estimator is fitted and does not know {len(unknown)} of the {len(labels)} labels "
                f"in y, such as {unknown[0]!r}; it knows {known[:5]}. Fit it on the same labels, "
                "of the same type."
            )
        columns = [known.index(label) for label in labels]
        return EstimatorLLM(self.estimator_, dict(zip(self.label_names_, columns, strict=True)))

    def _identify(self, llm: BaseLLM) -> str:
        try:
            return llm.fingerprint()
        except ValueError:  # of a classifier that does not pickle
            if resolve_cache(self.cache) is not None:
                raise
            return f"estimator:{type(self.estimator_).__name__}, which does not pickle"

    def _check_readable(self, texts: list[str]) -> None:
        if not self._asks_estimator:  # a classifier may read whatever it likes
            super()._check_readable(texts)

    def _work(self, text: str, name: str) -> Work:
        n_words = len(split_words(text))
        if n_words < 32:  # there are no more variants than these
            n_variants = min(self._n_variants(n_words), 2**n_words)
        else:
            n_variants = self._n_variants(n_words)
        return Work(n_variants, n_variants * n_words // 2)  # half of the words are removed

    def _resolved_target(self) -> str:
        if self.target == "auto":
            return "prob" if self._asks_estimator else "log_prob"
        return self.target

    def _solve_parameters(self) -> dict[str, Any]:
        return {
            "target": self._resolved_target(),
            "package": f"{self.source} {version(self.source)}",
            **self._explainer_parameters(),
        }

    def _evidence_parameters(self, text: str, name: str) -> dict[str, Any]:
        return self._solve_parameters()

    def _evidence(self, llm: BaseLLM, asked: Sequence[tuple[str, str]]) -> list[np.ndarray]:
        # The packages ask about one text at a time.
        return [self._evidence_of(llm, text, name) for text, name in asked]

    def _evidence_of(self, llm: BaseLLM, text: str, name: str) -> np.ndarray:
        words = split_words(text)
        if not words:
            return np.zeros(0)

        def value(masks: np.ndarray) -> np.ndarray:
            variants = [apply_mask(words, mask) for mask in masks]
            ((log_p,),) = self._score(llm, [Question(variants, [name])])
            if self._resolved_target() == "prob":
                return np.exp(log_p)
            if log_p.min() <= LEAST_LOG_PROB:
                raise ValueError(
                    f"The model gives {name!r} the probability 0 for a variant of {text!r:.80}, "
                    "and 0 has no logarithm. Set target='prob' to explain probabilities."
                )
            return log_p

        # Both packages seed numpy's old generator, which takes 32 bits.
        return self._explain(value, len(words), content_seed(self.seed_, text, name) % 2**32)

    def _solve(
        self, texts: list[str], names: list[str], evidence: list[np.ndarray]
    ) -> list[np.ndarray]:
        return evidence

    @abstractmethod
    def _explainer_parameters(self) -> dict[str, Any]:
        """Parameters of the package that the scores depend on."""

    @abstractmethod
    def _n_variants(self, n_words: int) -> int:
        """Give the number of variants that the package asks about."""

    @abstractmethod
    def _explain(
        self, value: Callable[[np.ndarray], np.ndarray], n_words: int, seed: int
    ) -> np.ndarray:
        """Score the words of a text.

        `value` takes masks, bool of shape (n_variants, n_words) with False for a removed word,
        and returns the number to explain for each. There is at least one word.
        """
