"""Whether guidance is worth having on a user's texts: guided against its controls, fold by fold."""

from __future__ import annotations

import sys
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from joblib import delayed, effective_n_jobs
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.model_selection import RepeatedStratifiedKFold, check_cv

from skcap.inspection.comparison import GuidanceComparison
from skcap.metrics import get_scorer
from skcap.models import model_fingerprint
from skcap.prior_matrix import PriorMatrix, check_same_texts
from skcap.utils.labels import check_labels
from skcap.utils.progress import about, in_words, show_progress
from skcap.utils.seeds import draw_seed
from skcap.utils.validation import (
    check_choice,
    check_jobs,
    check_number,
    check_parameters,
    integer,
)
from skcap.utils.words import check_texts
from skcap.utils.workers import as_ready

if TYPE_CHECKING:
    from skcap.guidance import BaseGuidance

__all__ = ["compare_guidance"]

_REPEATS = 2  # of the folds of an integer `cv`
_WARM = threading.Event()  # set once this process has fitted, for which it loads libraries first

Scorer = Callable[[Any, list[str], np.ndarray], Any]


def compare_guidance(
    classifier: Any,
    X: Any,
    y: ArrayLike,
    *,
    prior: Any,
    cv: Any = 5,
    scoring: str | Scorer | None = None,
    controls: Sequence[str] = ("unguided", "shuffled"),
    n_jobs: int | None = None,
    random_state: Any = 0,
    verbose: int = 1,
) -> GuidanceComparison:
    """Compare a guided classifier with no guidance and with a shuffled prior, on your texts.

    On each split, the same classifier is trained on the same texts guided by the prior, unguided
    (``beta=0``), and guided by the prior with its scores shuffled within each text. A gain over the
    unguided classifier says that guidance helps; a gain over the shuffled prior says that it is the
    prior's knowledge that helps, and not training with any scores at all.

    Parameters
    ----------
    classifier : GuidedTextClassifier
        With the guidance and `beta` to try. It is cloned, not fitted.
    X : sequence of str, length n_texts
    y : array-like of str or int, shape (n_texts,)
    prior : prior transformer or PriorMatrix
        A transformer, such as CAPPriorTransformer, is fitted to the training texts of each split.
        A PriorMatrix holds the scores of all of `X`. It must not have been made with knowledge of
        the test texts' labels, beyond each text's own: a lexicon learnt from all labels would leak.
    cv : int, cross-validation splitter or iterable, default=5
        An integer stands for that many stratified folds, repeated twice. More repeats narrow the
        intervals, at their cost: pass RepeatedStratifiedKFold.
    scoring : str, callable or None, default=None
        Accuracy, the name of one of scikit-learn's or skcap's scorers, or a function of
        ``(estimator, X, y)`` that returns a number. Higher must be better.
    controls : sequence of str, default=("unguided", "shuffled")
        "shuffled" can be left out, which saves a third of the time. It is left out where the
        guidance does not read the prior, as SwapGuidance with a list of words does not.
    n_jobs : int or None, default=None
        Number of splits that are run at once, as for :class:`joblib.Parallel`. None is 1.
    random_state : int, RandomState or None, default=0
        Seeds the splits of an integer `cv`, the shuffling, and each fit: on one split all arms are
        trained with the same seed, which replaces the classifier's own `random_state`.
    verbose : int, default=1
        1 prints the estimated time to stderr after the first two fits, and then shows progress. 0
        prints nothing.

    Returns
    -------
    GuidanceComparison
        With ``summary()``, ``to_frame()``, ``plot()`` and the ``scores`` of each split.

    Raises
    ------
    TypeError
        If `classifier` has no `beta` or `random_state`, `prior` is neither a transformer nor a
        PriorMatrix, or `scoring` does not return a number.
    ValueError
        If `classifier` is unguided or has a parameter that is not valid, `controls` or `n_jobs` are
        not, a class has fewer texts than `cv` has folds, there are fewer than two splits, or `X`,
        `y` and `prior` do not fit together.
    skcap.models.ModelLoadError
        If the classifier's model cannot be found.

    Warns
    -----
    UserWarning
        If "shuffled" is left out of `controls`, since the guidance does not read the prior.

    Notes
    -----
    The intervals are corrected resampled t intervals of the paired differences (Nadeau and Bengio,
    2003), since training sets of different splits overlap, see
    :func:`skcap.inspection.intervals.resampled_interval`. They are about training sets of the size
    of those of the splits, drawn from texts like these.

    Examples
    --------
    >>> from skcap import CAPPriorTransformer, GuidedTextClassifier
    >>> from skcap.datasets import load_assistant_intents
    >>> from skcap.inspection import compare_guidance
    >>> X, y = load_assistant_intents("train", shots=5, random_state=0, return_X_y=True)
    >>> comparison = compare_guidance(
    ...     GuidedTextClassifier(), X, y, prior=CAPPriorTransformer("smollm2-135m")
    ... )  # doctest: +SKIP
    >>> print(comparison.summary())  # doctest: +SKIP
    """
    texts = check_texts(X)
    labels = check_labels(texts, y)
    seed = draw_seed(random_state)
    reads_prior = _check_classifier(classifier)
    arms = _choose_arms(controls, reads_prior)
    check_jobs(n_jobs, "compare_guidance")
    _check_prior(prior, texts)
    plan = _Plan(classifier, prior, texts, labels, _find_scorer(scoring), verbose)
    splits = _make_splits(cv, texts, labels, seed)
    fits = _run(plan, splits, arms, n_jobs)
    return _collect(fits, arms, splits, _name_of(scoring), reads_prior)


