"""Bring the store of a shared lake and the copy in a home into agreement: each gets from the other what it lacks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from headrace.core.fingerprint import file_digest
from headrace.lake.batch_index import abandoned_batches
from headrace.lake.object_store.changes import data_name, folder_of
from headrace.lake.object_store.log import Change, Log
from headrace.lake.object_store.objects import Objects, open_objects
from headrace.lake.object_store.shared import SharedLake

#: Age from which an object that no entry names is removed: an append that is under way may name a younger one.
LEFTOVER_S = 86_400.0


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """What was found and done.

    Attributes:
        entries: Entries of the log.
        batches: Batches that it names and that were not given up.
        uploaded: Files that the store had lost, uploaded from the copy.
        lost: Files that the store has lost and the copy lacks too, as `table/batch/file`.
        removed: Objects that no entry names, removed.
        young: Objects that no entry names, left because an append that is under way may name them.
    """

    entries: int
    batches: int
    uploaded: int
    lost: tuple[str, ...]
    removed: int
    young: int


def agree(folder: Path, address: str, *, leftover_s: float = LEFTOVER_S) -> Agreement:
    """Upload a lake that only the home has, fetch what is new, and compare the objects of the store with the log.

    Args:
        folder: Folder of the problem's lake in the home.
        address: Of the store.
        leftover_s: Age in seconds from which an object that no entry names is removed.

    Raises:
        UnavailableError: The store does not answer.
        ConflictError: The copy is not one of this lake.
        DamagedBatch: The copy lacks a batch that the store has lost too.
    """
    objects = open_objects(address)
    SharedLake(folder, address).publish()
    entries = Log(objects, folder.name).after(-1)
    changes = [one for entry in entries for one in entry.changes if "files" in one]
    changes = [one for one in changes if one["name"] not in abandoned_batches(folder, one["table"])]
    present = set(objects.names(f"{folder.name}/data"))
    named = {data_name(folder.name, digest) for one in changes for digest in one["files"].values()}
    missing = [
        (one, name)
        for one in changes
        for name, digest in one["files"].items()
        if data_name(folder.name, digest) not in present
    ]
    lost = tuple(_path(one, name) for one, name in missing if not _upload(objects, folder, one, name))
    removed = [name for name in sorted(present - named) if (objects.age_s(name) or 0.0) >= leftover_s]
    for name in removed:
        objects.remove(name)
    return Agreement(
        entries=len(entries),
        batches=sum(one["kind"] == "batch" for one in changes),
        uploaded=len(missing) - len(lost),
        lost=lost,
        removed=len(removed),
        young=len(present - named) - len(removed),
    )


def _upload(objects: Objects, folder: Path, change: Change, name: str) -> bool:
    """Upload a file of the copy, if it is the one that the change names."""
    path, digest = folder_of(folder, change) / name, change["files"][name]
    if not path.is_file() or file_digest(path) != digest:
        return False
    objects.write(data_name(folder.name, digest), path)
    return True


def _path(change: Change, name: str) -> str:
    return f"{change['table']}/{change['name']}/{name}"
