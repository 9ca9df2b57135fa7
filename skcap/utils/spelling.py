"""Labels of a file that look alike. It imports nothing heavy, for the command line."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["check_spelling"]


def check_spelling(source: str, labels: Iterable[str]) -> None:
    """Refuse labels of a file that look alike: two classes would be made of one.

    Parameters
    ----------
    source : str
        Where the labels are from, for errors.
    labels : iterable of str

    Raises
    ------
    ValueError
        If two differ by white space only.

    Examples
    --------
    >>> from skcap.utils.spelling import check_spelling
    >>> check_spelling("train.csv", ["rain", "music", "rain"])
    """
    first: dict[str, str] = {}
    for label in dict.fromkeys(labels):
        other = first.setdefault(" ".join(label.split()), label)
        if other != label:
            raise ValueError(
                f"{source}: the labels {other!r} and {label!r} differ by white space only, but "
                "would be two classes. Write them alike."
            )
