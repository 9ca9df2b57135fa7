"""What the priors that question a language model have in common."""

from __future__ import annotations

import copy
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from os import PathLike
from typing import Any, Literal, NamedTuple

import numpy as np
from joblib import delayed, effective_n_jobs

from skcap.llm import BaseLLM, resolve_llm
from skcap.prior_matrix import PriorMatrix
from skcap.priors import cost
from skcap.priors.base import BasePrior
from skcap.priors.cost import CostEstimate, Work
from skcap.priors.prompts import build_prompt
from skcap.utils.cache import PriorCache, resolve_cache
from skcap.utils.cached_work import compute_groups
from skcap.utils.labels import LabelNames, check_labels, meaningless_labels, name_labels
from skcap.utils.progress import about, show_progress
from skcap.utils.seeds import draw_seed
from skcap.utils.validation import JOBS, Options
from skcap.utils.words import check_encodable, check_texts, split_words
from skcap.utils.workers import as_ready

__all__ = ["BaseLLMPrior", "Question"]

_FEW = 12  # texts that are scored without a look at how long they will take
_ROUNDING = 1e-3  # above 0, where no log-likelihood is
_HUGE = 50_000  # characters of a text of which even a key takes long and much memory
_SIZED = 200  # texts whose size stands for that of all, before they are scored


class _Request(NamedTuple):
    """A text whose evidence is wanted: its row, cache key and label's name."""

    row: int
    key: str
    text: str
    name: str

    @property
    def asked(self) -> tuple[str, str]:
        return self.text, self.name


class Question(NamedTuple):
    """Variants of a text, and the names of labels whose likelihood is asked for after each."""

    variants: Sequence[str]
    names: Sequence[str]


