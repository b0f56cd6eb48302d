"""CSV and Parquet files as the sources of tables: one file, a folder, or a pattern, here or in an object store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds

from headrace.core.errors import DataError
from headrace.core.fingerprint import file_digest, fingerprint
from headrace.core.redact import redact
from headrace.problems.sources.csv_files import MISSING, Dialect, csv_batches, csv_types, read_csv
from headrace.problems.sources.dialect import refuse_other_dialect
from headrace.problems.sources.interface import Since
from headrace.problems.sources.locations import FORMATS, Location, locate, reachable
from headrace.problems.sources.scanning import scan
from headrace.schema import Table

__all__ = ["FORMATS", "FileSource", "read_source"]

#: A CSV of at most so many bytes is read whole: once, not twice.
WHOLE = 64 << 20
#: Larger files are identified by size and time of change, smaller ones of this machine by their bytes.
DIGESTED = 1 << 30


@dataclass(frozen=True)
class FileSource:
    """CSV or Parquet files as the source of a table. The declaration reads nothing; `read` and `batches` do.

    Args:
        path: a file, a folder (all files below; folders called `year=2024` are columns) or a pattern with *, ** and ?;
            a path, or an address such as "s3://bucket/orders/*.parquet". A relative path in a problem's file starts at
            the folder of that file.
        delimiter: of a CSV, the character between two values.
        encoding: of a CSV, such as "utf-8", "cp1252" or "utf-16".
        decimal: of a CSV, the character before the decimals.
        null_values: of a CSV, the texts that mean "no value"; None: the usual ones. A table's own take their place.
    """

    path: str | Path
    delimiter: str = ","
    encoding: str = "utf-8"
    decimal: str = "."
    null_values: tuple[str, ...] | None = None

    def for_table(self, table: Table) -> FileSource:
        """Return the source with the texts without a value that the table declares."""
        return self if table.null_values is None else replace(self, null_values=table.null_values)

    @property
    def place(self) -> str:
        """Where the files are: an absolute path, or an address without its secrets."""
        return redact(str(self.path)) if "://" in str(self.path) else str(Path(self.path).absolute())

    def fingerprint(self) -> str:
        """sha256, hex, of the bytes of local files, or of names, sizes and times of change; cached by the latter."""
        located = locate(self.path)
        digests = [_identity(located, index) for index in range(len(located.files))]
        whole = digests[0] if len(digests) == 1 and located.folder is None else fingerprint(digests)
        return whole if self._dialect == Dialect() else fingerprint([whole, vars(self._dialect)])

    @property
    def _dialect(self) -> Dialect:
        missing = MISSING if self.null_values is None else ("", *self.null_values)
        return Dialect(delimiter=self.delimiter, encoding=self.encoding, decimal=self.decimal, null_values=missing)

    def read(self) -> pa.Table:
        """Read all rows.

        Raises:
            DataError: a file is missing, unreadable or unsupported, or changed while it was read.
            UnavailableError: the object store does not answer.
        """
        located = locate(self.path)
        with _unchanged(str(self.path), located):
            return _read(str(self.path), located, self._dialect)

    def batches(self, since: Since | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows in record batches; of Parquet files only those that may be at or after `since`.

        Raises:
            DataError: a file is missing, unreadable or unsupported, or changed while it was read.
            UnavailableError: the object store does not answer.
        """
        located = locate(self.path)
        with _unchanged(str(self.path), located):
            yield from _batches(str(self.path), located, self._dialect, since)


def read_source(path: Path, types: Mapping[str, pa.DataType] | None = None, dialect: Dialect | None = None) -> pa.Table:
    """Read the rows of CSV or Parquet files.

    Args:
        path: a file, a folder or a pattern.
        types: types of columns of a CSV that are known, from earlier batches say; those of the others are inferred.
        dialect: of a CSV.

    Raises:
        DataError: a file is missing, unreadable or unsupported, or changed while it was read.
    """
    located = locate(path)
    with _unchanged(str(path), located):
        return _whole(str(path), located, dialect or Dialect(), types or {})


@lru_cache(maxsize=16)
def _read(address: str, located: Location, dialect: Dialect) -> pa.Table:
    return _whole(address, located, dialect, {})


def _whole(address: str, located: Location, dialect: Dialect, types: Mapping[str, pa.DataType]) -> pa.Table:
    if _format(address, located) == ".parquet":
        with reachable(address):
            return _dataset(located).to_table()
    _refuse_empty(located)
    tables = [_csv(address, located, index, types, dialect) for index in range(len(located.files))]
    return tables[0] if len(tables) == 1 else _together(address, tables)


