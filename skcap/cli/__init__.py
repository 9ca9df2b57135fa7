"""The command line: ``skcap COMMAND``, or ``python -m skcap COMMAND``.

Results go to stdout, progress and remarks to stderr. The exit status is 0 if all went well, 1 for
an error, 2 for a command that cannot be understood, and 130 after an interrupt.
"""

from skcap.cli.app import app, main

__all__ = ["app", "main"]
