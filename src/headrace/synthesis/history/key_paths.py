"""Where the hops of a key lead: each row's value at the end, and whether it is the only one that it can ever have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from headrace.synthesis.history.keys import encode_pairs, plain
from headrace.synthesis.history.rows import Rows, Sources
from headrace.synthesis.language.inputs import hops
from headrace.synthesis.language.values import Flags


def key_ends(sources: Sources, rows: Rows, key: str) -> tuple[pa.Array, Flags]:
    """A key's value of each row [n], by some version of the rows between; and where these have but one version [n]."""
    column, path = hops(key)
    values = plain(rows.raw(column))
    sure = np.ones(len(values), dtype=np.bool_)
    for table, further in path:
        parent = sources.rows(table)
        codes, mine = encode_pairs([plain(parent.raw(parent.table.keys[0]))], [values])
        row = np.zeros(int(codes.max(initial=-1)) + 2, dtype=np.int64)  # the last is for those that lead nowhere
        row[codes[codes >= 0]] = np.flatnonzero(codes >= 0)
        there = row[np.maximum(mine, -1)]
        versions = parent.versions()
        if versions is not None:
            sure &= (mine < 0) | (versions[there] < 0)
        values = plain(parent.raw(further)).take(pa.array(there, mask=mine < 0))
    return values, sure


def may_be_asked(sources: Sources, rows: Rows, keys: Sequence[str], asked: Sequence[pa.Array]) -> Flags:
    """Rows that may, at some instant, be under a key that is asked for [n]; others never are."""
    ends = [key_ends(sources, rows, key) for key in keys]
    _, codes = encode_pairs(list(asked), [values for values, _ in ends])
    found: Flags = codes >= 0
    for _, sure in ends:
        found |= ~sure
    return found
