"""Changes of a shared lake as entries of its log, and what each does to the copy of the lake in a home.

| kind | change | in the copy |
|---|---|---|
| `batch` | a batch was appended | its folder below `tables/` |
| `quarantine` | a batch was refused | its folder below `quarantine/` |
| `given-up` | a person accepted the loss of a batch | an empty folder below `given-up/` |
| `cursor` | a source was read up to there | `cursor.json` of the table |
| `clock` | the production clock moved | `clock.json` |

A folder is its small JSON files, which the log holds, and its rows, an object named by its sha256.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from headrace.core.errors import HeadraceError
from headrace.core.files import read_json, remove_unfinished, staged_folder, write_json
from headrace.core.fingerprint import file_digest
from headrace.core.manifest import MANIFEST, check_manifest, write_manifest
from headrace.core.replicas import exists, read_replicas, write_replicas
from headrace.lake import batch as batches
from headrace.lake import production_clock
from headrace.lake.batch_index import abandoned_batches, give_up, read_index, write_index
from headrace.lake.object_store.log import Change
from headrace.lake.object_store.objects import Objects

#: Downloads at a time.
PARALLEL = 8
CURSOR = "cursor.json"


def folder_change(kind: str, table: str, folder: Path, name: str) -> dict[str, Any]:
    """Return the change that a finished folder of a batch is.

    Args:
        kind: `batch` or `quarantine`.
        table: Name of the table.
        folder: The folder, staged or in place.
        name: Its name in the lake.
    """
    documents = {path.name: read_json(path) for path in sorted(folder.glob("*.json")) if path.name != MANIFEST}
    files = {path.name: file_digest(path) for path in sorted(folder.iterdir()) if path.suffix != ".json"}
    return {"kind": kind, "table": table, "name": name, "documents": documents, "files": files}


def upload_files(
    objects: Objects, change: Change, folder: Path, problem: str, uploaded: Collection[str] = frozenset()
) -> None:
    """Write the files of a folder to the store, without those that are uploaded already (names of objects)."""
    for name, digest in change["files"].items():
        if (target := data_name(problem, digest)) not in uploaded:
            objects.write(target, folder / name)


def data_name(problem: str, digest: str) -> str:
    """Return the name of the object with a file's bytes."""
    return f"{problem}/data/{digest}"


def apply_changes(objects: Objects, lake: Path, changes: Sequence[Change]) -> None:
    """Bring the copy of a lake up to date: batches, then what refers to them, then the clock. Idempotent.

    Args:
        objects: The store.
        lake: Folder of the problem's lake in the home.
        changes: In the order of the log. The caller holds the lock of the copy.

    Raises:
        DamagedBatch: The store lacks a file of a batch, or has another one; nobody has given the batch up.
    """
    by_kind = {
        kind: [one for one in changes if one["kind"] == kind]
        for kind in ("batch", "quarantine", "given-up", "cursor", "clock")
    }
    for folder in {folder_of(lake, one).parent for one in changes if "files" in one}:
        remove_unfinished(folder)
    for one in by_kind["given-up"]:
        give_up(lake, one["table"], one["name"])
    needed = [one for one in by_kind["batch"] if one["name"] not in abandoned_batches(lake, one["table"])]
    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(lambda one: fetch_folder(objects, lake, one), [*needed, *by_kind["quarantine"]]))
    for table in {one["table"] for one in by_kind["batch"]}:
        home = lake / "tables" / table
        home.mkdir(parents=True, exist_ok=True)
        facts = {one["name"]: one["documents"][batches.FACTS] for one in by_kind["batch"] if one["table"] == table}
        write_index(home, {**read_index(home), **facts})
    for one in by_kind["cursor"]:
        write_replicas(lake / "tables" / one["table"] / CURSOR, one["value"])
    if by_kind["clock"]:
        production_clock.advance(lake, max(int(one["now_us"]) for one in by_kind["clock"]))


