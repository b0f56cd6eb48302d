"""Values of a column as logged or as in the profile, to numbers or pairs of samples; unreadable ones are missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headrace.monitor.drift_tests.samples import Kind, Pair


def read_pair(kind: Kind, reference: Any, current: Any) -> tuple[Pair, str]:
    """Build the pair of samples and a note; a missing or unreadable column is a column of missing values."""
    note = ""
    if current is None:
        # As long as the reference: the window's length is not known here, and its missing share is 1 either way.
        current, note = pa.nulls(len(reference)), "gone from the current window"
    if kind == "categorical":
        return Pair.categorical(reference, current), note
    reference_values, current_values = as_numbers(reference), as_numbers(current)
    if reference_values is None:
        return Pair.numeric(np.empty(0), np.empty(0)), "the reference holds no numbers"
    if current_values is None:
        current_values, note = np.full(len(current), np.nan), "holds no numbers any more"
    return Pair.numeric(reference_values, current_values), note


def as_truth_values(values: Any) -> Any:
    numbers = None if values is None else as_numbers(values)
    return values if numbers is None else numbers


def as_numbers(values: Any) -> NDArray[np.float64] | None:
    """Convert values to float64 [n] with NaN for null; None where they are not numbers."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiub":
        return values.astype(np.float64)
    try:
        array = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, from_pandas=True)
        if pa.types.is_boolean(array.type):
            array = pc.cast(array, pa.int8())
        numbers: NDArray[np.float64] = pc.cast(array, pa.float64()).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return None
    return np.asarray(numbers, dtype=np.float64)
