"""The rows of a label's table as known at an instant: the last version of each row, in memory or in a file.

A large table in files is read in parts. Its keys are distributed to files by their hash, so that the last version of
each key is found file by file.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa

from headrace.core import parquet
from headrace.core.clock import BEFORE_ALL
from headrace.schema import Problem, Table, TimeExpression
from headrace.synthesis.history.key_hash import key_hashes
from headrace.synthesis.history.keys import encode_rows, plain
from headrace.synthesis.history.known_time import effective_known
from headrace.synthesis.language.columns import ARRIVAL, ORDER, clock_of
from headrace.synthesis.language.engine import Tables
from headrace.synthesis.language.parquet_tables import TablesInFiles, is_large, read_in_parts, schema_of
from headrace.synthesis.language.values import Flags, as_array

#: The column, added for the engine, with the instant at which a row's values were known.
KNOWN = "_known"
#: Keys that are compared at a time, about, and files of them, at most; each is open while keys are distributed.
_KEYS_AT_ONCE, _MOST_FILES = 500_000, 200
_PLACE = "_place"


class EffectiveTable:
    """A snapshot in which one table has the last version of each row known by an instant, as if known before all.

    Args:
        problem: declares the table.
        table: whose rows are replaced.
        clock: known times of the values that are read.
        columns: of the table that are read, besides its keys and times.
        tables: the snapshot.
        now_us: versions known later are left out.
        folder: for the file of a large table.
    """

    def __init__(
        self,
        problem: Problem,
        table: Table,
        clock: tuple[str, ...],
        columns: Sequence[str],
        tables: Tables,
        now_us: int,
        folder: Path,
    ) -> None:
        self._tables, self._name = tables, table.name
        self._path = folder / "effective.parquet" if is_large(tables, table.name) else None
        if self._path is None:
            self._rows = effective_rows(problem, table, clock, tables.table(table.name), now_us)
        else:
            needed = {*table.keys, *columns, *table.time_columns, ARRIVAL, ORDER}
            names = [name for name in schema_of(tables, table.name).names if name in needed]
            _write_effective(problem, table, clock, names, tables, now_us, self._path)

    def table(self, name: str) -> pa.Table:
        """The rows of a table."""
        if name != self._name:
            return self._tables.table(name)
        return self._rows if self._path is None else parquet.read(self._path)

    def schema(self, name: str) -> pa.Schema:
        """The columns of a table."""
        if name != self._name:
            return schema_of(self._tables, name)
        return self._rows.schema if self._path is None else parquet.read_schema(self._path)

    def table_bytes(self, name: str) -> int:
        """About how many bytes a table takes in memory."""
        if name == self._name and self._path is not None:
            return parquet.ParquetFile(self._path).uncompressed_bytes
        return int(self.table(name).nbytes)

    def is_large(self, name: str) -> bool:
        """Whether a table is in files and is better read in parts than loaded."""
        return self._path is not None if name == self._name else is_large(self._tables, name)

    def files(self, name: str) -> Sequence[Path]:
        """The files of a large table."""
        if name == self._name and self._path is not None:
            return [self._path]
        assert isinstance(self._tables, TablesInFiles)  # only its tables are large
        return self._tables.files(name)


def effective_rows(problem: Problem, table: Table, clock: tuple[str, ...], rows: pa.Table, now_us: int) -> pa.Table:
    """The last version of each row known by an instant, with `_known`: when all that a clock names was known."""
    seen = _seen(problem, table, rows, now_us)
    codes, _ = encode_rows([plain(rows[name]) for name in table.keys])
    order = np.asarray(as_array(rows[ORDER]).to_numpy(zero_copy_only=False), dtype=np.int64)
    place = np.flatnonzero(seen & (codes >= 0))
    place = place[np.lexsort((order[place], codes[place]))]
    last = np.append(codes[place][1:] != codes[place][:-1], True)[: len(place)]
    return _as_known(table, clock, rows.take(pa.array(place[last])))


def _seen(problem: Problem, table: Table, rows: pa.Table, now_us: int) -> Flags:
    """Which rows [n] were known by an instant."""
    return np.asarray(effective_known(table, clock_of(problem, table, table.keys), rows) <= now_us)


def _as_known(table: Table, clock: tuple[str, ...], rows: pa.Table) -> pa.Table:
    known = effective_known(table, clock, rows)
    at = rows.column_names.index(ARRIVAL)
    rows = rows.set_column(at, ARRIVAL, pa.array(np.full(rows.num_rows, BEFORE_ALL, dtype=np.int64)))
    return rows.append_column(KNOWN, pa.array(known))


def _write_effective(
    problem: Problem,
    table: Table,
    clock: tuple[str, ...],
    columns: Sequence[str],
    tables: Tables,
    now_us: int,
    path: Path,
) -> None:
    """Write what `effective_rows` returns, some columns of it, in the order of appending."""
    last = _last_versions(problem, table, tables, now_us, path.parent)
    types = schema_of(tables, table.name)
    schema = pa.schema([*(types.field(name) for name in columns), pa.field(KNOWN, pa.int64())])
    place = 0
    with parquet.writer(path, schema, compression="lz4") as writer:
        for rows in read_in_parts(tables, table.name, columns):
            chosen = last[place : place + rows.num_rows]
            place += rows.num_rows
            if chosen.any():
                part = _as_known(table, clock, rows.filter(pa.array(chosen)))
                writer.write_table(part.cast(schema), row_group_size=part.num_rows)


def _last_versions(problem: Problem, table: Table, tables: Tables, now_us: int, folder: Path) -> Flags:
    """Whether each row [n] of a large table is the last version of its key among those known by an instant."""
    times = [TimeExpression.parse(text).column for text in clock_of(problem, table, table.keys)]
    names = [*dict.fromkeys([*table.keys, *times, ARRIVAL])]
    files = [folder / f"keys-{number:03d}.arrows" for number in range(_files(tables, table))]
    schema = pa.schema([*(schema_of(tables, table.name).field(name) for name in table.keys), (_PLACE, pa.int64())])
    rows = 0
    with ExitStack() as stack:
        writers = [stack.enter_context(pa.ipc.new_stream(str(file), schema)) for file in files]
        for part in read_in_parts(tables, table.name, names):
            at = np.flatnonzero(_seen(problem, table, part, now_us))
            keys = part.select(list(table.keys)).take(pa.array(at)).append_column(_PLACE, pa.array(at + rows))
            rows += part.num_rows
            number = key_hashes([keys[name] for name in table.keys]) % np.uint64(len(files))
            for each in np.unique(number).tolist():
                writers[each].write_table(keys.filter(pa.array(number == each)))
    last = np.zeros(rows, dtype=np.bool_)
    for file in files:
        with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as reader:
            keys = reader.read_all()
        codes, _ = encode_rows([plain(keys[name]) for name in table.keys])
        newest_first = np.flatnonzero(codes >= 0)[::-1]
        _, at = np.unique(codes[newest_first], return_index=True)
        last[keys[_PLACE].to_numpy()[newest_first[at]]] = True
        del keys
        file.unlink()
    return last


def _files(tables: Tables, table: Table) -> int:
    """How many files the keys of a large table are distributed to."""
    assert isinstance(tables, TablesInFiles)  # a large one
    rows = sum(parquet.ParquetFile(path).num_rows for path in tables.files(table.name))
    return min(rows // _KEYS_AT_ONCE + 1, _MOST_FILES)
