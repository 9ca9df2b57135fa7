"""Shortcuts: words that a classifier goes by and should not."""

from skcap.shortcuts.disputed import disputed_words

__all__ = [
    "disputed_words",
]
