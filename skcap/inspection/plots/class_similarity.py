"""A heat map of the similarity of classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from skcap.inspection.classes import class_similarity, embed_texts
from skcap.inspection.plots._matplotlib import SHADES, import_pyplot, label_ticks, size_in_points

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["ClassSimilarityDisplay"]

_PITCH = 9.0  # points from one label to the next in a figure made here
_SMALLEST, _LARGEST = 5.0, 9.0  # font sizes of the labels


class ClassSimilarityDisplay:
    """Heat map of the similarity of classes, with similar classes next to each other.

    Parameters
    ----------
    similarity : pandas.DataFrame, shape (n_classes, n_classes)
        Symmetric, as :func:`skcap.inspection.class_similarity` or
        :func:`skcap.inspection.keyword_overlap` returns it.

    Attributes
    ----------
    similarity : pandas.DataFrame
    ax_, figure_ : matplotlib Axes and Figure
        After :meth:`plot`.
    order_ : list of labels
        The order in which :meth:`plot` drew the classes.

    Examples
    --------
    >>> from skcap.inspection.plots import ClassSimilarityDisplay
    >>> embeddings, y = [[1, 0], [0, 1], [1, 0.2], [0.2, 1]], ["lost", "pin", "fee", "code"]
    >>> display = ClassSimilarityDisplay.from_embeddings(embeddings, y)
    >>> bool(display.similarity.loc["lost", "fee"] > 0.9)
    True
    """

    def __init__(self, similarity: pd.DataFrame) -> None:
        self.similarity = similarity

    @classmethod
    def from_embeddings(
        cls,
        embeddings: ArrayLike,
        y: ArrayLike,
        *,
        order: str = "clusters",
        vmin: float = 0.0,
        vmax: float = 1.0,
        ax: Axes | None = None,
    ) -> ClassSimilarityDisplay:
        """Draw the similarity of the classes of embedded texts.

        Parameters
        ----------
        embeddings : array-like of float, shape (n_texts, dim)
        y : array-like of str or int, shape (n_texts,)
        order, vmin, vmax, ax
            As for :meth:`plot`.

        Returns
        -------
        ClassSimilarityDisplay
        """
        similarity = class_similarity(embeddings, y)
        return cls(similarity).plot(order=order, vmin=vmin, vmax=vmax, ax=ax)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        order: str = "clusters",
        vmin: float = 0.0,
        vmax: float = 1.0,
        ax: Axes | None = None,
    ) -> ClassSimilarityDisplay:
        """Draw the similarity of classes in the embeddings of a classifier or an encoder.

        Parameters
        ----------
        estimator : fitted GuidedTextClassifier, or str
            A string names a pretrained encoder, see :func:`skcap.inspection.embed_texts`.
        X : sequence of str, length n_texts
        y : array-like of str or int, shape (n_texts,)
        order, vmin, vmax, ax
            As for :meth:`plot`.

        Returns
        -------
        ClassSimilarityDisplay
        """
        embeddings = embed_texts(X, estimator)
        return cls.from_embeddings(embeddings, y, order=order, vmin=vmin, vmax=vmax, ax=ax)

    def plot(
        self,
        *,
        order: str = "clusters",
        vmin: float = 0.0,
        vmax: float = 1.0,
        ax: Axes | None = None,
    ) -> ClassSimilarityDisplay:
        """Draw the heat map.

        Parameters
        ----------
        order : {"clusters", "labels"}, default="clusters"
            Similar classes next to each other (average linkage), or in the order of the table.
        vmin, vmax : float, default=0.0 and 1.0
            Ends of the colour scale. Fixed, so that data sets can be compared side by side.
        ax : matplotlib.axes.Axes or None, default=None
            None makes a figure that is large enough to name every class. In axes that are too
            small for that, only every so many classes are named, and the axis label says so.

        Returns
        -------
        ClassSimilarityDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `order` is unknown.
        """
        plt = import_pyplot()
        if order not in ("clusters", "labels"):
            raise ValueError(f"order must be 'clusters' or 'labels', got {order!r}.")
        values = self.similarity.to_numpy(dtype=np.float64)
        places = _clustered(values) if order == "clusters" else np.arange(len(values))
        self.order_ = self.similarity.index[places].tolist()
        n_classes, pitch = len(values), _PITCH
        if ax is None:
            side = max(3.0, n_classes * _PITCH / 72)
            longest = max(len(str(label)) for label in self.order_)
            margin = 0.5 + longest * 0.06
            figure = plt.figure(figsize=(side + margin + 0.9, side + margin), layout="constrained")
            ax, pitch = figure.add_subplot(), max(_PITCH, 72 * side / n_classes)
        else:
            pitch = min(size_in_points(ax)) / n_classes
        shown = values[np.ix_(places, places)]
        image = ax.imshow(shown, cmap=SHADES, vmin=vmin, vmax=vmax)
        self._name_classes(ax, pitch)
        self.ax_, self.figure_ = ax, ax.figure
        self.figure_.colorbar(
            image, ax=ax, label="similarity", shrink=0.6, extend=_extend(values, vmin)
        )
        return self

    def _name_classes(self, ax: Axes, pitch: float) -> None:
        size = float(np.clip(0.8 * pitch, _SMALLEST, _LARGEST))
        step = max(1, int(np.ceil(_SMALLEST / (0.8 * pitch))))
        places, labels = range(0, len(self.order_), step), self.order_[::step]
        label_ticks(ax, "x", places, labels, size=size, rotation=90)
        label_ticks(ax, "y", places, labels, size=size)
        ax.tick_params(length=2, pad=1)
        if step > 1:
            ax.set_xlabel(f"1 of {step} classes named", size=size)


def _clustered(similarity: np.ndarray) -> np.ndarray:
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    if len(similarity) < 3:
        return np.arange(len(similarity))
    distance = squareform(similarity.max() - similarity, checks=False)
    return leaves_list(linkage(distance, "average", optimal_ordering=True))


def _extend(values: np.ndarray, vmin: float) -> str:
    return "min" if values.min() < vmin else "neither"
