"""Take values by position without copying them, where the positions are a few runs of neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa

from headrace.synthesis.language.values import Ints

#: Up to so many runs, values are concatenated from slices.
_MOST_RUNS = 100


def take_slices(values: pa.ChunkedArray, place: Ints) -> pa.ChunkedArray:
    """The values at some positions [n], as `take` returns them; a few slices are not copied."""
    runs = _runs(place)
    if runs is None:
        return values.take(pa.array(place))
    chunks = [chunk for low, many in runs for chunk in values.slice(low, many).chunks]
    return pa.chunked_array(chunks, values.type)


def take_table_slices(table: pa.Table, place: Ints) -> pa.Table:
    """The rows of a table at some positions [n], likewise."""
    runs = _runs(place)
    if runs is None:
        return table.take(pa.array(place))
    return pa.concat_tables([table.slice(0, 0), *(table.slice(low, many) for low, many in runs)])


def _runs(place: Ints) -> list[tuple[int, int]] | None:
    """The start and length of each run of neighbouring positions; None where there are too many runs."""
    breaks = np.flatnonzero(np.diff(place) != 1) + 1
    if len(breaks) > _MOST_RUNS:
        return None
    return list(_run_edges(place, [0, *breaks.tolist(), len(place)]))


def _run_edges(place: Ints, edges: list[int]) -> Iterator[tuple[int, int]]:
    for low, high in pairwise(edges):
        if high > low:
            yield int(place[low]), high - low
