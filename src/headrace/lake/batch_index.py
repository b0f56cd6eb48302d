"""Which batches a table has, so that one that is gone is missed, and its facts are not lost with it.

    tables/<table>/batches.json         every batch's facts by id, kept twice (core.replicas)
    given-up/<table>/<batch>            a folder of a batch's name: a person has said to go on without that batch

A batch is committed by its folder, and noted afterwards: one that is there and not noted is as good as the others.
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

#: File -> what it and its copy were known by when they were read last, and what it held.
_READ: dict[Path, tuple[tuple[Stamp | None, Stamp | None], Mapping[str, Any]]] = {}


def read_index(home: Path) -> Mapping[str, Any]:
    """Facts of a table's batches by id; none where nothing was noted yet. Raises CorruptError where nobody can tell."""
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
    """Write down all batches of a table. The caller holds the table's lock."""
    if read_index(home) != (updated := canonical(facts)):
        write_replicas(home / INDEX, {"batches": updated})


def abandoned_batches(folder: Path, table: str) -> frozenset[str]:
    """Ids of the batches of a table that a person has given up. folder: of the lake."""
    place = folder / "given-up" / table
    return frozenset(item.name for item in place.iterdir()) if place.is_dir() else frozenset()
