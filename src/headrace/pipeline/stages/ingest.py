"""The stage `ingest`: load the history that the problem's sources hold into the lake."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from headrace.core.clock import BEFORE_ALL
from headrace.core.errors import DataError
from headrace.lake import feed
from headrace.lake.conform import TIMESTAMP, conform, ignored_columns, required_columns
from headrace.lake.store import Lake
from headrace.pipeline.context import Context
from headrace.pipeline.production.intake import history_end, ingest
from headrace.pipeline.production.lake_mending import mend_lake
from headrace.pipeline.production.origin import claim
from headrace.pipeline.stage import Needs, Stage
from headrace.schema import Problem, Table


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


def _standing(context: Context, facts: Mapping[str, Any]) -> bool:
    """The batches are still in the lake, and training would see the same snapshot. Damage is mended first."""
    mend_lake(context)
    lake = Lake(context.root, context.problem.name)
    return (
        lake.catch_up(_step_us(context.problem)) is not None
        and lake.snapshot(facts["until_us"]).fingerprint == facts["snapshot"]
    )


INGEST = Stage(
    name="ingest",
    run=_run,
    code=("headrace.lake", "headrace.quality", "headrace.problems"),
    parameters=lambda context: {
        "until_us": context.feed_until_us,
        "from_us": context.problem.feed.start_us if context.problem.feed is not None else None,
    },
    standing=_standing,
)
