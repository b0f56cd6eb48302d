"""The log of a shared lake: numbered objects, each created once, whose changes in order give the lake's state.

    <problem>/log/00000012.json     one entry: its changes, an id of its own, and the id of the entry before
    <problem>/data/<sha256>         the files that changes name: rows of batches

A machine commits by creating the object of the next number; of two machines one succeeds, and the other reads that
entry first. So all machines see the same changes in the same order: a clock never before its batches, a child's rows
never before its parent's. The id of the entry before links the entries, as a chain: a log that was emptied and begun
anew, or lost entries, is noticed.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from headrace.core.errors import CorruptError
from headrace.core.fingerprint import canonical
from headrace.lake.object_store.objects import Objects

#: Requests at a time.
PARALLEL = 16
Change = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An entry of the log.

    Attributes:
        number: Its position, from 0.
        id: Random, its own.
        previous: Id of the entry before; empty for the first.
        changes: What it changes, in order.
    """

    number: int
    id: str
    previous: str
    changes: Sequence[Change]

    def encoded(self) -> bytes:
        """Return the bytes of its object."""
        value = {"id": self.id, "previous": self.previous, "changes": canonical(self.changes)}
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


class Log:
    """The log of a problem's lake.

    Args:
        objects: The store.
        problem: Name of the problem.
    """

    def __init__(self, objects: Objects, problem: str) -> None:
        self._objects = objects
        self._folder = f"{problem}/log"

    def read(self, number: int) -> Entry | None:
        """Read an entry; None where there is none yet. One request."""
        data = self._objects.read(self._name(number))
        if data is None:
            return None
        try:
            value = json.loads(data)
            return Entry(number=number, id=value["id"], previous=value["previous"], changes=tuple(value["changes"]))
        except (ValueError, KeyError, TypeError) as error:
            raise self._corrupt(number, f"is not readable ({type(error).__name__})") from None

    def after(self, number: int) -> Sequence[Entry]:
        """Read all entries after a number (-1: all): a request lists them, and one reads each.

        Raises:
            CorruptError: One is missing between others.
        """
        names = self._objects.names(self._folder, self._name(number) if number >= 0 else "")
        expected = [self._name(number + 1 + place) for place in range(len(names))]
        if missing := sorted(set(expected) - set(names)):
            raise self._corrupt(int(missing[0].rpartition("/")[2][:8]), "is gone")
        with ThreadPoolExecutor(PARALLEL) as pool:
            entries = list(pool.map(self.read, range(number + 1, number + 1 + len(names))))
        return [entry for entry in entries if entry is not None]

    def append(self, number: int, previous: str, changes: Sequence[Change]) -> Entry | None:
        """Create the entry of a number; None where another one has it.

        Where the answer to a request is lost, the store's library sends it again, and the second one finds the entry
        of the first: its id tells.
        """
        entry = Entry(number=number, id=uuid.uuid4().hex, previous=previous, changes=tuple(changes))
        if self._objects.create(self._name(number), entry.encoded()):
            return entry
        present = self.read(number)
        return entry if present is not None and present.id == entry.id else None

    def _name(self, number: int) -> str:
        return f"{self._folder}/{number:08d}.json"

    def _corrupt(self, number: int, what: str) -> CorruptError:
        return CorruptError(
            f"an entry of the lake's log {what}",
            where=f"{self._objects.where}: {self._name(number)}",
            fix="bring the object back (versioning of the bucket), or name a new folder in HEADRACE_LAKE",
        )
