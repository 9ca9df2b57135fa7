"""A pandas Series whose index says what its values belong to."""

from __future__ import annotations

from typing import Any

__all__ = ["as_mapping"]


def as_mapping(name: str, values: Any) -> Any:
    """Make a dict of a Series with an index of its own, and give anything else as it is.

    Parameters
    ----------
    name : str
        Of the parameter, for errors.
    values : object

    Returns
    -------
    object
        A Series that is numbered from 0 counts as a list, and is left as it is.

    Raises
    ------
    ValueError
        If the index has an entry twice.

    Examples
    --------
    >>> import pandas as pd
    >>> from skcap.utils.keyed import as_mapping
    >>> as_mapping("weights", pd.Series({"cap": 2.0, "lime": 1.0}))
    {'cap': 2.0, 'lime': 1.0}
    >>> as_mapping("weights", [2.0, 1.0])
    [2.0, 1.0]
    """
    import pandas as pd

    if not isinstance(values, pd.Series) or values.index.equals(pd.RangeIndex(len(values))):
        return values
    if not values.index.is_unique:
        twice = values.index[values.index.duplicated()][0]
        raise ValueError(f"{name} is a Series whose index has {twice!r:.80} twice. Keep one.")
    return values.to_dict()
