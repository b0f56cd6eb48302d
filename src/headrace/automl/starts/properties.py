"""Properties of a data set (meta-features) from its cleaned table: sizes, kinds of columns, target, linear relations.

They cost milliseconds, unlike landmarks, which fit models (Pfahringer et al., 2000). A data set resembles another one
where its properties, in standard deviations of the matrix's, are near (Feurer, Springenberg and Hutter, 2015).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from headrace.automl.table.cleaning import Cleaner
from headrace.automl.task.task import Floats, Task

#: Names of the properties, in order.
PROPERTIES = (
    "log_rows", "log_columns", "log_rows_per_column", "category_share", "log_levels", "missing_share",
    "log_number_skewness", "classes", "rare_class", "target_skewness", "strongest_correlation", "mean_correlation",
    "discrete_share",
)  # fmt: skip
#: Rows that are looked at.
_ROWS = 5_000
#: A number with at most this many different values counts as discrete.
_DISCRETE = 20


def table_properties(frame: pd.DataFrame, cleaner: Cleaner, task: Task, label: Floats) -> Floats:
    """Compute the properties of a data set [f].

    Args:
        frame: Cleaned table [n, d].
        cleaner: Its columns.
        task: The task.
        label: Labels [n].
    """
    n, d = len(frame), max(len(cleaner.used), 1)
    step = max(1, n // _ROWS)
    sample, y = frame.iloc[::step], label[::step]
    numbers = sample[cleaner.names("number")].to_numpy(dtype=np.float64)
    categories = [column for column in cleaner.used if column.kind == "category"]
    correlations = _correlations(numbers, y if task.kind != "multiclass" else (y == _mode(y)).astype(np.float64))
    shares = np.unique(label, return_counts=True)[1] / n if task.classification else np.ones(1)
    return np.array(
        [
            np.log(n), np.log(d), np.log(n / d), len(categories) / d,
            np.log(max((column.levels for column in categories), default=1)),
            float(sample.isna().to_numpy().mean()), float(np.log1p(np.median(np.abs(_skewness(numbers))))),
            float(len(shares) if task.classification else 0), float(shares.min()),
            0.0 if task.classification else float(np.tanh(_skewness(y[:, None])[0] / 3)),
            float(correlations.max()), float(correlations.mean()), _discrete(numbers),
        ]
    )  # fmt: skip


def similarities(properties: Floats, matrix: Floats) -> Floats:
    """Compute weights of the data sets of a matrix by their distance from another data set.

    Args:
        properties: Properties of the data set [f].
        matrix: Properties of the matrix's data sets [t, f].

    Returns:
        Weights [t] of a Gaussian kernel whose width is the distance of the third-nearest data set.
    """
    scale = np.where(matrix.std(axis=0) > 0, matrix.std(axis=0), 1.0)
    squared = (((matrix - properties) / scale) ** 2).mean(axis=1)
    width = np.sort(squared)[min(2, len(squared) - 1)]
    return np.asarray(np.exp(-squared / (2 * max(width, 1e-12))))


def _mode(label: Floats) -> float:
    values, counts = np.unique(label, return_counts=True)
    return float(values[np.argmax(counts)])


def _centred(numbers: Floats) -> Floats:
    """Return columns with mean 0 and standard deviation 1; missing values and constant columns are 0."""
    if not numbers.size:
        return np.zeros((len(numbers), 1))
    present = np.isfinite(numbers)
    count = np.maximum(present.sum(axis=0), 1)
    mean = np.where(present, numbers, 0.0).sum(axis=0) / count
    z = np.where(present, numbers - mean, 0.0)
    spread = np.sqrt((z**2).sum(axis=0) / count)
    return np.asarray(z / np.where(spread > 0, spread, 1.0))


def _skewness(numbers: Floats) -> Floats:
    return np.asarray((_centred(numbers) ** 3).mean(axis=0))


def _correlations(numbers: Floats, y: Floats) -> Floats:
    """Return the absolute correlation of each number with the target; zero where there is no number."""
    return np.asarray(np.abs((_centred(numbers) * _centred(y[:, None])).mean(axis=0)))


def _discrete(numbers: Floats) -> float:
    if not numbers.size:
        return 0.0
    few = [len(np.unique(column[np.isfinite(column)])) <= _DISCRETE for column in numbers.T]
    return float(np.mean(few))
