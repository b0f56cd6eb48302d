"""The task of a model: kind of the target, classes or quantiles, and metric; derived from the values of a target.

| kind       | label in arrays          | prediction                      | columns k        |
|------------|--------------------------|---------------------------------|------------------|
| binary     | 0 or 1                   | probability of the second class | 1                |
| multiclass | position of the class    | probability of each class       | number of classes|
| regression | number                   | number                          | 1                |
| quantile   | number                   | each quantile                   | number of levels |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from headrace.core.errors import DataError, DeclarationError

Kind = Literal["binary", "multiclass", "regression", "quantile"]
Floats = NDArray[np.float64]

#: Default metric of each kind.
_DEFAULT_METRIC: dict[str, str] = {
    "binary": "auc",
    "multiclass": "log_loss",
    "regression": "rmse",
    "quantile": "pinball",
}
#: A numeric target with at most this many different values is a class label where the kind is guessed.
_MAX_CLASSES_GUESSED = 20


@dataclass(frozen=True, kw_only=True)
class Task:
    """The task of a model.

    Attributes:
        kind: Kind of the target.
        metric: Name of the metric that is optimised.
        classes: Class labels in order; empty for numbers.
        quantiles: Levels in (0, 1), ascending; empty for the other kinds.
    """

    kind: Kind
    metric: str
    classes: tuple[Any, ...] = ()
    quantiles: tuple[float, ...] = ()

    @property
    def classification(self) -> bool:
        """Whether classes are predicted."""
        return self.kind in ("binary", "multiclass")

    @property
    def n_outputs(self) -> int:
        """Number of columns k of a prediction."""
        return {"multiclass": len(self.classes), "quantile": len(self.quantiles)}.get(self.kind, 1)


def guess_kind(target: pd.Series) -> Literal["classification", "regression"]:
    """Guess whether a target holds classes or numbers: text, booleans and few whole numbers are classes."""
    values = target.dropna()
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return "classification"
    distinct = values.unique()
    whole = bool(np.all(np.asarray(distinct, dtype=np.float64) % 1 == 0))
    return "classification" if whole and len(distinct) <= _MAX_CLASSES_GUESSED else "regression"


def classification_task(classes: NDArray[Any], metric: str | None) -> Task:
    """Return the task for class labels.

    Raises:
        DataError: There is one class only.
    """
    if len(classes) < 2:
        raise DataError(
            "the target has one class only",
            where="target",
            found=list(classes),
            fix="a classifier needs rows of two classes: check the column, or load more rows",
        )
    kind: Kind = "binary" if len(classes) == 2 else "multiclass"
    return Task(kind=kind, metric=metric or _DEFAULT_METRIC[kind], classes=tuple(np.asarray(classes).tolist()))


def regression_task(target: Floats, metric: str | None, quantiles: tuple[float, ...]) -> Task:
    """Return the task for numbers.

    Raises:
        DataError: The target is constant.
        DeclarationError: A quantile level is outside (0, 1), or they do not ascend.
    """
    if len(np.unique(target)) < 2:
        raise DataError(
            "the target is constant",
            where="target",
            found=[float(target[0])] if len(target) else [],
            fix="there is nothing to learn: check the column",
        )
    if any(not 0 < level < 1 for level in quantiles) or list(quantiles) != sorted(set(quantiles)):
        raise DeclarationError("quantiles must ascend inside (0, 1)", where="quantiles", found=quantiles)
    kind: Kind = "quantile" if quantiles else "regression"
    return Task(kind=kind, metric=metric or _DEFAULT_METRIC[kind], quantiles=tuple(quantiles))
