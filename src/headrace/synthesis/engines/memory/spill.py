"""Keep computed columns on disk: written part by part, read back as slabs of consecutive rows.

A part has the columns of one entity for rows from all over the matrix; a slab has all columns of consecutive rows. So a
part is written as one Arrow batch for each slab that it has rows in, and a slab is read by taking its batches of every
entity and sorting them by row number.
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
    """Columns on disk.

    Args:
        folder: an empty folder for the files.
        rows: number of rows of the matrix.
        slab_rows: number of rows of a slab; the last one may have fewer.
    """

    def __init__(self, folder: Path, rows: int, slab_rows: int) -> None:
        self.rows, self.slab_rows = rows, slab_rows
        self._folder = folder
        self._open: tuple[str, pa.ipc.RecordBatchFileWriter, pa.OSFile] | None = None
        self._slabs: dict[str, list[int]] = {}

    @property
    def slabs(self) -> int:
        """How many slabs there are."""
        return -(-self.rows // self.slab_rows)

    def write(self, name: str, rows: Ints, columns: Mapping[str, pa.Array]) -> None:
        """Write columns for row numbers (ascending). The parts of one name follow each other, with the same columns."""
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
        """Finish the file that is being written."""
        if self._open is not None:
            _, writer, sink = self._open
            writer.close()
            sink.close()
        self._open = None

    def read(self, slab: int) -> dict[str, pa.Array]:
        """Every column of a slab's rows, in their order."""
        self.close()
        columns: dict[str, pa.Array] = {}
        for number, (_, slabs) in enumerate(self._slabs.items()):
            with pa.OSFile(str(self._folder / f"{number}.arrow"), "rb") as source:
                reader = pa.ipc.open_file(source)
                batches = [at for at, of_slab in enumerate(slabs) if of_slab == slab]
                table = pa.Table.from_batches([reader.get_batch(at) for at in batches], reader.schema)
                order = pa.array(np.argsort(table[_ROW].to_numpy(), kind="stable"))
                for name in table.column_names[1:]:
                    columns[name] = table[name].take(order).combine_chunks()
        return columns
