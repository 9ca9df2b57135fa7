"""What goes wrong when a model is loaded, and what the user can do."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from safetensors import SafetensorError

from skcap.models.packages import MODEL_PACKAGES

__all__ = ["ModelLoadError", "explain_load_errors"]


class ModelLoadError(OSError):
    """A model could not be found or loaded; the message says what can be done.

    Examples
    --------
    >>> from skcap.models import ModelLoadError
    >>> issubclass(ModelLoadError, OSError)
    True
    """


@contextmanager
def explain_load_errors(name: str | os.PathLike[str], *also: type[Exception]) -> Iterator[None]:
    """Turn errors of ``from_pretrained`` into one that says what the user can do.

    Parameters
    ----------
    name : str or path
        The model's name as the user gave it.
    *also : types of exceptions
        What else means that the model cannot be loaded, in a block that does nothing else.

    Raises
    ------
    ModelLoadError
        In place of any other ``OSError`` of the block, or an error of damaged weights, which
        becomes its cause.

    Examples
    --------
    >>> from skcap.models import explain_load_errors
    >>> with explain_load_errors("smollm-135m"):
    ...     raise OSError("not found")
    Traceback (most recent call last):
    ...
    skcap.models.errors.ModelLoadError: Model 'smollm-135m' could not be loaded: not found
    A model is named by an alias ... Did you mean 'smollm2-135m'?
    """
    try:
        yield
    except ModelLoadError:
        raise
    except Exception as error:
        if not isinstance(error, (OSError, SafetensorError, *also)):
            raise
        raise ModelLoadError(load_error_text(os.fspath(name), str(error))) from error


def load_error_text(name: str, problem: str) -> str:
    """Say what names a model may have, after the problem with this one."""
    offline = ""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        offline = " HF_HUB_OFFLINE is set, so the hub itself was not asked."
    return (
        f"Model {name!r} could not be loaded: {problem}\n"
        f"A model is named by an alias ({', '.join(MODEL_PACKAGES)}), by a folder that holds "
        "config.json and safetensors weights, or by its id on the Hugging Face hub, which needs "
        "the network unless the model is in the local hub cache (with local_files_only=True or "
        f"HF_HUB_OFFLINE=1 only that cache is read).{offline}{did_you_mean(name)}"
    )


def did_you_mean(name: str) -> str:
    """Suggest the closest alias; of a hub id or path only the last part is compared."""
    last = re.split(r"[/\\]", name.rstrip("/\\"))[-1].lower()
    close = difflib.get_close_matches(last, MODEL_PACKAGES, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
