"""The stage `ingest`: load the history that the problem's sources hold into the lake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from filelock import FileLock

from headrace.core.clock import BEFORE_ALL
from headrace.core.errors import DataError
from headrace.evaluate.fixed_splits import holdout_start
from headrace.lake import feed
from headrace.lake.conform import required_columns
from headrace.lake.cursor import newest
from headrace.lake.store import Lake, Snapshot
from headrace.lake.times import TIMESTAMP
from headrace.pipeline.context import Context
from headrace.pipeline.fence import require_token
from headrace.pipeline.production.change_loading import changed_rows, finish_empty, finish_killed_load
from headrace.pipeline.production.intake import IngestedBatch, QuarantinedBatch, ingest, refused
from headrace.pipeline.production.lake_mending import mend_lake
from headrace.pipeline.production.loading import Load, commit, loaded_end, prepared, remove_killed
from headrace.pipeline.production.origin import claim_lake
from headrace.pipeline.stage import Inputs, Stage
from headrace.problems.sources.reading import SourceReader
from headrace.schema import Problem, Table
from headrace.synthesis.history.known_time import cutoff_instants
from headrace.synthesis.language.parquet_tables import read_columns


@dataclass(frozen=True, kw_only=True)
class IngestOutput:
    """The state of the lake after the load.

    Attributes:
        snapshot: the fingerprint of the history that training sees.
        until_us: the instant that this history ends at.
        tables: rows loaded, by table.
        batches: ids of the batches in the lake.
        quarantined: batches that were refused.
    """

    snapshot: str
    until_us: int
    tables: Mapping[str, int]
    batches: tuple[str, ...]
    quarantined: tuple[QuarantinedBatch, ...]


def _run(context: Context, inputs: Inputs, folder: Path) -> IngestOutput:
    """The bootstrap load: what the sources held before the feed starts, or, without a feed, all that they hold."""
    claim_lake(context)
    mend_lake(context)
    load_lock(context).parent.mkdir(parents=True, exist_ok=True)
    with FileLock(load_lock(context)):
        return _brought_in(context)


def load_lock(context: Context) -> Path:
    """The file that is locked while a run loads the sources: two at once would append the same changes twice."""
    return context.root / "lake" / f".{context.problem.name}.load.lock"


def _brought_in(context: Context) -> IngestOutput:
    """Load the sources, and move the clock to their end. The caller holds the lock."""
    problem, lake = context.problem, Lake(context.root, context.problem.name)
    remove_killed(lake)
    first = lake.clock() is None
    outcomes = _load(context, lake, first=first)
    _require_history(problem, refused(outcomes))
    for one in refused(outcomes):
        _append_empty(lake, problem, problem.entity_set.table(one.table))
    until = context.history_end_us
    if until is None:
        until = loaded_end(problem, lake)
    until = _before_test(problem, lake, until)
    fingerprint = lake.snapshot(until).fingerprint
    if first or problem.feed is None:
        lake.advance_clock(until)
    lake.catch_up(_step_us(problem))
    return IngestOutput(
        snapshot=fingerprint,
        until_us=until,
        tables={outcome.table: outcome.rows for outcome in outcomes},
        batches=tuple(name for outcome in outcomes for name in outcome.batches),
        quarantined=refused(outcomes),
    )


def _before_test(problem: Problem, lake: Lake, until_us: int) -> int:
    """The end of the history, at most the start of the test window."""
    if problem.splits is None or problem.splits.test is None:
        return until_us
    if problem.splits.column is None:
        return min(until_us, problem.splits.starts_us["test"])
    times = [problem.cutoff.column, problem.splits.column]
    rows = read_columns(lake.snapshot(), problem.spine.table, times)
    cutoffs, values = cutoff_instants(problem.spine_table, problem.cutoff, rows), rows[problem.splits.column]
    start = holdout_start(problem.splits, cutoffs, values.to_pylist())
    return until_us if start is None else min(until_us, start)


def _load(context: Context, lake: Lake, *, first: bool) -> tuple[IngestedBatch, ...]:
    """Append what the sources hold: with a feed, what was known before it starts.

    Without a feed the sources may have changed since the last run. Then what is new in them arrives now, at the end of
    the history that they hold, and a row that differs from before becomes a version.
    """
    problem, root = context.problem, context.root
    if problem.feed is not None:
        return ingest(problem, root, feed.bootstrap(problem), arrival_us=BEFORE_ALL, bootstrap=True)
    reader = SourceReader.of(problem)
    outcomes = list(_finish_killed_loads(context, reader))
    with ExitStack() as stack:
        tables = problem.entity_set.tables
        loads = [stack.enter_context(_opened(context, lake, reader, table, first=first)) for table in tables]
        seen = set() if first else {name for name in lake.tables() if any(batch.rows for batch in lake.batches(name))}
        arrival = _arrival_us(problem, lake, loads)
        require_token(context)
        for load in loads:
            again = load.table.name in seen or (load.changes is not None and load.changes.after is not None)
            if load.rows or load.refused is not None or not again:
                arrival_us = arrival if again else BEFORE_ALL
                outcomes.append(commit(problem, root, load, arrival_us=arrival_us, bootstrap=not again))
            finish_empty(root, problem, load)
    return tuple(outcomes)


def _finish_killed_loads(context: Context, reader: SourceReader) -> Iterator[IngestedBatch]:
    """Append what killed loads from change feeds have left out."""
    for table in context.problem.entity_set.tables:
        changes = reader.changes(table)
        if changes is not None:
            require_token(context)
            finished = finish_killed_load(context.problem, context.root, reader, table, changes)
            if finished is not None:
                yield finished


def _opened(
    context: Context, lake: Lake, reader: SourceReader, table: Table, *, first: bool
) -> AbstractContextManager[Load]:
    """Read what is new in a table's source: by its change feed, by its cursor, or all rows."""
    problem, root, changes = context.problem, context.root, reader.changes(table)
    if changes is not None:
        return changed_rows(problem, root, reader, table, changes)
    since = None if first else newest(lake, table)
    return prepared(problem, root, table, reader.chunks(table, since), since)