class _Split(NamedTuple):
    number: int
    train: np.ndarray
    test: np.ndarray
    seed: int


class _Fit(NamedTuple):
    split: int
    arm: str
    score: float
    seconds: float


class _Plan(NamedTuple):
    """What all fits share."""

    classifier: Any
    prior: Any
    texts: list[str]
    labels: np.ndarray
    scorer: Scorer
    verbose: int

    def prior_of(self, split: _Split) -> PriorMatrix:
        """Score the training texts of a split."""
        if isinstance(self.prior, PriorMatrix):
            return self.prior[split.train]
        texts = [self.texts[row] for row in split.train]
        return clone(self.prior).fit_transform(texts, self.labels[split.train])

    def fit(self, arm: str, split: _Split, prior: PriorMatrix) -> _Fit:
        """Train one arm on a split and score it."""
        model = clone(self.classifier).set_params(random_state=split.seed)
        train: Any = prior
        if arm == "unguided":
            model, train = model.set_params(beta=0), prior.texts
        elif arm == "shuffled":
            train = prior.shuffle(random_state=split.seed)
        was_warm = _WARM.is_set()
        start = time.perf_counter()
        model.fit(train, self.labels[split.train])
        seconds = time.perf_counter() - start if was_warm else float("nan")
        _WARM.set()
        score = self.scorer(model, [self.texts[row] for row in split.test], self.labels[split.test])
        if not isinstance(score, Real):
            raise TypeError(f"scoring must return one number, got {score!r:.80}.")
        return _Fit(split.number, arm, float(score), seconds)

    def fit_all(self, arms: Sequence[str], split: _Split, prior: PriorMatrix | None) -> list[_Fit]:
        """Train several arms on a split; a prior of None has not been computed yet."""
        scored = self.prior_of(split) if prior is None else prior
        return [self.fit(arm, split, scored) for arm in arms]


def _run(
    plan: _Plan, splits: Sequence[_Split], arms: Sequence[str], n_jobs: int | None
) -> list[_Fit]:
    """Fit once, time one guided fit, tell how long the rest will take, and run it."""
    first, *others = splits
    start = time.perf_counter()
    prior = plan.prior_of(first)
    prior_seconds = time.perf_counter() - start
    done = [plan.fit("unguided", first, prior)]  # not timed, if it has libraries to load
    start = time.perf_counter()
    done.append(plan.fit("guided", first, prior))
    fit_seconds = time.perf_counter() - start
    if plan.verbose:
        n_fits = len(arms) * len(splits) - len(done)
        work = n_fits * fit_seconds + len(others) * prior_seconds
        work /= min(effective_n_jobs(n_jobs), len(splits))
        _announce(work, n_fits, done[-1].seconds, prior_seconds)
    rest = [arm for arm in arms if arm == "shuffled"]
    tasks = [(rest, first, prior), *((arms, split, None) for split in others)]
    parallel = as_ready(n_jobs, ordered=True)
    with show_progress(len(tasks), "compare_guidance", "split", verbose=plan.verbose) as progress:
        for fits in parallel(delayed(plan.fit_all)(*task) for task in tasks):
            done += fits
            progress.update()
    return done


def _announce(seconds: float, n_fits: int, fit_seconds: float, prior_seconds: float) -> None:
    print(
        f"compare_guidance: {about(seconds)} for {n_fits} more fits (one guided fit took "
        f"{in_words(fit_seconds)}, the prior of one split {in_words(prior_seconds)}; cached "
        "priors and unguided fits are faster).",
        file=sys.stderr,
    )


def _collect(
    fits: Sequence[_Fit],
    arms: Sequence[str],
    splits: Sequence[_Split],
    metric: str,
    reads_prior: bool,
) -> GuidanceComparison:
    import pandas as pd

    table = pd.DataFrame(fits)
    by_split = {
        value: table.pivot(index="split", columns="arm", values=value)[list(arms)].rename_axis(
            columns=None
        )
        for value in ("score", "seconds")
    }
    test_to_train = float(np.mean([len(split.test) / len(split.train) for split in splits]))
    return GuidanceComparison(
        by_split["score"], by_split["seconds"], metric, test_to_train, reads_prior
    )


# -- checks ---------------------------------------------------------------------------------------


