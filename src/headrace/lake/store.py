"""The lake of one problem: append-only batches, and the production clock.

    lake/<problem>/tables/<table>/<sequence>-<digest>/     batches
    lake/<problem>/tables/<table>/batches.json             which of them there are (see batch_index.py)
    lake/<problem>/quarantine/<table>/<digest>/            refused batches, with their reasons
    lake/<problem>/clock.json                              the production clock, kept twice (core.replicas)

Nothing is overwritten. A row with an existing key is a new version, known from its arrival. Versions are resolved when
a snapshot is read (see snapshot.py), so the cost of an append does not grow with the lake.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from filelock import FileLock

from headrace.core.clock import iso
from headrace.core.files import remove_unfinished
from headrace.core.replicas import write_replicas
from headrace.core.settings import settings
from headrace.lake import batch as batches
from headrace.lake import production_clock
from headrace.lake.append_checks import check_arrivals, check_exact, check_keys, check_own, rows_with
from headrace.lake.batch import Batch
from headrace.lake.batch_index import abandoned_batches, read_index, write_index
from headrace.lake.conform import conform
from headrace.lake.quarantine import write_refused
from headrace.lake.snapshot import Snapshot
from headrace.lake.table_schema import unify
from headrace.schema import Table

if TYPE_CHECKING:
    from headrace.lake.object_store.shared import SharedLake

__all__ = ["Batch", "Lake", "Snapshot"]

#: Marks the folder `lake` of a home whose lakes are never shared.
_LOCAL = ".local"

_log = logging.getLogger(__name__)


class Lake:
    """Batches, snapshots and clock of one problem. Safe for several processes.

    Args:
        root: Home folder.
        problem: Name of the problem.
        store: Address of an object store that has the lake, of which the home keeps a copy (see object_store/). Empty:
            only the home has it. None: as HEADRACE_LAKE says.
    """

    def __init__(self, root: Path, problem: str, *, store: str | None = None) -> None:
        self.root = Path(root)
        self.problem = problem
        self.folder = self.root / "lake" / problem
        self._shared = _open_shared(self.folder, _configured_store(self.root) if store is None else store)
        self._followed = False

    def refresh(self) -> None:
        """Bring the home's copy of a shared lake up to date; nothing where only the home has the lake.

        A lake does so by itself when it is first used, for a snapshot, and before it appends.

        Raises:
            UnavailableError: The store does not answer.
        """
        if self._shared is not None:
            self._shared.follow(0.0)

    @property
    def is_shared(self) -> bool:
        """Whether an object store has the lake."""
        return self._shared is not None

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
        check_arrivals(table, rows, arrival_us, bootstrap)
        content = batches.content(rows, table.keys, table.name, source)
        new_facts: dict[str, Any] = {
            "table": table.name,
            "rows": rows.num_rows,
            "arrival_us": arrival_us,
            "bootstrap": bootstrap,
            "source": source,
            "digest": content.digest,
            "keys": table.keys,
        }
        folder_of_table = self._table_folder(table.name)
        folder_of_table.mkdir(parents=True, exist_ok=True)
        if self._shared is not None:

            def place() -> Batch | Path:
                return self._place(table, content, self._present(table.name))

            return self._shared.append(place, content.rows, new_facts)
        check_own(self.folder)
        with FileLock(folder_of_table / ".lock"):
            present = self._present(table.name)
            placed = self._place(table, content, present)
            facts = {batch.id: batches.batch_facts(batch) for batch in present}
            if isinstance(placed, Batch):
                write_index(folder_of_table, facts)
                return placed
            batches.write(placed, content.rows, new_facts)
            write_index(folder_of_table, {**facts, placed.name: new_facts})
        return replace(batches.read(placed), new=True)

    def _place(self, table: Table, content: batches.Content, present: Sequence[Batch]) -> Batch | Path:
        """Return the batch that has these rows already, or the folder of a new one; DataError where it does not fit.

        The caller holds the lock, so what killed appends left half written is removed too.
        """
        remove_unfinished(self._table_folder(table.name))
        for batch in present:
            if batch.digest == content.digest:
                return batch
        check_keys(table, present)
        schemas = [(b.id, batches.schema(b)) for b in present]
        unify(table.name, [*schemas, ("this batch", content.rows.schema)])
        check_exact(table.name, content.rows, unify(table.name, schemas), lambda column: rows_with(column, present))
        return self._table_folder(table.name) / f"{self._next_sequence(table.name, present):06d}-{content.digest[:16]}"

    def _next_sequence(self, table_name: str, present: Sequence[Batch]) -> int:
        """Return a number that no batch has had: under the name of one that was given up, a new one is not read."""
        names = {batch.id for batch in present} | read_index(self._table_folder(table_name)).keys()
        names |= abandoned_batches(self.folder, table_name)
        numbers = (name.partition("-")[0] for name in names)
        return max((int(number) for number in numbers if number.isdecimal()), default=-1) + 1

    def quarantine(
        self, table: Table, rows: pa.Table, *, arrival_us: int, reasons: Sequence[Mapping[str, Any]]
    ) -> Path:
        """Store a refused batch unchanged with the reasons; the same refusal again is the same folder."""
        folder, is_new = write_refused(self.folder, table.name, rows, arrival_us=arrival_us, reasons=reasons)
        if is_new and self._shared is not None:
            self._shared.add_quarantine(folder)
        return folder

    def batches(self, table_name: str) -> tuple[Batch, ...]:
        """Return the batches of a table in order of first arrival; DamagedBatch where one is damaged or missing."""
        self._follow()
        return self._present(table_name)

    def _present(self, table_name: str) -> tuple[Batch, ...]:
        """Return the batches in the home. Those of a shared lake that are damaged or missing are fetched again."""
        if self._shared is None:
            return self._read_batches(table_name)
        while True:
            try:
                return tuple(replace(batch, fetch=self._shared.fetch) for batch in self._read_batches(table_name))
            except batches.DamagedBatch as error:
                self._shared.fetch(error.facts["folder"])

    def _read_batches(self, table_name: str) -> tuple[Batch, ...]:
        home = self._table_folder(table_name)
        if not home.is_dir():
            return ()
        indexed = read_index(home).keys()  # before the folders: a batch is in the index after its folder is there
        present = {item.name for item in home.iterdir() if item.is_dir() and not item.name.startswith(".")}
        abandoned = abandoned_batches(self.folder, table_name)
        if missing := indexed - present - abandoned:
            raise batches.damaged_error(home / min(missing), "it is gone")
        return tuple(batches.read(home / name) for name in sorted(present - abandoned))

    def tables(self) -> tuple[str, ...]:
        """Return the names of the tables with at least one batch."""
        self._follow()
        home = self.folder / "tables"
        return tuple(sorted(item.name for item in home.iterdir() if self.batches(item.name))) if home.is_dir() else ()

    def schema(self, table_name: str) -> pa.Schema | None:
        """Return the unified schema of a table's batches; None before the first batch."""
        present = self.batches(table_name)
        return unify(table_name, [(b.id, batches.schema(b)) for b in present]) if present else None

    def snapshot(self, as_of_us: int | None = None) -> Snapshot:
        """Return a snapshot of what had arrived by an instant (None: everything), and of all bootstrap loads."""
        if self._shared is not None:
            self._shared.follow()
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
        self._follow()
        return production_clock.read(self.folder)

    def advance_clock(self, to_us: int) -> int:
        """Advance the production clock and return it; an earlier instant changes nothing."""
        if self._shared is not None:
            return self._shared.advance_clock(to_us)
        check_own(self.folder)
        return production_clock.advance(self.folder, to_us)

    def record_cursor(self, table_name: str, value: Mapping[str, Any]) -> None:
        """Record up to where the source of a table was read, after its batches (see cursor.py)."""
        if self._shared is not None:
            self._shared.record_cursor(table_name, value)
        else:
            write_replicas(self.cursor_path(table_name), value)

    def cursor_path(self, table_name: str) -> Path:
        """Return the file of a table's cursor."""
        return self._table_folder(table_name) / "cursor.json"

    def fetch_again(self, folder: Path) -> bool:
        """Write the folder of a damaged batch again from the object store; False where the store does not have it."""
        if self._shared is None:
            return False
        try:
            self._shared.fetch(folder)
        except batches.DamagedBatch:
            return False
        return True

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

    def _follow(self) -> None:
        """Bring the copy of a shared lake up to date when this object is first used."""
        if self._shared is not None and not self._followed:
            self._shared.follow()
            self._followed = True

    def _table_folder(self, table_name: str) -> Path:
        return self.folder / "tables" / table_name


def keep_local(root: Path) -> None:
    """Let the lakes of a home be its own whatever HEADRACE_LAKE says: of a replay, whose clock is not the present."""
    (root / "lake").mkdir(parents=True, exist_ok=True)
    (root / "lake" / _LOCAL).touch()


def _configured_store(root: Path) -> str:
    address = settings().lake
    return "" if not address or (root / "lake" / _LOCAL).exists() else address


def _open_shared(folder: Path, address: str) -> SharedLake | None:
    if not address:
        return None
    from headrace.lake.object_store.shared import SharedLake

    return SharedLake(folder, address)
