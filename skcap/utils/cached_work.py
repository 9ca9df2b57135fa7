"""Work whose results are kept in a prior cache, and shared among the processes that use it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack

import numpy as np
from numpy.typing import ArrayLike

from skcap.utils.cache import PriorCache, as_values
from skcap.utils.cache_store import warn_once

__all__ = ["compute_cached", "compute_groups"]


def compute_cached(
    cache: PriorCache | None,
    keys: Sequence[str],
    compute: Callable[[int], ArrayLike],
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield one array per key, from the cache where it is there, else computed and stored.

    Processes that work on the same keys at once share the work: each entry is computed by one of
    them, and keys that another one has claimed are put off to the end. Each array is stored before
    it is yielded, and no claim is held while the caller has the turn.

    Parameters
    ----------
    cache : PriorCache or None
        None computes everything and stores nothing.
    keys : sequence of str, length n
        As made by :meth:`PriorCache.key`. Equal keys are computed once.
    compute : callable
        Takes the position of a key in `keys`, returns its array, shape (n_values,). What it keeps
        in a cache itself is not shared with other processes while it is computed.

    Yields
    ------
    index : int
        Position in `keys`. Each position comes once, in the order in which arrays become ready.
    values : ndarray of float64, shape (n_values,)

    Raises
    ------
    OSError
        If the cache can be neither read nor made; before anything is computed.

    Warns
    -----
    RuntimeWarning
        If the cache cannot be written to, because it is read-only or the disk is full. The arrays
        are yielded all the same, but not stored.

    Examples
    --------
    >>> from skcap.utils.cached_work import compute_cached
    >>> dict(compute_cached(None, ["a", "b", "a"], lambda i: [float(i)]))
    {0: array([0.]), 2: array([0.]), 1: array([1.])}
    """
    alone = ([place] for place in range(len(keys)))
    return compute_groups(cache, keys, lambda places: [compute(places[0])], alone)


def compute_groups(
    cache: PriorCache | None,
    keys: Sequence[str],
    compute: Callable[[list[int]], Sequence[ArrayLike]],
    groups: Iterable[Sequence[int]],
) -> Iterator[tuple[int, np.ndarray]]:
    """Do as :func:`compute_cached` with keys whose arrays are best computed together.

    What is computed together is stored together: a process that is killed loses the group in
    flight.

    Parameters
    ----------
    cache, keys
        As for :func:`compute_cached`, which also says what is yielded, raised and warned of.
    compute : callable
        Takes positions in `keys`, returns the array of each. If it fails with several, each is
        tried alone, so that one that cannot be computed, which a ValueError says, costs no other
        of its group.
    groups : iterable of sequences of int
        Positions that are computed together; each position is in one of the groups.

    Examples
    --------
    >>> from skcap.utils.cached_work import compute_groups
    >>> double = lambda places: [[2.0 * place] for place in places]
    >>> dict(compute_groups(None, ["a", "b", "c"], double, [[0, 2], [1]]))
    {0: array([0.]), 2: array([4.]), 1: array([2.])}
    """
    if cache is not None and keys:
        cache.get(keys[0])  # raises where there can be no cache
    positions: dict[str, list[int]] = {}
    for index, key in enumerate(keys):
        positions.setdefault(key, []).append(index)
    busy = []
    for group in groups:
        own = [place for place in group if positions[keys[place]][0] == place]  # equal ones: once
        found = dict(_compute_free(cache, keys, own, compute))
        for place, values in found.items():
            yield from _copies(values, positions[keys[place]])
        busy += [place for place in own if place not in found]
    for place in busy:
        assert cache is not None
        values = _compute_in_turn(cache, keys, place, compute)
        yield from _copies(values, positions[keys[place]])


def _compute_free(
    cache: PriorCache | None,
    keys: Sequence[str],
    places: list[int],
    compute: Callable[[list[int]], Sequence[ArrayLike]],
) -> Iterator[tuple[int, np.ndarray]]:
    """Give the entries of these places, less those that another process has claimed."""
    if cache is None:
        yield from _computed(compute, places)
        return
    stored = {place: _stored(cache, keys[place]) for place in places}
    yield from ((place, values) for place, values in stored.items() if values is not None)
    missing = [place for place, values in stored.items() if values is None]
    if not missing:
        return
    wanted = [keys[place] for place in missing]
    with ExitStack() as stack:
        free = set(wanted)  # unless other processes can share the work
        try:
            free = set(stack.enter_context(cache.claim_free(wanted)))
        except OSError as error:
            _tell_not_kept(cache, error)
        except RuntimeError:  # this is part of the work for another entry, which has its claim
            pass
        yield from _compute_claimed(cache, keys, [p for p in missing if keys[p] in free], compute)


def _compute_in_turn(
    cache: PriorCache,
    keys: Sequence[str],
    place: int,
    compute: Callable[[list[int]], Sequence[ArrayLike]],
) -> np.ndarray:
    """Wait for the claim of an entry; then it is stored, or computed here."""
    with ExitStack() as stack:
        try:
            stack.enter_context(cache.claim(keys[place], blocking=True))
        except OSError as error:
            _tell_not_kept(cache, error)
        ((_, values),) = _compute_claimed(cache, keys, [place], compute)
        return values


def _compute_claimed(
    cache: PriorCache,
    keys: Sequence[str],
    places: list[int],
    compute: Callable[[list[int]], Sequence[ArrayLike]],
) -> Iterator[tuple[int, np.ndarray]]:
    """Compute and store what whoever held the claims before has not stored."""
    stored = {place: _stored(cache, keys[place]) for place in places}
    yield from ((place, values) for place, values in stored.items() if values is not None)
    for place, values in _computed(compute, [p for p in places if stored[p] is None]):
        try:
            cache.set(keys[place], values)
        except OSError as error:
            _tell_not_kept(cache, error)
        yield place, values


def _computed(
    compute: Callable[[list[int]], Sequence[ArrayLike]], places: list[int]
) -> Iterator[tuple[int, np.ndarray]]:
    """Compute places together; where that fails, one by one."""
    try:
        results = compute(places) if places else []
    except Exception:
        if len(places) == 1:
            raise
        yield from _computed_alone(compute, places)
        return
    yield from ((p, as_values(values)) for p, values in zip(places, results, strict=True))


def _computed_alone(
    compute: Callable[[list[int]], Sequence[ArrayLike]], places: list[int]
) -> Iterator[tuple[int, np.ndarray]]:
    """Compute places one by one; a ValueError is that place's own, and is raised at the end."""
    errors = []
    for place in places:
        try:
            yield from _computed(compute, [place])
        except ValueError as error:  # any other, as of a server that is gone, would come again
            errors.append(error)
    if errors:
        raise errors[0]


def _copies(values: np.ndarray, indices: list[int]) -> Iterator[tuple[int, np.ndarray]]:
    return ((index, values.copy()) for index in indices)


def _stored(cache: PriorCache, key: str) -> np.ndarray | None:
    """Read an entry; one that cannot be read is missing."""
    try:
        return cache.get(key)
    except OSError as error:
        _tell_not_kept(cache, error)
        return None


def _tell_not_kept(cache: PriorCache, error: OSError) -> None:
    warn_once(cache.path, "cannot be written to, so results are not kept.", f"({error.__cause__})")
