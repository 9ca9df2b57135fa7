"""The words of one text, coloured by several sources."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from skcap.inspection.plots._matplotlib import (
    LIGHT_BLUE,
    LIGHT_GREY,
    LIGHT_ORANGE,
    import_pyplot,
    size_in_points,
)
from skcap.prior_matrix import PriorMatrix, check_same_texts
from skcap.utils.glyphs import drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_words"]

_UNSCORED: dict[str, Any] = {"facecolor": LIGHT_GREY, "hatch": "////"}

_WIDTH = 8.0  # inches of a figure made here, names of the sources included
_FONT_SIZES = (10, 9, 8, 7, 6, 5)  # the first that fits is taken
_LINE = 1.7  # height of a cell, of the gap between blocks (half of it): in font sizes
_PADDING = 0.5  # beside a word in its cell, in font sizes
_NAMES = 0.4  # largest share of the width that the names of the sources take


def plot_words(
    sources: PriorMatrix | Mapping[str, PriorMatrix],
    row: int = 0,
    *,
    ax: Axes | None = None,
    normalize: str | None = "max",
    title: str | None = None,
) -> Axes:
    """Draw the words of one text, coloured by the scores of each source, one line per source.

    Parameters
    ----------
    sources : PriorMatrix, or mapping of str to PriorMatrix
        Priors or attributions of the same texts, by name; drawn from top to bottom. A single one
        has the name "scores".
    row : int, default=0
        Position of the text in them.
    ax : matplotlib.axes.Axes or None, default=None
        Where to draw; words wrap and shrink to fit its present size. None makes a figure that is
        as high as the text needs.
    normalize : {"max", "l2", "sum", "minmax", "softmax"} or None, default="max"
        Norm of each source, see :func:`skcap.utils.norms.normalize_scores`. All sources share one
        colour scale, up to the largest absolute score after normalising: with the default each
        source uses all of it, and with None sources of the same unit can be compared in strength.
    title : str or None, default=None
        Written above the words; it may have several lines.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    IndexError
        If a source has no such row.
    TypeError
        If `sources` is neither a PriorMatrix nor a mapping of these.
    ValueError
        If there is no source, the text has no words, or the sources differ in this text.

    Warns
    -----
    UserWarning
        If the words do not fit into `ax` at the smallest size.

    Notes
    -----
    A word wider than a line is cut, with an ellipsis. A character that the font lacks is drawn as
    a white square; add a font that has it to ``matplotlib.rcParams["font.family"]``.

    Examples
    --------
    >>> from skcap.inspection.plots import plot_words
    >>> from skcap.prior_matrix import PriorMatrix
    >>> cap = PriorMatrix(["where is my card"], [[0.1, 0.0, -0.1, 0.8]])
    >>> lime = PriorMatrix(["where is my card"], [[3.0, float("nan"), 0.0, 2.0]])
    >>> ax = plot_words({"CAP": cap, "LIME": lime}, title="card_arrival")
    >>> len(ax.patches)  # one cell per word and source
    8
    """
    plt = import_pyplot()
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    if isinstance(sources, PriorMatrix):
        sources = {"scores": sources}
    words, scores = _one_text(sources, row, normalize)
    shown = [drawable(word) for word in words]
    names = [drawable(str(name)) for name in sources]
    lines = title.splitlines() if title else []
    if ax is None:
        ax = _new_axes(plt, shown, names, len(lines))
    width, height = size_in_points(ax)
    for size in _FONT_SIZES:
        cells = _Cells.lay_out(shown, names, width, size)
        if cells.height <= height + 1:  # a point of tolerance, for rounding
            break
    else:
        warnings.warn(
            f"The {len(words)} words of {len(names)} sources do not fit into ax at font size "
            f"{size} and overlap. Give it more height, or leave ax out.",
            stacklevel=2,
        )
    ax.set(xlim=(0, width), ylim=(max(height, cells.height), 0))
    ax.set_axis_off()
    largest = np.abs(scores[~np.isnan(scores)]).max(initial=0) or 1.0
    colors = LinearSegmentedColormap.from_list("for_against", [LIGHT_ORANGE, "white", LIGHT_BLUE])
    scale = Normalize(-largest, largest)
    cells.draw_words(ax, scores, lambda score: colors(scale(score)))
    cells.draw_legend(ax, scores)
    if lines:
        written = "\n".join(map(drawable, lines))
        ax.set_title(written, loc="left", size=cells.size * 1.1, parse_math=False)
    return ax


def _one_text(
    sources: Mapping[str, PriorMatrix], row: int, normalize: str | None
) -> tuple[list[str], np.ndarray]:
    """Return the words of the text and the scores, shape (n_sources, n_words)."""
    if not isinstance(sources, Mapping):
        raise TypeError(
            f"sources must be a PriorMatrix, or map names to such, got {type(sources).__name__}."
        )
    if not sources:
        raise ValueError("sources is empty; at least one PriorMatrix is needed.")
    for name, matrix in sources.items():
        if not isinstance(matrix, PriorMatrix):
            raise TypeError(
                f"sources[{name!r}] must be a PriorMatrix, got {type(matrix).__name__}."
            )
    records = [matrix[row] for matrix in sources.values()]  # refuses a row that is not there
    texts = [matrix[[row]] for matrix in sources.values()]
    check_same_texts(texts, [str(name) for name in sources])
    if not records[0].words:
        raise ValueError(f"Text {row} has no words, so there is nothing to draw.")
    return records[0].words, np.vstack([text.normalize(normalize).to_dense() for text in texts])


def _text_width(text: str, size: float) -> float:
    """Width in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    width = TextToPath().get_text_width_height_descent(text, FontProperties(size=size), False)[0]
    return 1.03 * width  # pixels round some letters up


