"""Find damaged and missing batches and restore them, from their own rows or from their source.

A batch's name contains the digest of its rows, which proves that rows are the right ones: those on disk, where only the
batch's metadata is damaged, or those that its source returns again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from filelock import FileLock

from headrace.core import parquet
from headrace.core.errors import CorruptError, DataError
from headrace.lake import batch as batches
from headrace.lake.batch import DamagedBatch, content
from headrace.lake.batch_index import abandoned_batches, read_index, write_index
from headrace.lake.conform import conform
from headrace.lake.store import Lake
from headrace.lake.table_schema import unify
from headrace.schema import Table


@dataclass(frozen=True, kw_only=True)
class DamagedBatchRecord:
    """A batch that is damaged or missing.

    Attributes:
        table: Name of the table.
        folder: Folder of the batch.
        facts: What it was committed with; None where that is lost too.
        error: What is wrong.
    """

    table: str
    folder: Path
    facts: Mapping[str, Any] | None
    error: DamagedBatch


def find_damaged(lake: Lake) -> tuple[DamagedBatchRecord, ...]:
    """Return every batch that is damaged or missing, after comparing all files with their checksums."""
    home = lake.folder / "tables"
    tables = sorted(item.name for item in home.iterdir() if item.is_dir()) if home.is_dir() else []
    return tuple(record for table in tables for record in _damaged_in_table(lake, table))


def _damaged_in_table(lake: Lake, table: str) -> Iterator[DamagedBatchRecord]:
    home = lake.folder / "tables" / table
    indexed = read_index(home)
    folders = {item.name for item in home.iterdir() if item.is_dir() and not item.name.startswith(".")}
    for name in sorted({*folders, *indexed} - abandoned_batches(lake.folder, table)):
        facts = indexed.get(name)
        try:
            batch = batches.read(home / name) if name in folders else None
            if batch is None:
                raise batches.damaged_error(home / name, "it is gone")
            facts = facts or batches.batch_facts(batch)
            batches.check(batch)
        except DamagedBatch as error:
            yield DamagedBatchRecord(table=table, folder=home / name, facts=facts, error=error)


def restore(lake: Lake, record: DamagedBatchRecord, table: Table | None = None, rows: pa.Table | None = None) -> bool:
    """Restore a damaged batch from a shared lake's object store, or if rows with its digest are available.

    Args:
        lake: The lake.
        record: The batch.
        table: Declared table, where `rows` are given.
        rows: Rows of its source; None for those in the batch's folder.

    Returns:
        Whether it was restored.
    """
    if lake.fetch_again(record.folder):
        return True
    if record.facts is None:
        return False
    candidates = (
        _conformed(lake, record, table, rows) if table is not None and rows is not None else _on_disk(record.folder)
    )
    restored = next(
        (candidate for candidate in candidates if _digest(candidate, record) == record.facts["digest"]), None
    )
    if restored is None:
        return False
    home = record.folder.parent
    with FileLock(home / ".lock"):
        write_index(home, {**read_index(home), record.folder.name: record.facts})  # so a kill in between is noticed
        batches.write_again(
            record.folder,
            content(restored, record.facts["keys"], record.table, record.facts["source"]).rows,
            record.facts,
        )
    return True


def _on_disk(folder: Path) -> Iterator[pa.Table]:
    """Yield the rows in a batch's folder, and in those that a killed repair has set aside."""
    for place in (folder, *batches.set_aside(folder)):
        with suppress(CorruptError):
            yield parquet.read(place / batches.ROWS)


def _conformed(lake: Lake, record: DamagedBatchRecord, table: Table, rows: pa.Table) -> Iterator[pa.Table]:
    """Yield the rows conformed alone, and to the types of the intact batches, which may have determined them: of all,
    or of those before it."""
    damaged_folders = [item.folder for item in find_damaged(lake)]
    home = record.folder.parent
    intact = [batches.read(item) for item in sorted(home.glob("[!.]*/")) if item not in damaged_folders]
    schemas = [(item.id, batches.schema(item)) for item in intact]
    before = [(name, schema) for name, schema in schemas if name < record.folder.name]
    for expected in (None, unify(table.name, schemas), unify(table.name, before)):
        with suppress(DataError):
            yield conform(table, rows, expected=expected)


def _digest(rows: pa.Table, record: DamagedBatchRecord) -> str:
    assert record.facts is not None
    try:
        return content(rows, record.facts["keys"], record.table, record.facts["source"]).digest
    except (KeyError, pa.ArrowInvalid):  # without a key's column
        return ""
