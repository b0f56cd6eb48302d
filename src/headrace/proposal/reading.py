"""Read the raw tables of a folder, a file or a database, with the keys that a database declares."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from headrace.core.errors import DataError, HeadraceError, NotFoundError
from headrace.core.redact import redact
from headrace.problems.sources.addresses import as_source
from headrace.problems.sources.dialect import detect_decimal, detect_delimiter, detect_encoding
from headrace.problems.sources.files import FORMATS, FileSource
from headrace.problems.sources.sql import connected, table_names


@dataclass(frozen=True, kw_only=True)
class RawTable:
    """A table as it was found.

    Attributes:
        name: Name for the declaration.
        source: Python expression of the source.
        rows: Its rows.
        key: Primary key that a database declares; empty where it declares none.
        parents: Foreign keys that a database declares: column -> (table, column).
    """

    name: str
    source: str
    rows: pa.Table
    key: tuple[str, ...] = ()
    parents: tuple[tuple[str, tuple[str, str]], ...] = ()


def read_location(location: str, beside: Path) -> tuple[list[RawTable], list[str]]:
    """Read all tables of a location.

    Args:
        location: A folder, a file, or SQLAlchemy's address of a database.
        beside: Folder of the problem file, from which relative paths start.

    Returns:
        The tables that have rows, by name, and a note for each that was left out.

    Raises:
        NotFoundError: There is no such place, or no table in it.
    """
    if "://" in location:
        tables, notes = _read_database(location, beside)
    else:
        path = Path(location)
        if not path.exists():
            raise NotFoundError("no such file or folder", where=location, fix="name a folder, a file or a database")
        files = [path] if path.is_file() else sorted(item for item in path.iterdir() if item.name.endswith(FORMATS))
        tables, notes = _read_files(files, beside)
    if not tables:
        raise NotFoundError(
            "no table with rows", where=redact(location), found=notes, fix=f"bring {', '.join(FORMATS)}"
        )
    return sorted(tables, key=lambda table: table.name), notes


def identifier(text: str) -> str:
    """A name of a table from the name of a file: letters, digits and underscores."""
    name = re.sub(r"\W+", "_", text).strip("_")
    return name if name and not name[0].isdigit() else f"t_{name}"


def _read_files(files: Sequence[Path], beside: Path) -> tuple[list[RawTable], list[str]]:
    tables: list[RawTable] = []
    notes: list[str] = []
    for file in files:
        name = identifier(re.sub(r"\.(csv|csv\.gz|parquet)$", "", file.name))
        place = os.path.relpath(file.absolute(), beside.absolute())
        try:
            source, expression = _file_source(file, place)
            rows = source.read()
        except HeadraceError as error:
            notes.append(str(error))
            continue
        if any(table.name == name for table in tables) or rows.num_rows == 0:
            notes.append(f"{file.name}: left out, for it " + ("has no rows" if not rows.num_rows else "has a twin"))
            continue
        tables.append(RawTable(name=name, source=expression, rows=rows))
    return tables, notes


def _file_source(file: Path, place: str) -> tuple[FileSource, str]:
    """The source of a file, and its Python expression; the dialect of a CSV is detected."""
    if file.name.endswith(".parquet"):
        return FileSource(file), json.dumps(place)
    encoding = detect_encoding(file)
    delimiter = detect_delimiter(file, encoding)
    decimal = detect_decimal(file, encoding, delimiter)
    options = {"delimiter": (delimiter, ","), "encoding": (encoding, "utf-8"), "decimal": (decimal, ".")}
    written = [f"{name}={json.dumps(value)}" for name, (value, usual) in options.items() if value != usual]
    source = FileSource(file, delimiter=delimiter, encoding=encoding, decimal=decimal)
    return source, f"FileSource({', '.join([json.dumps(place), *written])})" if written else json.dumps(place)


def _read_database(address: str, beside: Path) -> tuple[list[RawTable], list[str]]:
    from sqlalchemy import inspect

    tables: list[RawTable] = []
    notes: list[str] = []
    with connected(address, None) as engine:
        inspector, names = inspect(engine), table_names(engine)
        keys = {name: tuple(inspector.get_pk_constraint(name)["constrained_columns"]) for name in names}
        links = {name: inspector.get_foreign_keys(name) for name in names}
    for name in names:
        rows = as_source(f"{address}#{name}", None).read()
        if not rows.num_rows:
            notes.append(f"{name}: left out, for it has no rows")
            continue
        parents = tuple(
            (link["constrained_columns"][0], (identifier(link["referred_table"]), link["referred_columns"][0]))
            for link in links[name]
            if len(link["constrained_columns"]) == 1 and link["referred_columns"]
        )
        source = json.dumps(f"{_relative(address, beside)}#{name}")
        tables.append(RawTable(name=identifier(name), source=source, rows=rows, key=keys[name], parents=parents))
    return tables, notes


def _relative(address: str, beside: Path) -> str:
    """An SQLite file's path from the folder of the problem file; other addresses unchanged."""
    if not address.startswith("sqlite:///"):
        if redact(address) != address and "${" not in address:
            raise DataError(
                "the address has a password, which a problem file should not hold",
                where=redact(address),
                fix="set it as an environment variable and write ${NAME} in its place",
            )
        return address
    path = Path(address.removeprefix("sqlite:///"))
    return f"sqlite:///{os.path.relpath(path.absolute(), beside.absolute())}"
