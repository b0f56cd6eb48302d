"""Assign keys to partitions of about equal memory; divide the history of very frequent keys by time.

Keys are counted by bucket (`key_hash`), as bytes that their rows and queries take. Ordinary buckets are packed into
partitions one after the other. A bucket that is larger than a partition is *hot*: it gets a partition for each slice of
time, and one more for the outputs that need the whole history.

  slice i of n    ticks from start + i (end - start) / n on, until the next slice begins
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headrace.synthesis.history.key_hash import BUCKETS
from headrace.synthesis.language.values import Flags, Floats, Ints

#: A hot bucket has at most this many slices.
MOST_SLICES = 256

#: Row numbers [m] and the partition that each goes to [m]; a row may go to several.
Pairs = tuple[Ints, Ints]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Which partitions a key and an instant belong to.

    Attributes:
        first: the (first) partition of each bucket [buckets].
        slices: how many partitions of slices each bucket has [buckets]; 1 where its history is not divided.
        whole: the partition of each hot bucket's whole history [buckets]; -1 where there is none.
        start_us: the first tick.
        end_us: the last tick.
        bytes: estimated bytes of each partition [partitions].
        queried: whether a query has a key of each bucket [buckets]; rows of others are sent nowhere.
    """

    first: Ints
    slices: Ints
    whole: Ints
    start_us: int
    end_us: int
    bytes: Floats
    queried: Flags

    @property
    def partitions(self) -> int:
        """How many partitions there are."""
        return len(self.bytes)

    def part_of(self, partition: int) -> str:
        """What a partition computes: "all", "sliced" or "whole" outputs."""
        if (self.whole == partition).any():
            return "whole"
        hot = (self.slices > 1) & (self.first <= partition) & (partition < self.first + self.slices)
        return "sliced" if (hot & (self.whole >= 0)).any() else "all"

    def query_partitions(self, bucket: Ints, ticks: Ints) -> Pairs:
        """Where queries [n] go: to the slice of their tick, and to the whole history."""
        at = np.arange(len(bucket))
        own = self.first[bucket] + self._slice(ticks, self.slices[bucket])
        return self._with_whole(at, own, bucket)

    def row_partitions(self, bucket: Ints, earliest: Ints, latest: Ints, lookback_us: int) -> Pairs:
        """Where rows [n] go: to every slice with a tick whose lookback may hold them, and to the whole history.

        Args:
            bucket: of each row's key [n].
            earliest, latest: the first and the last of the row's known times, in us [n].
            lookback_us: the longest lookback.
        """
        low = np.zeros(len(bucket), dtype=np.int64)
        high = np.zeros(len(bucket), dtype=np.int64)
        hot = np.flatnonzero(self.slices[bucket] > 1)
        if len(hot):
            many = self.slices[bucket[hot]]
            until = np.clip(latest[hot], self.start_us - lookback_us - 1, self.end_us) + lookback_us
            low[hot] = self._slice(earliest[hot], many)
            high[hot] = np.where(until < self.start_us, -1, self._slice(until, many))
            high[hot[earliest[hot] >= self.end_us]] = -1
        counts = np.where(self.queried[bucket], np.maximum(high - low + 1, 0), 0)
        at = np.repeat(np.arange(len(bucket)), counts)
        inside = np.arange(len(at)) - np.repeat(np.cumsum(counts) - counts, counts)
        return self._with_whole(at, self.first[bucket[at]] + low[at] + inside, bucket)

    def _slice(self, instants: Ints, many: Ints) -> Ints:
        clipped = np.clip(instants, self.start_us, self.end_us)
        return np.asarray((clipped - self.start_us) * many // (self.end_us - self.start_us + 1), dtype=np.int64)

    def _with_whole(self, at: Ints, partition: Ints, bucket: Ints) -> Pairs:
        also = np.flatnonzero(self.whole[bucket] >= 0)
        if not len(also):
            return at, partition
        return np.concatenate([at, also]), np.concatenate([partition, self.whole[bucket[also]]])


def make_layout(
    bytes_by_bucket: Floats,
    target_bytes: float,
    *,
    ticks: Ints,
    lookback_us: int,
    is_sliceable: bool,
    needs_whole: bool,
    queried: Flags,
) -> Layout:
    """Assign buckets to partitions.

    Args:
        bytes_by_bucket: estimated bytes of each bucket's rows and queries [buckets].
        target_bytes: of a partition.
        ticks: of the queries, in us [queries].
        lookback_us: the longest lookback: a slice has the rows of its period and of so long before it.
        is_sliceable: whether any output reads only rows inside a lookback.
        needs_whole: whether any output needs a key's whole history.
        queried: whether a query has a key of each bucket [buckets].
    """
    bytes_by_bucket = np.where(queried, bytes_by_bucket, 0.0)
    hot: Flags = (bytes_by_bucket > target_bytes) & is_sliceable
    cold = np.where(hot, 0.0, bytes_by_bucket)
    before = np.cumsum(cold) - cold
    place = (before // max(target_bytes, 1.0)).astype(np.int64)
    used, first = np.unique(np.where(hot, -1, place), return_inverse=True)
    first = first.reshape(-1) - int(used[0] == -1)
    count = len(used) - int(used[0] == -1)
    sizes: list[float] = np.bincount(first[~hot], weights=cold[~hot], minlength=count).tolist() if count else []
    start, end = (int(ticks.min()), int(ticks.max())) if len(ticks) else (0, 0)
    slices, whole = np.ones(BUCKETS, dtype=np.int64), np.full(BUCKETS, -1, dtype=np.int64)
    for bucket in np.flatnonzero(hot).tolist():
        size = float(bytes_by_bucket[bucket])
        many = min(int(np.ceil(size / max(target_bytes, 1.0))), MOST_SLICES)
        first[bucket], slices[bucket] = len(sizes), many
        sizes += [size * min(1 / many + lookback_us / (end - start + 1), 1.0)] * many
        if needs_whole:
            whole[bucket] = len(sizes)
            sizes.append(size)
    return Layout(
        first=first, slices=slices, whole=whole, start_us=start, end_us=end, bytes=np.array(sizes), queried=queried
    )


def unique_pairs(parts: Sequence[Pairs]) -> Pairs:
    """The distinct pairs of several lists, by (partition, row number)."""
    at, partition = (np.concatenate([part[side] for part in parts]) for side in (0, 1))
    order = np.lexsort((at, partition))
    at, partition = at[order], partition[order]
    first = np.ones(len(at), dtype=np.bool_)
    first[1:] = (at[1:] != at[:-1]) | (partition[1:] != partition[:-1])
    return at[first], partition[first]
