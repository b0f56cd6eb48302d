"""Keep the lake folder of a home equal to a lake on an object store, and append to that lake.

    lake/<problem>/shared.json      the last entry of the log that is in the copy

Reading never asks the store: `follow` brings the copy up to date, which costs one request where nothing is new.
Appending uploads the rows, creates the next entry of the log, and only then puts the batch into the copy. A kill
before the entry leaves objects that nobody names; a kill after it leaves a batch that the next `follow` fetches.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from filelock import FileLock

from headrace.core.errors import ConflictError
from headrace.core.files import staged_folder
from headrace.lake import batch as batches
from headrace.lake import production_clock
from headrace.lake.batch import Batch
from headrace.lake.batch_index import give_up, read_index, write_index
from headrace.lake.object_store.changes import (
    apply_changes,
    fetch_folder,
    folder_change,
    folder_of,
    given_up_folders,
    local_changes,
    upload_files,
)
from headrace.lake.object_store.copy_state import CopyState, read_state, write_state
from headrace.lake.object_store.log import Change, Entry, Log
from headrace.lake.object_store.objects import open_objects

#: Seconds for which a copy counts as up to date in a process that brought it up to date.
FRESH_S = 1.0

_log = logging.getLogger(__name__)
#: Entries of a log that are applied between two records of how far the copy is.
_AT_A_TIME = 200
#: Folder of a copy and its store -> when this process last brought it up to date, seconds of the monotonic clock.
_FOLLOWED: dict[tuple[Path, str], float] = {}


class _NumberTaken(Exception):
    """Another machine created the next entry first."""


class SharedLake:
    """The lake of one problem on an object store, and its copy in a home. Safe for several processes and machines.

    Args:
        folder: Folder of the problem's lake in the home.
        address: Of the store.
    """

    def __init__(self, folder: Path, address: str) -> None:
        self._folder = folder
        self._address = address
        self._objects = open_objects(address)
        self._log = Log(self._objects, folder.name)
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(folder / ".shared.lock")

    def __reduce__(self) -> tuple[Any, ...]:
        """Other processes open the store for themselves."""
        return SharedLake, (self._folder, self._address)

    def follow(self, fresh_s: float | None = None) -> None:
        """Bring the copy up to date, unless this process did so within some seconds (None: `FRESH_S`).

        Raises:
            UnavailableError: The store does not answer.
            ConflictError: The copy is not one of this lake.
            DamagedBatch: The store has lost a batch.
        """
        fresh_s = FRESH_S if fresh_s is None else fresh_s
        if time.monotonic() - _FOLLOWED.get((self._folder, self._address), -math.inf) >= fresh_s:
            with self._lock:
                self._catch_up()

    def append(self, place: Callable[[], Batch | Path], rows: pa.Table, facts: Mapping[str, Any]) -> Batch:
        """Append a batch.

        Args:
            place: Returns the batch of the copy that has these rows already, or the folder of a new one. Called again
                after another machine appended first.
            rows: Conformed rows in canonical order.
            facts: What the batch is committed with.
        """
        with self._lock:
            while True:
                self._prepare()
                placed = place()
                if isinstance(placed, Batch):
                    return placed
                with suppress(_NumberTaken), staged_folder(placed) as staged:
                    batches.write_files(staged, rows, facts)
                    entry = self._commit_folder("batch", placed, staged)
                if placed.is_dir():
                    break
            write_index(placed.parent, {**read_index(placed.parent), placed.name: facts})
            self._note([entry])
        return replace(batches.read(placed), new=True, fetch=self.fetch)

    def add_quarantine(self, folder: Path) -> None:
        """Add a finished folder of a refused batch, so that every machine can see why it was refused."""
        with self._lock:
            entry = None
            while entry is None:
                self._prepare()
                with suppress(_NumberTaken):
                    entry = self._commit_folder("quarantine", folder, folder)
            self._note([entry])

    def advance_clock(self, to_us: int) -> int:
        """Advance the production clock of all machines and return it; an earlier instant changes nothing."""
        with self._lock:
            while (now := production_clock.read(self._folder)) is None or now < to_us:
                self._prepare()
                now = production_clock.read(self._folder)
                if now is None or now < to_us:
                    self._commit_and_apply({"kind": "clock", "now_us": to_us})
        return now

    def publish(self) -> None:
        """Bring the copy up to date, and upload the lake that this home has where the store has none yet."""
        with self._lock:
            self._prepare()

    def record_cursor(self, table: str, value: Mapping[str, Any]) -> None:
        """Record for all machines up to where the source of a table was read."""
        with self._lock:
            self._commit_surely({"kind": "cursor", "table": table, "value": value})

    def fetch(self, folder: Path) -> None:
        """Write the folder of a batch again from the store. Its change is searched in the whole log.

        Raises:
            DamagedBatch: The store does not have it.
        """
        with self._lock:
            for entry in self._log.after(-1):
                for change in entry.changes:
                    if change["kind"] == "batch" and folder_of(self._folder, change) == folder:
                        fetch_folder(self._objects, self._folder, change, again=True)
                        _log.warning("%s was damaged or gone: it was fetched from %s", folder, self._objects.where)
                        return
        raise batches.damaged_error(folder, "it is not in the shared lake either")

    # -- the copy

    def _state(self) -> CopyState:
        return read_state(self._folder)

    def _note(self, entries: Sequence[Entry]) -> None:
        """Record that entries are in the copy."""
        write_state(self._folder, self._objects.where, entries)
        self._fresh()

    def _fresh(self) -> None:
        _FOLLOWED[self._folder, self._address] = time.monotonic()

    def _catch_up(self) -> None:
        """Apply what is new in the log. Where nothing is, one request tells."""
        applied = self._state().applied
        if applied < 0:
            self._apply(self._log.after(-1))
        elif (following := self._log.read(applied + 1)) is not None:
            self._apply([following, *self._log.after(applied + 1)])
        self._fresh()

    def _prepare(self) -> None:
        """Before a commit: see that the log goes on from the copy, apply what is new in it, upload a lake that only
        this home has, and pass on which batches were given up here."""
        state = self._state()
        if state.applied >= 0:
            present = self._log.read(state.applied)
            if present is None or present.id != state.entry:
                raise self._another_lake("the store lacks the last change that this home knows")
        self._apply(self._log.after(state.applied))
        if self._state().applied < 0:
            self._begin()
        for path in given_up_folders(self._folder):
            if f"{path.parent.name}/{path.name}" not in self._state().given_up:
                self._commit_surely({"kind": "given-up", "table": path.parent.name, "name": path.name})

    def _apply(self, entries: Sequence[Entry]) -> None:
        """Apply the entries that follow the last one in the copy."""
        state, last = self._state(), self._state().entry
        for entry in entries:
            if entry.previous != last:
                raise self._another_lake(f"entry {entry.number} of its log does not follow what this home knows")
            last = entry.id
        changes = [change for entry in entries for change in entry.changes]
        if entries and state.applied < 0:
            self._check_subset(changes)
        for one in changes:  # of those to come too: what is given up later is not fetched now
            if one["kind"] == "given-up":
                give_up(self._folder, one["table"], one["name"])
        for first in range(0, len(entries), _AT_A_TIME):
            part = entries[first : first + _AT_A_TIME]
            apply_changes(self._objects, self._folder, [change for entry in part for change in entry.changes])
            self._note(part)

    def _begin(self) -> None:
        """Upload the lake that this home has, where the store has none yet. One entry commits all of it."""
        changes = local_changes(self._folder)
        if not changes:
            return
        uploaded = set(self._objects.names(f"{self._folder.name}/data"))
        for change in changes:
            if "files" in change:
                upload_files(self._objects, change, folder_of(self._folder, change), self._folder.name, uploaded)
        entry = self._log.append(0, "", changes)
        if entry is None:  # another machine began it meanwhile
            self._apply(self._log.after(-1))
            return
        _log.warning("the lake of %s was uploaded to %s", self._folder.name, self._objects.where)
        self._note([entry])

    def _check_subset(self, changes: Sequence[Change]) -> None:
        """Raise ConflictError where the home has batches that the shared lake lacks: it is another lake."""
        known = {(one["table"], one["name"]) for one in changes if one["kind"] == "batch"}
        own = {(one["table"], one["name"]) for one in local_changes(self._folder) if one["kind"] == "batch"}
        if foreign := sorted(own - known):
            raise self._another_lake(
                "this home has batches that it lacks", [f"{table}/{name}" for table, name in foreign]
            )

    # -- commits

    def _commit(self, change: Change) -> Entry:
        """Create the next entry of the log; _NumberTaken where another machine has it."""
        state = self._state()
        entry = self._log.append(state.applied + 1, state.entry, [change])
        if entry is None:
            raise _NumberTaken
        return entry

    def _commit_folder(self, kind: str, final: Path, staged: Path) -> Entry:
        change = folder_change(kind, final.parent.name, staged, final.name)
        upload_files(self._objects, change, staged, self._folder.name)
        return self._commit(change)

    def _commit_and_apply(self, change: Change) -> bool:
        """Commit a change without files, and apply it; False where another machine came first."""
        try:
            entry = self._commit(change)
        except _NumberTaken:
            return False
        apply_changes(self._objects, self._folder, [change])
        self._note([entry])
        return True

    def _commit_surely(self, change: Change) -> None:
        while not self._commit_and_apply(change):
            self._apply(self._log.after(self._state().applied))

    def _another_lake(self, what: str, found: Sequence[str] = ()) -> ConflictError:
        return ConflictError(
            f"the lake of {self._folder.name!r} in the store is not the one that this home is a copy of: {what}",
            where=self._objects.where,
            found=found,
            fix=f"name the right folder in HEADRACE_LAKE; or move {self._folder} away: it is fetched again; where"
            " the store has lost the lake, see docs/operating.md",
        )
