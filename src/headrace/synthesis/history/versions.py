"""From row versions to assertions: what was held true of an entity, from when until when.

At an instant t, the version of a row that counts is the latest appended among those known before t. So a row's history
is a step function; a version that repeats the value (and the entity) keeps the first one's time, one that changes
either ends it. An assertion from `known` until `until` is seen at t when known < t <= until.
"""

from __future__ import annotations

import numpy as np

from headrace.core.clock import NEVER
from headrace.synthesis.language.values import Flags, Ints


def effective_versions(versions: Ints | None, known: Ints, order: Ints) -> Ints:
    """Rows that are one of several versions and count at some instant, by (key, known time).

    versions: a row's key code, -1 where the row is the only one with its key; None if all are.
    """
    if versions is None:
        return np.empty(0, dtype=np.int64)
    rows = np.flatnonzero((versions >= 0) & (known < NEVER))
    rows = rows[np.lexsort((order[rows], known[rows], versions[rows]))]
    rows = rows[_advances(versions[rows], order[rows])]
    return rows[_last_of_each(versions[rows], known[rows])]


def assertions(versions: Ints | None, standing: Ints, known: Ints, entity: Ints, value: Ints) -> tuple[Flags, Ints]:
    """Which rows start an assertion [n], and until when it holds [n].

    standing: what `effective_versions` found. entity, value: int64 [n], equal where the entity, the value are.
    """
    starts = known < NEVER
    until = np.full(len(known), NEVER, dtype=np.int64)
    if versions is None:
        return starts, until
    starts &= versions < 0
    rows = standing[_changes(versions[standing], entity[standing], value[standing])]
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
