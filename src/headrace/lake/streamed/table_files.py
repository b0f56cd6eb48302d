"""A table's rows in Parquet files, in version order and without repeats: written once, extended by later batches.

    lake/<problem>/in-files/<table>/<batches>-<digest of them>/   000000.parquet ..., covers.json, manifest.json

The files hold what `Snapshot.table` returns, in row groups, and are written and read a part at a time. They are a cache
with checksums, which may be deleted while nobody reads it. Where later batches only add rows, their files are linked to
and one more is written. Folders that nobody has opened for a day are removed.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from filelock import FileLock

from headrace.core import parquet
from headrace.core.errors import DataError, HeadraceError
from headrace.core.files import read_json, staged_folder, write_json
from headrace.core.manifest import link_file, read_manifest, write_manifest
from headrace.lake.assembled import batches_digest
from headrace.lake.batch import Batch
from headrace.lake.streamed.repeats import find_repeats
from headrace.lake.streamed.version_order import VersionOrder, joined_parts
from headrace.lake.table_schema import ORDER, precedence, row_bytes, rows_schema

Flags = npt.NDArray[np.bool_]

#: Bytes of the rows of a part or a row group in memory, about.
PART_BYTES = 32 << 20
#: Rows of a part, at least.
LEAST_ROWS = 1_000
#: Files of a table, at most; then they are written anew.
MOST_FILES = 50
#: Age since the last opening from which a folder that later batches superseded is removed.
UNUSED_S = 24 * 3600.0
_COVERS = "covers.json"

_log = logging.getLogger(__name__)


def table_files(name: str, batches: Sequence[Batch]) -> tuple[Path, ...]:
    """Return the files of a table's rows, with `_arrival` and `_order`; they are written where they are missing.

    Args:
        name: Of the table.
        batches: In version order.

    Raises:
        DataError: They cannot be written, or the types of batches do not agree.
    """
    home = _home(batches)
    found = _opened(home, batches)
    if found is not None and found.count == len(batches):
        return found.paths
    try:
        home.mkdir(parents=True, exist_ok=True)
        with FileLock(home / ".lock"):
            found = _opened(home, batches)  # another process may have written them meanwhile
            if found is None or found.count < len(batches):
                found = _written(name, home, batches, found)
            _remove_unused(home, found.paths[0].parent)
    except OSError as error:
        raise DataError(
            f"the rows are too many for memory, and cannot be written to files ({error.strerror or error})",
            where=str(home),
            fix="make room on this disk; the folder needs about as many bytes as the table's batches",
        ) from error
    return found.paths


def read_files(paths: Sequence[Path]) -> pa.Table:
    """Return all rows of a table's files, column by column: no more than one column is twice in memory."""
    files = [parquet.ParquetFile(path) for path in paths]
    columns = {}
    for name in files[0].schema.names:
        parts = [file.read([name])[name] for file in files]
        columns[name] = pa.chunked_array([chunk for part in parts for chunk in part.chunks], parts[0].type)
        columns[name] = columns[name].combine_chunks()
    return pa.table(columns)


@dataclass(frozen=True, kw_only=True)
class _Files:
    """Files of the rows of a table's first batches. count: of these batches; rows: of the files."""

    count: int
    rows: int
    paths: tuple[Path, ...]


def _opened(home: Path, batches: Sequence[Batch]) -> _Files | None:
    """The files that cover most of the batches and no others."""
    for folder in sorted(home.iterdir(), reverse=True) if home.is_dir() else ():
        if folder.name.startswith("."):
            continue
        try:
            count = int(folder.name.split("-")[0])
            if count > len(batches) or not folder.name.endswith(batches_digest(batches[:count])):
                continue
            manifest = read_manifest(folder)
            covers = read_json(manifest.path(_COVERS))
            paths = tuple(manifest.path(file) for file in sorted(manifest.sums) if file != _COVERS)
            with suppress(OSError):  # a lake that this process may only read
                os.utime(folder)
            return _Files(count=count, rows=int(covers["rows"]), paths=paths)
        except (HeadraceError, OSError, KeyError, ValueError) as error:
            _log.warning("the rows in %s are not used: %s", folder, error)
    return None