def _fit(word: str, size: float, width: float) -> str:
    """Cut a word that is wider than a line."""
    if _text_width(word, size) <= width:
        return word
    while len(word) > 1 and _text_width(word + "…", size) > width:
        word = word[: -max(1, len(word) // 20)]
    return word + "…"


class _Cells(NamedTuple):
    """Where the cells of the words lie, in points from the upper left; n words."""

    names: list[str]
    words: list[str]
    left: list[float]  # (n,)
    width: list[float]  # (n,)
    block: list[int]  # (n,): the line of the text that a word is on
    start: float  # right of the names
    size: float

    @classmethod
    def lay_out(
        cls, words: Sequence[str], names: Sequence[str], width: float, size: float
    ) -> _Cells:
        short = [_fit(name, size, _NAMES * width) for name in names]
        start = max(_text_width(name, size) for name in short) + _PADDING * size
        cells = cls(short, [], [], [], [], start, size)
        x, block = start, 0
        for word in words:
            shown = _fit(word, size, width - start - 2 * _PADDING * size)
            wide = _text_width(shown, size) + 2 * _PADDING * size
            if x > start and x + wide > width:
                x, block = start, block + 1
            cells.words.append(shown)
            cells.left.append(x)
            cells.width.append(wide)
            cells.block.append(block)
            x += wide
        return cells

    @property
    def line(self) -> float:
        return _LINE * self.size

    @property
    def n_blocks(self) -> int:
        return self.block[-1] + 1

    @property
    def height(self) -> float:
        return self.top(self.n_blocks, 0) + self.line  # one line for the legend

    def top(self, block: int, source: int) -> float:
        return (block * (len(self.names) + 0.5) + source) * self.line

    def draw_words(self, ax: Axes, scores: np.ndarray, color: Callable[[float], Any]) -> None:
        for source, line in enumerate(scores):
            self._draw_name(ax, source)
            for word, score in enumerate(line):
                style = _UNSCORED if np.isnan(score) else {"facecolor": color(score)}
                self._draw_word(ax, source, word, style)

    def _draw_name(self, ax: Axes, source: int) -> None:
        for block in range(self.n_blocks):
            self._write(ax, self.start - _PADDING * self.size, block, source, self.names[source])

    def _draw_word(self, ax: Axes, source: int, word: int, style: dict[str, Any]) -> None:
        from matplotlib.patches import Rectangle

        left, wide, block = self.left[word], self.width[word], self.block[word]
        corner = (left, self.top(block, source))
        ax.add_patch(Rectangle(corner, wide, self.line, **{"edgecolor": "white", **style}))
        self._write(ax, left + wide / 2, block, source, self.words[word], ha="center")

    def _write(
        self, ax: Axes, x: float, block: int, source: int, text: str, ha: str = "right"
    ) -> None:
        y = self.top(block, source) + self.line / 2
        ax.text(
            x, y, text, size=self.size, ha=ha, va="center_baseline", color="k", parse_math=False
        )

    def draw_legend(self, ax: Axes, scores: np.ndarray) -> None:
        """Explain the colours that occur."""
        from matplotlib.patches import Patch

        keys = [Patch(facecolor=LIGHT_BLUE, label="for the label")]
        if (scores < 0).any():
            keys.append(Patch(facecolor=LIGHT_ORANGE, label="against it"))
        if np.isnan(scores).any():
            keys.append(Patch(label="no score", edgecolor="white", **_UNSCORED))
        ax.legend(
            handles=keys,
            loc="upper left",
            bbox_to_anchor=(self.start, self.top(self.n_blocks, 0) - self.line / 4),
            bbox_transform=ax.transData,
            borderaxespad=0,
            borderpad=0,
            handlelength=1.2,
            ncols=len(keys),
            frameon=False,
            fontsize=self.size * 0.9,
        )


def _new_axes(plt: Any, words: Sequence[str], names: Sequence[str], n_lines: int) -> Axes:
    """Make axes of the height that the words need at the largest font size."""
    size = _FONT_SIZES[0]
    wide = 72 * _WIDTH - 2 * size  # a margin on every side
    high = _Cells.lay_out(words, names, wide, size).height
    total = high + 2 * (n_lines + 1) * size
    figure = plt.figure(figsize=(_WIDTH, total / 72))
    return figure.add_axes((size / (72 * _WIDTH), size / total, wide / (72 * _WIDTH), high / total))