def _arrival_us(problem: Problem, lake: Lake, loads: Sequence[Load]) -> int:
    """The last instant in the sources: what is new in them arrived then, just before the clock's new time.

    It is never before the clock: of some sources only what is new was read, and the newest rows may have been deleted.
    Where the clock is on a tick, that tick may have been served: it sees what arrived before it, and not at it.
    """
    ends = [load.end_us for load in loads if load.table.name in problem.history_tables]
    ends += [load.arrived_us + 1 for load in loads]
    clock = lake.clock()
    return max(max([*ends, BEFORE_ALL + 1]) - 1, BEFORE_ALL if clock is None else clock)


def _require_history(problem: Problem, quarantined: tuple[QuarantinedBatch, ...]) -> None:
    for one in quarantined:
        if one.table in problem.history_tables:
            raise DataError(
                "the table that predictions are made for was refused",
                where=f"{problem.name}.{one.table}",
                found=one.reasons,
                fix=f"the batch is in {one.path}; correct the source and run again",
            )


def _step_us(problem: Problem) -> int:
    """How far a batch may be ahead of the clock, where a kill came between the two."""
    return problem.feed.step_us if problem.feed is not None else 1


def _append_empty(lake: Lake, problem: Problem, table: Table) -> None:
    """Append no rows, in place of a first load that was refused: the rest goes on without this table's values.

    The columns have no type yet, so a corrected batch may bring any.
    """
    if lake.schema(table.name) is None:
        names = dict.fromkeys((*table.named_columns, *required_columns(problem, table.name)))
        types = {name: TIMESTAMP if name in table.time_columns else pa.null() for name in names}
        rows = pa.table({name: pa.array([], type=kind) for name, kind in types.items()})
        lake.append(table, rows, arrival_us=BEFORE_ALL)


def _effects_exist(context: Context, output: IngestOutput) -> bool:
    """The batches are still in the lake, and training would see the same snapshot. Damage is mended first."""
    mend_lake(context)
    lake = Lake(context.root, context.problem.name)
    return (
        lake.catch_up(_step_us(context.problem)) is not None
        and lake.snapshot(output.until_us).fingerprint == output.snapshot
    )


def training_snapshot(context: Context, inputs: Inputs) -> Snapshot:
    """The history that training sees."""
    return Lake(context.root, context.problem.name).snapshot(inputs[INGEST].output.until_us)


INGEST = Stage(
    name="ingest",
    output=IngestOutput,
    run=_run,
    parameters=lambda context: {
        "until_us": context.history_end_us,
        "from_us": context.problem.feed.start_us if context.problem.feed is not None else None,
    },
    effects_exist=_effects_exist,
)
