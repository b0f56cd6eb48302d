"""One batch of a table on disk: content-addressed, immutable, committed by one rename.

A batch's folder holds rows.parquet, batch.json and manifest.json, and is called `<sequence>-<digest>`: the order of
first arrival, and the sha256 of the rows' canonical bytes (columns by name, rows by key).
"""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from headrace.core import parquet
from headrace.core.errors import CorruptError, HeadraceError
from headrace.core.files import read_json, staged_folder, write_json
from headrace.core.fingerprint import canonical
from headrace.core.manifest import MANIFEST, Manifest, Stamp, read_manifest, stable_stamp, write_manifest
from headrace.lake.conform import ARRIVAL

#: End of the name of a damaged folder while it is replaced; not .tmp, which the next append removes.
_ASIDE = ".damaged"
ROWS, FACTS = "rows.parquet", "batch.json"


class DamagedBatch(CorruptError):
    """A batch is damaged or missing. facts["folder"]: its folder."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A batch of a table.

    Attributes:
        id: Name of its folder.
        table: Name of the table.
        rows: Number of rows.
        arrival_us: When it had arrived completely, microseconds UTC; unused for a bootstrap load.
        bootstrap: Whether it is a historical load.
        source: What delivered it; part of its identity.
        digest: sha256 of its rows in canonical order.
        keys: Key columns.
        path: Its folder.
        new: Whether the present append wrote it.
        sums: Checksums of its files.
        fetch: Brings it in again from the store of a shared lake, where it is damaged; None in a lake of one home.
    """

    id: str
    table: str
    rows: int
    arrival_us: int
    bootstrap: bool
    source: str
    digest: str
    keys: tuple[str, ...]
    path: Path
    new: bool = False
    sums: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    fetch: Callable[[Path], None] | None = field(default=None, repr=False, compare=False)

    @property
    def sequence(self) -> int:
        """Position in the order of first arrival, from 0."""
        return int(self.id.split("-")[0])


@dataclass(frozen=True, kw_only=True)
class Content:
    """Rows in canonical order, and the digest of their bytes."""

    rows: pa.Table
    digest: str


def content(rows: pa.Table, keys: Sequence[str], table: str, source: str) -> Content:
    """Return conformed rows in canonical order and their digest; equal rows in any order have equal digests."""
    rows = rows.select(sorted(rows.column_names))
    by = [*keys, *([ARRIVAL] if ARRIVAL in rows.column_names else [])]
    order = pc.sort_indices(rows, sort_keys=[(name, "ascending") for name in by])
    rows = rows.take(order).combine_chunks().replace_schema_metadata(None)
    digest = hashlib.sha256(f"{table}\0{source}\0".encode())
    digest.update(parquet.identity(rows))
    return Content(rows=rows, digest=digest.hexdigest())


def write(folder: Path, rows: pa.Table, facts: Mapping[str, Any]) -> None:
    """Write a batch's folder with its manifest, atomically."""
    with staged_folder(folder) as staged:
        write_files(staged, rows, facts)


def write_again(folder: Path, rows: pa.Table, facts: Mapping[str, Any]) -> None:
    """Replace the folder of a damaged batch.

    The damaged one is set aside until the new one is in its place: neither a full disk nor a kill loses its rows.
    """
    with staged_folder(folder) as staged:
        write_files(staged, rows, facts)
        if folder.exists():
            folder.rename(folder.with_name(f".{folder.name}.{uuid.uuid4().hex}{_ASIDE}"))
    for old in set_aside(folder):
        shutil.rmtree(old, ignore_errors=True)


def set_aside(folder: Path) -> tuple[Path, ...]:
    """Return the damaged folders of a batch that killed repairs have set aside."""
    return tuple(sorted(folder.parent.glob(f".{folder.name}.*{_ASIDE}")))


