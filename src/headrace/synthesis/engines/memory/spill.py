"""Answers on disk between the parts that make them and the slabs of rows that are written.

A part has the columns of one entity for rows from all over; a slab has all columns of rows that follow each other. So a
part is laid down as one Arrow batch for each slab that it has rows in, and a slab takes up its batches of every entity
and puts them in order.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from headrace.synthesis.language.values import Ints

_ROW = "row"


class Spill:
    """Columns of some rows, laid down by parts and taken up by slabs. folder: an empty one of its own."""

    def __init__(self, folder: Path, rows: int, slab_rows: int) -> None:
        self.rows, self.slab_rows = rows, slab_rows
        self._folder = folder
        self._open: tuple[str, pa.ipc.RecordBatchFileWriter, pa.OSFile] | None = None
        self._slabs: dict[str, list[int]] = {}

    @property
    def slabs(self) -> int:
        """How many slabs there are."""
        return -(-self.rows // self.slab_rows)

    def put(self, name: str, rows: Ints, columns: Mapping[str, pa.Array]) -> None:
        """Lay down columns (all that a `name` has) for row numbers, ascending; the parts of a name come in a row."""
        batch = pa.record_batch([pa.array(rows), *columns.values()], names=[_ROW, *columns])
        if self._open is None or self._open[0] != name:
            self.close()
            sink = pa.OSFile(str(self._folder / f"{len(self._slabs)}.arrow"), "wb")
            self._open = (name, pa.ipc.new_file(sink, batch.schema), sink)
            self._slabs[name] = []
        slab = rows // self.slab_rows
        edges = [0, *(np.flatnonzero(np.diff(slab)) + 1).tolist(), len(rows)]
        for low, high in pairwise(edges):
            self._open[1].write_batch(batch.slice(low, high - low))
            self._slabs[name].append(int(slab[low]))

    def close(self) -> None:
        """Finish what is being laid down."""
        if self._open is not None:
            _, writer, sink = self._open
            writer.close()
            sink.close()
        self._open = None

    def take(self, slab: int) -> dict[str, pa.Array]:
        """Every column of a slab's rows, in their order."""
        self.close()
        found: dict[str, pa.Array] = {}
        for number, (_, slabs) in enumerate(self._slabs.items()):
            with pa.OSFile(str(self._folder / f"{number}.arrow"), "rb") as source:
                reader = pa.ipc.open_file(source)
                mine = [at for at, holds in enumerate(slabs) if holds == slab]
                table = pa.Table.from_batches([reader.get_batch(at) for at in mine], reader.schema)
                order = pa.array(np.argsort(table[_ROW].to_numpy(), kind="stable"))
                for name in table.column_names[1:]:
                    found[name] = table[name].take(order).combine_chunks()
        return found
