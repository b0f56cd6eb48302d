"""Shapley values of a fitted ensemble, per column of the user's table, by shap's permutation explainer.

The model is a black box from cleaned columns to a prediction: log-odds of the second class, probabilities of several
classes, a number, or the middle quantile. So ensembles of any families are explained in the columns that the user
knows. A column's values are passed to shap as positions in a list of its values.
"""

from __future__ import annotations

import importlib.util
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from headrace.automl.ensemble.model import TableModel
from headrace.automl.task.task import Floats

_BACKGROUND, _MAX_ROWS, _LEAST_ROWS = 12, 100, 5
_CLIP = 1e-6


@dataclass(frozen=True, kw_only=True)
class Explained:
    """Shapley values of some rows.

    Attributes:
        values: Shapley values [n, d] of the explained output.
        base: Mean output over the background.
        rows: The rows [n, d], cleaned.
        unit: Unit of the values.
        size: Mean absolute value of each column [d], over all outputs.
    """

    values: Floats
    base: float
    rows: pd.DataFrame
    unit: str
    size: Floats


def explainable() -> bool:
    """Whether the package shap is installed."""
    return importlib.util.find_spec("shap") is not None


def quiet_shap() -> Any:
    """Import shap; its colours use a function that Matplotlib will deprecate."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import shap
    return shap


def explain_model(model: TableModel, frame: pd.DataFrame, *, seconds: float, seed: int = 0) -> Explained | None:
    """Explain the predictions of a sample of rows.

    Args:
        model: The model.
        frame: Rows as users have them.
        seconds: Time, about; it sets the number of rows.
        seed: Of the sample.

    Returns:
        The Shapley values; None where the time is too short for a few rows.
    """
    sampled = frame.sample(min(len(frame), 2_000), random_state=seed)
    cleaned = model.cleaner.transform(sampled)
    output = _position(model, cleaned)
    return explain_predictions(
        cleaned, lambda rows: _raw(model, model.predict_cleaned(rows)), seconds=seconds, unit=_unit(model, output),
        output=output, seed=seed,
    )  # fmt: skip


def explain_predictions(
    rows: pd.DataFrame,
    predict: Callable[[pd.DataFrame], Floats],
    *,
    seconds: float,
    unit: str,
    output: int = 0,
    seed: int = 0,
) -> Explained | None:
    """Explain any function of a table's rows.

    Args:
        rows: Rows to explain and to draw the background from [n, d]: numbers as float64, texts as objects.
        predict: Rows -> outputs [n] or [n, k].
        seconds: Time, about; it sets the number of rows.
        unit: Unit of the outputs.
        output: Which of k outputs is explained.
        seed: Of the background and the permutations.

    Returns:
        The Shapley values; None where the time is too short for a few rows.
    """
    shap = quiet_shap()
    cells, values = _as_positions(rows)

    def predict_positions(positions: Any) -> Floats:
        return predict(_from_positions(positions, rows, values))

    evaluations = 2 * rows.shape[1] + 1
    started = time.monotonic()
    tested = np.resize(np.arange(len(cells)), evaluations * _BACKGROUND)
    predict_positions(cells[tested])
    per_row = time.monotonic() - started
    n_rows = int(min(_MAX_ROWS, len(cells), seconds / max(per_row, 1e-9)))
    if n_rows < _LEAST_ROWS:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        masker = shap.maskers.Independent(cells, max_samples=_BACKGROUND)
        explainer = shap.explainers.Permutation(predict_positions, masker, seed=seed)
        explained = explainer(cells[:n_rows], max_evals=evaluations, silent=True)
    every = explained.values if explained.values.ndim == 3 else explained.values[:, :, None]
    base = np.atleast_2d(explained.base_values.T).T
    return Explained(
        values=np.asarray(every[:, :, output]),
        base=float(np.mean(base[:, output])),
        rows=rows.iloc[:n_rows],
        unit=unit,
        size=np.abs(every).mean(axis=(0, 2)),
    )


def _as_positions(cleaned: pd.DataFrame) -> tuple[Floats, list[Any]]:
    """Return each cell's position in the list of its column's values [n, d], and those lists."""
    positions, values = [], []
    for name in cleaned.columns:
        codes, distinct = pd.factorize(cleaned[name], use_na_sentinel=False)
        positions.append(codes)
        values.append(np.asarray(distinct))
    return np.stack(positions, axis=1).astype(np.float64), values


def _from_positions(positions: Any, cleaned: pd.DataFrame, values: list[Any]) -> pd.DataFrame:
    columns = {}
    for number, name in enumerate(cleaned.columns):
        column = values[number][np.asarray(positions)[:, number].astype(np.int64)]
        if cleaned[name].dtype == object:
            column = np.where(pd.isna(column), None, column)
        columns[name] = column.astype(cleaned[name].dtype)
    return pd.DataFrame(columns)


def _raw(model: TableModel, p: Floats) -> Floats:
    if model.task.kind == "binary":
        clipped = np.clip(p[:, 0], _CLIP, 1 - _CLIP)
        return np.asarray(np.log(clipped) - np.log1p(-clipped), dtype=np.float64)
    return p[:, 0] if p.shape[1] == 1 else p


def _position(model: TableModel, cleaned: pd.DataFrame) -> int:
    """Return the explained output: the most frequent predicted class, the middle quantile, or the only one."""
    if model.task.kind == "multiclass":
        return int(np.bincount(model.predict_cleaned(cleaned).argmax(axis=1)).argmax())
    return model.task.n_outputs // 2 if model.task.kind == "quantile" else 0


def _unit(model: TableModel, output: int) -> str:
    task = model.task
    if task.kind == "binary":
        return f"log-odds of {task.classes[1]!r}"
    if task.kind == "multiclass":
        return f"probability of {task.classes[output]!r}"
    return f"quantile {task.quantiles[output]:g}" if task.kind == "quantile" else "unit of the target"
