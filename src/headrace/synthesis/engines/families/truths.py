"""Shares and counts of true: differences of running counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.synthesis.engines.families.entries import Asked
from headrace.synthesis.values import Ints


def truths(asked: Asked, _names: frozenset[str]) -> dict[str, npt.NDArray[Any]]:
    """The share of true among all, nulls counted as false."""
    entries = asked.entries

    def before() -> Ints:
        return np.concatenate([[0], np.cumsum(entries.x == 1.0)])

    true = entries.once("true_before", before)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {"percent_true": (true[asked.hi] - true[asked.lo]) / (asked.hi - asked.lo)}
