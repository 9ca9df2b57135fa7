"""Loading models without the progress bars of transformers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["no_loading_bars"]


@contextmanager
def no_loading_bars() -> Iterator[None]:
    """Switch the progress bars of transformers off, and back on if they were on.

    They show the reading of weights from disk, which takes a moment, once per model; a grid search
    would print hundreds of them. Downloads have bars of their own, which stay.

    Examples
    --------
    >>> from skcap.models.quiet import no_loading_bars
    >>> from transformers.utils import logging
    >>> with no_loading_bars():
    ...     logging.is_progress_bar_enabled()
    False
    """
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
