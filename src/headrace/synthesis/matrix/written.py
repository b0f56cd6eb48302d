"""Write the feature matrix of a spine to a Parquet file: at once where it fits into memory, else in slabs of rows."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa

from headrace.core import parquet
from headrace.schema import Problem
from headrace.synthesis.language.definitions import Definition, row_columns, stored
from headrace.synthesis.language.engine import Engine, PartitionedEngine, Tables
from headrace.synthesis.matrix.matrix import feature_matrix
from headrace.synthesis.primitives.finish import finish

COMPRESSION = "lz4"
#: Bytes of a finished value in memory.
_FINISHED = 8.2


def fits(
    problem: Problem, definitions: Sequence[Definition], spine: pa.Table, snapshot: Tables, engine: Engine
) -> bool:
    """Whether the engine can compute the whole matrix at once."""
    if not isinstance(engine, PartitionedEngine):
        return True
    return engine.fits(problem, stored(definitions), spine, snapshot, _FINISHED * len(definitions))


def write_matrix(
    problem: Problem,
    definitions: Sequence[Definition],
    spine: pa.Table,
    snapshot: Tables,
    engine: Engine,
    path: Path,
) -> None:
    """Write what `feature_matrix` computes, bit for bit, into a file.

    While it computes in slabs there is a folder as large as the matrix beside the file.

    Args:
        problem: declares the tables and entities.
        definitions: one column each.
        spine: one row each, with `tick` and `cutoff`.
        snapshot: the tables.
        engine: computes the stored definitions; a `PartitionedEngine` keeps its memory limit.
        path: the file.

    Raises:
        DataError: a memory limit leaves no room even for the smallest part.
    """
    if not isinstance(engine, PartitionedEngine) or fits(problem, definitions, spine, snapshot, engine):
        parquet.write(feature_matrix(problem, definitions, spine, snapshot, engine), path, compression=COMPRESSION)
        return
    folder = path.with_name(f".{path.name}.parts")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        row_bytes = _FINISHED * len(definitions)
        slabs = engine.slabs(problem, stored(definitions), spine, snapshot, row_bytes, folder)
        _write_slabs(definitions, spine, slabs, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_slabs(definitions: Sequence[Definition], spine: pa.Table, slabs: Iterable[pa.Table], path: Path) -> None:
    """Finish slabs of stored values and write them as row groups."""
    writer: parquet.Writer | None = None
    start = 0
    try:
        for values in slabs:
            rows = spine.slice(start, values.num_rows)
            start += values.num_rows
            columns = {item.column: rows[item.column] for item in row_columns(definitions)}
            named = {name: values[name] for name in values.column_names}
            table = finish(definitions, named, columns, rows["tick"].to_numpy(), rows["cutoff"].to_numpy())
            writer = writer or parquet.writer(path, table.schema, compression=COMPRESSION)
            writer.write_table(table, row_group_size=max(table.num_rows, 1))
            del values, named, table  # before the next slab
    finally:
        if writer is not None:
            writer.close()
