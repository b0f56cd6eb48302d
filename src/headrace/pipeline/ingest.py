"""Ingest: conform, validate, then append to the lake; a failing batch is quarantined whole and the rest goes on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from headrace.core.clock import BEFORE_ALL, NEVER
from headrace.core.errors import DataError
from headrace.lake import feed, known
from headrace.lake.conform import TIMESTAMP, conform, ignored_columns, required_columns
from headrace.lake.names import check_column_names
from headrace.lake.store import Lake
from headrace.pipeline.context import Context
from headrace.pipeline.mending import mend_lake
from headrace.pipeline.origin import claim
from headrace.pipeline.stage import Needs, Stage
from headrace.quality.check import validate_batch
from headrace.schema import Problem, Table


@dataclass(frozen=True, kw_only=True)
class Ingested:
    """What became of one table's batch."""

    table: str
    rows: int
    batch: str
    quarantined: str = ""
    reasons: tuple[str, ...] = ()


def ingest(
    problem: Problem, root: Path, batches: Mapping[str, pa.Table], *, arrival_us: int, bootstrap: bool = False
) -> tuple[Ingested, ...]:
    """Bring one batch per table into the lake. Never raises for bad rows: the outcome says what was refused and why."""
    lake = Lake(root, problem.name)
    return tuple(
        _ingest_table(lake, problem, problem.entity_set.table(name), rows, arrival_us=arrival_us, bootstrap=bootstrap)
        for name, rows in batches.items()
        if rows.num_rows or bootstrap  # nothing new for a table is no batch; an empty first load is a fault
    )


def _ingest_table(
    lake: Lake, problem: Problem, table: Table, rows: pa.Table, *, arrival_us: int, bootstrap: bool
) -> Ingested:
    ignored = ignored_columns(problem, table)
    try:
        check_column_names(problem, table, rows.column_names)
        required = required_columns(problem, table.name)
        conformed = conform(table, rows, expected=lake.schema(table.name), required=required, ignored=ignored)
    except DataError as error:
        return _quarantine(
            lake, table, rows, [{"expectation": "conforms to its declaration", "reason": str(error)}], arrival_us
        )
    looked_at = conformed.select([name for name in conformed.column_names if name not in ignored])
    verdict = validate_batch(table, looked_at, lake.root / "quality" / problem.name)
    if not verdict.success:
        return _quarantine(lake, table, conformed, verdict.reasons, arrival_us)
    batch = lake.append(table, conformed, arrival_us=arrival_us, bootstrap=bootstrap)
    return Ingested(table=table.name, rows=batch.rows, batch=batch.id)


def _quarantine(lake: Lake, table: Table, rows: pa.Table, reasons: list[dict[str, Any]], arrival_us: int) -> Ingested:
    path = lake.quarantine(table, rows, arrival_us=arrival_us, reasons=reasons)
    said = tuple(str(reason.get("reason", reason)) for reason in reasons)
    return Ingested(table=table.name, rows=rows.num_rows, batch="", quarantined=str(path), reasons=said)


