"""Values laid in the order of a spine: in whole runs, where there are few."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa

from headrace.synthesis.language.values import Ints

#: Runs of rows up to which values are put together from slices.
_RUNS = 100


def laid(values: pa.ChunkedArray, place: Ints) -> pa.ChunkedArray:
    """Values at some places [n], as `take` gives them; from a few slices nothing is copied."""
    runs = _runs(place)
    if runs is None:
        return values.take(pa.array(place))
    chunks = [chunk for low, many in runs for chunk in values.slice(low, many).chunks]
    return pa.chunked_array(chunks, values.type)


def laid_table(table: pa.Table, place: Ints) -> pa.Table:
    """The same of a table's rows."""
    runs = _runs(place)
    if runs is None:
        return table.take(pa.array(place))
    return pa.concat_tables([table.slice(0, 0), *(table.slice(low, many) for low, many in runs)])


def _runs(place: Ints) -> list[tuple[int, int]] | None:
    """Where each run of neighbours starts, and how many it has; None where there are too many of them."""
    breaks = np.flatnonzero(np.diff(place) != 1) + 1
    if len(breaks) > _RUNS:
        return None
    return list(_of(place, [0, *breaks.tolist(), len(place)]))


def _of(place: Ints, edges: list[int]) -> Iterator[tuple[int, int]]:
    for low, high in pairwise(edges):
        if high > low:
            yield int(place[low]), high - low
