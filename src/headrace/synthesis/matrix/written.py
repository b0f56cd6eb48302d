"""The feature matrix as a Parquet file: at once where it fits into memory, else below the engine's limit."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from headrace.core import parquet
from headrace.core.memory import give_back
from headrace.schema import Problem
from headrace.synthesis.engines.local import LocalEngine
from headrace.synthesis.engines.memory.outofcore import OutOfCore, Room, slab_rows, work_folder
from headrace.synthesis.engines.memory.spill import Spill
from headrace.synthesis.language.definitions import Definition, row_columns, stored
from headrace.synthesis.language.engine import Tables
from headrace.synthesis.matrix.matrix import feature_matrix
from headrace.synthesis.primitives.finish import finish

COMPRESSION = "lz4"
#: Bytes of a finished value, and of it on its way into the file.
_FINISHED = 8.2


def fits(
    problem: Problem,
    definitions: Sequence[Definition],
    spine: pa.Table,
    snapshot: Tables,
    engine: LocalEngine,
    max_memory: int | None,
) -> bool:
    """Whether the whole matrix may be computed at once below a limit in bytes."""
    if max_memory is None or not spine.num_rows or not stored(definitions):
        return True
    whole = OutOfCore(engine, problem, stored(definitions), spine, snapshot).whole_bytes
    return bool(whole + _FINISHED * len(definitions) * spine.num_rows < Room(max_memory)())


def write_matrix(
    problem: Problem,
    definitions: Sequence[Definition],
    spine: pa.Table,
    snapshot: Tables,
    engine: LocalEngine,
    path: Path,
    *,
    max_memory: int | None = None,
) -> None:
    """What `feature_matrix` gives, to the bit, into a file.

    max_memory: bytes that the process may hold in all while this runs; None: no limit. Beside the file there is for a
    while a folder as large as the matrix. Raises DataError where a limit leaves no room even for the smallest part.
    """
    if max_memory is None or fits(problem, definitions, spine, snapshot, engine, max_memory):
        parquet.write(feature_matrix(problem, definitions, spine, snapshot, engine), path, compression=COMPRESSION)
        return
    write_parts(problem, definitions, spine, snapshot, engine, path, Room(max_memory))


def write_parts(
    problem: Problem,
    definitions: Sequence[Definition],
    spine: pa.Table,
    snapshot: Tables,
    engine: LocalEngine,
    path: Path,
    room: Room,
    slab: int | None = None,
) -> None:
    """The same by parts that have room. slab: rows of a row group; as many as there is room for, if not given."""
    out = OutOfCore(engine, problem, stored(definitions), spine, snapshot)
    folder = work_folder(path)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        width = out.answer_bytes + _FINISHED * len(definitions)
        spill = Spill(folder, spine.num_rows, slab or slab_rows(width, spine.num_rows, room.bytes))
        out.lay_down(spill, room)
        del out
        give_back()
        _write_slabs(definitions, spine, spill, path, engine)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_slabs(
    definitions: Sequence[Definition], spine: pa.Table, spill: Spill, path: Path, engine: LocalEngine
) -> None:
    """Slabs of rows, put in order and finished, as row groups."""
    writer: parquet.Writer | None = None
    try:
        for slab in range(spill.slabs):
            some = spine.slice(slab * spill.slab_rows, spill.slab_rows)
            given = {item.column: some[item.column] for item in row_columns(definitions)}
            table = finish(definitions, spill.take(slab), given, some["tick"].to_numpy(), some["cutoff"].to_numpy())
            writer = writer or parquet.writer(path, table.schema, compression=COMPRESSION)
            writer.write_table(table, row_group_size=max(table.num_rows, 1))
            del table
            give_back()
            if engine.told is not None:
                engine.told(f"writing: {slab + 1} of {spill.slabs} row groups")
    finally:
        if writer is not None:
            writer.close()
