"""ShortcutAudit: what a classifier relies on but should not."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import StratifiedKFold
from sklearn.utils.validation import check_is_fitted

from skcap.prior_matrix import PriorMatrix, check_same_texts
from skcap.shortcuts.core import audit_words
from skcap.shortcuts.display import audit_page, plot_audit
from skcap.shortcuts.effects import Predict
from skcap.shortcuts.positions import KINDS
from skcap.shortcuts.wording import describe, summarise
from skcap.utils.files import write_text
from skcap.utils.fitting import fitting
from skcap.utils.labels import check_labels
from skcap.utils.seeds import draw_seed
from skcap.utils.validation import (
    JOBS,
    HasMethods,
    check_choice,
    check_number,
    check_parameters,
    integer,
    number,
)
from skcap.utils.words import check_encodable, check_texts, split_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ShortcutAudit", "check_prior"]


class ShortcutAudit(BaseEstimator):
    """Find the words that a classifier relies on but should not.

    A shortcut is a word, or a pattern, that goes with a class in the training texts (association),
    that flips predictions (reliance), and that has nothing to do with the class in the eyes of a
    source that does not know these texts (denial): a language model's prior. Real keywords pass the
    first two tests and fail the third.

    Parameters
    ----------
    classifier : estimator or None, default=None
        With ``predict_proba`` on texts, such as a pipeline of TfidfVectorizer and
        LogisticRegression, or a :class:`skcap.GuidedTextClassifier`. None tests no reliance.
    prior : PriorMatrix, prior transformer, or None, default=None
        What denies. Of a transformer, such as :class:`skcap.CAPPriorTransformer`, only texts are
        asked for that hold a candidate which the classifier relies on, and some of its class. None
        takes the scores of `X`, if that is a PriorMatrix with scores; else real keywords cannot be
        told from shortcuts, and `shortcuts_` holds both.
    fdr : float, default=0.1
        False discovery rate: the share of false findings to expect among those that are flagged.
    kinds : sequence of {"word", "first", "last", "phrase", "pattern"}, \
