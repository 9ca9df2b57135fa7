"""The commands put together, and what becomes of their errors."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from skcap.cli.audit import audit
from skcap.cli.compare import compare
from skcap.cli.console import console
from skcap.cli.export import export
from skcap.cli.extract import extract
from skcap.cli.models import install, models, versions
from skcap.cli.predict import explain, predict
from skcap.cli.report import report
from skcap.cli.train import train

__all__ = ["app", "main"]

_ANYWHERE = ("--quiet", "--debug")  # options that may also follow the command


class Commands(TyperGroup):
    """Commands whose errors become one line on stderr and an exit status."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the options that may stand anywhere to the front, where they are declared."""
        first = [arg for arg in args if arg in _ANYWHERE]
        return super().parse_args(ctx, first + [arg for arg in args if arg not in _ANYWHERE])

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            with console.plain_warnings():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            console.say("skcap: interrupted")
            raise  # typer ends with 130
        except (BrokenPipeError, typer.Exit, typer.Abort):
            raise  # typer knows these, too
        except Exception as error:
            # Usage errors are typer's own, too; some versions bring a copy of click along.
            if console.debug or hasattr(error, "exit_code"):
                raise
            console.fail(error)
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain text: it reads the same at a terminal and in a log file
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from skcap import __version__

        print(f"skcap {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="No progress or remarks; may also follow the command.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks; may also follow the command.")
    ] = False,
) -> None:
    """Find the words that a text classifier relies on but should not, and train it without them.

    Data are CSV, TSV, JSON lines or Parquet files; "-" is stdin. Results go to stdout or to the
    files that are named, progress and remarks to stderr.
    """
    console.quiet, console.debug = quiet, debug


for command in (
    audit, extract, train, predict, explain, report, compare, export, install, models, versions,
):  # fmt: skip
    app.command()(command)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str or None, default=None
        The arguments; None takes those of the process.

    Returns
    -------
    int
        The exit status: 0 if all went well, 1 after an error, 2 if the command is not understood,
        130 after an interrupt.
    """
    try:
        app(list(sys.argv[1:] if argv is None else argv), prog_name="skcap")
    except SystemExit as end:
        return int(end.code or 0)
    return 0
