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
from headrace.lake.conform import conform, ignored_columns, required_columns
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
    """What became of one table's batch. batch: its id in the lake; empty where it was refused."""

    table: str
    rows: int
    batch: str = ""
    quarantined: QuarantinedBatch | None = None


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
    ignored = ignored_columns(problem, table)
    try:
        check_column_names(problem, table, rows.column_names)
        required = required_columns(problem, table.name)
        conformed = conform(table, rows, expected=lake.schema(table.name), required=required, ignored=ignored)
    except DataError as error:
        reasons = [{"expectation": "conforms to its declaration", "reason": str(error)}]
        return _quarantine(lake, table, rows, reasons, arrival_us)
    validated = conformed.select([name for name in conformed.column_names if name not in ignored])
    verdict = validate_batch(table, validated, lake.root / "quality" / problem.name)
    if not verdict.success:
        return _quarantine(lake, table, conformed, verdict.reasons, arrival_us)
    batch = lake.append(table, conformed, arrival_us=arrival_us, bootstrap=bootstrap)
    return IngestedBatch(table=table.name, rows=batch.rows, batch=batch.id)


def _quarantine(
    lake: Lake, table: Table, rows: pa.Table, reasons: list[dict[str, Any]], arrival_us: int
) -> IngestedBatch:
    path = lake.quarantine(table, rows, arrival_us=arrival_us, reasons=reasons)
    texts = tuple(str(reason.get("reason", reason)) for reason in reasons)
    quarantined = QuarantinedBatch(table=table.name, path=str(path), reasons=texts)
    return IngestedBatch(table=table.name, rows=rows.num_rows, quarantined=quarantined)
