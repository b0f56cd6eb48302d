"""Fit a configuration on prepared rows: scale of the target, class weights, classes that a fold lacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.automl.families import TABLE_FAMILIES
from headrace.automl.families.protocol import Fit, FittedTable, Rows
from headrace.automl.prepare.preparation import PreparationSpec
from headrace.automl.task.task import Floats, Task
from headrace.core.errors import DataError
from headrace.models.design import Design
from headrace.models.space import Config

#: Metrics of the median.
_ABSOLUTE = ("mae", "mape")
#: Quantile of the sizes of the labels that are not 0, below which a label weighs no more in a relative loss.
_LEAST_SIZE = 0.01
#: Least total weight of a class.
_LEAST_TOTAL = 1e-12


@dataclass(frozen=True, kw_only=True)
class FittedConfig:
    """A configuration that is fitted on the rows of one fold.

    Attributes:
        fitted: The family's model.
        log: Whether it predicts log(1 + target).
        low, high: Range of its predictions' logarithm in training, slightly widened; beyond it, exp would explode.
        classes: Classes of its rows, where some of the task are absent.
        n_outputs: Columns of a prediction.
    """

    fitted: FittedTable
    log: bool = False
    low: float = -np.inf
    high: float = np.inf
    classes: NDArray[np.int64] | None = None
    n_outputs: int = 1

    def predict(self, design: Design) -> Floats:
        """Predict [n, k], as in `task`."""
        predicted = self.fitted.predict(design)
        if self.log:
            predicted = np.expm1(np.clip(predicted, self.low, self.high))
        if self.classes is not None:
            expanded = np.zeros((len(predicted), self.n_outputs))
            expanded[:, self.classes] = predicted
            return expanded
        return predicted


def split_table_config(config: Mapping[str, Any]) -> tuple[str, Config, PreparationSpec]:
    """Return the family, its own parameters and the preparation of a config of the joint space."""
    family = str(config["family"])
    prefix = f"{family}."
    own = {key.removeprefix(prefix): value for key, value in config.items() if key.startswith(prefix)}
    return family, own, PreparationSpec.of(own)


def fit_config(config: Mapping[str, Any], train: Rows, valid: Rows | None, fit: Fit) -> FittedConfig:
    """Fit a configuration of the joint space.

    Args:
        config: The configuration.
        train: Training rows, prepared.
        valid: Rows for early stopping, None where `fit.rounds` is given.
        fit: Task, seed, threads, deadline.

    Raises:
        DataError: The training rows have one class only.
    """
    family, own, _ = split_table_config(config)
    task, log = fit.task, fit.task.kind == "regression" and _predicts_log(config, fit.task)
    if task.metric == "mape":
        least = _least_size(train.label)
        train, valid = _relative(train, least), None if valid is None else _relative(valid, least)
    if log:
        train, valid = _logarithms(train), None if valid is None else _logarithms(valid)
    if config.get("class_weight") == "balanced":
        train = replace(train, weight=_balanced(train))
    classes = _present(train, task)
    if classes is not None:
        task = replace(task, kind="multiclass", classes=tuple(classes.tolist()))
        train, valid = _relabelled(train, classes), None if valid is None else _relabelled(valid, classes)
    loss = "absolute" if fit.task.metric in _ABSOLUTE else "squared"
    fitted = TABLE_FAMILIES[family].fit(train, valid, own, replace(fit, task=task, loss=loss))
    low, high = _widened(train.label) if log else (-np.inf, np.inf)
    return FittedConfig(fitted=fitted, log=log, low=low, high=high, classes=classes, n_outputs=fit.task.n_outputs)


def _widened(label: Floats) -> tuple[float, float]:
    """Return the range of logarithms of labels of at least 0, widened by a tenth at both ends, but not below 0."""
    low, high = float(label.min()), float(label.max())
    return max(low - (high - low) / 10, 0.0), high + (high - low) / 10


def _predicts_log(config: Mapping[str, Any], task: Task) -> bool:
    return task.metric == "rmsle" or config.get("target_scale") == "log"


def _least_size(label: Floats) -> float:
    """Return the size below which labels have equal weights: else those near 0 would outweigh all others."""
    sizes = np.abs(label[label != 0])
    return float(np.quantile(sizes, _LEAST_SIZE)) if len(sizes) else 1.0


def _relative(rows: Rows, least: float) -> Rows:
    """Return rows weighted by 1 / |label|, with mean 1.

    The median under these weights minimises the mean absolute percentage error, and so does the median of the
    logarithms: a weighted median keeps its place under every increasing function.
    """
    factors = 1 / np.maximum(np.abs(rows.label), least)
    factors /= factors.mean()
    return replace(rows, weight=factors if rows.weight is None else factors * rows.weight)


def _logarithms(rows: Rows) -> Rows:
    return replace(rows, label=np.log1p(rows.label))


def _balanced(rows: Rows) -> Floats:
    """Return weights under which every class has the same total."""
    classes, position = np.unique(rows.label, return_inverse=True)
    weight = np.ones(len(rows.label)) if rows.weight is None else rows.weight
    totals = np.bincount(position, weights=weight)
    return np.asarray(weight * weight.sum() / (len(classes) * np.maximum(totals, _LEAST_TOTAL)[position]))


def _present(rows: Rows, task: Task) -> NDArray[np.int64] | None:
    """Return the classes of the rows; None where all of the task are there."""
    if not task.classification:
        return None
    classes = np.unique(rows.label).astype(np.int64)
    if len(classes) < 2:
        raise DataError("the training rows of a fold have one class only", where="target", found=classes.tolist())
    return None if len(classes) == len(task.classes) else classes


def _relabelled(rows: Rows, classes: NDArray[np.int64]) -> Rows:
    """Return the rows of these classes, labelled by position in `classes`."""
    known = np.flatnonzero(np.isin(rows.label, classes))
    return Rows(
        design=rows.design.rows(known),
        label=np.searchsorted(classes, rows.label[known]).astype(np.float64),
        weight=None if rows.weight is None else rows.weight[known],
    )
