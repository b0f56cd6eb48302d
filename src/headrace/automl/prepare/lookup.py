"""Look up a number for each level of a category."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from headrace.automl.task.task import Floats

#: Up to so many rows, levels are looked up one by one: pandas converts the table to a Series at every call.
_FEW_ROWS = 5_000


def looked_up(values: pd.Series, numbers: Mapping[Any, float], *, other: float = np.nan) -> Floats:
    """Return the number of each value's level [n].

    Args:
        values: Texts or None [n].
        numbers: Level -> number.
        other: Number of levels that are not there; missing values are NaN.
    """
    if len(values) <= _FEW_ROWS:
        return np.array([numbers.get(one, other) if isinstance(one, str) else np.nan for one in values.tolist()])
    found = values.map(numbers).to_numpy(dtype=np.float64, na_value=np.nan)
    unknown = values.notna().to_numpy() & ~values.isin(numbers.keys()).to_numpy()
    return np.where(unknown, other, found)
