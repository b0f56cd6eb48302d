"""What a new batch costs: the flights' candidates carried over against computed anew, by the length of the batch.

Run as `make bench-incremental` (QUICK=1: a day and a week only). Each carried matrix must equal the other, bit for bit.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from benchmarks.results import Row, publish
from headrace.core.clock import BEFORE_ALL, parse_duration
from headrace.lake import feed
from headrace.lake.store import Lake, Snapshot
from headrace.pipeline.ingest import ingest
from headrace.problems.catalogue import load_problem
from headrace.schema import Problem
from headrace.synthesis.carry import Past, carry_over
from headrace.synthesis.definitions import Definition
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.enumerate import enumerate_definitions
from headrace.synthesis.matrix import feature_matrix
from headrace.synthesis.spine import build_spine

COMMAND = "make bench-incremental"
LENGTHS = ("1h", "1d", "7d", "28d")
_T = TypeVar("_T")


def training_rows(problem: Problem, snapshot: Snapshot, now_us: int) -> pa.Table:
    """Mature rows of the past."""
    spine = build_spine(problem, snapshot, end_us=now_us, now_us=now_us)
    return spine.filter(spine["mature"])


def timed(run: Callable[[], _T]) -> tuple[float, _T]:
    """Processor seconds, and the result."""
    started = time.process_time()
    found = run()
    return time.process_time() - started, found


def measure(problem: Problem, root: Path, length: str, definitions: list[Definition], past: Past) -> list[Row]:
    """One batch on top of the bootstrap load."""
    assert problem.feed is not None
    start = problem.feed.start_us
    end = start + parse_duration(length)
    lake = Lake(root, problem.name)
    before = {name: {batch.id for batch in lake.batches(name)} for name in lake.tables()}
    ingest(problem, root, feed.step(problem, start, end), arrival_us=end)
    snapshot = lake.snapshot(end)
    come = {
        name: tuple(batch for batch in snapshot.batches(name) if batch.id not in before[name])
        for name in snapshot.tables
    }
    new = Snapshot(problem=problem.name, batches={name: found for name, found in come.items() if found}, as_of_us=end)
    news = {name: new.table(name) for name in new.tables}
    spine = training_rows(problem, snapshot, end)
    whole_s, whole = timed(lambda: feature_matrix(problem, definitions, spine, snapshot, LocalEngine()))
    carried_s, carried = timed(lambda: carry_over(problem, definitions, spine, snapshot, news, past, LocalEngine()))
    if not carried.matrix.equals(whole):
        raise AssertionError(f"{length}: what was carried over is not what was computed")
    size = f"{sum(rows.num_rows for rows in news.values()):,} messages, {carried.again:,} new rows"
    print(
        f"{length}: {size}: {carried_s:.2f} s against {whole_s:.2f} s of the processor for {spine.num_rows:,} rows",
        flush=True,
    )
    return [
        Row(
            metric=f"a batch of {length} ({size})",
            value=carried_s,
            unit="processor s",
            peer="all anew",
            peer_value=whole_s,
            command=COMMAND,
        )
    ]


def main() -> None:
    """Every length on a lake of its own."""
    problem = load_problem("flights")
    assert problem.feed is not None
    start = problem.feed.start_us
    lengths = LENGTHS[1:3] if os.environ.get("QUICK") else LENGTHS
    rows: list[Row] = []
    history = feed.bootstrap(problem)
    past: Past | None = None
    for length in lengths:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            ingest(problem, root, history, arrival_us=BEFORE_ALL, bootstrap=True)
            snapshot = Lake(root, problem.name).snapshot(start)
            if past is None:
                schemas = {table.name: snapshot.table(table.name).schema for table in problem.entity_set.tables}
                definitions = enumerate_definitions(problem, schemas)
                spine = training_rows(problem, snapshot, start)
                matrix = feature_matrix(problem, definitions, spine, snapshot, LocalEngine())
                past = Past(definitions=tuple(definitions), spine=spine, matrix=matrix)
            rows += measure(problem, root, length, list(definitions), past)
    assert past is not None
    note = (
        f"The flights of January to April with their {len(past.definitions)} candidate features on"
        f" {past.spine.num_rows:,} rows, then one batch. Carrying over computes the rows that the batch brings or may"
        " have changed; what remains is the history of the entities that are asked for, sorted and summed up anew by"
        " every batch (ADR 0010): a batch does not yet cost in proportion to itself. Equal bit for bit, or the run"
        " fails."
    )
    publish("incremental", "A new batch", rows, note)


if __name__ == "__main__":
    main()
