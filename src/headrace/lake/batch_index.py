"""The index of a table's batches, so that a missing batch is detected and its facts are not lost.

    tables/<table>/batches.json         facts of every batch by id, stored twice (core.replicas)
    given-up/<table>/<batch>            empty folder named like a batch: a person accepted its loss

A batch is committed by its folder and indexed afterwards; one that is not in the index is valid too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headrace.core.errors import NotFoundError
from headrace.core.fingerprint import canonical
from headrace.core.manifest import Stamp, stable_stamp
from headrace.core.replicas import read_replicas, replica_path, write_replicas

INDEX = "batches.json"
#: File in a lake's folder which says that it is a copy of a shared lake (object_store.copy_state).
SHARED = "shared.json"

#: File -> stamps of it and its replica when they were last read, and the content.
_READ: dict[Path, tuple[tuple[Stamp | None, Stamp | None], Mapping[str, Any]]] = {}


def read_index(home: Path) -> Mapping[str, Any]:
    """Read the facts of a table's batches by id; empty where there is no index.

    Raises:
        CorruptError: The index and its replica are damaged.
    """
    path = home / INDEX
    try:
        stamps = stable_stamp(path), stable_stamp(replica_path(path))
        if None not in stamps and _READ.get(path, (None, None))[0] == stamps:
            return _READ[path][1]
    except FileNotFoundError:
        stamps = None, None
    try:
        facts: Mapping[str, Any] = read_replicas(path)["batches"]
    except NotFoundError:
        return {}
    if None not in stamps:
        _READ[path] = (stamps, facts)
    return facts


def write_index(home: Path, facts: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the index of a table. The caller holds the table's lock."""
    if read_index(home) != (updated := canonical(facts)):
        write_replicas(home / INDEX, {"batches": updated})


def abandoned_batches(folder: Path, table: str) -> frozenset[str]:
    """Return the ids of the batches of a table whose loss a person accepted. folder: of the lake."""
    place = folder / "given-up" / table
    return frozenset(item.name for item in place.iterdir()) if place.is_dir() else frozenset()


def give_up(folder: Path, table: str, name: str) -> None:
    """Mark a batch whose loss a person accepted. folder: of the lake."""
    (folder / "given-up" / table / name).mkdir(parents=True, exist_ok=True)
