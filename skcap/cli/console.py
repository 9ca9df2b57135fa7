"""What the command line says besides its results: on stderr, in plain lines."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from skcap.cli.wording import in_options

__all__ = ["Console", "console"]


class Console:
    """Remarks on stderr; ``--quiet`` leaves warnings and errors alone."""

    quiet = False
    debug = False

    @property
    def verbose(self) -> int:
        """What the `verbose` of an estimator should be."""
        return 0 if self.quiet else 1

    def say(self, remark: str) -> None:
        """Write a remark, unless ``--quiet`` was given."""
        if not self.quiet:
            self._write(remark)

    def warn(self, warning: object) -> None:
        """Write a warning."""
        self._write(f"skcap: warning: {in_options(str(warning))}")

    def fail(self, error: BaseException) -> None:
        """Write an error without its traceback."""
        self._write(f"skcap: error: {in_options(describe_error(error))}")

    @contextmanager
    def plain_warnings(self) -> Iterator[None]:
        """Show warnings in the block as a line each, without the place in the code."""

        def show(message: Warning | str, *_: Any, **__: Any) -> None:
            self.warn(message)

        with warnings.catch_warnings():
            warnings.showwarning = show
            yield

    def _write(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)


def describe_error(error: BaseException) -> str:
    """Say what went wrong, as briefly as is clear."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, ValueError | ImportError | OSError | RuntimeError) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error} (--debug shows where)"


console = Console()