def _written(name: str, home: Path, batches: Sequence[Batch], first: _Files | None) -> _Files:
    schema = rows_schema(name, batches)
    part_rows = max(int(PART_BYTES / row_bytes(batches)), LEAST_ROWS)
    final = home / f"{len(batches):08d}-{batches_digest(batches)}"
    shutil.rmtree(final, ignore_errors=True)  # damaged, or it would have been opened
    with tempfile.TemporaryDirectory(dir=home, prefix=".work-") as work, staged_folder(final) as staged:
        folder = Path(work)
        later = VersionOrder(batches[first.count if first else 0 :], schema, folder, part_rows=part_rows)
        if first is not None and not _extends(first, later, schema, batches):
            first, later = None, VersionOrder(batches, schema, folder, part_rows=part_rows)
        rows: Any = later if first is None else _Appended(first, later)
        start = 0 if first is None else first.rows
        repeats = find_repeats(rows, batches[0].keys, folder, part_rows=part_rows, first_rows=start)
        linked = () if first is None else first.paths
        for number, path in enumerate(linked):
            link_file(path, staged / f"{number:06d}.parquet")
        count = _write_rows(later, repeats[start:], start, staged / f"{len(linked):06d}.parquet", part_rows)
        write_json(staged / _COVERS, {"batches": len(batches), "rows": start + count})
        write_manifest(staged)
    found = _opened(home, batches)
    assert found is not None  # it was written just now
    return found


def _extends(first: _Files, later: VersionOrder, schema: pa.Schema, batches: Sequence[Batch]) -> bool:
    """Whether the rows of later batches belong after the files' rows, and have the same columns.

    No later row may have arrived before the last of the files' batches: a repeat is not in the files, and becomes a
    version again once another row arrived between it and the row that it repeats.
    """
    latest, _ = precedence(batches[first.count - 1])
    same = parquet.read_schema(first.paths[0]).equals(schema.append(pa.field(ORDER, pa.int64())))
    return same and later.first_arrival >= latest and len(first.paths) < MOST_FILES


class _Appended:
    """The rows of files, and after them those of later batches."""

    def __init__(self, first: _Files, later: VersionOrder) -> None:
        self._first, self._later = first, later
        self.schema = later.schema
        self.rows = first.rows + later.rows

    def parts(self, columns: Sequence[str] | None = None, only: Flags | None = None) -> Iterator[tuple[int, pa.Table]]:
        """See `repeats.OrderedRows`."""
        names = self.schema.names if columns is None else list(columns)
        place = 0
        for path in self._first.paths:
            file = parquet.ParquetFile(path)
            for number in range(file.num_row_groups):
                rows = file.row_group_rows(number)
                if only is None or only[place : place + rows].any():
                    yield place, file.read_row_group(number, names)
                place += rows
        rest = None if only is None else only[place:]
        for start, part in self._later.parts(columns, rest):
            yield place + start, part


def _write_rows(rows: VersionOrder, repeats: Flags, first: int, path: Path, part_rows: int) -> int:
    """Write rows that are no repeats, with their `_order` from `first` on; returns how many there are."""

    def fresh() -> Iterator[pa.Table]:
        for place, part in rows.parts():
            repeated = repeats[place : place + part.num_rows]
            yield part.filter(pa.array(~repeated)) if repeated.any() else part

    count = 0
    with parquet.writer(path, rows.schema.append(pa.field(ORDER, pa.int64())), compression="lz4") as writer:
        for part in joined_parts(fresh(), part_rows):
            order = np.arange(first + count, first + count + part.num_rows, dtype=np.int64)
            writer.write_table(part.append_column(ORDER, pa.array(order)), row_group_size=max(part.num_rows, 1))
            count += part.num_rows
    return count


def _remove_unused(home: Path, current: Path) -> None:
    """Remove what killed writers left, and folders that nobody has opened for a day. The caller holds the lock."""
    for folder in home.iterdir():
        if folder == current or not folder.is_dir():
            continue
        if folder.name.startswith(".") or time.time() - folder.stat().st_mtime > UNUSED_S:
            shutil.rmtree(folder, ignore_errors=True)


def _home(batches: Sequence[Batch]) -> Path:
    table = batches[0].path.parent
    return table.parent.parent / "in-files" / table.name
