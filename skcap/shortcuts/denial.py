"""Whether a prior denies what a model goes by."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from scipy.stats import binom, false_discovery_control, norm, wilcoxon

from skcap.shortcuts.candidates import Candidates, family_of_mark, is_of_template
from skcap.utils.seeds import content_seed

__all__ = [
    "ALONE",
    "deny_families",
    "is_understood",
    "mean_shares",
    "measure_denial",
    "measure_understanding",
]

ALONE = 4  # texts that a prior must have scored to deny a candidate by itself
_LEVEL = 0.05  # at which a prior speaks for, or against, a single member of a family
_LEVEL_OF_ALL = 0.01  # at which it denies a family: to be wrong about that costs many keywords
_MOST = 0.5  # part of its texts in which a prior must find something, to understand a class


def measure_denial(
    shares: Mapping[int, np.ndarray],
    candidates: Candidates,
    codes: np.ndarray,
    *,
    n_permutations: int,
    seed: int,
) -> pd.DataFrame:
    """Compare what a prior gives to candidates with what it would give if it were shuffled.

    Parameters
    ----------
    shares : mapping of int to ndarray of shape (n_words of the text,)
        From the row of a text to the share that each word has in all that the prior attributes
        there; NaN for a word without a score.
    candidates : Candidates
    codes : ndarray of int, shape (n_texts,)
        Class of each text. Only texts of a candidate's own class count, since a prior's scores are
        for the label of the text.
    n_permutations : int
        Number of times that the scores of each text are shuffled.
    seed : int

    Returns
    -------
    pandas.DataFrame, shape (n_candidates, 5)
        `n_scored`, in how many texts the prior has a score for the candidate; `prior`, its mean
        share there, from -1 to 1; `expected`, the mean share under shuffling; `p_denied` and
        `p_confirmed`, of shares as low and as high as these under shuffling. NaN, and 1 for the
        p-values, where the prior has no score.
    """
    names = candidates.table["word"].tolist()
    results = np.full((len(names), 5), [0, np.nan, np.nan, 1.0, 1.0])
    for candidate, scored in _scored(shares, candidates, codes):
        rng = np.random.default_rng(content_seed(seed, names[candidate]))
        results[candidate] = len(scored), *_shuffle(scored, n_permutations, rng)
    columns = ["n_scored", "prior", "expected", "p_denied", "p_confirmed"]
    return pd.DataFrame(results, columns=columns).astype({"n_scored": np.int64})


def measure_understanding(
    shares: Mapping[int, np.ndarray], candidates: Candidates, codes: np.ndarray
) -> pd.Series:
    """Say in how many texts of a class a prior finds something besides a candidate.

    A language model that does not know what the name of a class means denies its keywords, too, and
    does so in each of their texts. But then it finds little in the other words either.

    Parameters
    ----------
    shares : mapping of int to ndarray of shape (n_words of the text,)
        As in :func:`measure_denial`, but of texts that are drawn whether they hold a candidate or
        not.
    candidates, codes
        As in :func:`measure_denial`.

    Returns
    -------
    pandas.Series of float, length n_candidates
        The part of the texts of the candidate's class in which all other words together have a
        share above 0; NaN where there are no such texts.
    """
    label = candidates.table["code"].to_numpy()
    whole: defaultdict[int, dict[int, float]] = defaultdict(dict)  # by class, then by text
    for text, share in shares.items():
        if np.isfinite(share).any():
            whole[codes[text]][text] = np.nansum(share)
    understood = pd.Series(np.nan, index=candidates.table.index)
    for candidate, places in candidates.places.groupby("candidate"):
        rest = dict(whole[label[candidate]])
        for text, at in places.groupby("text")["position"]:
            if text in rest:
                rest[text] -= np.nansum(shares[text][at.to_numpy()])
        if rest:
            understood[candidate] = np.mean([value > 1e-9 for value in rest.values()])
    return understood


def is_understood(table: pd.DataFrame) -> pd.Series:
    """Find candidates that go with a class that the prior understands.

    Parameters
    ----------
    table : pandas.DataFrame, shape (n_candidates, n_columns)
        With `understood`, see :func:`measure_understanding`.

    Returns
    -------
    pandas.Series of bool
    """
    return table["understood"] > _MOST


def mean_shares(
    shares: Mapping[int, np.ndarray], candidates: Candidates, codes: np.ndarray
) -> pd.Series:
    """Average the share of each candidate over the texts of its class.

    Parameters
    ----------
    shares, candidates, codes
        As in :func:`measure_denial`.

    Returns
    -------
    pandas.Series of float, length n_candidates
        NaN where there are no scores.
    """
    means = pd.Series(np.nan, index=candidates.table.index)
    for candidate, scored in _scored(shares, candidates, codes):
        means[candidate] = np.mean([np.nanmean(row[at]) for row, at in scored])
    return means


def _scored(
    shares: Mapping[int, np.ndarray], candidates: Candidates, codes: np.ndarray
) -> Iterator[tuple[int, list[tuple[np.ndarray, np.ndarray]]]]:
    """Give, for each candidate with scores, the shares and its places in texts of its class."""
    label = candidates.table["code"].to_numpy()
    for candidate, places in candidates.places.groupby("candidate"):
        own = places[codes[places["text"]] == label[candidate]]
        scored = [
            (shares[text], at.to_numpy())
            for text, at in own.groupby("text")["position"]
            if text in shares and np.isfinite(shares[text][at]).any()
        ]
        if scored:
            yield candidate, scored


def _shuffle(
    scored: list[tuple[np.ndarray, np.ndarray]], n_permutations: int, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """Mean share, mean expected share, and permutation p-values of less and of more."""
    observed, expected, null = 0.0, 0.0, np.zeros(n_permutations)
    for row, at in scored:
        known = row[np.isfinite(row)]
        n_places = int(np.isfinite(row[at]).sum())
        observed += np.nanmean(row[at])
        expected += known.mean()
        drawn = rng.random((n_permutations, len(known))).argsort(axis=1)[:, :n_places]
        null += known[drawn].mean(axis=1)
    # A tolerance, so that equal sums in another order of adding count as equal.
    less, more = null <= observed + 1e-9, null >= observed - 1e-9
    p = [(1 + np.count_nonzero(extreme)) / (1 + n_permutations) for extreme in (less, more)]
    return observed / len(scored), expected / len(scored), p[0], p[1]


def deny_families(table: pd.DataFrame, fdr: float) -> pd.DataFrame:
    """Test whether a prior denies all candidates of one place and shape together.

    With few texts a candidate, what the prior says of a single one has little power, and a weak
    prior is wrong about one speaker's name in four. What it says of all names that begin a text
    leaves no doubt. A member that the prior clearly speaks for is left out. Marks of several words,
    such as signatures, are tested first, as a whole: real keywords that end texts by themselves are
    not to speak for these, nor be flagged with them.

    Parameters
    ----------
    table : pandas.DataFrame, shape (n_candidates, n_columns)
        With `family`, "" for none, `code`, the class, and the columns of :func:`measure_denial` and
        :func:`measure_understanding`.
    fdr : float
        Below which a family is denied.

    Returns
    -------
    pandas.DataFrame, shape (n_candidates, 2)
        `p_family`, of the signed ranks of `p_denied` and `p_confirmed` as normal scores, summed
        over the members of each class; or of as many classes that are denied by themselves, if
        these are most; or, for numbers and tags, of at least two classes that are [2]_; 1 where
        there is no family. And `q_family`, NaN for candidates that no family decides about. In it a
        family counts as often as it has members, since all of them are flagged at once [1]_.
        Classes that the prior does not understand have no say, unless they are most of all.

    References
    ----------
    .. [1] Benjamini and Hochberg, "Multiple Hypotheses Testing with Weights", Scandinavian Journal
       of Statistics 24 (1997).
    .. [2] Benjamini and Heller, "Screening for Partial Conjunction Hypotheses", Biometrics 64
       (2008).
    """
    result = pd.DataFrame({"p_family": 1.0, "q_family": np.nan}, index=table.index)
    members = table[(table["n_scored"] > 0) & (table["family"] != "")]
    mark = members["family"].map(family_of_mark)
    is_longer = (mark != members["family"]).groupby([mark, members["code"]]).transform("any")
    longer = _deny(members[is_longer], mark[is_longer], fdr)
    # What is no part of a denied signature is not to be flagged for the place it shares with these.
    longer = longer[longer.pop("denied")]
    rest = members.drop(longer.index)
    for tested in (_deny(rest, rest["family"], fdr), longer):
        result.loc[tested.index] = tested[result.columns]
    return result


def _deny(members: pd.DataFrame, family: pd.Series, fdr: float) -> pd.DataFrame:
    """Test families; give, for their members, `p_family`, `q_family` and whether it is `denied`."""
    result = members[[]].assign(p_family=1.0, q_family=np.nan, denied=False)
    if members.empty:
        return result
    for name, group in members.groupby(family):
        tested = _test_family(group, is_of_template(str(name)))
        result.loc[group.index, ["p_family", "denied"]] = tested
    q = pd.Series(false_discovery_control(result["p_family"]), index=members.index)
    result["denied"] &= q <= fdr
    size = family.groupby(family).transform("size")
    spoken_for = members["p_confirmed"] * size <= _LEVEL
    # Where it speaks for a name, a word that comes with the name is no part of a mark.
    named = (spoken_for & (members["family"] == family)).groupby([family, members["code"]])
    result["q_family"] = q.where(result["denied"] & ~spoken_for & ~named.transform("any"))
    return result


def _test_family(members: pd.DataFrame, of_template: bool) -> tuple[float, bool]:
    """Test a family as a whole and one by one; give the lowest p-value, and whether it is denied.

    What a prior says of few classes cannot be told from chance by their ranks. But where it denies
    most of them by themselves, each in its own texts, chance would hardly do so. Numbers and tags
    are no words of a language, but come from a template: of these, two are enough.
    """
    values = _less_than_chance(members)
    alone = is_understood(members) & (members["n_scored"] >= ALONE)
    by_class = members["p_denied"].where(alone, 1.0).groupby(members["code"])
    p = np.sort(np.minimum(1.0, by_class.min() * by_class.size()))
    n_denied = np.count_nonzero(p <= _LEVEL)
    tests = [(wilcoxon(values, alternative="less").pvalue if len(values) else 1.0, _LEVEL_OF_ALL)]
    if n_denied > len(p) / 2:
        tests.append((binom.sf(n_denied - 1, len(p), _LEVEL), _LEVEL_OF_ALL))
    if of_template and len(p) > 1:
        tests.append((min(1.0, (len(p) - 1) * p[1]), _LEVEL))  # that at least two are denied
    return float(min(tests)[0]), any(value <= level for value, level in tests)


def _less_than_chance(members: pd.DataFrame) -> pd.Series:
    """Say how much less a prior finds in the marks of classes than chance would, as normal scores.

    Shares are skewed under shuffling, since one word of a text mostly has the largest part. Signed
    ranks of these would be below 0 too often; of normal scores they are not. Classes that the prior
    does not understand have no say, unless they are most of all. A class that gets just what chance
    gives has no rank; rounding must not give it one.
    """
    understood = is_understood(members)
    heard = members[understood] if understood.mean() >= 0.5 else members
    middle = (1 + heard["p_denied"] - heard["p_confirmed"]) / 2  # equal values count as half
    values = pd.Series(norm.ppf(middle), heard.index).groupby(heard["code"]).sum()
    return values[values.abs() > 1e-9]
