"""Batches that are damaged or gone, and writing them again.

A batch's name holds the digest of its rows, so rows from anywhere prove that they are the right ones: those on disk,
where only the batch's record was damaged, or those that its source gives once more.
"""

from __future__ import annotations

import shutil
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
from headrace.lake.conform import conform
from headrace.lake.index import given_up, noted
from headrace.lake.snapshot import unify
from headrace.lake.store import Lake
from headrace.schema import Table


@dataclass(frozen=True, kw_only=True)
class Lost:
    """A batch that is not what was written. facts: as it was committed with; None where they are lost as well."""

    table: str
    folder: Path
    facts: Mapping[str, Any] | None
    error: DamagedBatch


def lost(lake: Lake) -> tuple[Lost, ...]:
    """Every batch that is damaged or gone; all files are compared with their sums."""
    home = lake.folder / "tables"
    tables = sorted(item.name for item in home.iterdir() if item.is_dir()) if home.is_dir() else []
    return tuple(one for table in tables for one in _lost(lake, table))


def _lost(lake: Lake, table: str) -> Iterator[Lost]:
    home = lake.folder / "tables" / table
    known = noted(home)
    there = {item.name for item in home.iterdir() if item.is_dir() and not item.name.startswith(".")}
    for name in sorted({*there, *known} - given_up(lake.folder, table)):
        facts = known.get(name)
        try:
            batch = batches.read(home / name) if name in there else None
            if batch is None:
                raise batches.damaged(home / name, "it is gone")
            facts = facts or batches.facts_of(batch)
            batches.check(batch)
        except DamagedBatch as error:
            yield Lost(table=table, folder=home / name, facts=facts, error=error)


def restore(lake: Lake, one: Lost, table: Table | None = None, rows: pa.Table | None = None) -> bool:
    """Write a lost batch again, if these are its rows; whether they are.

    rows: of the declared table, as a source gives them; left out: those that lie in the batch's folder.
    """
    if one.facts is None:
        return False
    forms = _conformed(lake, one, table, rows) if table is not None and rows is not None else _on_disk(one.folder)
    same = next((found for found in forms if _digest(found, one) == one.facts["digest"]), None)
    if same is None:
        return False
    with FileLock(one.folder.parent / ".lock"):
        shutil.rmtree(one.folder, ignore_errors=True)
        batches.write(one.folder, content(same, one.facts["keys"], one.table, one.facts["source"]).rows, one.facts)
    return True


def _on_disk(folder: Path) -> Iterator[pa.Table]:
    with suppress(CorruptError):
        yield parquet.read(folder / batches.ROWS)


def _conformed(lake: Lake, one: Lost, table: Table, rows: pa.Table) -> Iterator[pa.Table]:
    """Rows by themselves, and as the batches beside them have them: a column's type may have come from those."""
    others = [found.folder for found in lost(lake)]
    home = one.folder.parent
    whole = [batches.read(item) for item in sorted(home.glob("[!.]*/")) if item not in others]
    for expected in (None, unify(table.name, [(item.id, batches.schema(item)) for item in whole])):
        with suppress(DataError):
            yield conform(table, rows, expected=expected)


def _digest(rows: pa.Table, one: Lost) -> str:
    assert one.facts is not None
    try:
        return content(rows, one.facts["keys"], one.table, one.facts["source"]).digest
    except (KeyError, pa.ArrowInvalid):  # without a key's column
        return ""