def _check_classifier(classifier: Any) -> bool:
    """Find mistakes that would cost work, and tell whether the guidance reads the prior."""
    params = classifier.get_params(deep=False) if hasattr(classifier, "get_params") else {}
    if not {"beta", "random_state"} <= params.keys():
        raise TypeError(
            "classifier must be a GuidedTextClassifier, or have its parameters beta and "
            f"random_state, got {type(classifier).__name__}."
        )
    guidance = params.get("guidance", "")
    is_empty = guidance is None or (isinstance(guidance, list | tuple) and not guidance)
    if not params["beta"] or is_empty:
        raise ValueError(
            "classifier is unguided (beta=0, or guidance is None or empty), so there is nothing to "
            "compare. Pass the classifier with the guidance to try."
        )
    return _check_guided(classifier)


def _check_guided(classifier: Any) -> bool:
    """Check the parameters of a GuidedTextClassifier; nothing is known of other classes."""
    from skcap.classifier import GuidedTextClassifier
    from skcap.export import check_saved
    from skcap.guidance import resolve_guidance

    if not isinstance(classifier, GuidedTextClassifier):
        return True
    check_saved(classifier.get_params(deep=False))
    check_parameters(classifier)
    given = classifier.model_kwargs or {}
    options = {name: given[name] for name in ("revision", "local_files_only") if name in given}
    model_fingerprint(classifier.model, **options)  # a misspelt name is to cost no work
    return any(map(_reads_prior, resolve_guidance(classifier.guidance)))


def _reads_prior(guidance: BaseGuidance) -> bool:
    """Tell whether a prior makes a difference, which it may also where none is needed."""
    from skcap.guidance import GUIDANCE, AdversarialGuidance

    if isinstance(guidance, AdversarialGuidance):
        return guidance.prior_weight > 0
    is_own = type(guidance) not in GUIDANCE.values()  # a user's own class may read what it likes
    return guidance.needs_prior or is_own


def _choose_arms(controls: Sequence[str], reads_prior: bool) -> list[str]:
    """Give the arms in the order of the table; the guided one comes last."""
    for control in controls:
        check_choice("controls", control, ("unguided", "shuffled"))
    if "unguided" not in controls:
        raise ValueError(f"controls must contain 'unguided', got {tuple(controls)!r}.")
    if "shuffled" in controls and not reads_prior:
        warnings.warn(
            "'shuffled' is left out of controls: this guidance does not read the prior, so that a "
            "shuffled one would be no control. Pass controls=['unguided'], or a guidance that "
            "goes by the prior, such as 'rationale'.",
            UserWarning,
            stacklevel=3,
        )
        return ["unguided", "guided"]
    return [*sorted(set(controls), reverse=True), "guided"]


def _check_prior(prior: Any, texts: list[str]) -> None:
    if isinstance(prior, PriorMatrix):
        check_same_texts([PriorMatrix(texts), prior], ["X", "prior"])
        if not prior.has_scores:
            raise ValueError("prior has no scores, so there is nothing to guide by.")
    elif not hasattr(prior, "fit_transform"):
        raise TypeError(
            "prior must be a prior transformer, such as CAPPriorTransformer(), or a PriorMatrix of "
            f"the texts in X, got {type(prior).__name__}."
        )


def _find_scorer(scoring: str | Scorer | None) -> Scorer:
    if callable(scoring):
        return scoring
    return get_scorer("accuracy" if scoring is None else scoring)


def _name_of(scoring: str | Scorer | None) -> str:
    if callable(scoring):
        return getattr(scoring, "__name__", repr(scoring))
    return "accuracy" if scoring is None else scoring


def _make_splits(cv: Any, texts: list[str], labels: np.ndarray, seed: int) -> list[_Split]:
    if isinstance(cv, int | np.integer):
        check_number("cv", cv, integer(2))
        _check_class_sizes(labels, int(cv))
        cv = RepeatedStratifiedKFold(n_splits=int(cv), n_repeats=_REPEATS, random_state=seed)
    pairs = list(check_cv(cv, labels, classifier=True).split(texts, labels))
    if len(pairs) < 2:
        raise ValueError(f"cv must make at least two splits, got {len(pairs)}.")
    seeds = np.random.SeedSequence(seed).generate_state(len(pairs)).tolist()
    rows = np.arange(len(texts))  # so that masks become positions
    return [
        _Split(number, rows[np.asarray(train)], rows[np.asarray(test)], seed)
        for number, ((train, test), seed) in enumerate(zip(pairs, seeds, strict=True))
    ]


def _check_class_sizes(labels: np.ndarray, n_folds: int) -> None:
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < n_folds:
        smallest = classes.tolist()[counts.argmin()]
        raise ValueError(
            f"cv={n_folds} needs at least {n_folds} texts of each class, but {smallest!r} has "
            f"{counts.min()}. Lower cv, or leave out classes with so few texts."
        )
