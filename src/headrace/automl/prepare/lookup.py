"""Look up a number for each level of a category."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from headrace.automl.task.task import Floats


def level_numbers(values: pd.Series, numbers: Mapping[Any, float], *, other: float = np.nan) -> Floats:
    """Return the number of each value's level [n]; faster than `Series.map`, which converts the table at every call.

    Args:
        values: Texts or None [n].
        numbers: Level -> number.
        other: Number of levels that are not there; missing values are NaN.
    """
    return np.array([numbers.get(one, other) if isinstance(one, str) else np.nan for one in values.tolist()])
