"""Parse text columns of numbers or times, once per distinct value, for the conversion of incoming rows."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.clock import to_us
from headrace.core.errors import DataError
from headrace.problems.files import missing_zone


def numeric_share(column: pa.ChunkedArray) -> float:
    """Return the share of non-null texts that are numbers; 0 where all are null."""
    counts = pc.value_counts(column.drop_null())
    if len(counts) == 0:
        return 0.0
    is_number = np.array([_is_number(value) for value in counts.field("values").to_pylist()])
    weights = counts.field("counts").to_numpy(zero_copy_only=False)
    return float(weights[is_number].sum() / weights.sum())


def first_not_a_number(column: pa.ChunkedArray) -> tuple[int, str]:
    """Return the position (from 0) and value of the first text that is no number; ValueError where there is none."""
    is_number_by_text: dict[str, bool] = {}
    for row, value in enumerate(column.to_pylist()):
        if value is not None and not is_number_by_text.setdefault(value, _is_number(value)):
            return row, value
    raise ValueError("every text is a number")


def instants(where: str, name: str, column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Parse ISO texts as instants of type `kind` (microseconds, UTC).

    Raises:
        DataError: A text has no zone or is no time; its row is named.
    """
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    values = [_instant(where, name, column, value) for value in encoded.dictionary.to_pylist()]
    parsed = pa.array(values, pa.int64()).take(encoded.indices)
    return pa.chunked_array([parsed.cast(kind)])


def _instant(where: str, name: str, column: pa.ChunkedArray, text: str) -> int:
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError:
        row = column.index(text).as_py()
        raise DataError(
            f"not a time: {text!r}",
            where=f"{where}, row {row + 1}",
            fix="write ISO times with their zone, as in 2013-05-01T10:00:00Z",
            row=row + 1,
        ) from None
    if instant.tzinfo is None:
        row = column.index(text).as_py()
        raise DataError(**missing_zone(name, f"{where}, row {row + 1} ({text})"))
    return to_us(instant)


def _is_number(text: str) -> bool:
    try:
        pa.scalar(text).cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True
