"""Find the versions of rows that say something new, for a table whose rows are in version order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.lake.conform import ARRIVAL


def drop_repeats(rows: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Drop rows, in version order, that equal the previous version of their key in all columns but the arrival."""
    kept = kept_versions(rows, keys)
    return rows if kept.all() else rows.filter(pa.array(kept))


def kept_versions(rows: pa.Table, keys: Sequence[str]) -> np.ndarray:
    """Return whether each row [n], in version order, differs from the previous version of its key."""
    keep = np.ones(rows.num_rows, dtype=bool)
    groups = _group_ids(rows, keys)
    order = np.argsort(groups, kind="stable")
    same_key = groups[order][1:] == groups[order][:-1]
    earlier_rows, later_rows = order[:-1][same_key], order[1:][same_key]
    if len(later_rows) == 0:
        return keep
    earlier, later = rows.take(pa.array(earlier_rows)), rows.take(pa.array(later_rows))
    equal = np.ones(len(later_rows), dtype=bool)
    for name in rows.column_names:
        if name != ARRIVAL:
            equal &= _equal(earlier.column(name), later.column(name))
    keep[later_rows[equal]] = False
    return keep


def _equal(left: pa.ChunkedArray, right: pa.ChunkedArray) -> np.ndarray:
    """Compare two columns elementwise [n]; null equals null."""
    equal = pc.fill_null(pc.equal(left, right), False)
    both_null = pc.and_(pc.is_null(left), pc.is_null(right))
    return np.asarray(pc.or_(equal, both_null).to_numpy())


def _group_ids(rows: pa.Table, keys: Sequence[str]) -> np.ndarray:
    """Return an integer id per distinct key [n]; null is a value like any other."""
    ids = np.zeros(rows.num_rows, dtype=np.int64)
    for name in keys:
        encoded = rows.column(name).combine_chunks().dictionary_encode(null_encoding="encode")
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.unify_dictionaries().combine_chunks()
        codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        ids = np.unique(ids * (len(encoded.dictionary) + 1) + codes, return_inverse=True)[1]
    return ids
