"""What the library says of its parameters, in the words of the command line."""

from __future__ import annotations

import re

__all__ = ["in_options"]

# In this order. What the library offers and no option does is left out.
_OPTIONS = [
    (r" label_weight=0 trains without names\.", ""),
    (r" through label_names, or pass label_weight=0\.", " with --label-names."),
    (r"\bPass the prior label_names\b", "Give --label-names"),
    (r"\bthrough label_names\b", "with --label-names"),
    (r"\blabel_names\b", "--label-names"),
    (r"\bPass guidance=None\b", "Give --guidance none"),
    (r"\bPass guidance='(\w+)'", r"Give --guidance \1"),
    (r"\bguidance=None\b", "--guidance none"),
    (r"\bguidance='(\w+)'", r"--guidance \1"),
    (r", as in SwapGuidance\(\[\.\.\.\]\)\.", " in a file for skcap train --shortcuts."),
    (r"\bbeta=([\d.e+-]+) changes nothing", r"--beta \1 changes nothing"),
    (r"\bleave beta at 1\b", "leave --beta at 1"),
    (r"\bThe 'beta' parameter of \w+", "--beta"),
    (r"\bThe 'n_jobs' parameter of \w+", "--jobs"),
    (r"^device must be 'auto'", "--device must be auto"),
    (r"\bPass overwrite=True\b", "Give --overwrite"),
]


def in_options(message: str) -> str:
    """Name options in place of parameters, where there are options for them.

    Parameters
    ----------
    message : str
        Of the library: an error, a warning or a sentence of a result.

    Returns
    -------
    str

    Examples
    --------
    >>> from skcap.cli.wording import in_options
    >>> in_options("label_names lacks the class 'rain'. label_weight=0 trains without names.")
    "--label-names lacks the class 'rain'."
    """
    for pattern, option in _OPTIONS:
        message = re.sub(pattern, option, message)
    return message
