"""Streams: entries with a begin and an end, and aggregations over those inside each query's lookback.

Positions in a sort are not enough where an entry can end before its lookback does: after a correction, where a stacked
value changes, and for lookbacks on event time. An entry is part of an assertion: it is seen at t when
begin < t <= until, and inside a lookback when anchor >= t - lookback. At most one entry of an assertion and key is seen
at a time. Canonical order: (key, anchor, assertion).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from headrace.core.clock import NEVER
from headrace.synthesis.engines.scan import sums, sweeps
from headrace.synthesis.engines.scan.sorting import Queries
from headrace.synthesis.language.values import Flags, Ints
from headrace.synthesis.primitives import aggregation
from headrace.synthesis.primitives.catalogue import aggregate
from headrace.synthesis.primitives.entries import Entries

T = TypeVar("T")

#: Live entries that are listed at a time; those of one query stay together.
LIVE_AT_ONCE = 1_000_000

_MOMENTS = {"sum": 0, "mean": 1, "std": 2, "skew": 3}
#: Aggregations whose bits in a sweep depend on all earlier entries of the key, seen or not.
HISTORY_DEPENDENT = frozenset(_MOMENTS)
_EXTREMES = {"min": 0, "max": 1}
_TOTALS = {"count": 1, "percent_true": 2}
#: Aggregations that a sweep computes; the others are computed from the listed live entries of each query.
_SWEPT = frozenset((*_MOMENTS, *_EXTREMES, *_TOTALS, "num_unique", "mode", "last", "last_time"))


@dataclass(frozen=True, kw_only=True)
class Stream:
    """Entries with a begin and an end.

    Attributes:
        entries: in canonical order [n].
        assertion: which assertion each is part of [n].
        begin: in us [n].
        until: in us [n].
        position: rank of an entry's assertion among those of its key [n].
        width: how many assertions each key has [keys].
        start: first entry of each key [keys + 1].
    """

    entries: Entries
    assertion: Ints
    begin: Ints
    until: Ints
    position: Ints
    width: Ints
    start: Ints
    _cache: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def cached(self, name: str, compute: Callable[[], T]) -> T:
        """A derived array by name, computed at its first use."""
        if name not in self._cache:
            self._cache[name] = compute()
        result: T = self._cache[name]
        return result


@dataclass(frozen=True, kw_only=True)
class Operations:
    """Insertions and removals in time, and which of them lie before each query; see the notation in `sweeps`.

    Attributes:
        ops: entry i is inserted: i; it is removed: ~i [o].
        start: first operation of each query's key [m].
        stop: end of the operations before each query [m].
        width: how many positions each query's key has [m].
    """

    ops: Ints
    start: Ints
    stop: Ints
    width: Ints


def make_stream(entries: Entries, assertion: Ints, begin: Ints, until: Ints, keys: int) -> Stream:
    """A stream of entries in canonical order, with their assertions, begins and ends [n]; keys: how many."""
    key = entries.key
    first = np.ones(len(key), dtype=np.bool_)
    first[1:] = (key[1:] != key[:-1]) | (assertion[1:] != assertion[:-1])
    rank = np.cumsum(first) - 1
    start = np.searchsorted(key, np.arange(keys + 1))
    assertions = np.concatenate([rank, [rank[-1] + 1 if len(rank) else 0]])[start]
    position = rank - assertions[key] if len(key) else rank
    return Stream(
        entries=entries,
        assertion=assertion,
        begin=begin,
        until=until,
        position=position,
        width=np.diff(assertions),
        start=start,
    )


def operations(stream: Stream, queries: Queries, lookback_us: int | None) -> Operations:
    """The insertions and removals of entries that lie before the queries."""
    key = stream.entries.key
    end = stream.until
    if lookback_us is not None:
        end = np.minimum(end, np.minimum(stream.entries.anchor, NEVER - lookback_us) + lookback_us)
    keys = np.arange(len(stream.start))
    seen = stream.begin < end
    by_begin = stream.cached("by_begin", lambda: np.lexsort((stream.begin, key)))
    inserted = by_begin[seen[by_begin]]
    removed = np.flatnonzero(seen & (end < NEVER))
    removed = removed[np.lexsort((end[removed], key[removed]))]
    ops = np.empty(len(inserted) + len(removed), dtype=np.int64)
    start, stop = (np.empty(len(queries.key), dtype=np.int64) for _ in range(2))
    query_key = np.where(queries.key < len(stream.width), queries.key, -1)
    count = sweeps.merge(
        inserted, stream.begin, np.searchsorted(key[inserted], keys), removed, end, np.searchsorted(key[removed], keys),
        query_key, queries.tick, ops, start, stop,
    )  # fmt: skip
    width = stream.width[np.maximum(query_key, 0)] if len(stream.width) else np.zeros(len(query_key), dtype=np.int64)
    return Operations(ops=ops[:count], start=start, stop=stop, width=width)


def live_entries(stream: Stream, ops: Operations) -> Iterator[tuple[Ints, Ints, Ints]]:
    """Chunks of queries: their positions, how many live entries each has, and these in canonical order."""
    count = len(ops.start)
    size = np.empty(count, dtype=np.int64)
    nothing = np.empty(0, dtype=np.int64)
    sweeps.listed(ops.ops, ops.start, ops.stop, stream.position, ops.width, size, 0, nothing)
    inside = np.flatnonzero(np.diff(np.cumsum(size) // LIVE_AT_ONCE)) + 1
    for low, high in pairwise([0, *inside.tolist(), count]):
        entries = np.empty(int(size[low:high].sum()), dtype=np.int64)
        if len(entries):
            # A chunk that starts amid a key begins with that key's earlier queries.
            first = int(np.searchsorted(ops.start[:low], ops.start[low]))
            part, again = slice(first, high), np.empty(high - first, dtype=np.int64)
            sweeps.listed(
                ops.ops, ops.start[part], ops.stop[part], stream.position, ops.width[part], again, low - first, entries
            )  # fmt: skip
        yield np.arange(low, high), size[low:high], entries


def aggregate_stream(
    stream: Stream, queries: Queries, lookback_us: int | None, names: Sequence[str]
) -> dict[str, npt.NDArray[Any]]:
    """Some aggregations over the entries that are seen at each query's tick and inside its lookback.

    Args:
        stream: the entries.
        queries: distinct and sorted [m].
        lookback_us: None: all history.
        names: which aggregations.

    Returns:
        Name -> values [m], as from `catalogue.aggregate`.
    """
    ops = operations(stream, queries, lookback_us)
    swept = [name for name in names if name in _SWEPT and _sweepable(stream.entries, name)]
    results = _sweep(stream, ops, swept)
    others = [name for name in names if name not in results]
    if others:
        parts: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in others}
        for _, size, live in live_entries(stream, ops):
            high = np.cumsum(size)
            some = stream.entries.take(live, np.repeat(np.arange(len(size)), size))
            for name, values in aggregate(some, high - size, high, others).items():
                parts[name].append(values)
        results.update({name: np.concatenate(part) for name, part in parts.items()})
    return {name: results[name] for name in names}


def last_entries(stream: Stream, queries: Queries, lookback_us: int | None) -> Ints:
    """The position of the last entry that each query sees inside its lookback [m]; -1 where there is none."""
    ops = operations(stream, queries, lookback_us)
    at = np.empty(len(ops.start), dtype=np.int64)
    every = np.ones(len(stream.entries.key), dtype=np.bool_)
    sweeps.last(ops.ops, ops.start, ops.stop, stream.position, ops.width, every, at)
    return at


def is_swept(name: str) -> bool:
    """Whether an aggregation is computed by a sweep, without listing live entries."""
    return name in _SWEPT


def _sweepable(entries: Entries, name: str) -> bool:
    if name in ("num_unique", "mode"):
        return entries.code is not None or entries.number is not None
    return entries.number is not None or name in ("count", "last", "last_time")


def _sweep(stream: Stream, ops: Operations, names: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    """The aggregations `names`, each [m]; all of them are swept."""
    results: dict[str, npt.NDArray[Any]] = {}
    at_queries = (ops.ops, ops.start, ops.stop)
    entries, count = stream.entries, len(ops.start)
    if not names:
        return results
    totals = np.zeros((count, 3), dtype=np.int64)
    true = entries.number == 1.0 if entries.number is not None else np.zeros(len(entries.key), dtype=np.bool_)
    sweeps.totals(*at_queries, entries.is_valid, true, totals)
    if _MOMENTS.keys() & set(names):
        x = entries.x
        same = stream.cached("same", lambda: np.unique(x, return_inverse=True)[1].reshape(-1).astype(np.int64))
        table = np.full((count, 4), np.nan)
        sums.moments(*at_queries, x, same, int(same.max(initial=0)) + 1, not {"std", "skew"}.isdisjoint(names), table)
        results.update({name: table[:, at] for name, at in _MOMENTS.items()})
    if _EXTREMES.keys() & set(names):
        table = np.full((count, 2), np.nan)
        sweeps.extremes(*at_queries, stream.position, ops.width, entries.x, table)
        results.update({name: table[:, at] for name, at in _EXTREMES.items()})
    if {"num_unique", "mode"} & set(names):
        number, mode = np.full(count, np.nan), np.full(count, -1, dtype=np.int64)
        sweeps.distinct(*at_queries, entries.codes, max(entries.n_codes, 1), "mode" in names, number, mode)
        results.update(num_unique=number, mode=entries.category(mode))
    results["count"] = totals[:, 1].astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        results["percent_true"] = totals[:, 2] / totals[:, 0]
    if "last" in names:
        results["last"] = _last(stream, ops, entries.values, np.ones(len(entries.key), dtype=np.bool_))
    if "last_time" in names:
        results["last_time"] = _last(stream, ops, entries.anchor, entries.is_valid)
    for name in names:
        empty = aggregation(name).empty
        if empty is not None:
            results[name][totals[:, 1] == 0] = empty
    return {name: results[name] for name in names}


def _last(stream: Stream, ops: Operations, values: npt.NDArray[Any], flags: Flags) -> npt.NDArray[Any]:
    """The value [m] of the last flagged live entry of each query; values, flags [n]."""
    at = np.empty(len(ops.start), dtype=np.int64)
    sweeps.last(ops.ops, ops.start, ops.stop, stream.position, ops.width, flags, at)
    is_instant = values is stream.entries.anchor or stream.entries.instant is not None
    missing: Any = np.nan if values.dtype == np.float64 else NEVER if is_instant else -1
    return np.concatenate([values, np.array([missing], dtype=values.dtype)])[at]
