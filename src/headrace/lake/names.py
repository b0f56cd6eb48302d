"""Names of columns that would be mistaken for something else later on, refused where the rows come in."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.core.errors import DataError
from headrace.core.names import LONGEST_COLUMN, is_overlong
from headrace.schema import Problem, Table

#: Columns that a spine has besides its table's, and the training set besides its features.
_SPINE_COLUMNS = frozenset({"cutoff", "tick", "label_known", "mature", "censored", "label_is_a_number"})
#: Columns of Feast's entity frame besides the join keys.
_FEAST_COLUMNS = frozenset({"event_timestamp", "created_timestamp", "headrace_row", "tick"})


def check_column_names(problem: Problem, table: Table, names: Sequence[str]) -> None:
    """DataError for a name that is empty, has control characters or is too long, or that Headrace or Feast needs."""
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
