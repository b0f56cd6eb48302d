"""Bring batches of rows into the lake: conform, validate, append. A batch that fails goes to quarantine whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from headrace.core.clock import BEFORE_ALL, NEVER
from headrace.core.errors import DataError
from headrace.lake import known_times
from headrace.lake.conform import check_label, conform, ignored_columns, required_columns
from headrace.lake.names import check_column_names
from headrace.lake.store import Lake
from headrace.quality.check import validate_batch
from headrace.schema import Problem, Table


@dataclass(frozen=True, kw_only=True)
class QuarantinedBatch:
    """A batch that was refused. path: the folder that holds its rows, and the reasons."""

    table: str
    path: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class IngestedBatch:
    """What became of one table's rows. batches: ids in the lake; none where they were refused."""

    table: str
    rows: int
    batches: tuple[str, ...] = ()
    quarantined: QuarantinedBatch | None = None


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Rows that are refused, as far as they were converted, and the reasons."""

    table: Table
    rows: pa.Table
    reasons: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, table: Table, rows: pa.Table, error: DataError) -> Refusal:
        """Rows that do not conform to their declaration."""
        reason = {"expectation": "conforms to its declaration", "reason": str(error)}
        return cls(table=table, rows=rows, reasons=(reason,))


def ingest(
    problem: Problem, root: Path, batches: Mapping[str, pa.Table], *, arrival_us: int, bootstrap: bool = False
) -> tuple[IngestedBatch, ...]:
    """Bring one batch per table into the lake.

    Args:
        problem: the declaration of the tables.
        root: the home folder.
        batches: rows by table name.
        arrival_us: when they arrive. Nothing in them is known before that, unless `bootstrap`.
        bootstrap: they are history, and were known when they happened.

    Returns:
        What became of each batch. Rows that are wrong raise nothing: their batch is in quarantine, with the reasons.
    """
    lake = Lake(root, problem.name)
    return tuple(
        _ingest_table(lake, problem, problem.entity_set.table(name), rows, arrival_us=arrival_us, bootstrap=bootstrap)
        for name, rows in batches.items()
        if rows.num_rows or bootstrap  # nothing new for a table is no batch; an empty first load is a fault
    )


def refused(batches: tuple[IngestedBatch, ...]) -> tuple[QuarantinedBatch, ...]:
    """Those of some batches that are in quarantine."""
    return tuple(one.quarantined for one in batches if one.quarantined is not None)


def history_end(problem: Problem, tables: Mapping[str, pa.Table]) -> int:
    """The first instant (us) at which everything in these tables was known.

    It is the production clock of a problem without a feed, which knows no later time than its data do.
    """
    found = [BEFORE_ALL]
    for name, rows in tables.items():
        table = problem.entity_set.table(name)
        instants = [known_times.row_known(table, rows)]
        instants += [known_times.instants(table, rows, when) for when in known_times.later_columns(table).values()]
        found += [int(values[values < NEVER].max(initial=BEFORE_ALL)) for values in instants]
    return max(found) + 1


def _ingest_table(
    lake: Lake, problem: Problem, table: Table, rows: pa.Table, *, arrival_us: int, bootstrap: bool
) -> IngestedBatch:
    checked = checked_batch(problem, lake.root, table, rows, lake.schema(table.name))
    if isinstance(checked, Refusal):
        return quarantine_batch(lake, checked, arrival_us)
    return append_batch(lake, table, checked, arrival_us=arrival_us, bootstrap=bootstrap)


def checked_batch(
    problem: Problem, root: Path, table: Table, rows: pa.Table, expected: pa.Schema | None
) -> pa.Table | Refusal:
    """Convert and validate rows.

    Args:
        problem: the declaration.
        root: the home folder, where the pages about the validation are written.
        table: the table.
        rows: of its source.
        expected: the types of its columns before, which are kept; None at first.

    Returns:
        The converted rows, or why they are refused.
    """
    ignored = ignored_columns(problem, table)
    try:
        check_column_names(problem, table, rows.column_names)
        if table.name == problem.spine.table:
            check_label(problem, rows)
        required = required_columns(problem, table.name)
        conformed = conform(table, rows, expected=expected, required=required, ignored=ignored)
    except DataError as error:
        return Refusal.of(table, rows, error)
    validated = conformed.select([name for name in conformed.column_names if name not in ignored])
    verdict = validate_batch(table, validated, root / "quality" / problem.name)
    return conformed if verdict.success else Refusal(table=table, rows=conformed, reasons=tuple(verdict.reasons))


def append_batch(
    lake: Lake, table: Table, rows: pa.Table, *, arrival_us: int, bootstrap: bool, source: str = ""
) -> IngestedBatch:
    """Append converted and validated rows. source: what delivered them, where equal rows may come twice."""
    batch = lake.append(table, rows, arrival_us=arrival_us, bootstrap=bootstrap, source=source)
    return IngestedBatch(table=table.name, rows=batch.rows, batches=(batch.id,))


def quarantine_batch(lake: Lake, refusal: Refusal, arrival_us: int) -> IngestedBatch:
    """Put refused rows into quarantine, with the reasons."""
    name, rows = refusal.table.name, refusal.rows
    path = lake.quarantine(refusal.table, rows, arrival_us=arrival_us, reasons=refusal.reasons)
    texts = tuple(str(reason.get("reason", reason)) for reason in refusal.reasons)
    quarantined = QuarantinedBatch(table=name, path=str(path), reasons=texts)
    return IngestedBatch(table=name, rows=rows.num_rows, quarantined=quarantined)
