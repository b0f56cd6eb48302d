"""How far a home's copy of a shared lake is: `lake/<problem>/shared.json`, stored twice with a checksum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headrace.core.errors import NotFoundError
from headrace.core.replicas import read_replicas, write_replicas
from headrace.lake.batch_index import SHARED
from headrace.lake.object_store.log import Entry


@dataclass(frozen=True, kw_only=True)
class CopyState:
    """How far a copy is.

    Attributes:
        applied: Number of the last entry of the log that is in it; -1 before the first.
        entry: Id of that entry.
        given_up: `table/batch` of the batches that the log says were given up.
    """

    applied: int = -1
    entry: str = ""
    given_up: frozenset[str] = frozenset()


def read_state(lake: Path) -> CopyState:
    """Read how far the copy in a folder is.

    Raises:
        CorruptError: Both copies of the file are damaged. Without them, the whole log is applied again.
    """
    try:
        value = read_replicas(lake / SHARED)
    except NotFoundError:
        return CopyState()
    return CopyState(applied=int(value["applied"]), entry=str(value["entry"]), given_up=frozenset(value["given_up"]))


def write_state(lake: Path, store: str, entries: Sequence[Entry]) -> None:
    """Record that the next entries of the log are in the copy. store: its address, for whoever reads the file."""
    given_up = {
        f"{one['table']}/{one['name']}" for entry in entries for one in entry.changes if one["kind"] == "given-up"
    }
    value = {
        "store": store,
        "applied": entries[-1].number,
        "entry": entries[-1].id,
        "given_up": sorted(read_state(lake).given_up | given_up),
    }
    write_replicas(lake / SHARED, value)
