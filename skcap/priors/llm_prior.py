"""What the priors that question a language model have in common."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any, Literal

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from tqdm.auto import tqdm

from skcap.llm import BaseLLM, resolve_llm
from skcap.prior_matrix import PriorMatrix
from skcap.priors.base import BasePrior
from skcap.priors.prompts import build_prompt
from skcap.utils.cache import PriorCache, compute_cached, resolve_cache
from skcap.utils.labels import name_labels
from skcap.utils.seeds import draw_seed
from skcap.utils.words import split_words

__all__ = ["BaseLLMPrior"]


class BaseLLMPrior(BasePrior):
    """A prior whose evidence is what a language model makes of variants of a text.

    Subclasses say what the evidence of one text is (`_evidence`, an array that is cached), what it
    depends on (`_evidence_parameters`), and how it becomes word scores (`_solve`).
    """

    source: str
    _required_placeholders: tuple[str, ...] = ("text",)

    # Subclasses list these in their constructors, as scikit-learn asks.
    llm: str | BaseLLM
    label_names: Mapping[Any, str] | Callable[[Any], str] | None
    instruction: str
    template: str
    cache: PriorCache | str | PathLike[str] | Literal[False] | None
    random_state: int | np.random.RandomState | None
    n_jobs: int | None
    verbose: int

    def _fit(self, texts: list[str]) -> None:
        self._check_parameters()
        resolve_cache(self.cache)
        self._fit_prompt()
        self._model()  # refuses what is no model; loads nothing
        self.seed_ = draw_seed(self.random_state)

    def _fit_prompt(self) -> None:
        """Learn what the model is to be asked: `label_names_` and `prompt_`."""
        self.label_names_ = name_labels(self.classes_, self.label_names)
        if self.label_names is None and self.classes_.dtype.kind in "iufb":
            warnings.warn(
                f"The labels are numbers, so the language model is asked for answers such as "
                f"{self.label_names_[0]!r}. Say what they mean through label_names.",
                UserWarning,
                stacklevel=4,
            )
        self.prompt_ = build_prompt(
            self.template,
            instruction=self.instruction,
            labels=self.label_names_,
            required=self._required_placeholders,
        )

    def _model(self) -> BaseLLM:
        """Return the model that gives the evidence."""
        return resolve_llm(self.llm)

    def _attribute(self, texts: list[str], classes: np.ndarray) -> PriorMatrix:
        self._check_parameters()  # they may have been set since fit
        llm = self._model()
        names = [self.label_names_[index] for index in classes]
        n_empty = sum(not split_words(text) for text in texts)
        if n_empty:
            warnings.warn(
                f"{n_empty} of {len(texts)} texts have no words, so they get no prior.",
                UserWarning,
                stacklevel=4,
            )
        evidence = self._gather(llm, texts, names)
        return PriorMatrix(
            texts, self._solve(texts, names, evidence), provenance=self._provenance(llm)
        )

    def _gather(self, llm: BaseLLM, texts: list[str], names: list[str]) -> list[np.ndarray]:
        """Evidence of each text, from the cache where it is there."""
        cache = resolve_cache(self.cache)
        keys = self._keys(llm, texts, names)
        missing = [row for row, key in enumerate(keys) if cache is None or cache.get(key) is None]
        if missing:
            asked = [
                (" ".join(split_words(texts[row])), answer)
                for row in missing
                for answer in self._answers(texts[row], names[row])
            ]
            llm.check_context(
                [body for body, _ in asked],
                [answer for _, answer in asked],
                prefix=self.prompt_.prefix,
                suffix=self.prompt_.suffix,
            )
        evidence: dict[int, np.ndarray] = {}
        with tqdm(
            total=len(texts), desc=self.source, unit="text", disable=not self.verbose
        ) as progress:
            for row, values in self._compute(llm, cache, keys, texts, names):
                evidence[row] = values
                progress.update()
        return [evidence[row] for row in range(len(texts))]

    def _compute(
        self,
        llm: BaseLLM,
        cache: PriorCache | None,
        keys: list[str],
        texts: list[str],
        names: list[str],
    ) -> Iterator[tuple[int, np.ndarray]]:
        n_workers = min(effective_n_jobs(self.n_jobs), len(texts))
        if n_workers <= 1:
            yield from compute_cached(
                cache, keys, lambda row: self._evidence(llm, texts[row], names[row])
            )
            return
        # Small shares, so that workers finish together and progress is seen.
        shares = np.array_split(np.arange(len(texts)), min(len(texts), 8 * n_workers))
        results = Parallel(n_jobs=self.n_jobs, return_as="generator_unordered")(
            delayed(_compute_share)(self, llm, cache, keys, texts, names, share) for share in shares
        )
        for share in results:
            yield from share

    def _keys(self, llm: BaseLLM, texts: list[str], names: list[str]) -> list[str]:
        """Cache keys: all of the request, and the model's identity."""
        shared = {
            "version": 1,
            "source": self.source,
            "llm": llm.fingerprint(),
            "prefix": self.prompt_.prefix,
            "suffix": self.prompt_.suffix,
            "seed": self.seed_,
        }
        return [
            PriorCache.key(
                {**shared, **self._evidence_parameters(text, name), "text": text, "label": name}
            )
            for text, name in zip(texts, names, strict=True)
        ]

    def _provenance(self, llm: BaseLLM) -> dict[str, Any]:
        return {
            "source": self.source,
            "llm": llm.fingerprint(),
            "prompt": self.prompt_.prefix + "{text}" + self.prompt_.suffix,
            "random_state": self.seed_,
            **self._solve_parameters(),
        }

    def _answers(self, text: str, name: str) -> list[str]:
        """Names of the labels whose likelihood is asked for, the text's own first."""
        return [name]

    def _score(self, llm: BaseLLM, variants: Sequence[str], names: Sequence[str]) -> np.ndarray:
        """Log-likelihood of labels' names for each variant of a text; equal ones once.

        Of shape (n_names, n_variants).
        """
        unique = list(dict.fromkeys(variants))
        scores = llm.log_likelihood(
            unique * len(names),
            [name for name in names for _ in unique],
            prefix=self.prompt_.prefix,
            suffix=self.prompt_.suffix,
        ).reshape(len(names), len(unique))
        if not np.isfinite(scores).all():
            # Would be cached for good, and NaN means "no supervision" to whoever trains on it.
            wrong = np.argwhere(~np.isfinite(scores))[0]
            raise FloatingPointError(
                f"The language model gave the log-likelihood {scores[tuple(wrong)]} for the label "
                f"{names[wrong[0]]!r}. Where its dtype is float16, use 'bfloat16' or 'float32'."
            )
        place = {variant: column for column, variant in enumerate(unique)}
        return scores[:, [place[variant] for variant in variants]]

    @abstractmethod
    def _check_parameters(self) -> None:
        """Raise if a parameter of the subclass is out of range."""

    @abstractmethod
    def _evidence_parameters(self, text: str, name: str) -> dict[str, Any]:
        """Name what the evidence of a text depends on besides text, label, prompt, model, seed."""

    @abstractmethod
    def _solve_parameters(self) -> dict[str, Any]:
        """Parameters that go into the provenance."""

    @abstractmethod
    def _evidence(self, llm: BaseLLM, text: str, name: str) -> np.ndarray:
        """Question the model about one text; shape (n_values,), float64."""

    @abstractmethod
    def _solve(
        self, texts: list[str], names: list[str], evidence: list[np.ndarray]
    ) -> list[np.ndarray]:
        """Turn the evidence of all texts into one score a word."""


def _compute_share(
    prior: BaseLLMPrior,
    llm: BaseLLM,
    cache: PriorCache | None,
    keys: list[str],
    texts: list[str],
    names: list[str],
    share: np.ndarray,
) -> list[tuple[int, np.ndarray]]:
    rows = share.tolist()
    computed = compute_cached(
        cache,
        [keys[row] for row in rows],
        lambda place: prior._evidence(llm, texts[rows[place]], names[rows[place]]),
    )
    return [(rows[place], values) for place, values in computed]
