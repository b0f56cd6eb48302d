"""Arrays and Arrow tables in files that are mapped into memory, for rows that do not fit below a memory limit.

The operating system reads a page of such a file when it is used, and may drop it again. The files have no name, so they
vanish with the process, however it ends. They are written before they are mapped: a full disk is an OSError, not the
end of the process.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

#: Rows that are copied at a time.
SLICE_ROWS = 65_536


def mapped_array(folder: Path, parts: Iterable[NDArray[Any]], *, columns: int, dtype: type) -> NDArray[Any]:
    """Write parts of an array one after the other, and return the whole, read-only [n, columns].

    Args:
        folder: Where the file lies, on a disk with room for it.
        parts: [m, columns] each.
        columns: Number of columns.
        dtype: Type of the values.

    Raises:
        OSError: The disk is full.
    """
    rows = 0
    with tempfile.TemporaryFile(dir=folder) as file:
        for part in parts:
            file.write(np.ascontiguousarray(part, dtype=dtype).data)
            rows += len(part)
        file.flush()
        if rows * columns == 0:
            return np.empty((rows, columns), dtype=dtype)
        return np.memmap(file, dtype=dtype, mode="r", shape=(rows, columns))


def mapped_table(folder: Path, schema: pa.Schema, parts: Iterable[pa.RecordBatch | pa.Table]) -> pa.Table:
    """Write parts of a table one after the other, and return the whole.

    Args:
        folder: Where the file lies, on a disk with room for it.
        schema: Of every part.
        parts: The rows.

    Raises:
        OSError: The disk is full.
    """
    # Arrow maps a file by its name only; the name is removed once the file is mapped.
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".mapped-") as file:
        # A stream, because its parts may have different dictionaries.
        with pa.ipc.new_stream(file, schema) as writer:
            for part in parts:
                writer.write(part)
        file.flush()
        return pa.ipc.open_stream(pa.memory_map(file.name)).read_all()
