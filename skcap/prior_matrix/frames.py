"""PriorMatrix as a pandas table, one row per word or one per text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from skcap.prior_matrix.parts import object_array
from skcap.utils.validation import check_choice, check_number, integer
from skcap.utils.words import split_words

if TYPE_CHECKING:
    import pandas as pd

    from skcap.prior_matrix.matrix import PriorMatrix

__all__ = ["frame_from_prior", "texts_and_scores"]


def frame_from_prior(prior: PriorMatrix, per: Literal["word", "text"]) -> pd.DataFrame:
    """Make the table of :meth:`PriorMatrix.to_frame`."""
    import pandas as pd

    check_choice("per", per, ("word", "text"))
    # object in every version of pandas: its string type may refuse lone surrogates
    if per == "text":
        scores = np.empty(len(prior), dtype=object)
        scores[:] = [row.copy() for row in prior.scores]
        return pd.DataFrame(
            {
                "text": pd.Series(prior.texts.copy(), dtype=object),
                "scores": pd.Series(scores, dtype=object),
            }
        )
    n_words = prior.n_words
    starts = np.cumsum(n_words) - n_words
    words = object_array([word for row in prior.words for word in row])
    return pd.DataFrame(
        {
            "row": np.repeat(np.arange(len(prior)), n_words),
            "position": np.arange(len(words)) - np.repeat(starts, n_words),
            "word": pd.Series(words, dtype=object),
            "score": np.concatenate([np.empty(0, np.float32), *prior.scores]),
        }
    )


def texts_and_scores(
    frame: pd.DataFrame, n_texts: int | None = None
) -> tuple[list[Any], list[Any]]:
    """Read a table of :meth:`PriorMatrix.from_frame`: the texts, and the scores of each.

    Raises
    ------
    TypeError
        If `frame` is no DataFrame.
    ValueError
        If columns are missing, or rows, positions or words cannot be right.
    """
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"frame must be a pandas DataFrame, got {type(frame).__name__}.")
    if {"text", "scores"} <= set(frame.columns):
        _check_n_texts(n_texts, len(frame), exact=True)
        return frame["text"].tolist(), frame["scores"].tolist()
    if missing := [name for name in ("row", "word", "score") if name not in frame.columns]:
        raise ValueError(
            f"frame lacks the columns {missing}. It must have either 'row', 'word' and 'score' "
            f"(one row per word) or 'text' and 'scores' (one row per text); it has "
            f"{list(frame.columns)[:10]}."
        )
    words = _check_words(frame["word"].tolist())
    rows = _check_rows(frame["row"])
    scores = _check_scores(frame["score"])
    order = np.argsort(rows, kind="stable")
    if "position" in frame.columns:
        order = np.lexsort((frame["position"].to_numpy(), rows))
        _check_positions(rows[order], frame["position"].to_numpy()[order])
    _check_n_texts(n_texts, int(rows.max(initial=-1)) + 1, exact=False)
    n_words = np.bincount(rows, minlength=n_texts or 0)
    ends = np.cumsum(n_words)[:-1]
    texts = [" ".join(part) for part in np.split(words[order], ends)] if len(n_words) else []
    return texts, np.split(scores[order], ends) if len(n_words) else []


def _check_n_texts(n_texts: int | None, n_found: int, exact: bool) -> None:
    if n_texts is None:
        return
    check_number("n_texts", n_texts, integer(0))
    if n_texts < n_found or (exact and n_texts != n_found):
        raise ValueError(f"n_texts={n_texts}, but frame has {n_found} texts.")


def _check_words(words: list[Any]) -> np.ndarray:
    for place, word in enumerate(words):
        if not isinstance(word, str) or split_words(word) != [word]:
            raise ValueError(
                f"frame['word'] must hold single words without white space, got {word!r:.60} in "
                f"its row {place}."
            )
    return object_array(words)


def _check_rows(rows: pd.Series) -> np.ndarray:
    numbers = rows.to_numpy()
    if len(numbers) and (numbers.dtype.kind not in "iu" or numbers.min() < 0):
        raise ValueError(
            "frame['row'] must number the texts from 0. For names of texts, number them first, as "
            "in frame['row'] = pd.factorize(frame['name'])[0]."
        )
    return numbers.astype(np.int64)


def _check_scores(scores: pd.Series) -> np.ndarray:
    import pandas as pd

    try:
        return pd.to_numeric(scores).to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise ValueError(f"frame['score'] must hold numbers, or NaN for none: {error}.") from error


def _check_positions(rows: np.ndarray, positions: np.ndarray) -> None:
    """Check that the words of each text are numbered 0, 1, 2 and so on; both come sorted."""
    starts = np.searchsorted(rows, rows)
    wrong = np.flatnonzero(positions != np.arange(len(rows)) - starts)
    if wrong.size:
        raise ValueError(
            f"frame['position'] must number the words of each text from 0, without gaps and "
            f"repetitions; the text of row {rows[wrong[0]]} does not."
        )
