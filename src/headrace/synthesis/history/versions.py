"""Turn versions of rows into assertions: the values that a row asserts of its entity, from when until when.

At an instant t, the version of a row that is in effect is the latest appended among those known before t. So a row's
history is a step function of time. An assertion starts where the value (or the entity) changes; a version that repeats
them continues it. An assertion from `known` until `until` is seen at t when known < t <= until.
"""

from __future__ import annotations

import numpy as np

from headrace.core.clock import NEVER
from headrace.synthesis.language.values import Flags, Ints


def effective_versions(versions: Ints | None, known: Ints, order: Ints) -> Ints:
    """The rows that are one of several versions of their key and are in effect at some instant.

    Args:
        versions: the key code of each row [n], -1 where the row is the only one with its key; None if all are.
        known: effective known time in us [n].
        order: append rank [n].

    Returns:
        Row numbers, by (key, known time).
    """
    if versions is None:
        return np.empty(0, dtype=np.int64)
    rows = np.flatnonzero((versions >= 0) & (known < NEVER))
    rows = rows[np.lexsort((order[rows], known[rows], versions[rows]))]
    rows = rows[_advances(versions[rows], order[rows])]
    return rows[_last_of_each(versions[rows], known[rows])]


def assertions(versions: Ints | None, effective: Ints, known: Ints, entity: Ints, value: Ints) -> tuple[Flags, Ints]:
    """The rows that start an assertion, and until when it holds.

    Args:
        versions: the key code of each row [n], as for `effective_versions`.
        effective: the row numbers that `effective_versions` returns.
        known: effective known time in us [n].
        entity: int64 [n], equal where the entity is.
        value: int64 [n], equal where the value is.

    Returns:
        Flags of the rows that start one [n]; its end in us [n], NEVER where it does not end.
    """
    starts = known < NEVER
    until = np.full(len(known), NEVER, dtype=np.int64)
    if versions is None:
        return starts, until
    starts &= versions < 0
    rows = effective[_changes(versions[effective], entity[effective], value[effective])]
    starts[rows] = True
    same_key = versions[rows[1:]] == versions[rows[:-1]]
    until[rows[:-1][same_key]] = known[rows[1:][same_key]]
    return starts, until


def _advances(key: Ints, order: Ints) -> Flags:
    """Where no earlier-known version of the same key was appended later."""
    if not len(key):
        return np.zeros(0, dtype=np.bool_)
    step = np.int64(order.max() + 1)
    dense = np.cumsum(np.r_[0, key[1:] != key[:-1]])
    place = dense * step + order
    return np.asarray(place == np.maximum.accumulate(place))


def _last_of_each(key: Ints, known: Ints) -> Flags:
    """The last of the versions that become known at the same instant."""
    differs: Flags = (key[1:] != key[:-1]) | (known[1:] != known[:-1])
    return np.concatenate([differs, np.ones(min(len(key), 1), dtype=np.bool_)])


def _changes(key: Ints, entity: Ints, value: Ints) -> Flags:
    first = np.ones(min(len(key), 1), dtype=np.bool_)
    changed: Flags = (key[1:] != key[:-1]) | (entity[1:] != entity[:-1]) | (value[1:] != value[:-1])
    return np.concatenate([first, changed])
