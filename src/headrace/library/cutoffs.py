"""Build the spine of `headrace.synthesize`: the rows to compute features for, each with its cutoff."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.core.clock import BEFORE_ALL, NEVER
from headrace.core.errors import DataError
from headrace.lake.times import TimeFormat, column_instants
from headrace.library.tables import FrameTables
from headrace.problems.sources.frames import as_rows, is_frame
from headrace.schema import EachRow, Problem
from headrace.synthesis.engines import default_engine
from headrace.synthesis.history.keys import KeyColumn, encode_pairs, plain
from headrace.synthesis.history.known_time import effective_known
from headrace.synthesis.language.columns import ARRIVAL, ORDER, clock_of
from headrace.synthesis.language.values import Ints, instants
from headrace.synthesis.spine.build import build_spine

_FIX = 'give a data frame with the key and a column of times, as in DataFrame({"customer_id": ..., "cutoff": ...})'


def spine_of(problem: Problem, tables: FrameTables, cutoffs: Any, tick_us: int) -> pa.Table:
    """Build the spine.

    Args:
        problem: Its spine tells whether rows of the target's table have cutoffs of their own (`EachRow`), or the
            caller gives cutoffs (`GivenRows`).
        tables: The tables.
        cutoffs: For given rows: a data frame, one instant for all rows of the target, or None for the end of the data.
        tick_us: A feature has its value of the last multiple of this (us) at or before the cutoff.

    Returns:
        The target's key, `cutoff` and `tick` (int64 us), and for `EachRow` the columns known at the cutoff; in the
        order of the frame that gives the rows.

    Raises:
        DataError: A cutoff is missing or no time, or no key is one of the target's.
    """
    own = isinstance(problem.spine, EachRow)
    spine = _own_rows(problem, tables) if own else _given_rows(problem, tables, cutoffs)
    at = spine["cutoff"].to_numpy()
    spine = spine.drop_columns([name for name in ("tick", "label", "label_known", "mature", "censored") if own])
    return spine.append_column("tick", pa.array(at - at % tick_us))


def end_of(problem: Problem, tables: FrameTables) -> int:
    """Return the first instant (us) after which nothing more becomes known in any table; 0 where none has a time."""
    ends = [0]
    for table in problem.entity_set.tables:
        rows = tables.table(table.name)
        names = [name for name in rows.column_names if name not in (ARRIVAL, ORDER)]
        known = effective_known(table, clock_of(problem, table, names), rows)
        ends.append(int(known[(known < NEVER) & (known > BEFORE_ALL)].max(initial=-1)) + 1)
    return max(ends)


def _own_rows(problem: Problem, tables: FrameTables) -> pa.Table:
    """The rows of the target's table that have a cutoff, in the order of its frame."""
    keys = problem.spine_table.keys
    spine = build_spine(problem, tables, now_us=NEVER - 1, engine=default_engine())
    rows = tables.rows(problem.spine.table)
    codes, found = encode_pairs([plain(spine[name]) for name in keys], [plain(rows[name]) for name in keys])
    place = np.empty(len(codes), dtype=np.int64)
    place[codes] = np.arange(len(codes))
    _, first = np.unique(found, return_index=True)
    ordered = found[np.sort(first)]
    return spine.take(pa.array(place[ordered[ordered >= 0]]))


def _given_rows(problem: Problem, tables: FrameTables, cutoffs: Any) -> pa.Table:
    (key,) = problem.join_keys
    rows = tables.rows(problem.carrier)
    if is_frame(cutoffs):
        return _from_frame(problem, tables, as_rows(cutoffs, "cutoffs"))
    at = end_of(problem, tables) if cutoffs is None else _instant(cutoffs, _format(problem))
    ids = rows[key].combine_chunks().unique()
    return pa.table({key: ids, "cutoff": pa.array(np.full(len(ids), at, dtype=np.int64))})


def _from_frame(problem: Problem, tables: FrameTables, given: pa.Table) -> pa.Table:
    (key,) = problem.join_keys
    ids = tables.rows(problem.carrier)[key]
    others = [name for name in given.column_names if name != key]
    time = "cutoff" if "cutoff" in others else next((name for name in others if _holds_times(given[name])), "")
    if key not in given.column_names or not time:
        missing = repr(key) if key not in given.column_names else "of times"
        raise DataError(f"no column {missing}", where="cutoffs", found=given.column_names, fix=_FIX)
    at = instants(column_instants(given[time], _format(problem), f"cutoffs.{time}"))
    if (empty := int((at == NEVER).sum())) or given[key].null_count:
        raise DataError(
            f"{empty or given[key].null_count} rows have no {'cutoff' if empty else 'key'}",
            where=f"cutoffs.{time if empty else key}",
            fix="drop these rows, or complete them",
        )
    return pa.table({key: _as_keys(given[key], ids, key), "cutoff": pa.array(at)})


def _as_keys(given: pa.ChunkedArray, ids: pa.ChunkedArray, key: str) -> pa.Array:
    """The given keys in the type of the target's; DataError where none of them is one of the target's."""
    found: Ints = KeyColumn(plain(ids)).find(plain(given))
    if len(given) and (found < 0).all():
        first = [repr(value) for value in (*plain(given)[:2].to_pylist(), *plain(ids)[:2].to_pylist())]
        raise DataError(
            "no key is one of the target's",
            where=f"cutoffs.{key}",
            found=[f"{', '.join(first[:2])} ({given.type}) for {', '.join(first[2:])} ({ids.type})"],
            fix="write both keys alike",
        )
    return plain(given).cast(plain(ids).type)


def _format(problem: Problem) -> TimeFormat:
    zones = {table.tz for table in problem.entity_set.tables if table.tz is not None}
    return TimeFormat(tz=min(zones) if len(zones) == 1 else None, any_date=True)


def _instant(cutoff: Any, form: TimeFormat) -> int:
    import pandas as pd

    if not isinstance(cutoff, date | np.datetime64):
        raise DataError(f"{cutoff!r} is no cutoff", where="cutoffs", fix=f"{_FIX}, or one datetime for all rows")
    column = pa.chunked_array([pa.array([pd.Timestamp(cutoff)])])
    return int(instants(column_instants(column, form, "cutoffs"))[0])


def _holds_times(column: pa.ChunkedArray) -> bool:
    return bool(pa.types.is_timestamp(column.type) or pa.types.is_date(column.type))
