"""One batch of a table on disk: content-addressed, immutable, committed by one rename.

A batch's folder holds rows.parquet, batch.json and manifest.json, and is called `<sequence>-<digest>`: the order of
first arrival, and the sha256 of the rows' canonical bytes (columns by name, rows by key).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from headrace.core import parquet
from headrace.core.files import read_json, staged_folder, write_json
from headrace.core.manifest import check_manifest, write_manifest
from headrace.lake.conform import ARRIVAL

ROWS = "rows.parquet"


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A batch as it lies in the lake.

    rows: how many. arrival_us: when it had come whole (of a bootstrap load: not used). source: what delivered it, part
    of its identity. new: whether this append wrote it; False where it lay there already.
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

    @property
    def sequence(self) -> int:
        """Order of first arrival, from 0."""
        return int(self.id.split("-")[0])


@dataclass(frozen=True, kw_only=True)
class Content:
    """Rows in canonical order, and the digest of their bytes."""

    rows: pa.Table
    digest: str


def content(rows: pa.Table, keys: Sequence[str], table: str, source: str) -> Content:
    """The canonical form of conformed rows. Equal rows in any order have equal digests."""
    rows = rows.select(sorted(rows.column_names))
    by = [*keys, *([ARRIVAL] if ARRIVAL in rows.column_names else [])]
    order = pc.sort_indices(rows, sort_keys=[(name, "ascending") for name in by])
    rows = rows.take(order).combine_chunks().replace_schema_metadata(None)
    digest = hashlib.sha256(f"{table}\0{source}\0".encode())
    digest.update(parquet.identity(rows))
    return Content(rows=rows, digest=digest.hexdigest())


def write(folder: Path, rows: pa.Table, facts: dict[str, object]) -> None:
    """Commit a batch's folder: it is there whole, with its manifest, or not at all."""
    with staged_folder(folder) as staged:
        parquet.write(rows, staged / ROWS, store_schema=False)
        write_json(staged / "batch.json", facts)
        write_manifest(staged)


def read(folder: Path) -> Batch:
    """What a folder says of itself; its rows are not opened."""
    facts = read_json(folder / "batch.json")
    return Batch(id=folder.name, path=folder, **{**facts, "keys": tuple(facts["keys"])})


def load(batch: Batch) -> pa.Table:
    """The rows, once the manifest has been checked. Raises CorruptError naming the file that differs."""
    check_manifest(batch.path)
    return parquet.read(batch.path / ROWS)


def schema(batch: Batch) -> pa.Schema:
    """The columns of a batch, from its footer alone."""
    return parquet.read_schema(batch.path / ROWS)
