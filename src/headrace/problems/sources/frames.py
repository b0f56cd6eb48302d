"""Data frames in memory as the sources of tables: pandas, polars or Arrow, copied and identified by their contents."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from headrace.core import parquet
from headrace.core.errors import DataError


@dataclass(frozen=True, eq=False)
class FrameSource:
    """The rows of a data frame as the source of a table. The rows are a copy: later changes of the frame do not count.

    Args:
        rows: The rows as an Arrow table.
    """

    rows: pa.Table

    @classmethod
    def of(cls, frame: Any, where: str = "source") -> FrameSource:
        """Copy a data frame.

        Args:
            frame: See `as_rows`.
            where: What names it, for errors.

        Raises:
            DataError: It is no data frame, or a column holds values of several types.
        """
        # IPC copies the buffers that from_pandas shares with the frame.
        rows = as_rows(frame, where)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_table(rows)
        return cls(pa.ipc.open_stream(sink.getvalue()).read_all())

    def fingerprint(self) -> str:
        """sha256 of the names, types and values, hex; a row's position counts."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        return hashlib.sha256(parquet.identity(self.rows)).hexdigest()

    def read(self) -> pa.Table:
        """All rows."""
        return self.rows


def is_frame(source: Any) -> bool:
    """Whether an object is a data frame that `as_rows` reads."""
    return hasattr(source, "__arrow_c_stream__")


def as_rows(frame: Any, where: str) -> pa.Table:
    """Return the rows of a data frame as an Arrow table; buffers may be shared.

    Args:
        frame: A pandas DataFrame (a named index is a column), an Arrow table, or another object with Arrow's C stream
            interface, such as a polars DataFrame.
        where: What names it, for errors.

    Raises:
        DataError: It is no data frame, or a column holds values of several types.
    """
    import pandas as pd

    if isinstance(frame, pa.Table):
        return frame
    try:
        if isinstance(frame, pd.DataFrame):
            return _from_pandas(frame)
        if is_frame(frame):
            return pa.table(frame)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"a column holds values of several types: {str(error).splitlines()[0]}",
            where=where,
            fix="give each column one type, as with astype(str) or pandas.to_numeric",
        ) from None
    raise DataError(
        f"a {type(frame).__name__} is no data frame",
        where=where,
        found=["pandas.DataFrame", "pyarrow.Table", "polars.DataFrame"],
        fix="give one of these",
    )


def _from_pandas(frame: Any) -> pa.Table:
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    frame = frame.rename(columns=str)
    return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