def fetch_folder(objects: Objects, lake: Path, change: Change, *, again: bool = False) -> None:
    """Write the folder of a batch from the store, atomically, unless it is there and whole.

    Args:
        objects: The store.
        lake: Folder of the problem's lake in the home.
        change: The batch.
        again: Whether it is written although its metadata is whole.

    Raises:
        DamagedBatch: The store lacks one of its files, or has another one.
    """
    folder = folder_of(lake, change)
    if not again and _is_present(folder, change):
        return
    with staged_folder(folder) as staged:
        for name, document in change["documents"].items():
            write_json(staged / name, document)
        for name, digest in change["files"].items():
            where = data_name(lake.name, digest)
            if not objects.fetch(where, staged / name):
                raise _lost(objects, folder, where, "the store has lost it")
            if file_digest(staged / name) != digest:
                raise _lost(objects, folder, where, "the store holds other bytes")
        write_manifest(staged)
        shutil.rmtree(folder, ignore_errors=True)


def folder_of(lake: Path, change: Change) -> Path:
    """Return the folder that a change is about, in the copy of the lake."""
    place = {"batch": "tables", "quarantine": "quarantine"}[change["kind"]]
    return lake / place / str(change["table"]) / str(change["name"])


def _is_present(folder: Path, change: Change) -> bool:
    """Whether a folder of the copy is that of a change. Rows that were damaged since are found when they are read."""
    if not folder.is_dir():
        return False
    try:
        if change["kind"] == "quarantine":
            check_manifest(folder)
            return True
        facts = batches.batch_facts(batches.read(folder))
    except (HeadraceError, OSError):
        return False
    return bool(facts == change["documents"][batches.FACTS])


def _lost(objects: Objects, folder: Path, name: str, what: str) -> batches.DamagedBatch:
    given_up = folder.parents[2] / "given-up" / folder.parent.name / folder.name
    return batches.DamagedBatch(
        f"a damaged batch: {what}",
        where=f"{objects.where}: {name}",
        fix="run `headrace lake` in a home that has the batch, bring the object back (versioning of the bucket), or go"
        f" on without the batch: mkdir -p {given_up}",
        folder=folder,
    )


def local_changes(lake: Path) -> list[dict[str, Any]]:
    """Return a lake that only this home has as changes, in the order of arrival.

    Raises:
        DamagedBatch: A batch is damaged or missing.
    """
    for home in sorted((lake / "tables").glob("*/")):
        for name in sorted(set(read_index(home)) - abandoned_batches(lake, home.name)):
            if not (home / name).is_dir():
                raise batches.damaged_error(home / name, "it is gone")
    changes: list[dict[str, Any]] = []
    for kind, place in (("batch", "tables"), ("quarantine", "quarantine")):
        for folder in sorted((lake / place).glob("*/[!.]*/")):
            if kind == "batch" and folder.name in abandoned_batches(lake, folder.parent.name):
                continue
            _check_folder(folder)
            changes.append(folder_change(kind, folder.parent.name, folder, folder.name))
    changes += [{"kind": "given-up", "table": path.parent.name, "name": path.name} for path in given_up_folders(lake)]
    for path in sorted((lake / "tables").glob("*/")):
        if exists(path / CURSOR):
            changes.append({"kind": "cursor", "table": path.name, "value": read_replicas(path / CURSOR)})
    if (now_us := production_clock.read(lake)) is not None:
        changes.append({"kind": "clock", "now_us": now_us})
    return changes


def _check_folder(folder: Path) -> None:
    try:
        check_manifest(folder)
    except HeadraceError as error:
        raise batches.damaged_error(folder, f"{Path(error.where).name}: {error.what}") from None


def given_up_folders(lake: Path) -> list[Path]:
    """Return the marks of batches whose loss a person accepted."""
    return sorted(path for path in (lake / "given-up").glob("*/*") if path.is_dir())
