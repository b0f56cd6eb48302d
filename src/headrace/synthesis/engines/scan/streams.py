"""Streams: what is held of keys, entry by entry, where entries come and go; and what queries find of it.

An entry is part of a slot (a row that says the same): it is seen at t when begin < t <= until, and a lookback counts it
when anchor >= t - lookback. At most one entry of a slot and key is seen at once.
Canonical order: (key, anchor, slot).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.core.clock import NEVER
from headrace.synthesis.engines.scan import sums, sweeps
from headrace.synthesis.engines.scan.sorting import Queries
from headrace.synthesis.language.values import Ints
from headrace.synthesis.primitives import aggregation
from headrace.synthesis.primitives.catalogue import aggregate
from headrace.synthesis.primitives.entries import Entries

#: Live entries that are written out at a time; those of one query are not parted.
LIVE_AT_ONCE = 1_000_000

_MOMENTS = {"sum": 0, "mean": 1, "std": 2, "skew": 3}
#: Primitives whose sweep wears, and is made anew, by all that has come and gone of a key since its first entry.
WORN = frozenset(_MOMENTS)
_EXTREMES = {"min": 0, "max": 1}
_TOTALS = {"count": 1, "percent_true": 2}
#: Primitives that a sweep answers; the others are asked of the live entries of each query.
_SWEPT = frozenset((*_MOMENTS, *_EXTREMES, *_TOTALS, "num_unique", "mode", "last", "last_time"))


@dataclass(frozen=True, kw_only=True)
class Stream:
    """Entries [n] in canonical order. place [n]: rank of an entry's slot among its key's; width [keys]: how many."""

    entries: Entries
    slot: Ints
    begin: Ints
    until: Ints
    place: Ints
    width: Ints
    start: Ints
    _made: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def once(self, name: str, make: Any) -> Any:
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]


@dataclass(frozen=True, kw_only=True)
class Operations:
    """Comings and goings in time (see `sweeps`), and the place of each query [m] among them."""

    ops: Ints
    start: Ints
    stop: Ints
    width: Ints


def make_stream(entries: Entries, slot: Ints, begin: Ints, until: Ints, keys: int) -> Stream:
    """From entries in canonical order."""
    key = entries.key
    first = np.ones(len(key), dtype=np.bool_)
    first[1:] = (key[1:] != key[:-1]) | (slot[1:] != slot[:-1])
    rank = np.cumsum(first) - 1
    start = np.searchsorted(key, np.arange(keys + 1))
    slots = np.concatenate([rank, [rank[-1] + 1 if len(rank) else 0]])[start]
    place = rank - slots[key] if len(key) else rank
    return Stream(entries=entries, slot=slot, begin=begin, until=until, place=place, width=np.diff(slots), start=start)


def operations(stream: Stream, queries: Queries, lookback_us: int | None) -> Operations:
    """The comings and goings that these queries have behind them."""
    key = stream.entries.key
    finish = stream.until
    if lookback_us is not None:
        finish = np.minimum(finish, np.minimum(stream.entries.anchor, NEVER - lookback_us) + lookback_us)
    keys = np.arange(len(stream.start))
    seen = stream.begin < finish
    come = np.flatnonzero(seen)
    by_begin = stream.once("by_begin", lambda: np.lexsort((stream.begin, key)))
    come = by_begin[seen[by_begin]]
    go = np.flatnonzero(seen & (finish < NEVER))
    go = go[np.lexsort((finish[go], key[go]))]
    ops = np.empty(len(come) + len(go), dtype=np.int64)
    start, stop = (np.empty(len(queries.key), dtype=np.int64) for _ in range(2))
    asked = np.where(queries.key < len(stream.width), queries.key, -1)
    many = sweeps.merge(
        come, stream.begin, np.searchsorted(key[come], keys), go, finish, np.searchsorted(key[go], keys), asked,
        queries.tick, ops, start, stop,
    )  # fmt: skip
    width = stream.width[np.maximum(asked, 0)] if len(stream.width) else np.zeros(len(asked), dtype=np.int64)
    return Operations(ops=ops[:many], start=start, stop=stop, width=width)


def live_entries(stream: Stream, done: Operations) -> Iterator[tuple[Ints, Ints, Ints]]:
    """Chunks of queries, their sizes, and their live entries in canonical order, one query after the other."""
    many = len(done.start)
    size = np.empty(many, dtype=np.int64)
    nothing = np.empty(0, dtype=np.int64)
    sweeps.listed(done.ops, done.start, done.stop, stream.place, done.width, size, 0, nothing)
    inside = np.flatnonzero(np.diff(np.cumsum(size) // LIVE_AT_ONCE)) + 1
    for low, high in pairwise([0, *inside.tolist(), many]):
        entries = np.empty(int(size[low:high].sum()), dtype=np.int64)
        if len(entries):
            # A chunk that starts amid a key is led up to by that key's earlier queries.
            first = int(np.searchsorted(done.start[:low], done.start[low]))
            part, again = slice(first, high), np.empty(high - first, dtype=np.int64)
            sweeps.listed(
                done.ops, done.start[part], done.stop[part], stream.place, done.width[part], again, low - first, entries
            )  # fmt: skip
        yield np.arange(low, high), size[low:high], entries


def stream_answers(
    stream: Stream, queries: Queries, lookback_us: int | None, names: Sequence[str]
) -> dict[str, npt.NDArray[Any]]:
    """Each primitive over what each query finds: as `families.answers`."""
    done = operations(stream, queries, lookback_us)
    swept = [name for name in names if name in _SWEPT and _sweepable(stream.entries, name)]
    found = _sweep(stream, done, swept)
    others = [name for name in names if name not in found]
    if others:
        parts: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in others}
        for _, size, live in live_entries(stream, done):
            high = np.cumsum(size)
            some = stream.entries.take(live, np.repeat(np.arange(len(size)), size))
            for name, values in aggregate(some, high - size, high, others).items():
                parts[name].append(values)
        found.update({name: np.concatenate(part) for name, part in parts.items()})
    return {name: found[name] for name in names}


def is_swept(name: str) -> bool:
    """Whether a primitive is answered by a sweep, without writing out what lives."""
    return name in _SWEPT


def _sweepable(entries: Entries, name: str) -> bool:
    if name in ("num_unique", "mode"):
        return entries.code is not None or entries.number is not None
    return entries.number is not None or name in ("count", "last", "last_time")


def _sweep(stream: Stream, done: Operations, names: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    found: dict[str, npt.NDArray[Any]] = {}
    asked = (done.ops, done.start, done.stop)
    placed = (stream.place, done.width)
    entries, many = stream.entries, len(done.start)
    if not names:
        return found
    totals = np.zeros((many, 3), dtype=np.int64)
    true = entries.number == 1.0 if entries.number is not None else np.zeros(len(entries.key), dtype=np.bool_)
    sweeps.totals(*asked, entries.is_valid, true, totals)
    if _MOMENTS.keys() & set(names):
        x = entries.x
        same = stream.once("same", lambda: np.unique(x, return_inverse=True)[1].reshape(-1).astype(np.int64))
        table = np.full((many, 4), np.nan)
        sums.moments(*asked, x, same, int(same.max(initial=0)) + 1, not {"std", "skew"}.isdisjoint(names), table)
        found.update({name: table[:, at] for name, at in _MOMENTS.items()})
    if _EXTREMES.keys() & set(names):
        table = np.full((many, 2), np.nan)
        sweeps.extremes(*asked, *placed, entries.x, table)
        found.update({name: table[:, at] for name, at in _EXTREMES.items()})
    if {"num_unique", "mode"} & set(names):
        number, mode = np.full(many, np.nan), np.full(many, -1, dtype=np.int64)
        sweeps.distinct(*asked, entries.codes, max(entries.n_codes, 1), "mode" in names, number, mode)
        found.update(num_unique=number, mode=entries.category(mode))
    found["count"] = totals[:, 1].astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        found["percent_true"] = totals[:, 2] / totals[:, 0]
    for name, wanted in (("last", np.ones(len(entries.key), dtype=np.bool_)), ("last_time", entries.is_valid)):
        if name in names:
            at = np.empty(many, dtype=np.int64)
            sweeps.last(*asked, *placed, wanted, at)
            values = entries.anchor if name == "last_time" else entries.values
            missing: Any = NEVER if name == "last_time" or entries.instant is not None else -1
            missing = np.nan if values.dtype == np.float64 else missing
            there = np.concatenate([values, np.array([missing], dtype=values.dtype)])
            found[name] = there[at]
    for name in names:
        empty = aggregation(name).empty
        if empty is not None:
            found[name][totals[:, 1] == 0] = empty
    return {name: found[name] for name in names}
