"""CSV and Parquet files as the sources of tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from headrace.core.errors import DataError
from headrace.core.fingerprint import file_digest, fingerprint
from headrace.problems.dialect import refuse_other_dialect
from headrace.problems.frames import FrameSource, is_frame
from headrace.problems.sql import parse_address
from headrace.schema import Source, Table

FORMATS = (".csv", ".csv.gz", ".parquet")
#: Texts that mean "no value" in a CSV. NaN is not among them: it is a number gone wrong, and a label must not be one.
#: Delimiter, encoding and decimal character of a CSV that declares none.
_PLAIN = (",", "utf-8", ".")
_MISSING = ("", "NA", "N/A", "n/a", "#N/A", "NULL", "null", "None")


@dataclass(frozen=True)
class FileSource:
    """A CSV or Parquet file as the source of a table. The declaration reads nothing; `read` does.

    Args:
        path: the file; a relative one in a problem's file starts at the folder of that file.
        delimiter: of a CSV, the character between two values.
        encoding: of a CSV, such as "utf-8", "cp1252" or "utf-16".
        decimal: of a CSV, the character before the decimals.
    """

    path: str | Path
    delimiter: str = ","
    encoding: str = "utf-8"
    decimal: str = "."

    def fingerprint(self) -> str:
        """sha256 of the file's bytes, hex; cached by the file's size and time of change."""
        path, mtime_ns, size = _stamp(Path(self.path))
        digest = _digest(path, mtime_ns, size)
        return digest if self._dialect == _PLAIN else fingerprint([digest, *self._dialect])

    @property
    def _dialect(self) -> tuple[str, str, str]:
        return self.delimiter, self.encoding, self.decimal

    def read(self) -> pa.Table:
        """All rows.

        Raises:
            DataError: for a missing, unreadable or unsupported file.
        """
        return _read(*_stamp(Path(self.path)), *self._dialect)


def as_source(source: str | Path | Source, folder: Path | None = None) -> Source:
    """Resolve what a table declares as its source.

    Args:
        source: a path, `address#table` of a database, a data frame, or an object with `read` and `fingerprint`.
        folder: where relative paths start; None: the current folder.

    Returns:
        The object itself, or the file or data frame as a source.

    Raises:
        DataError: for an address that names no table of a database, or an object that holds no rows.
    """
    if isinstance(source, str) and "://" in source:
        return parse_address(source, folder)
    if isinstance(source, str | Path):
        return FileSource((folder or Path()) / source)
    if isinstance(source, FileSource):
        return replace(source, path=(folder or Path()) / source.path)
    return FrameSource.of(source) if is_frame(source) else source


def read_rows(table: Table) -> pa.Table:
    """Read the rows of a table whose source is resolved.

    Raises:
        DataError: The source cannot be read, or returns something else than an Arrow table.
    """
    source = table.source
    if isinstance(source, str | Path) or not callable(getattr(source, "read", None)):
        raise DataError(
            f"the source is a {type(source).__name__}, without read() and fingerprint()",
            where=table.name,
            fix="give the path of a file, or an object with both",
        )
    rows = source.read()
    if not isinstance(rows, pa.Table):
        raise DataError(
            f"read() of the source returns a {type(rows).__name__}, not a pyarrow.Table",
            where=table.name,
            fix="return pa.table({...}), or pa.Table.from_pandas(frame)",
        )
    return rows


def read_source(
    path: Path, types: Mapping[str, pa.DataType] | None = None, dialect: tuple[str, str, str] = _PLAIN
) -> pa.Table:
    """Read the rows of a CSV or Parquet file.

    Args:
        path: the file.
        types: types of columns of a CSV that are known, from earlier batches say; those of the others are inferred.
        dialect: delimiter, encoding and decimal character of a CSV.

    Raises:
        DataError: for a missing, unreadable or unsupported file.
    """
    path = Path(path)
    if not path.exists():
        raise DataError("no such file", where=str(path), found=_neighbours(path), fix="check the table's source")
    try:
        return _parse(path, types or {}, dialect)
    except (pa.ArrowInvalid, OSError, UnicodeError, LookupError) as error:
        raise DataError(f"cannot be read: {_first_line(error)}", where=str(path), fix="correct the file") from None


def _parse(path: Path, types: Mapping[str, pa.DataType], dialect: tuple[str, str, str]) -> pa.Table:
    if path.name.endswith(".parquet"):
        return pyarrow.parquet.read_table(path, partitioning=None, page_checksum_verification=True)
    if path.name.endswith((".csv", ".csv.gz")):
        if path.stat().st_size == 0:
            raise DataError("the file is empty", where=str(path), fix="a CSV needs at least its header line")
        return _parse_csv(path, types, *dialect)
    raise DataError("neither CSV nor Parquet", where=str(path), found=FORMATS, fix="rename or convert the file")


def _parse_csv(path: Path, types: Mapping[str, pa.DataType], delimiter: str, encoding: str, decimal: str) -> pa.Table:
    try:
        rows = pyarrow.csv.read_csv(
            path,
            read_options=pyarrow.csv.ReadOptions(encoding=encoding),
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict(types), strings_can_be_null=True, null_values=list(_MISSING), decimal_point=decimal
            ),
        )
    except (pa.ArrowInvalid, UnicodeError) as error:
        refuse_other_dialect(path, delimiter, encoding)
        if "Empty CSV" in str(error):
            raise DataError("the file has no rows", where=str(path), fix="bring at least one row") from None
        raise
    if rows.num_columns == 1 or any(pa.types.is_binary(field.type) for field in rows.schema):
        refuse_other_dialect(path, delimiter, encoding)
    return rows


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
def _read(path: Path, mtime_ns: int, size: int, delimiter: str, encoding: str, decimal: str) -> pa.Table:
    return read_source(path, dialect=(delimiter, encoding, decimal))
