"""Plots of word scores and of what changed in a model. They need the extra ``skcap[plots]``.

Every function draws into given axes or into a figure of its own; nothing is shown or saved. Colours
can be told apart by the colour-blind: blue speaks for, orange against; darker is more.
"""

from skcap.plotting.words import plot_words

__all__ = ["plot_words"]
