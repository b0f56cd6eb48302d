"""The lake of one problem: append-only batches, and the production clock.

    lake/<problem>/tables/<table>/<sequence>-<digest>/     batches
    lake/<problem>/tables/<table>/batches.json             which of them there are (see index.py)
    lake/<problem>/quarantine/<table>/<digest>/            refused batches, with their reasons
    lake/<problem>/clock.json                              the production clock, kept twice (core.replicas)

Nothing is overwritten. A row with an existing key is a new version, known from its arrival. Versions are resolved when
a snapshot is read (see snapshot.py), so the cost of an append does not grow with the lake.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from filelock import FileLock

from headrace.core import parquet
from headrace.core.clock import iso
from headrace.core.errors import CorruptError, DataError, NotFoundError
from headrace.core.files import staged_folder, write_json
from headrace.core.manifest import check_manifest, write_manifest
from headrace.lake import batch as batches
from headrace.lake import production_clock
from headrace.lake.batch import Batch
from headrace.lake.batch_index import abandoned_batches, read_index, write_index
from headrace.lake.conform import ARRIVAL, conform
from headrace.lake.snapshot import Snapshot
from headrace.lake.table_schema import unify
from headrace.schema import Table

__all__ = ["Batch", "Lake", "Snapshot"]

_log = logging.getLogger(__name__)


class Lake:
    """Batches, snapshots and clock of one problem. Safe for several processes.

    Args:
        root: Home folder.
        problem: Name of the problem.
    """

    def __init__(self, root: Path, problem: str) -> None:
        self.root = Path(root)
        self.problem = problem
        self.folder = self.root / "lake" / problem

    def append(
        self, table: Table, rows: pa.Table, *, arrival_us: int, bootstrap: bool = False, source: str = ""
    ) -> Batch:
        """Conform rows and append them as a batch. Idempotent for equal rows of the same source.

        Args:
            table: The declaration.
            rows: Rows of its source.
            arrival_us: When the batch had arrived completely; the arrival of rows without an `_arrival` of their own.
            bootstrap: Historical rows, whose arrival does not limit when they are known.
            source: What delivered the batch; name it where equal rows may arrive twice (a daily dump that returns to an
                older state).

        Returns:
            The batch, new or existing.

        Raises:
            DataError: The rows do not conform; nothing is written.
        """
        rows = conform(table, rows, expected=self.schema(table.name), allow_empty=not bootstrap)
        _check_arrivals(table, rows, arrival_us, bootstrap)
        content = batches.content(rows, table.keys, table.name, source)
        folder_of_table = self._table_folder(table.name)
        folder_of_table.mkdir(parents=True, exist_ok=True)
        with FileLock(folder_of_table / ".lock"):
            _sweep(folder_of_table)
            present = self.batches(table.name)
            facts = {batch.id: batches.batch_facts(batch) for batch in present}
            for batch in present:
                if batch.digest == content.digest:
                    write_index(folder_of_table, facts)
                    return batch
            _check_keys(table, present)
            unify(table.name, [(b.id, batches.schema(b)) for b in present] + [("this batch", content.rows.schema)])
            sequence = max((batch.sequence for batch in present), default=-1) + 1
            folder = folder_of_table / f"{sequence:06d}-{content.digest[:16]}"
            new_facts: dict[str, Any] = {
                "table": table.name,
                "rows": rows.num_rows,
                "arrival_us": arrival_us,
                "bootstrap": bootstrap,
                "source": source,
                "digest": content.digest,
                "keys": table.keys,
            }
            batches.write(folder, content.rows, new_facts)
            write_index(folder_of_table, {**facts, folder.name: new_facts})
        return replace(batches.read(folder), new=True)

    def quarantine(
        self, table: Table, rows: pa.Table, *, arrival_us: int, reasons: Sequence[Mapping[str, Any]]
    ) -> Path:
        """Store a refused batch unchanged with the reasons; the same refusal again is the same folder."""
        sink = pa.BufferOutputStream()
        parquet.write(rows, sink)
        data = sink.getvalue()
        digest = hashlib.sha256(data)
        digest.update(repr([sorted(reason.items()) for reason in reasons]).encode())
        folder = self.folder / "quarantine" / table.name / digest.hexdigest()[:16]
        if not _is_complete(folder):
            shutil.rmtree(folder, ignore_errors=True)
            with staged_folder(folder) as staged:
                (staged / batches.ROWS).write_bytes(data)
                write_json(staged / "reasons.json", list(reasons))
                facts = {"table": table.name, "rows": rows.num_rows, "arrival_us": arrival_us}
                write_json(staged / "batch.json", facts)
                write_manifest(staged)
        return folder

    def batches(self, table_name: str) -> tuple[Batch, ...]:
        """Return the batches of a table in order of first arrival; DamagedBatch where one is damaged or missing."""
        home = self._table_folder(table_name)
        if not home.is_dir():
            return ()
        present = {item.name for item in home.iterdir() if item.is_dir() and not item.name.startswith(".")}
        abandoned = abandoned_batches(self.folder, table_name)
        if missing := read_index(home).keys() - present - abandoned:
            raise batches.damaged_error(home / min(missing), "it is gone")
        return tuple(batches.read(home / name) for name in sorted(present - abandoned))

    def tables(self) -> tuple[str, ...]:
        """Return the names of the tables with at least one batch."""
        home = self.folder / "tables"
        return tuple(sorted(item.name for item in home.iterdir() if self.batches(item.name))) if home.is_dir() else ()

    def schema(self, table_name: str) -> pa.Schema | None:
        """Return the unified schema of a table's batches; None before the first batch."""
        present = self.batches(table_name)
        return unify(table_name, [(b.id, batches.schema(b)) for b in present]) if present else None

    def snapshot(self, as_of_us: int | None = None) -> Snapshot:
        """Return a snapshot of what had arrived by an instant (None: everything), and of all bootstrap loads."""
        home = self.folder / "tables"
        names = sorted(item.name for item in home.iterdir()) if home.is_dir() else ()
        selected = {
            name: tuple(b for b in self.batches(name) if as_of_us is None or b.bootstrap or b.arrival_us <= as_of_us)
            for name in names
        }
        return Snapshot(
            problem=self.problem,
            batches={name: batches for name, batches in selected.items() if batches},
            as_of_us=as_of_us,
        )

    def clock(self) -> int | None:
        """Return the production clock; None before it is first set; CorruptError where both copies are damaged."""
        return production_clock.read(self.folder)

    def advance_clock(self, to_us: int) -> int:
        """Advance the production clock and return it; an earlier instant changes nothing."""
        return production_clock.advance(self.folder, to_us)

    def catch_up(self, step_us: int = 0) -> int | None:
        """The clock, moved forward to the last batch where it lies more than a step behind that: it was set back, or
        lost and begun anew. A batch of one step ahead is no fault: a kill came between it and the clock."""
        clock, latest = self.clock(), self.latest_arrival()
        if clock is None or latest is None or latest - clock <= step_us:
            return clock
        _log.warning(
            "the production clock of %s was at %s, behind its data: it was moved on to their last batch, %s",
            *(self.problem, iso(clock), iso(latest)),
        )
        return self.advance_clock(latest)

    def latest_arrival(self) -> int | None:
        """When the last batch came; None where all there is are bootstrap loads."""
        found = (batch for name in self.tables() for batch in self.batches(name))
        return max((batch.arrival_us for batch in found if not batch.bootstrap), default=None)

    def _table_folder(self, table_name: str) -> Path:
        return self.folder / "tables" / table_name


