"""Quality of a model by period and by slice of the gate window, for a model report."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from headrace.core.clock import from_us
from headrace.core.errors import DataError
from headrace.evaluate.metrics import Floats, Metric

#: Fewest rows of a group that is shown.
MIN_ROWS = 20
_MAX_CATEGORIES, _QUARTILES = 6, 4


@dataclass(frozen=True, kw_only=True)
class Group:
    """Some rows of the gate window.

    Attributes:
        name: A month, a week by its first day, or a slice such as `origin = JFK`.
        rows: Number of rows.
        mean_label, mean_prediction: Means over them.
        value: The metric, None where it is not defined (one class only).
    """

    name: str
    rows: int
    mean_label: float
    mean_prediction: float
    value: float | None


def by_period(y: Floats, p: Floats, cutoffs_us: NDArray[np.int64], metric: Metric) -> tuple[str, tuple[Group, ...]]:
    """Return "month" or "week", and the quality by it: weeks where the rows span less than two months.

    Args:
        y, p: Labels and predictions [n].
        cutoffs_us: Cutoffs [n], microseconds UTC.
        metric: What to measure.
    """
    instants = [from_us(int(at)) for at in cutoffs_us]
    months = np.array([f"{at:%Y-%m}" for at in instants])
    if len(set(months)) > 1:
        return "month", _groups(months, y, p, metric)
    weeks = np.array([f"{at - timedelta(days=at.weekday()):%Y-%m-%d}" for at in instants])
    return "week", _groups(weeks, y, p, metric)


def by_slice(
    columns: Mapping[str, Sequence[object]], y: Floats, p: Floats, metric: Metric, *, most: int = 12
) -> tuple[Group, ...]:
    """Return the quality of slices, the worst first: frequent categories, or quartiles, of each column.

    Args:
        columns: Name -> values [n]: texts, booleans, or numbers; None and NaN are missing.
        y, p: Labels and predictions [n].
        metric: What to measure.
        most: Most slices.
    """
    found = [
        group
        for name, values in columns.items()
        for group in _groups(_labels(name, values), y, p, metric)
        if group.value is not None
    ]
    return tuple(sorted(found, key=lambda group: metric.sign * (group.value or 0.0))[:most])


def _groups(labels: NDArray[np.str_], y: Floats, p: Floats, metric: Metric) -> tuple[Group, ...]:
    """Return the quality of the rows of each label in alphabetical order; small groups are left out."""
    found = []
    for name in np.unique(labels):
        rows = labels == name
        if name and rows.sum() >= min(MIN_ROWS, len(y)):
            found.append(
                Group(
                    name=str(name),
                    rows=int(rows.sum()),
                    mean_label=float(y[rows].mean()),
                    mean_prediction=float(p[rows].mean()),
                    value=_value(metric, y[rows], p[rows]),
                )
            )
    return tuple(found)


def _value(metric: Metric, y: Floats, p: Floats) -> float | None:
    try:
        return metric.value(y, p)
    except DataError:
        return None


def _labels(name: str, values: Sequence[object]) -> NDArray[np.str_]:
    """Return the slice of each value; "" for values of rare categories."""
    if any(isinstance(value, str | bool) for value in values):
        texts = np.array(["(missing)" if value is None else str(value) for value in values])
        distinct, counts = np.unique(texts, return_counts=True)
        frequent = set(distinct[np.argsort(-counts, kind="stable")][:_MAX_CATEGORIES].tolist())
        return np.array([f"{name} = {text}" if text in frequent else "" for text in texts])
    numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    known = numbers[np.isfinite(numbers)]
    edges = np.unique(np.quantile(known, np.arange(1, _QUARTILES) / _QUARTILES)) if len(known) else np.empty(0)
    names = _ranges(name, edges.tolist())
    places = np.searchsorted(edges, numbers, side="right")
    return np.array(
        [names[place] if np.isfinite(at) else f"{name} missing" for place, at in zip(places, numbers, strict=True)]
    )


def _ranges(name: str, edges: Sequence[float]) -> list[str]:
    if not edges:
        return [f"{name} any"]
    between = [f"{name} {low:.4g} to {high:.4g}" for low, high in itertools.pairwise(edges)]
    return [f"{name} below {edges[0]:.4g}", *between, f"{name} {edges[-1]:.4g} or more"]