class BaseLLMPrior(BasePrior):
    """A prior whose evidence is what a language model makes of variants of a text.

    Subclasses say what the evidence of texts is (`_evidence`, arrays that are cached), what it
    depends on (`_evidence_parameters`), and how it becomes word scores (`_solve`).
    """

    source: str
    _required_placeholders: tuple[str, ...] = ("text",)

    # Subclasses list these in their constructors, as scikit-learn asks.
    llm: str | PathLike[str] | BaseLLM
    label_names: LabelNames
    instruction: str
    template: str
    cache: PriorCache | str | PathLike[str] | Literal[False] | None
    random_state: int | np.random.RandomState | None
    n_jobs: int | None
    verbose: int

    _parameter_constraints: dict[str, Any] = {
        "llm": [str, PathLike, BaseLLM],
        "label_names": [Mapping, callable, "array-like", None],
        "instruction": [str],
        "template": [str],
        "random_state": ["random_state"],
        "cache": [str, PathLike, PriorCache, Options(bool, {False}), None],
        "n_jobs": JOBS,
        "verbose": ["verbose"],
    }

    def _check_parameters(self) -> None:
        resolve_llm(self.llm)  # knows what to do with a model that is loaded already
        super()._check_parameters()

    def _fit(self, texts: list[str], labels: np.ndarray) -> None:
        self._fit_prompt()
        self._model()  # refuses a classifier that does not know the labels; loads nothing
        self.seed_ = draw_seed(self.random_state)

    def _fit_prompt(self) -> None:
        """Learn what the model is to be asked: `label_names_` and `prompt_`."""
        self.label_names_ = name_labels(self.classes_, self.label_names)
        mute = meaningless_labels(self.classes_)
        if self.label_names is None and mute is not None:
            warnings.warn(
                f"The labels are {mute}, so the language model is asked for answers such as "
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
        return resolve_llm(self.llm).settled()

    def _identify(self, llm: BaseLLM) -> str:
        return llm.fingerprint()

    def _check_readable(self, texts: list[str]) -> None:
        """Refuse texts that the model cannot read."""
        check_encodable(texts)

    def _attribute(self, texts: list[str], classes: np.ndarray) -> PriorMatrix:
        self._check_readable(texts)
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
        requests = self._requests(llm, texts, names)
        evidence: dict[int, np.ndarray] = {}
        for request in requests:
            values = None if cache is None else cache.get(request.key)
            if values is not None:
                evidence[request.row] = values
        missing = [request for request in requests if request.row not in evidence]
        self._check_context(llm, [request.asked for request in missing])
        with show_progress(
            len(texts), self.source, "text", verbose=self.verbose, initial=len(evidence)
        ) as progress:
            for row, values in self._compute_watched(llm, cache, missing):
                evidence[row] = values
                progress.update()
        return [evidence[row] for row in range(len(texts))]

    def _check_context(self, llm: BaseLLM, asked: list[tuple[str, str]]) -> None:
        """Refuse texts that are too long for the model before any work starts."""
        pairs = [
            (" ".join(split_words(text)), answer)
            for text, name in asked
            for answer in self._answers(text, name)
        ]
        if pairs:
            llm.check_context(
                [body for body, _ in pairs],
                [answer for _, answer in pairs],
                prefix=self.prompt_.prefix,
                suffix=self.prompt_.suffix,
            )

    def _compute_watched(
        self, llm: BaseLLM, cache: PriorCache | None, requests: list[_Request]
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Compute and store evidence; after the first texts, warn if the others will take long."""
        if len(requests) < _FEW or effective_n_jobs(self.n_jobs) > 1:
            # Several workers have a model each, and this process should not need another one.
            yield from self._compute(llm, cache, requests)
            return
        done: dict[int, np.ndarray] = {}

        def run(trial: list[_Request]) -> None:
            keys = {request.key for request in trial}
            same = [r for r in requests if r.key in keys and r.row not in done]
            done.update(_compute_share(self, llm, cache, same))

        sample = requests[:: max(1, len(requests) // _SIZED)]
        rate = self._rate(llm, sample, run)
        yield from done.items()
        left = [request for request in requests if request.row not in done]
        mean_size = float(np.mean([self._size(request) for request in sample]))
        self._warn_if_long(rate * mean_size * len(left), len(left))
        yield from self._compute(llm, cache, left)

    def _rate(
        self, llm: BaseLLM, requests: list[_Request], run: Callable[[list[_Request]], object]
    ) -> float:
        """Seconds per unit of size, from a trial on up to four groups of texts."""
        groups = [[requests[place] for place in group] for group in self._groups(llm, requests)]
        sizes = np.array([sum(map(self._size, group)) for group in groups])
        return cost.seconds_per_unit(
            (partial(run, groups[place]), sizes[place]) for place in cost.choose_trial(sizes)
        )

    def _groups(self, llm: BaseLLM, requests: list[_Request]) -> Iterator[list[int]]:
        """Put texts together that the model is best asked about at once."""
        limit = llm.tokens_at_once()
        group: list[int] = []
        size = 0.0
        for place, request in enumerate(requests):
            own = self._size(request) if limit > 1 else limit
            if group and size + own > limit:
                yield group
                group, size = [], 0.0
            group.append(place)
            size += own
        if group:
            yield group

    def _warn_if_long(self, seconds: float, n_texts: int) -> None:
        if seconds > cost.LONG_SECONDS:
            warnings.warn(
                f"{type(self).__name__} will take {about(seconds)} for {n_texts:,} more "
                "texts. What is scored stays in the cache, so it can be interrupted and goes on "
                "from there (not with cache=False). estimate_cost(X, y) tells the cost beforehand; "
                "fewer variants per text, a GPU, a server, or, for long texts, "
                "CAPPriorTransformer(unit='sentence') lower it.",
                UserWarning,
                stacklevel=7,
            )

    def _compute(
        self, llm: BaseLLM, cache: PriorCache | None, requests: list[_Request]
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Compute and store evidence, shared among processes."""
        n_workers = min(effective_n_jobs(self.n_jobs), len(requests))
        if n_workers <= 1:
            yield from _compute_share(self, llm, cache, requests)
            return
        # Small shares, so that workers finish together and progress is seen.
        n_shares = min(len(requests), 8 * n_workers)
        results = as_ready(self.n_jobs, ordered=False)(
            delayed(_list_share)(self, llm, cache, [requests[row] for row in rows])
            for rows in np.array_split(np.arange(len(requests)), n_shares)
        )
        for share in results:
            yield from share

    def _requests(self, llm: BaseLLM, texts: list[str], names: list[str]) -> list[_Request]:
        """One request per text; its key holds all that matters, and the model's identity."""
        asked = list(zip(texts, names, strict=True))
        self._check_context(llm, [(text, name) for text, name in asked if len(text) > _HUGE])
        shared = {
            "version": 1,
            "source": self.source,
            "llm": self._identify(llm),
            "prefix": self.prompt_.prefix,
            "suffix": self.prompt_.suffix,
            "seed": self.seed_,
        }
        requests = []
        for row, (text, name) in enumerate(asked):
            own = {**self._evidence_parameters(text, name), "text": text, "label": name}
            requests.append(_Request(row, PriorCache.key({**shared, **own}), text, name))
        return requests

    def _provenance(self, llm: BaseLLM) -> dict[str, Any]:
        return {
            "source": self.source,
            "llm": self._identify(llm),
            "prompt": self.prompt_.prefix + "{text}" + self.prompt_.suffix,
            "random_state": self.seed_,
            **self._solve_parameters(),
        }

    # -- what it costs --------------------------------------------------------------------------

    def estimate_cost(self, X: Any, y: Any) -> CostEstimate:
        """Estimate what scoring labelled texts will cost, from a trial on up to four of them.

        Parameters
        ----------
        X : array-like of str, shape (n_texts,)
        y : array-like of str or int, shape (n_texts,)

        Returns
        -------
        CostEstimate
            Numbers of texts, of those in the cache, of prompts and of tokens, and seconds. It can
            be printed.

        Raises
        ------
        ValueError, TypeError
            As by :meth:`fit_transform`, for what can be known before the work.

        Notes
        -----
        The cache is read but not written to, and the prior is not fitted by it. The trial scores a
        short text, which warms up the model, and three of typical length; it stops after the
        text that exceeds ten seconds. Several processes (`n_jobs`) are taken to be that many times
        as fast as one.

        Examples
        --------
        >>> from skcap import CAPPriorTransformer, FakeLLM
        >>> X, y = ["cancel the alarm", "wake me up at seven"], ["cancel", "set"]
        >>> print(CAPPriorTransformer(FakeLLM(), cache=False).estimate_cost(X, y))
        2 texts, 0 of them in the cache; ... prompts with about ... tokens; less than 1 s
        """
        prior = copy.copy(self)
        prior.random_state = copy.deepcopy(self.random_state)  # a generator is not to be advanced
        prior.fit(X, y)
        texts = check_texts(X)
        classes = np.searchsorted(prior.classes_, check_labels(texts, y))
        prior._check_readable(texts)
        return prior._estimate(texts, [prior.label_names_[index] for index in classes])

    def _estimate(self, texts: list[str], names: list[str]) -> CostEstimate:
        llm, cache = self._model(), resolve_cache(self.cache)
        requests = self._requests(llm, texts, names)
        keys = {request.key for request in requests}
        stored = set() if cache is None else {key for key in keys if cache.get(key) is not None}
        # One request per key, as equal ones are computed once.
        missing = list({r.key: r for r in requests if r.key not in stored}.values())
        self._check_context(llm, [request.asked for request in missing])
        work = [self._work(request.text, request.name) for request in missing]
        return CostEstimate(
            n_texts=len(texts),
            n_cached=sum(request.key in stored for request in requests),
            n_prompts=sum(n_prompts for n_prompts, _ in work),
            n_tokens=self._count_tokens(llm, missing, work),
            seconds=self._try(llm, missing),
        )

    def _try(self, llm: BaseLLM, requests: list[_Request]) -> float:
        """Extrapolate from a few texts to the seconds of all."""
        if not requests:
            return 0.0

        def run(trial: list[_Request]) -> None:
            self._evidence(llm, [request.asked for request in trial])

        size = sum(map(self._size, requests))
        rate = self._rate(llm, requests, run)
        return float(rate * size) / min(effective_n_jobs(self.n_jobs), len(requests))

    def _count_tokens(self, llm: BaseLLM, requests: list[_Request], work: list[Work]) -> int:
        """Count the tokens of all prompts, by those of some texts and of what frames them."""
        if not requests:
            return 0
        sample = [request.text for request in requests[:: max(1, len(requests) // _SIZED)]]
        n_words = sum(len(split_words(text)) for text in sample)
        per_word = sum(llm.count_tokens(sample)) / max(1, n_words)
        frame = llm.count_tokens([self.prompt_.prefix + self.prompt_.suffix])[0]
        label = float(np.mean(llm.count_tokens([request.name for request in requests[:_SIZED]])))
        return round(sum(n * (frame + label) + words * per_word for n, words in work))

    def _size(self, request: _Request) -> float:
        """Say how much there is to compute for a text: words of its prompts, less their prefix."""
        n_prompts, n_words = self._work(request.text, request.name)
        return float(n_words + n_prompts * len(split_words(self.prompt_.suffix + request.name)))

    def _answers(self, text: str, name: str) -> list[str]:
        """Names of the labels whose likelihood is asked for, the text's own first."""
        return [name]

    def _score(self, llm: BaseLLM, questions: Sequence[Question]) -> list[np.ndarray]:
        """Log-likelihoods of the names after the variants of each text; equal pairs once.

        One array of shape (n_names, n_variants) per question.
        """
        pairs = [
            (v, name)
            for question in questions
            for name in question.names
            for v in question.variants
        ]
        place = {pair: column for column, pair in enumerate(dict.fromkeys(pairs))}
        scores = llm.log_likelihood(
            [variant for variant, _ in place],
            [name for _, name in place],
            prefix=self.prompt_.prefix,
            suffix=self.prompt_.suffix,
        )
        scores = np.asarray(scores, dtype=np.float64)
        if scores.shape != (len(place),) or (scores > _ROUNDING).any():
            raise ValueError(
                f"{type(llm).__name__}.log_likelihood must give one number for each pair, shape "
                f"({len(place)},), none above 0, got shape {scores.shape} and at most "
                f"{scores.max(initial=-np.inf):.3g}."
            )
        if not np.isfinite(scores).all():
            # It would be cached for good, and NaN means "no supervision" in training.
            wrong = int(np.flatnonzero(~np.isfinite(scores))[0])
            raise FloatingPointError(
                f"The language model gave the log-likelihood {scores[wrong]} for the label "
                f"{list(place)[wrong][1]!r}. If its dtype is float16, use 'bfloat16' or 'float32'."
            )
        found = scores[[place[pair] for pair in pairs]]
        shapes = [(len(question.names), len(question.variants)) for question in questions]
        ends = np.cumsum([n_names * n_variants for n_names, n_variants in shapes])[:-1]
        parts = np.split(found, ends)
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    @abstractmethod
    def _work(self, text: str, name: str) -> Work:
        """Say how many prompts a text takes, and of how many words; an upper bound may do."""

    @abstractmethod
    def _evidence_parameters(self, text: str, name: str) -> dict[str, Any]:
        """Name what the evidence of a text depends on besides text, label, prompt, model, seed."""

    @abstractmethod
    def _solve_parameters(self) -> dict[str, Any]:
        """Parameters that go into the provenance."""

    @abstractmethod
    def _evidence(self, llm: BaseLLM, asked: Sequence[tuple[str, str]]) -> list[np.ndarray]:
        """Question the model about texts with the names of their labels.

        One array of shape (n_values,), float64, per text.
        """

    @abstractmethod
    def _solve(
        self, texts: list[str], names: list[str], evidence: list[np.ndarray]
    ) -> list[np.ndarray]:
        """Turn the evidence of all texts into one score per word."""


def _compute_share(
    prior: BaseLLMPrior, llm: BaseLLM, cache: PriorCache | None, requests: list[_Request]
) -> Iterator[tuple[int, np.ndarray]]:
    computed = compute_groups(
        cache,
        [request.key for request in requests],
        lambda places: prior._evidence(llm, [requests[place].asked for place in places]),
        prior._groups(llm, requests),
    )
    return ((requests[place].row, values) for place, values in computed)


def _list_share(*arguments: Any) -> list[tuple[int, np.ndarray]]:
    return list(_compute_share(*arguments))  # generators do not travel between processes