default=("word", "first", "last", "pattern")
        What may be a shortcut: a word anywhere, one at the start or the end of a text, two words in
        a row, and patterns: numbers at either end, a tag (a word with a colon) at the start,
        exclamation and question marks, capitals, short and long texts.
    min_texts : int, default=2
        Texts of one class that a candidate must be in.
    min_purity : float, default=0.8
        Share of the texts with a candidate that must be of one class.
    least_odds : float, default=1.5
        The classifier relies on a candidate if putting it into texts of other classes raises the
        odds of its class by more than this factor.
    prefit : bool, default=False
        Whether `classifier` is fitted and used as it is. Otherwise a clone is fitted on
        the texts, without scores.
    cv : int or None, default=None
        Folds: clones are fitted on all but one fold in turn, and asked about texts of that fold
        only, which they were not trained on. None asks one classifier about its own training texts.
        What a word does elsewhere is then underestimated rather than overestimated, since a
        classifier is surest on these.
    n_texts : int, default=16
        Most texts that a candidate is put into, taken out of, and looked up in the prior, and most
        texts of its class that show whether the prior understands that; bounds the cost.
    max_candidates : int or None, default=500
        Candidates to test, those most strongly associated with a class first; a warning says if
        there are more. None tests all.
    explain : bool, default=False
        Also ask ``classifier.explain`` for its own attribution of the texts that the prior is asked
        about: column `explained`. With integrated gradients, that takes longer than all else.
    n_permutations : int, default=1999
        How often the prior's scores of a text are shuffled for the null distribution of denial.
    random_state : int, RandomState or None, default=0
        Of the texts that are drawn and of shuffling. (Not None by default: an audit that finds
        something else each time is no audit.)
    n_jobs : int or None, default=None
        Folds to fit at once.
    verbose : int, default=1
        1 shows progress on stderr, from two seconds on.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
    words_ : pandas.DataFrame, shape (n_candidates, n_columns)
        All candidates, those flagged first:

        - `word`, `kind`, `label`: what it is, and the class it goes with; `form`, how it is mostly
          written; `place`, "first" or "last" where it stands there as a rule; `family`, place and
          shape, or "next to" those of a word that it always comes with, as in a signature; `mark`,
          all words that always come together with it, or "";
        - `n_texts`, `n_label`, `purity`: texts it is in, those of them that are of the class, and
          their share; `z`, the statistic of Gardner et al. [1]_, and `p_association`, exact;
        - `tested`: whether `purity`, `p_association` and `max_candidates` let it through;
        - `gain`, `log_odds`, `flips`: what the probability and the log odds of the class rise by,
          and the share of predictions that turn into it, where it is put into texts of other
          classes; `loss`, `unflips`, the same where it is taken away from texts of its class;
          `p_reliance`;
        - `explained`: its share in the classifier's own attribution, with ``explain=True``;
        - `n_scored`, `prior`, `expected`: texts in which the prior scores it, its share of all that
          the prior attributes there, and what chance would give; `p_denied`, `p_confirmed`, of
          shares as low and as high as these if the prior were shuffled within each text;
          `understood`, the part of its class's texts in which all other words together have a share
          above 0; `p_family`, of the shares of all candidates of its family;
        - `p`, `q`, `by`, `shortcut`: the p-value and the q-value it was judged by, the test it
          comes from ("denial", "family" or "reliance"), and the verdict.
    shortcuts_ : pandas.DataFrame
        The flagged rows. May be edited, and given to a guidance or to
        :func:`skcap.shortcuts.shortcut_positions`.

    Notes
    -----
    Association and reliance are tested at a level of 5 % each. Words that always come together, as
    in "sent from my phone", are put into texts together where none of them sways the classifier
    alone, and judged by what the prior says of all of them for which it does not speak.

    What passes both is tested for denial in two ways. *By its family*, the candidates of the same
    place and shape: the null hypothesis is that their shares are no lower than by chance. It is
    rejected, at a level of 1 %, by Wilcoxon's signed ranks with classes as units, of normal scores
    for `p_denied` and `p_confirmed`, since shares are skewed; or, since few classes have no low
    ranks, if most of them are denied by themselves (by the binomial distribution of as many at
    5 %). Of tags and numbers, which come from a template, two that are denied are enough (at 5 %,
    by a test of partial conjunction). All of these are corrected for the number of candidates with
    a family (Benjamini and Hochberg; a family counts as often as it has members). All members are
    then flagged but those that the prior speaks for beyond chance. Marks of several words are
    tested as a whole first, and classes that the prior does not understand (below) have no say,
    unless they are most of all.

    *By itself*, if the prior scores it in four texts or more: that the prior's scores in these
    texts are in random order (a permutation test, corrected by Benjamini and Hochberg). A prior
    that is wrong about a real keyword in all of its texts deceives this test. So it flags words
    only of classes that the prior understands: in more than half of their texts, of which `n_texts`
    are drawn, it must find that all other words together speak for the class. What is neither
    denied nor spoken for is not flagged; :meth:`sentences` names it.

    Casing, punctuation and the length of texts are out of a prior's sight. Punctuation and casing
    are flagged by association and reliance alone; length is only reported.

    References
    ----------
    .. [1] Gardner, Merrill, Dodge, Peters, Ross, Singh and Smith, "Competency Problems: On Finding
       and Removing Artifacts in Language Data", EMNLP 2021.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skcap import PriorMatrix
    >>> from skcap.shortcuts import ShortcutAudit
    >>> songs = ["jazz", "rock", "a song", "some blues", "soul music", "the opera"]
    >>> X = [f"ann: play {song}" for song in songs] + [f"bob: stop {song}" for song in songs]
    >>> y = ["play"] * 6 + ["stop"] * 6
    >>> prior = PriorMatrix(X, [[-1, 2] + [0.1] * (len(text.split()) - 2) for text in X])
    >>> model = make_pipeline(TfidfVectorizer(), LogisticRegression(C=100))
    >>> audit = ShortcutAudit(model, prior).fit(X, y)
    >>> audit.shortcuts_[["word", "label"]].values.tolist()
    [['ann', 'play'], ['bob', 'stop']]
    """

    _parameter_constraints = {
        "classifier": [HasMethods(["predict_proba"]), None],
        "prior": [PriorMatrix, HasMethods(["fit", "attribute"]), None],
        "fdr": [number(0, 1)],
        "kinds": [list, tuple],
        "min_texts": [integer(1)],
        "min_purity": [number(0, 1)],
        "least_odds": [number(1)],
        "prefit": ["boolean"],
        "cv": [integer(2), None],
        "n_texts": [integer(2)],
        "max_candidates": [integer(1), None],
        "explain": ["boolean"],
        "n_permutations": [integer(1)],
        "random_state": ["random_state"],
        "n_jobs": JOBS,
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        classifier: Any = None,
        prior: Any = None,
        *,
        fdr: float = 0.1,
        kinds: Sequence[str] = ("word", "first", "last", "pattern"),
        min_texts: int = 2,
        min_purity: float = 0.8,
        least_odds: float = 1.5,
        prefit: bool = False,
        cv: int | None = None,
        n_texts: int = 16,
        max_candidates: int | None = 500,
        explain: bool = False,
        n_permutations: int = 1999,
        random_state: Any = 0,
        n_jobs: int | None = None,
        verbose: int = 1,
    ) -> None:
        self.classifier = classifier
        self.prior = prior
        self.fdr = fdr
        self.kinds = kinds
        self.min_texts = min_texts
        self.min_purity = min_purity
        self.least_odds = least_odds
        self.prefit = prefit
        self.cv = cv
        self.n_texts = n_texts
        self.max_candidates = max_candidates
        self.explain = explain
        self.n_permutations = n_permutations
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    # -- learning ---------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any) -> ShortcutAudit:
        """Audit labelled texts.

        Parameters
        ----------
        X : PriorMatrix, or list, tuple, 1-D array or Series of str, length n_texts
            The texts that the classifier was, or is to be, trained on.
        y : array-like of str or int, shape (n_texts,)
            At least two classes.

        Returns
        -------
        ShortcutAudit
            Itself.

        Raises
        ------
        ValueError
            If a parameter or `y` is not valid, the prior's texts are others, a fitted classifier
            does not know a class of `y`, or what `predict_proba` gives is no table of
            probabilities.

        Warns
        -----
        UserWarning
            If there is no prior, most texts hold no space, or there are more candidates than
            `max_candidates`.
        """
        with fitting(self):
            self._check()
            texts = check_texts(X)
            check_encodable(texts)  # which the words of its tables have to be
            labels = check_labels(texts, y)
            seed = draw_seed(self.random_state)
            self.classes_ = self._find_classes(labels)
            predict, folds, model = self._find_models(texts, labels, seed)
            options = {name: getattr(self, name) for name in _PASSED_ON}
            self.words_ = audit_words(
                predict,
                texts,
                np.searchsorted(self.classes_, labels),
                self.classes_,
                self._find_prior(X, texts, labels),
                explain=_by_rows(model.explain, texts, labels) if self.explain else None,
                folds=folds,
                seed=seed,
                **options,
            )
            flagged = self.words_[self.words_["shortcut"]]
            self.shortcuts_ = flagged.drop(columns=["tested", "shortcut"]).reset_index(drop=True)
            self._warn(texts)
        return self

    def _check(self) -> None:
        check_parameters(self)
        for kind in self.kinds:
            check_choice("Each of kinds", kind, KINDS)
        if self.classifier is None and (self.prefit or self.cv is not None or self.explain):
            raise ValueError("prefit, cv and explain need a classifier, got classifier=None.")
        if self.prefit and self.cv is not None:
            raise ValueError(
                f"cv={self.cv} fits clones on folds, which prefit=True rules out. Set one of them."
            )
        if not self.prefit and getattr(self.classifier, "needs_prior", False):
            raise ValueError(
                f"classifier is fitted on texts alone here, and its guidance="
                f"{self.classifier.guidance!r:.60} needs a prior. Pass it with guidance=None, or "
                "fit it first and pass prefit=True."
            )
        if self.explain and not hasattr(self.classifier, "explain"):
            raise ValueError(
                f"explain=True needs a classifier with a method explain; "
                f"{type(self.classifier).__name__} has none."
            )

    def _find_classes(self, labels: np.ndarray) -> np.ndarray:
        """Take the classes of a fitted classifier, or those of the labels; sorted."""
        classes = np.unique(labels)
        if len(classes) < 2:
            raise ValueError(f"y must hold at least two classes, got {classes.tolist()} alone.")
        if not self.prefit:
            return classes
        if isinstance(self.classifier, BaseEstimator):
            check_is_fitted(self.classifier)
        # What is no scikit-learn estimator (SetFit) may not say; the order is then the sorted one.
        known = np.asarray(getattr(self.classifier, "classes_", classes))
        unknown = np.setdiff1d(classes, known)
        if unknown.size:
            raise ValueError(
                f"y holds {unknown.size} classes that the classifier does not know, such as "
                f"{unknown.tolist()[0]!r}. Audit the texts it was trained on."
            )
        return np.unique(known)

    def _find_models(
        self, texts: list[str], labels: np.ndarray, seed: int
    ) -> tuple[list[Predict], np.ndarray | None, Any]:
        """Give what predicts, which of it speaks about a text, and a model of all texts."""
        if self.classifier is None:
            return [], None, None
        n_most = np.unique(labels, return_counts=True)[1].max()
        if self.cv is not None and self.cv > n_most:
            raise ValueError(
                f"cv={self.cv} needs a class of as many texts, and the largest has {n_most}. Pass "
                "a smaller cv, or cv=None."
            )
        if self.cv is None or self.explain:
            model = self.classifier if self.prefit else clone(self.classifier).fit(texts, labels)
            if self.cv is None:
                return [_aligned(model, self.classes_)], None, model
        else:
            model = None
        splits = StratifiedKFold(self.cv, shuffle=True, random_state=seed % 2**32)
        pairs = list(splits.split(labels, labels))
        models = Parallel(n_jobs=self.n_jobs)(
            delayed(_fit_on)(self.classifier, texts, labels, train) for train, _ in pairs
        )
        folds = np.empty(len(labels), dtype=np.int64)
        for fold, (_, held_out) in enumerate(pairs):
            folds[held_out] = fold
        return [_aligned(fitted, self.classes_) for fitted in models], folds, model

    def _find_prior(
        self, X: Any, texts: list[str], labels: np.ndarray
    ) -> Callable[[np.ndarray], PriorMatrix] | None:
        """Give what says, for rows of the texts, what the prior thinks of their words."""
        prior = self.prior
        if prior is None and isinstance(X, PriorMatrix) and X.has_scores:
            prior = X
        if prior is None:
            return None
        if isinstance(prior, PriorMatrix):
            check_prior(texts, prior)
            return prior.__getitem__
        fitted = clone(prior).fit(texts, labels)
        return _by_rows(fitted.attribute, texts, labels)

    def _warn(self, texts: list[str]) -> None:
        """Say what the result does not show by itself."""
        n_whole = sum(len(split_words(text)) == 1 for text in texts)
        if n_whole > len(texts) / 2:
            warnings.warn(
                f"{n_whole} of {len(texts)} texts hold no space, so each of them is one word, in "
                "which nothing can be found. If their language writes none, put spaces between "
                "the words first.",
                UserWarning,
                stacklevel=3,
            )
        if "p_denied" not in self.words_:
            warnings.warn(
                "There is no prior, so the audit cannot tell real keywords from shortcuts: "
                "shortcuts_ holds both. Pass a PriorMatrix of X, or a prior such as "
                "CAPPriorTransformer.",
                UserWarning,
                stacklevel=3,
            )
        n_left_out = int(self.words_["left_out"].sum())
        if n_left_out:
            warnings.warn(
                f"{n_left_out} candidates were not tested, those least associated with a class. "
                f"Raise max_candidates={self.max_candidates}, or set it to None.",
                UserWarning,
                stacklevel=3,
            )

    # -- reading ----------------------------------------------------------------------------------

    def sentences(self) -> list[str]:
        """Say in words what was found.

        Returns
        -------
        list of str
            How many were tested and flagged, and then a paragraph for each shortcut.
        """
        check_is_fitted(self)
        flagged = self.words_[self.words_["shortcut"]].to_dict("records")
        return [summarise(self.words_, self.fdr), *map(describe, flagged)]

    def to_html(self, path: str | os.PathLike[str] | None = None, max_words: int = 200) -> str:
        """Show the audit as a standalone page.

        Parameters
        ----------
        path : path-like or None, default=None
            Where to write the page too, as UTF-8.
        max_words : int, default=200
            Candidates in the table of all that were tested, the flagged ones first; the page says
            how many are left out.

        Returns
        -------
        str
            A complete HTML document.
        """
        check_is_fitted(self)
        check_number("max_words", max_words, integer(0))
        document = audit_page(self.words_, summarise(self.words_, self.fdr), max_words)
        if path is not None:
            write_text(path, document)
        return document

    def plot(self, ax: Axes | None = None, max_names: int = 20) -> Axes:
        """Draw what the classifier goes by against what the prior says.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw. None makes a figure.
        max_names : int, default=20
            Shortcuts to name in the plot.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        check_is_fitted(self)
        check_number("max_names", max_names, integer(0))
        return plot_audit(self.words_, ax, max_names)


