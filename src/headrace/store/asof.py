"""Join stored feature rows to a spine by time: for each row the last stored row of its key at or before its instant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from headrace.core.errors import DataError
from headrace.synthesis.history.keys import encode_pairs, plain

TIMESTAMP = "event_timestamp"


def join_rows(spine: pa.Table, history: pa.Table, *, keys: Sequence[str], columns: Sequence[str]) -> pa.Table:
    """Join rows such as `headrace backfill` writes.

    Args:
        spine: Keys and `event_timestamp` of each row [n].
        history: Keys, `event_timestamp` and columns of the stored rows [m].
        keys: Names of the key columns.
        columns: Columns of the result.

    Returns:
        The columns [n], in the order of the spine; null where a key has no stored row yet.

    Raises:
        DataError: A table lacks a column.
    """
    for name, table in (("spine", spine), ("history", history)):
        needed = [*keys, TIMESTAMP, *(columns if name == "history" else ())]
        if missing := [column for column in needed if column not in table.column_names]:
            raise DataError(f"no column {missing[0]!r}", where=name, found=table.column_names)
    stored, wanted = encode_pairs([plain(history[name]) for name in keys], [plain(spine[name]) for name in keys])
    at, asked = _instants(history), _instants(spine)
    order = np.lexsort((at, stored))
    stored, at = stored[order], at[order]
    found = _last_before(stored, at, wanted, asked)
    places = pa.array(np.where(found >= 0, order[np.maximum(found, 0)] if len(order) else -1, 0), mask=found < 0)
    return pa.table([history[name].take(places) for name in columns], names=list(columns))


def _instants(table: pa.Table) -> np.ndarray:
    column = table[TIMESTAMP]
    return np.asarray(column.cast(pa.timestamp("us", tz=column.type.tz)).cast(pa.int64()).to_numpy())


def _last_before(stored: np.ndarray, at: np.ndarray, wanted: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Return the position of the last row with the key and an instant at or before [n]; -1 where there is none."""
    if not len(at):
        return np.full(len(wanted), -1)
    instants = np.unique(at)
    rank = np.searchsorted(instants, asked, side="right") - 1
    rows = stored * len(instants) + np.searchsorted(instants, at)
    position = np.searchsorted(rows, wanted * len(instants) + rank, side="right") - 1
    same = (position >= 0) & (rank >= 0) & (wanted >= 0) & (stored[np.maximum(position, 0)] == wanted)
    return np.where(same, position, -1)
