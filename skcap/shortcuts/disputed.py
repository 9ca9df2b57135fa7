"""Words that a model goes by and a prior does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skcap.prior_matrix import PriorMatrix, check_same_texts
from skcap.utils.validation import check_number, integer
from skcap.utils.words import listed_form

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["disputed_words"]


def disputed_words(
    explained: PriorMatrix, prior: PriorMatrix, *, min_texts: int = 2
) -> pd.DataFrame:
    """List words by how much more a model decides by them than a prior would.

    A word at the top that says nothing about the classes is a shortcut: it goes with a label by
    accident of the training texts, and the model has taken it for a reason. For that there is
    ``GuidedTextClassifier(guidance="rationale")``.

    Parameters
    ----------
    explained : PriorMatrix of length n_texts
        The model's own attribution: ``clf.explain(X, y)`` for the labels of training texts.
    prior : PriorMatrix of length n_texts
        Scores of the same texts that do not come from the model.
    min_texts : int, default=2
        Words in fewer texts are left out.

    Returns
    -------
    pandas.DataFrame of shape (n_words, 4), indexed by word
        Columns `n_texts`; `explained` and `prior`, the word's mean share of all that is attributed
        in a text that has it, from -1 to 1; and `difference` between these, largest first. Words
        are compared in lower case and without punctuation, unless they are nothing else. Those
        without a score in either matrix do not count.

    Raises
    ------
    TypeError
        If `explained` or `prior` is no PriorMatrix.
    ValueError
        If the texts differ, or `min_texts` is not an integer of at least 1.

    Examples
    --------
    >>> from skcap.shortcuts import disputed_words
    >>> from skcap.prior_matrix import PriorMatrix
    >>> texts = ["Ann: lost my card", "Ann: card is gone", "Bob: play jazz", "Bob: jazz, please"]
    >>> explained = PriorMatrix(texts, [[3, 0, 0, 1], [3, 1, 0, 0], [3, 0, 1], [3, 1, 0]])
    >>> prior = PriorMatrix(texts, [[0, 1, 0, 3], [0, 3, 0, 1], [0, 1, 3], [0, 4, 0]])
    >>> disputed_words(explained, prior)
          n_texts  explained  prior  difference
    word
    ann         2       0.75  0.000       0.750
    bob         2       0.75  0.000       0.750
    card        2       0.25  0.750      -0.500
    jazz        2       0.25  0.875      -0.625
    """
    import pandas as pd

    check_number("min_texts", min_texts, integer(1))
    for name, matrix in (("explained", explained), ("prior", prior)):
        if not isinstance(matrix, PriorMatrix):
            raise TypeError(
                f"{name} must be a PriorMatrix, got {type(matrix).__name__}. clf.explain(X, y) and "
                "a prior's fit_transform(X, y) give one."
            )
    check_same_texts([explained, prior], ["explained", "prior"])
    words_of_texts = explained.normalize("sum").to_frame()
    shares = pd.DataFrame(
        {
            "word": words_of_texts["word"].map(listed_form),
            "text": words_of_texts["row"],
            "explained": words_of_texts["score"],
            "prior": prior.normalize("sum").to_frame()["score"],
        }
    ).dropna()
    words = shares.groupby("word")
    table = words["text"].nunique().rename("n_texts").to_frame()
    table[["explained", "prior"]] = words[["explained", "prior"]].mean()
    table["difference"] = table["explained"] - table["prior"]
    table = table[table["n_texts"] >= min_texts]
    return table.sort_values("difference", ascending=False, kind="stable")
