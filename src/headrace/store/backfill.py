"""Backfill: write the history of a problem's published features as Parquet rows that any tool can join by time.

The features of every key are computed at each instant from, from + every, ... before the end, and a row is written
where a value differs from that of the instant before. So a point-in-time join of these rows gives, at any of those
instants, what the online store would have held then. Work is done in chunks of time, each an independent file:

    <folder>/<view>/<start of the chunk>.parquet   join keys, event_timestamp, one column per feature
    <folder>/<view>/_checkpoint.json               chunk -> what it was computed from

Memory is bounded by `PAIRS` rows of one view. A chunk whose definitions and history have not changed is kept, so an
interrupted backfill continues, and a repeated one does nothing. No instant is later than the production clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.core import parquet
from headrace.core.clock import floor_to_tick, iso
from headrace.core.errors import CorruptError, DeclarationError, NotFoundError
from headrace.core.files import read_json, write_json
from headrace.core.fingerprint import fingerprint
from headrace.lake.store import Lake, Snapshot
from headrace.schema import Problem
from headrace.store.history import compute_at, known_keys
from headrace.store.online_file.packed import PackedLayout
from headrace.store.published import Published, View, layout, read_published

#: Instants of a chunk, and (key, instant) pairs that are computed at a time: these bound memory, not accuracy.
INSTANTS = 30
PAIRS = 200_000
_TIMESTAMP = "event_timestamp"
_CHECKPOINT = "_checkpoint.json"  # readers of a folder of Parquet files skip names that begin so


@dataclass(frozen=True, kw_only=True)
class Backfill:
    """What a backfill covers.

    Attributes:
        from_us: First instant (us), a tick.
        until_us: End, exclusive (us); never later than one tick after the production clock.
        every_us: Time between two instants (us), a multiple of the tick.
    """

    from_us: int
    until_us: int
    every_us: int

    def chunks(self) -> Iterator[tuple[int, ...]]:
        """Yield the instants of each chunk."""
        instants = range(self.from_us, self.until_us, self.every_us)
        for start in range(0, len(instants), INSTANTS):
            yield tuple(instants[start : start + INSTANTS])


@dataclass(frozen=True, kw_only=True)
class BackfillReport:
    """The result of a backfill.

    Attributes:
        folder: Where the rows are.
        rows: View -> number of rows in all chunks.
        computed: Number of values that were computed now.
        written: Number of chunks that were written now.
        kept: Number of chunks that were complete already.
        until: The last instant that is covered.
    """

    folder: Path
    rows: dict[str, int]
    computed: int
    written: int
    kept: int
    until: str


def plan(root: Path, problem: Problem, *, from_us: int, until_us: int | None, every_us: int | None) -> Backfill:
    """Return what a backfill of [from, until) covers, clamped to the production clock.

    Args:
        root: Home folder.
        problem: The problem.
        from_us: Start (us); rounded down to a tick.
        until_us: End, exclusive (us); None: the production clock.
        every_us: Time between two instants (us); None: one tick.

    Raises:
        NotFoundError: Nothing was loaded yet.
        DeclarationError: The period is empty or after the clock, or `every` is no multiple of the tick.
    """
    clock_us = Lake(root, problem.name).clock()
    if clock_us is None:
        raise NotFoundError("nothing was loaded yet", where=problem.name, fix=f"run `headrace run {problem.name}`")
    tick_us = problem.tick_us
    every_us = tick_us if every_us is None else every_us
    if every_us <= 0 or every_us % tick_us:
        raise DeclarationError("is no multiple of the problem's tick", where="--every", found=[problem.tick])
    end_us = floor_to_tick(clock_us, tick_us) + 1
    until_us = end_us if until_us is None else min(until_us, end_us)
    from_us = floor_to_tick(from_us, tick_us)
    if from_us >= until_us:
        raise DeclarationError(
            f"there is nothing from {iso(from_us)} on",
            where="--from, --to",
            found=[f"the production clock is at {iso(clock_us)}"],
            fix="name an earlier start",
        )
    return Backfill(from_us=from_us, until_us=until_us, every_us=every_us)


def backfill(
    root: Path, problem: Problem, what: Backfill, folder: Path, *, progress: Callable[[str], None] = lambda text: None
) -> BackfillReport:
    """Write the rows of every published view.

    Args:
        root: Home folder.
        problem: The problem.
        what: The period; see `plan`.
        folder: Receives the files. Chunks of an earlier backfill with the same period and step are kept.
        progress: Receives a line per chunk.

    Raises:
        NotFoundError: Nothing is published yet.
    """
    published, lake = read_published(root, problem.name), Lake(root, problem.name)
    snapshot = lake.snapshot()
    rows: dict[str, int] = {}
    computed = written = kept = 0
    for view in published.views:
        place = folder / view.name
        place.mkdir(parents=True, exist_ok=True)
        checkpoint = _read_checkpoint(place)
        for instants in what.chunks():
            name = iso(instants[0]).replace(":", "")
            # Only rows that arrived by then can matter: a later batch leaves earlier chunks as they are.
            source = fingerprint([layout(view), lake.snapshot(instants[-1]).fingerprint, list(instants), what.from_us])
            path = place / f"{name}.parquet"
            if checkpoint.get(name, {}).get("source") == source and path.exists():
                kept += 1
            else:
                first = instants if instants[0] == what.from_us else (instants[0] - what.every_us, *instants)
                count, values = _write_chunk(
                    published, problem, view, snapshot, first, len(first) > len(instants), path
                )
                checkpoint[name] = {"source": source, "rows": count}
                write_json(place / _CHECKPOINT, checkpoint)
                written, computed = written + 1, computed + values
                progress(f"{view.name}: {iso(instants[0])} to {iso(instants[-1])}: {count:,} rows changed")
            rows[view.name] = rows.get(view.name, 0) + int(checkpoint[name]["rows"])
    last = range(what.from_us, what.until_us, what.every_us)[-1]
    return BackfillReport(folder=folder, rows=rows, computed=computed, written=written, kept=kept, until=iso(last))


def _read_checkpoint(place: Path) -> dict[str, dict[str, Any]]:
    """Return the checkpoint of a view; empty where there is none, or where it is damaged."""
    try:
        found = read_json(place / _CHECKPOINT)
    except (NotFoundError, CorruptError, FileNotFoundError):
        return {}
    return found if isinstance(found, dict) else {}


def _write_chunk(
    published: Published,
    problem: Problem,
    view: View,
    snapshot: Snapshot,
    instants: tuple[int, ...],
    has_previous: bool,
    path: Path,
) -> tuple[int, int]:
    """Write the changed rows at instants; the first instant is only compared with where `has_previous`.

    Returns:
        The number of rows that were written, and of values that were computed.
    """
    keys = known_keys(published, problem, view, snapshot, instants[-1])
    size = max(PAIRS // len(instants), 1)
    staged = path.with_name(f"_{path.name}.part")
    count = values = 0
    schema = _rows_at(problem, view, snapshot, keys.slice(0, 0), instants).schema
    with parquet.writer(staged, schema, compression="zstd") as writer:
        for start in range(0, keys.num_rows, size):
            rows = _rows_at(problem, view, snapshot, keys.slice(start, size), instants)
            values += rows.num_rows * len(view.slugs)
            changed = rows.filter(pa.array(_changed(rows, view, len(instants), has_previous)))
            writer.write_table(changed)
            count += changed.num_rows
    staged.replace(path)
    return count, values


def _rows_at(problem: Problem, view: View, snapshot: Snapshot, keys: pa.Table, instants: tuple[int, ...]) -> pa.Table:
    """Return the features of each key at each instant, by key and then instant."""
    each = np.repeat(np.arange(keys.num_rows), len(instants))
    ticks = np.tile(np.array(instants, dtype=np.int64), keys.num_rows)
    pairs = keys.take(pa.array(each))
    values = compute_at(
        problem, view.definitions, view.join_keys, pairs.append_column("tick", pa.array(ticks)), snapshot
    )
    at = pa.array(ticks).cast(pa.timestamp("us", tz="UTC"))
    return pa.table([*pairs.columns, at, *values.columns], names=[*view.join_keys, _TIMESTAMP, *values.column_names])


def _changed(rows: pa.Table, view: View, instants: int, has_previous: bool) -> np.ndarray:
    """Return which rows differ from the row of the same key at the instant before [n]."""
    packed = list(PackedLayout.of(rows.schema, view.slugs).encode(rows.combine_chunks(), [()] * rows.num_rows))
    differs = np.ones(rows.num_rows, dtype=np.bool_)
    for row in range(1, rows.num_rows):
        if row % instants:
            differs[row] = packed[row] != packed[row - 1]
    if has_previous:
        differs[::instants] = False
    return differs
