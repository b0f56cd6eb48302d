"""Turn what a table declares as its source into a source: a path, an address, a data frame or an object.

The scheme of an address names the kind of source. One kind more is one line in `SOURCES`, or an entry point of an
installed package in the group `headrace.sources`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headrace.core.errors import DataError
from headrace.core.extensions import Catalogue
from headrace.core.redact import redact
from headrace.problems.sources import adbc, duckdb_tables, lakehouse, sql
from headrace.problems.sources.environment import expanded
from headrace.problems.sources.files import FORMATS, FileSource
from headrace.problems.sources.frames import FrameSource, is_frame
from headrace.problems.sources.interface import SourceKind, for_table
from headrace.schema import Source, Table


@dataclass(frozen=True)
class Kind:
    """A built-in kind of source: its scheme, and what reads an address."""

    name: str
    open: Callable[[str, Path | None], Source]


def _files(address: str, folder: Path | None) -> Source:
    return FileSource(address)


_BUILT_IN = (
    *(Kind(scheme, _files) for scheme in ("file", "s3", "s3a", "gs", "gcs")),
    Kind("adbc", adbc.parse_address),
    Kind("duckdb", duckdb_tables.parse_address),
    Kind("delta", lakehouse.parse_delta),
    Kind("iceberg", lakehouse.parse_iceberg),
)
SOURCES: Catalogue[SourceKind] = Catalogue("source", {kind.name: kind for kind in _BUILT_IN})


def as_source(source: str | Path | Source | Any, folder: Path | None = None) -> Source:
    """Resolve what a table declares as its source.

    Args:
        source: a path, an address, a data frame, or an object with `read` and `fingerprint`.
        folder: where relative paths start; None: the current folder.

    Returns:
        The object itself, or the files, table or data frame as a source.

    Raises:
        DataError: for an address that names no table of a database, an object that holds no rows, or a variable of a
            path that is not set.
    """
    if isinstance(source, str) and "${" in source and "://" not in source:
        source = expanded(source)  # before it is a path: a variable may hold an absolute one, or an address
    if isinstance(source, str) and "://" in source:
        return _addressed(source, folder)
    if isinstance(source, str | Path):
        return FileSource((folder or Path()) / source)
    if isinstance(source, FileSource):
        return source if "://" in str(source.path) else replace(source, path=(folder or Path()) / source.path)
    if is_frame(source):
        return FrameSource.of(source)
    resolved: Source = source
    return resolved


def table_source(table: Table, folder: Path | None = None) -> Source:
    """Resolve the source of a table, with the table's cursor and texts without a value.

    Raises:
        DataError: it is no path, address, data frame or object with `read` and `fingerprint`.
    """
    source = as_source(table.source, folder)
    if not callable(getattr(source, "read", None)):
        raise DataError(
            f"the source is a {type(source).__name__}, without read() and fingerprint()",
            where=table.name,
            fix="give the path of a file, or an object with both",
        )
    return for_table(source, table)


def _addressed(address: str, folder: Path | None) -> Source:
    scheme = address.partition("://")[0].lower()
    first, _, last = scheme.partition("+")
    named = next((name for name in (scheme, first, last) if name and name in SOURCES), None)
    if named is not None:
        return SOURCES.named(named, where=redact(address)).open(address, folder)
    if "#" not in address and address.partition("?")[0].endswith(FORMATS):
        return FileSource(address)
    return sql.parse_address(address, folder)
