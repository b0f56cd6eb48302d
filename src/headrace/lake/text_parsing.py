"""Find the numbers in text columns, once per distinct value, for the conversion of incoming rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


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


def _is_number(text: str) -> bool:
    try:
        pa.scalar(text).cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True
