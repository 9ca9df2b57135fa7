"""Progress of long steps on stderr: a bar at a terminal, plain lines in a log file."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from tqdm.auto import tqdm

__all__ = ["ProgressLines", "about", "in_words", "show_progress"]

_DELAY = 2.0  # seconds that a step may take unseen
_FIRST_LINE = 10.0  # seconds until a log file hears of a step ...
_NEXT_LINE = 30.0  # ... and between its lines


def show_progress(
    total: int, step: str, unit: str, *, verbose: int | bool, initial: int = 0
) -> Any:
    """Count a long step on stderr, with rate and time left.

    Steps of less than two seconds show nothing. Where stderr is no terminal, such as a log file,
    there is a plain line every half a minute, and none for steps of less than ten seconds. No
    colours are used, so there are none for ``NO_COLOR`` to switch off.

    Parameters
    ----------
    total : int
        Number of items.
    step : str
        What is going on, such as "cap".
    unit : str
        What is counted, in the singular.
    verbose : int or bool
        0 shows nothing.
    initial : int, default=0
        Items that were there before, which do not count for the rate.

    Returns
    -------
    tqdm or ProgressLines
        A context manager with a method ``update(n=1)``.

    Examples
    --------
    >>> from skcap.utils.progress import show_progress
    >>> with show_progress(3, "cap", "text", verbose=1) as progress:
    ...     for _ in range(3):
    ...         _ = progress.update()
    """
    if verbose and not _can_draw():
        return ProgressLines(total, step, unit, initial)
    return tqdm(
        total=total, desc=step, unit=unit, initial=initial, delay=_DELAY, disable=not verbose
    )


class ProgressLines:
    """Progress as lines of text, for log files.

    Parameters
    ----------
    total : int
    step, unit : str
    initial : int, default=0

    Examples
    --------
    >>> from skcap.utils.progress import ProgressLines
    >>> progress = ProgressLines(400, "cap", "text", initial=100)
    >>> progress.line(done=300, seconds=50.0)
    'cap: 300 of 400 texts, 4 per second, about 25 s left'
    """

    def __init__(self, total: int, step: str, unit: str, initial: int = 0) -> None:
        self.total, self.step, self.unit, self.initial = total, step, unit, initial
        self.done = initial
        self._start = time.monotonic()
        self._next = self._start + _FIRST_LINE

    def update(self, n: int = 1) -> None:
        """Count more items, and write a line if it is time."""
        self.done += n
        now = time.monotonic()
        if now >= self._next and sys.stderr is not None:  # as it is without a console on Windows
            self._next = now + _NEXT_LINE
            print(self.line(self.done, now - self._start), file=sys.stderr, flush=True)

    def line(self, done: int, seconds: float) -> str:
        """Say what is done, how fast, and how long the rest will take."""
        rate = (done - self.initial) / seconds
        said = f"{self.step}: {done:,} of {self.total:,} {self.unit}s"
        if done >= self.total:
            return f"{said} in {in_words(seconds)}"
        if rate == 0:
            return said
        return f"{said}, {rate:.3g} per second, {about((self.total - done) / rate)} left"

    def __enter__(self) -> ProgressLines:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave what was written."""


def in_words(seconds: float) -> str:
    """Say how long something takes, roughly.

    Parameters
    ----------
    seconds : float

    Returns
    -------
    str

    Examples
    --------
    >>> from skcap.utils.progress import in_words
    >>> [in_words(seconds) for seconds in (0.2, 80, 300, 9000)]
    ['less than 1 s', '80 s', '5.0 minutes', '2.5 hours']
    """
    for unit, size in (("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 else "less than 1 s"


def about(seconds: float) -> str:
    """Say how long something will take.

    Parameters
    ----------
    seconds : float

    Returns
    -------
    str

    Examples
    --------
    >>> from skcap.utils.progress import about
    >>> [about(seconds) for seconds in (0.2, 80)]
    ['less than 1 s', 'about 80 s']
    """
    return in_words(seconds) if seconds < 1 else f"about {in_words(seconds)}"


def _can_draw() -> bool:
    """Whether a bar can be redrawn in place: at a terminal, or in a notebook."""
    return (sys.stderr is not None and sys.stderr.isatty()) or "ipykernel" in sys.modules