def write_files(folder: Path, rows: pa.Table, facts: Mapping[str, Any]) -> None:
    """Write the files of a batch into its staged folder."""
    parquet.write(rows, folder / ROWS, store_schema=False)
    write_json(folder / FACTS, facts)
    write_manifest(folder)


def read(folder: Path) -> Batch:
    """Read a batch's metadata, not its rows.

    Raises:
        DamagedBatch: It is damaged or missing.
    """
    try:
        stamps = stable_stamp(folder / MANIFEST), stable_stamp(folder / FACTS)
        if None in stamps:
            return _read(folder)
        if _READ.get(folder, (None, None))[0] != stamps:
            _READ[folder] = (stamps, _read(folder))
        return _READ[folder][1]
    except OSError as error:
        raise damaged_error(folder, f"{Path(error.filename).name} cannot be read ({error.strerror})") from None
    except HeadraceError as error:
        raise damaged_error(folder, f"{Path(error.where).name}: {error.what}") from None


#: Folder -> stamps of its manifest and facts when they were last read, and the batch.
_READ: dict[Path, tuple[tuple[Stamp | None, Stamp | None], Batch]] = {}


def _read(folder: Path) -> Batch:
    manifest = read_manifest(folder)
    facts = read_json(manifest.path(FACTS))
    return Batch(id=folder.name, path=folder, sums=manifest.sums, **{**facts, "keys": tuple(facts["keys"])})


def damaged_error(folder: Path, what: str) -> DamagedBatch:
    """Return the error for a damaged or missing batch."""
    return DamagedBatch(
        f"a damaged batch: {what}",
        where=str(folder),
        fix="`headrace run` brings it in again where its source still gives the same rows",
        folder=folder,
    )


def batch_facts(batch: Batch) -> dict[str, Any]:
    """Return the facts that a batch was committed with."""
    names = ("table", "rows", "arrival_us", "bootstrap", "source", "digest", "keys")
    return {name: canonical(getattr(batch, name)) for name in names}


def check(batch: Batch) -> None:
    """Compare the rows file with its checksum; DamagedBatch where it differs."""
    _read_verified(batch, lambda path: path)


def load(batch: Batch, columns: Sequence[str] | None = None) -> pa.Table:
    """Read the rows, or those of the columns that the batch has; DamagedBatch where their checksum differs."""
    if columns is not None:
        present = schema(batch).names
        columns = [name for name in dict.fromkeys(columns) if name in present]
    return _read_verified(batch, lambda path: parquet.read(path, columns=columns))


def load_parts(batch: Batch, rows: int, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Read the columns that the batch has, at most so many rows at a time; DamagedBatch where its checksum differs."""
    if batch.rows <= rows:
        yield load(batch, columns)
        return
    present = schema(batch).names
    names = [name for name in dict.fromkeys(columns) if name in present]
    for part in _read_verified(batch, parquet.ParquetFile).batches(rows, names):
        yield pa.Table.from_batches([part])


def schema(batch: Batch) -> pa.Schema:
    """Read the schema of a batch; DamagedBatch where its checksum differs. An unchanged file is not read again."""
    path = batch.path / ROWS
    try:
        stamp = stable_stamp(path)
    except OSError:
        stamp = None
    if stamp is None or _SCHEMAS.get(path, (None, None))[0] != stamp:
        found = _read_verified(batch, parquet.read_schema)
        if stamp is None:
            return found
        _SCHEMAS[path] = (stamp, found)
    return _SCHEMAS[path][1]


#: Rows file -> its stamp when its schema was last read, and the schema.
_SCHEMAS: dict[Path, tuple[Stamp, pa.Schema]] = {}


def _read_verified(batch: Batch, reader: Callable[[Path], Any]) -> Any:
    try:
        return reader(Manifest(folder=batch.path, sums=batch.sums).path(ROWS))
    except CorruptError as error:
        if batch.fetch is None:
            raise damaged_error(batch.path, f"{Path(error.where).name}: {error.what}") from None
    batch.fetch(batch.path)
    return _read_verified(read(batch.path), reader)