def _run(context: Context, needs: Needs, folder: Path) -> Mapping[str, Any]:
    """The bootstrap load: what the sources held before the feed starts, or, without a feed, all that they hold.

    Without a feed the sources may have changed since the last run: then what is new in them arrives now, at the end of
    the history that they tell, and what they say otherwise than before becomes a version.
    """
    problem, lake = context.problem, Lake(context.root, context.problem.name)
    claim(context)
    mend_lake(context)
    batches = feed.bootstrap(problem)
    first = lake.clock() is None
    again = not first and problem.feed is None
    seen = {name for name in batches if again and any(batch.rows for batch in lake.batches(name))}
    history, later = _only(batches, batches.keys() - seen), _only(batches, seen)
    outcomes = ingest(problem, context.root, history, arrival_us=BEFORE_ALL, bootstrap=True)
    if later:
        outcomes += ingest(problem, context.root, later, arrival_us=_sources_end(problem, batches))
    refused = [outcome for outcome in outcomes if outcome.quarantined]
    needed = [outcome for outcome in refused if outcome.table in problem.history_tables]
    if needed:
        spine = needed[0]
        raise DataError(
            "the table that predictions are made for was refused",
            where=f"{problem.name}.{spine.table}",
            found=spine.reasons,
            fix=f"the batch is in {spine.quarantined}; correct the source and run again",
        )
    for outcome in refused:
        _stand_in(lake, problem, problem.entity_set.table(outcome.table))
    until = context.feed_until_us
    if until is None:
        until = history_end(problem, {name: lake.snapshot().table(name) for name in problem.history_tables})
    snapshot = lake.snapshot(until)
    if first or problem.feed is None:
        lake.advance_clock(until)
    lake.catch_up(_step_us(problem))
    return {
        "snapshot": snapshot.fingerprint,
        "until_us": until,
        "tables": {outcome.table: outcome.rows for outcome in outcomes},
        "batches": [outcome.batch for outcome in outcomes if outcome.batch],
        "quarantined": [
            {"table": outcome.table, "path": outcome.quarantined, "reasons": list(outcome.reasons)}
            for outcome in refused
        ],
    }


def _step_us(problem: Problem) -> int:
    """How far a batch may be ahead of the clock, where a kill came between the two."""
    return problem.feed.step_us if problem.feed is not None else 1


def _only(batches: Mapping[str, pa.Table], names: Collection[str]) -> dict[str, pa.Table]:
    return {name: rows for name, rows in batches.items() if name in names}


def _stand_in(lake: Lake, problem: Problem, table: Table) -> None:
    """No rows, in place of a first load that was refused: the rest goes on, and what it would have told is missing.
    The columns have no type yet, so a corrected batch may bring any."""
    if lake.schema(table.name) is None:
        names = dict.fromkeys(
            (*table.keys, *table.time_columns, *table.known_at, *required_columns(problem, table.name))
        )
        types = {name: TIMESTAMP if name in table.time_columns else pa.null() for name in names}
        rows = pa.table({name: pa.array([], type=kind) for name, kind in types.items()})
        lake.append(table, rows, arrival_us=BEFORE_ALL)


def _sources_end(problem: Problem, batches: Mapping[str, pa.Table]) -> int:
    """The last instant that the sources tell of: what is new in them arrived then, just before the clock's new now."""
    declared = {name: problem.entity_set.table(name) for name in problem.history_tables}
    rows = {
        name: conform(
            table, batches[name], required=required_columns(problem, name), ignored=ignored_columns(problem, table)
        )
        for name, table in declared.items()
    }
    return history_end(problem, rows) - 1


def history_end(problem: Problem, tables: Mapping[str, pa.Table]) -> int:
    """The first instant at which everything in these tables was known (us): the production clock of a problem without
    a feed, which knows no later time than its data do."""
    found = [BEFORE_ALL]
    for name, rows in tables.items():
        table = problem.entity_set.table(name)
        instants = [known.row_known(table, rows)]
        instants += [known.instants(table, rows, when) for when in known.later_columns(table).values()]
        found += [int(values[values < NEVER].max(initial=BEFORE_ALL)) for values in instants]
    return max(found) + 1


def _standing(context: Context, facts: Mapping[str, Any]) -> bool:
    """The batches are still in the lake, and training would see the same snapshot. Damage is mended first."""
    mend_lake(context)
    lake = Lake(context.root, context.problem.name)
    return (
        lake.catch_up(_step_us(context.problem)) is not None
        and lake.snapshot(facts["until_us"]).fingerprint == facts["snapshot"]
    )


STAGE = Stage(
    name="ingest",
    run=_run,
    code=("headrace.lake", "headrace.quality", "headrace.problems"),
    parameters=lambda context: {
        "until_us": context.feed_until_us,
        "from_us": context.problem.feed.start_us if context.problem.feed is not None else None,
    },
    standing=_standing,
)
