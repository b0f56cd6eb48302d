"""Follow the path of a key through parents' rows: each row's value at its end, and whether that can ever change."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from headrace.synthesis.history.keys import encode_pairs, plain
from headrace.synthesis.history.rows import Rows, Sources
from headrace.synthesis.language.inputs import hops
from headrace.synthesis.language.values import Flags


def key_ends(sources: Sources, rows: Rows, key: str) -> tuple[pa.Array, Flags]:
    """The value of a key for each row, read through its path.

    Returns:
        The value by some version of the rows on the path [n]; whether these have only one version each [n].
    """
    column, path = hops(key)
    values = plain(rows.raw(column))
    constant = np.ones(len(values), dtype=np.bool_)
    for table, parent_column in path:
        parent = sources.rows(table)
        codes, row_codes = encode_pairs([plain(parent.raw(parent.table.keys[0]))], [values])
        by_code = np.zeros(int(codes.max(initial=-1)) + 2, dtype=np.int64)  # the last is for keys without a row
        by_code[codes[codes >= 0]] = np.flatnonzero(codes >= 0)
        parent_row = by_code[np.maximum(row_codes, -1)]
        versions = parent.versions()
        if versions is not None:
            constant &= (row_codes < 0) | (versions[parent_row] < 0)
        values = plain(parent.raw(parent_column)).take(pa.array(parent_row, mask=row_codes < 0))
    return values, constant


def may_have_key(sources: Sources, rows: Rows, keys: Sequence[str], queried: Sequence[pa.Array]) -> Flags:
    """Rows [n] that may, at some instant, have the key of a query; the others never have."""
    ends = [key_ends(sources, rows, key) for key in keys]
    _, codes = encode_pairs(list(queried), [values for values, _ in ends])
    flags: Flags = codes >= 0
    for _, constant in ends:
        flags |= ~constant
    return flags