def _is_complete(folder: Path) -> bool:
    try:
        check_manifest(folder)
    except (NotFoundError, CorruptError):
        return False
    return True


def _sweep(home: Path) -> None:
    """Remove what killed appends left half written, batches and files of the index; the caller holds the lock."""
    for leftover in home.glob(".*.tmp"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def _check_keys(table: Table, present: Sequence[Batch]) -> None:
    if present and present[-1].keys != table.keys:
        raise DataError(
            f"the key was {', '.join(present[-1].keys)} in earlier batches and is {', '.join(table.keys)} now",
            where=table.name,
            fix="declare the key as it was, or give the table a new name",
        )


def _check_arrivals(table: Table, rows: pa.Table, arrival_us: int, bootstrap: bool) -> None:
    if ARRIVAL not in rows.column_names:
        return
    column = rows.column(ARRIVAL)
    if bootstrap:
        raise DataError(f"a bootstrap load with {ARRIVAL}", where=table.name, fix="drop it: all of it is history")
    if column.null_count:
        raise DataError("rows without an arrival", where=f"{table.name}.{ARRIVAL}", fix="the feed must stamp every row")
    latest = pc.max(column.cast(pa.int64())).as_py()
    if latest is not None and latest > arrival_us:
        raise DataError(
            f"rows arrive after their batch: {iso(latest)} > {iso(arrival_us)}",
            where=f"{table.name}.{ARRIVAL}",
            fix="a batch's arrival is when all of it had come",
        )
