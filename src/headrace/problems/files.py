"""CSV and Parquet files as the sources of tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from headrace.core.errors import DataError
from headrace.core.fingerprint import file_digest
from headrace.schema import Source

FORMATS = (".csv", ".csv.gz", ".parquet")
#: Texts that mean "no value" in a CSV. NaN is not among them: it is a number gone wrong, and a label must not be one.
_MISSING = ("", "NA", "N/A", "n/a", "#N/A", "NULL", "null", "None")


@dataclass(frozen=True)
class FileSource:
    """A CSV or Parquet file as the source of a table. The declaration reads nothing; `read` does.

    Args:
        path: the file.
    """

    path: Path

    def fingerprint(self) -> str:
        """sha256 of the file's bytes, hex; cached by the file's size and time of change."""
        path, mtime_ns, size = _stamp(self.path)
        return _digest(path, mtime_ns, size)

    def read(self) -> pa.Table:
        """All rows.

        Raises:
            DataError: for a missing, unreadable or unsupported file.
        """
        return _read(*_stamp(self.path))


def as_source(source: str | Path | Source, folder: Path | None = None) -> Source:
    """Resolve what a table declares as its source.

    Args:
        source: a path, or an object with `read` and `fingerprint`.
        folder: where relative paths start; None: the current folder.

    Returns:
        The object itself, or the file as a source.

    Raises:
        DataError: for an address (`postgres://...`).
    """
    if isinstance(source, str) and "://" in source:
        raise DataError(
            "an address is no file",
            where=f"source {source}",
            found=FORMATS,
            fix="export it to a file, or give an object with read() that queries the database",
        )
    if isinstance(source, str | Path):
        return FileSource((folder or Path()) / source)
    return source


def read_source(path: Path, types: Mapping[str, pa.DataType] | None = None) -> pa.Table:
    """Read the rows of a CSV or Parquet file.

    Args:
        path: the file.
        types: types of columns of a CSV that are known, from earlier batches say; those of the others are inferred.

    Raises:
        DataError: for a missing, unreadable or unsupported file.
    """
    path = Path(path)
    if not path.exists():
        raise DataError("no such file", where=str(path), found=_neighbours(path), fix="check the table's source")
    try:
        return _parse(path, types or {})
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"cannot be read: {_first_line(error)}", where=str(path), fix="correct the file") from None


def _parse(path: Path, types: Mapping[str, pa.DataType]) -> pa.Table:
    if path.name.endswith(".parquet"):
        return pyarrow.parquet.read_table(path, partitioning=None, page_checksum_verification=True)
    if path.name.endswith((".csv", ".csv.gz")):
        if path.stat().st_size == 0:
            raise DataError("the file is empty", where=str(path), fix="a CSV needs at least its header line")
        options = pyarrow.csv.ConvertOptions(
            column_types=dict(types), strings_can_be_null=True, null_values=list(_MISSING)
        )
        return pyarrow.csv.read_csv(path, convert_options=options)
    raise DataError("neither CSV nor Parquet", where=str(path), found=FORMATS, fix="rename or convert the file")


def _neighbours(path: Path) -> list[str]:
    if not path.parent.is_dir():
        return []
    return sorted(item.name for item in path.parent.iterdir() if item.name.endswith(FORMATS))


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _stamp(path: Path) -> tuple[Path, int, int]:
    try:
        stat = path.stat()
    except FileNotFoundError:
        raise DataError(
            "no such file", where=str(path), found=_neighbours(path), fix="check the table's source"
        ) from None
    return path, stat.st_mtime_ns, stat.st_size


@lru_cache(maxsize=256)
def _digest(path: Path, mtime_ns: int, size: int) -> str:
    return file_digest(path)


@lru_cache(maxsize=16)
def _read(path: Path, mtime_ns: int, size: int) -> pa.Table:
    return read_source(path)
