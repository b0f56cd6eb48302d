"""Check column names at ingest: refuse those that collide with columns of Headrace or Feast, or cannot be stored."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.core.errors import DataError
from headrace.core.names import LONGEST_COLUMN, is_overlong
from headrace.schema import Problem, Table

#: Columns that Headrace adds to a spine or a training set.
_SPINE_COLUMNS = frozenset({"cutoff", "tick", "label_known", "mature", "censored", "label_is_a_number"})
#: Columns that Feast's entity frame has besides the join keys.
_FEAST_COLUMNS = frozenset({"event_timestamp", "created_timestamp", "headrace_row", "tick"})


def check_column_names(problem: Problem, table: Table, names: Sequence[str]) -> None:
    """Check the column names of a table.

    Raises:
        DataError: A name is empty, too long, has control characters, or is reserved by Headrace or Feast.
    """
    nameless = [repr(name) for name in names if not any(letter.isalnum() for letter in name)]
    if nameless:
        _refuse(table, "columns without a letter or digit in their name", nameless)
    unprintable = [repr(name) for name in names if not name.isprintable()]
    if unprintable:
        _refuse(table, "columns whose names have line breaks or control characters", unprintable)
    overlong = [f"{name[:40]}... ({len(name.encode())} bytes)" for name in names if is_overlong(name, LONGEST_COLUMN)]
    if overlong:
        _refuse(table, f"column names of more than {LONGEST_COLUMN} bytes", overlong)
    reserved_names = {*(_SPINE_COLUMNS if table.name == problem.spine.table else ())}
    reserved_names |= _FEAST_COLUMNS & set(problem.join_keys) if table.name == problem.carrier else set()
    reserved = [name for name in names if name in reserved_names]
    if reserved:
        _refuse(table, "column names that are kept for Headrace's own columns", reserved)


def _refuse(table: Table, what: str, found: list[str]) -> None:
    raise DataError(what, where=table.name, found=found, fix="rename them")
