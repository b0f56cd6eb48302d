"""Results of partitions on disk, read back as slabs of consecutive rows of the matrix.

A partition's file has one Arrow batch for each slab that it has rows in. A file that another worker wrote too (a
repeated task) has the same bytes, and takes its place in one step.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from headrace.synthesis.language.values import Ints

_ROW, _SLABS = "row", b"slabs"


def write_results(path: Path, rows: Ints, columns: Mapping[str, pa.Array], slab_rows: int) -> None:
    """Write the values of some rows of the matrix (ascending)."""
    slab = rows // slab_rows
    edges = [0, *(np.flatnonzero(np.diff(slab)) + 1).tolist(), len(rows)]
    parts = [(low, high) for low, high in pairwise(edges) if high > low]
    batch = pa.record_batch([pa.array(rows), *columns.values()], names=[_ROW, *columns])
    slabs = json.dumps([int(slab[low]) for low, _ in parts]).encode()
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    with (
        pa.OSFile(str(unfinished), "wb") as sink,
        pa.ipc.new_file(sink, batch.schema.with_metadata({_SLABS: slabs})) as writer,
    ):
        for low, high in parts:
            writer.write_batch(batch.slice(low, high - low))
    unfinished.replace(path)


def read_slabs(entities: Sequence[Sequence[Path]], rows: int, slab_rows: int) -> Iterator[pa.Table]:
    """The values of consecutive rows, slab by slab.

    Args:
        entities: the files of each entity's partitions.
        rows: of the matrix.
        slab_rows: as the files were written.
    """
    for slab in range(-(-rows // slab_rows)):
        count = min(slab_rows, rows - slab * slab_rows)
        columns: dict[str, pa.Array] = {}
        for files in entities:
            columns.update(_slab_columns(files, slab, slab * slab_rows, count))
        yield pa.table(columns)


def _slab_columns(files: Sequence[Path], slab: int, start: int, count: int) -> dict[str, pa.Array]:
    """Every column of one entity, for the rows of a slab in their order."""
    by_names: dict[tuple[str, ...], list[pa.RecordBatch]] = {}
    for path in files:
        with pa.OSFile(str(path), "rb") as source:
            reader = pa.ipc.open_file(source)
            names = tuple(reader.schema.names)
            slabs = json.loads(reader.schema.metadata[_SLABS])
            by_names.setdefault(names, []).extend(
                reader.get_batch(at) for at, number in enumerate(slabs) if number == slab
            )
    parts: dict[str, list[tuple[Ints, pa.Array]]] = {}
    for names, batches in by_names.items():
        for batch in batches:
            at = np.asarray(batch.column(0).to_numpy(), dtype=np.int64) - start
            for name, values in zip(names[1:], batch.columns[1:], strict=True):
                parts.setdefault(name, []).append((at, values))
    return {name: _in_order(pieces, count) for name, pieces in parts.items()}


def _in_order(pieces: Sequence[tuple[Ints, pa.Array]], count: int) -> pa.Array:
    at = np.concatenate([rows for rows, _ in pieces])
    if len(at) != count:
        raise AssertionError(f"{len(at)} values for {count} rows")
    place = np.empty(count, dtype=np.int64)
    place[at] = np.arange(count)
    return pa.concat_arrays([values for _, values in pieces]).take(pa.array(place))