def _batches(address: str, located: Location, dialect: Dialect, since: Since | None) -> Iterator[pa.RecordBatch]:
    if _format(address, located) == ".parquet":
        with reachable(address):
            yield from scan(_dataset(located), since)
        return
    if sum(item.size for item in located.files) <= WHOLE:
        yield from _whole(address, located, dialect, {}).to_batches()
        return
    _refuse_empty(located)
    with reachable(address):
        types = _types(address, located, dialect)
        for item in located.files:
            yield from csv_batches(located.filesystem, item.path, types, dialect)


def _types(address: str, located: Location, dialect: Dialect) -> dict[str, pa.DataType]:
    """The types of the columns in all files."""
    found = [csv_types(located.filesystem, item.path, dialect) for item in located.files]
    empty = [pa.schema(list(types.items())).empty_table() for types in found]
    unified = empty[0] if len(empty) == 1 else _together(address, empty)
    return {field.name: field.type for field in unified.schema}


def _csv(address: str, located: Location, index: int, types: Mapping[str, pa.DataType], dialect: Dialect) -> pa.Table:
    path = located.files[index].path
    with reachable(address if "://" in address else path):
        try:
            rows = read_csv(located.filesystem, path, types, dialect)
        except (pa.ArrowInvalid, UnicodeError, LookupError) as error:
            if located.local:
                refuse_other_dialect(Path(path), dialect.delimiter, dialect.encoding)
            if "Empty CSV" in str(error):
                raise DataError("the file has no rows", where=path, fix="bring at least one row") from None
            raise pa.ArrowInvalid(str(error)) from None
    if located.local and (rows.num_columns == 1 or any(pa.types.is_binary(field.type) for field in rows.schema)):
        refuse_other_dialect(Path(path), dialect.delimiter, dialect.encoding)
    return rows


def _dataset(located: Location) -> ds.Dataset:
    """The Parquet files, their columns unified; folders called `column=value` are a column."""
    read_options = ds.ParquetFragmentScanOptions(
        use_buffered_stream=True, pre_buffer=False, page_checksum_verification=True
    )
    options = ds.FileSystemFactoryOptions(
        partition_base_dir=located.folder,
        partitioning=None if located.folder is None else ds.HivePartitioning.discover(),
    )
    factory = ds.FileSystemDatasetFactory(
        located.filesystem,
        [item.path for item in located.files],
        ds.ParquetFileFormat(default_fragment_scan_options=read_options),
        options,
    )
    return factory.finish(factory.inspect(promote_options="permissive", fragments=None))


def _together(address: str, tables: list[pa.Table]) -> pa.Table:
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowInvalid as error:
        raise DataError(
            f"the files have columns of other types: {str(error).splitlines()[0]}",
            where=redact(address),
            fix="write the column with one type in all files",
        ) from None


def _format(address: str, located: Location) -> str:
    """The one format of all files."""
    found = sorted({next((kind for kind in FORMATS if item.path.endswith(kind)), "") for item in located.files})
    if found == [""]:
        raise DataError(
            "neither CSV nor Parquet", where=redact(address), found=FORMATS, fix="rename or convert the file"
        )
    if "" in found or (".parquet" in found and len(found) > 1):
        raise DataError(
            "files of several formats", where=redact(address), found=found, fix="name one, as in orders/*.parquet"
        )
    return found[0]


def _refuse_empty(located: Location) -> None:
    for item in located.files:
        if item.size == 0 and located.local:
            raise DataError("the file is empty", where=item.path, fix="a CSV needs at least its header line")


@contextmanager
def _unchanged(address: str, located: Location) -> Iterator[None]:
    """Raise DataError where the files changed while they were read, also in place of the error of half a file."""
    try:
        yield
    except DataError:
        _refuse_change(address, located)
        raise
    _refuse_change(address, located)


def _refuse_change(address: str, before: Location) -> None:
    try:
        after = locate(address).files
    except DataError:
        after = ()
    if after != before.files:
        changed = sorted({item.path for item in {*after} ^ {*before.files}})
        raise DataError(
            "the source changed while it was read",
            where=redact(address),
            found=changed,
            fix="run again when nobody writes it; write a new file under another name, and rename it when it is whole",
        )


def _identity(located: Location, index: int) -> str:
    item = located.files[index]
    name = item.path if located.folder is None else item.path[len(located.folder) :].lstrip("/")
    if not located.local or item.size > DIGESTED:
        return fingerprint([name if located.folder is not None else "", item.size, item.mtime_ns])
    digest = _digest(item.path, item.mtime_ns, item.size)
    return digest if located.folder is None else fingerprint([name, digest])


@lru_cache(maxsize=4096)
def _digest(path: str, mtime_ns: int, size: int) -> str:
    return file_digest(Path(path))