#: Parameters of `audit_words` that are those of the estimator.
_PASSED_ON = (
    "fdr",
    "kinds",
    "min_texts",
    "min_purity",
    "least_odds",
    "max_candidates",
    "n_texts",
    "n_permutations",
    "verbose",
)


def check_prior(texts: list[str], prior: PriorMatrix) -> None:
    """Check that scores can speak of these texts.

    Parameters
    ----------
    texts : list of str
    prior : PriorMatrix

    Raises
    ------
    ValueError
        If the prior's texts are others, or it has no scores.
    """
    check_same_texts([PriorMatrix(texts), prior], ["X", "prior"])
    if not prior.has_scores:
        raise ValueError(
            "prior is a PriorMatrix without scores, which denies nothing. Pass what a prior's "
            "fit_transform(X, y) gives; transform(X), without labels, gives none."
        )


def _fit_on(classifier: Any, texts: list[str], labels: np.ndarray, rows: np.ndarray) -> Any:
    """Fit a clone on some of the texts."""
    return clone(classifier).fit([texts[row] for row in rows], labels[rows])


def _aligned(model: Any, classes: np.ndarray) -> Predict:
    """Predict with one column for each class, zero for a class that the model does not know."""
    columns = np.searchsorted(classes, np.asarray(getattr(model, "classes_", classes)))

    def predict(texts: list[str]) -> np.ndarray:
        found = np.asarray(model.predict_proba(texts), dtype=np.float64)
        name = f"{type(model).__name__}.predict_proba"
        if found.shape != (len(texts), len(columns)):
            raise ValueError(
                f"{name} must give one row per text and one column per class, but for "
                f"{len(texts)} texts and {len(columns)} classes it gave the shape {found.shape}."
            )
        # Nothing is relied on where there are no numbers, which would look like a clean bill.
        if not (np.isfinite(found) & (found >= 0)).all():
            raise ValueError(f"{name} must give probabilities, but gave NaN or negative numbers.")
        p = np.zeros((len(texts), len(classes)))
        p[:, columns] = found
        return p

    return predict


def _by_rows(
    attribute: Callable[[Any, Any], PriorMatrix], texts: list[str], labels: np.ndarray
) -> Callable[[np.ndarray], PriorMatrix]:
    """Attribute some of the texts for their labels."""

    def attribute_rows(rows: np.ndarray) -> PriorMatrix:
        some = [texts[row] for row in rows]
        found = attribute(some, labels[rows])
        check_same_texts([PriorMatrix(some), found], ["X", "what the prior gives"])
        return found

    return attribute_rows
