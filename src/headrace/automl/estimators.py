"""Estimators in scikit-learn's conventions: `HeadraceClassifier` and `HeadraceRegressor`.

from headrace.automl import HeadraceClassifier

model = HeadraceClassifier(seconds=60).fit(X, y)
model.predict_proba(X_new)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from headrace.automl.table.cleaning import require_rows
from headrace.automl.table_estimator import TableEstimator, require_length
from headrace.automl.task.metrics import decide
from headrace.automl.task.task import Task, classification_task, regression_task
from headrace.core.errors import DataError, DeclarationError

#: Models compute with float32, in which larger numbers, or their squares, are infinite.
_LARGEST = 1e18


class HeadraceClassifier(ClassifierMixin, TableEstimator):  # type: ignore[misc]
    """Classify the rows of a table by an ensemble that is searched within a time limit.

    Args:
        seconds: Wall-clock time of `fit`; None where `trials` is given.
        trials: Number of configurations. With `n_jobs=1` and `seconds=None` results are reproducible by seed.
        metric: What is optimised: auc, average_precision, log_loss, brier, accuracy, balanced_accuracy, f1. Default:
            auc for two classes, log_loss for more.
        validation: "auto", "random", "group" or "time". The reason for the choice is in `notes_`.
        time: Column of times: validation rows are later than training rows.
        groups: Column of groups: the rows of a group are never divided, and the column is no feature.
        folds: Number of folds, None to choose by the size of the table.
        families: Names of model families, None for all that are installed.
        portfolio: First configurations; None for the shipped portfolio and a warm start from similar data sets.
        searcher: Name of the searcher: auto, tpe, gp, random, ...
        ensemble: Whether an ensemble is selected; otherwise the best configuration is the model.
        cost_tolerance: None for the best ensemble; else the cheapest whose out-of-fold loss exceeds that of the best
            by at most this share of the difference to the loss of a constant prediction, by every loss that selects.
        stack: Whether a second level of models, which learns from the predictions of the first, is tried.
        calibrate: Whether probabilities are calibrated.
        memory_gb: Memory of all worker processes.
        n_jobs: Number of worker processes, None for one a core.
        random_state: Seed, or a generator that one is drawn from; None for 0.

    Attributes:
        classes_: The classes in order.
        model_: The fitted ensemble.
        outcome_: Everything that the search found.
        notes_: Lines about validation, columns and families.
    """

    def predict_proba(self, X: Any) -> Any:
        """Predict the probability of each class [n, classes]."""
        p = self._predicted(X)
        return np.column_stack([1 - p[:, 0], p[:, 0]]) if self.model_.task.kind == "binary" else p

    def predict(self, X: Any) -> Any:
        """Predict the class of each row [n]."""
        p = self._predicted(X)
        return self.classes_[decide(p, self.model_.task, self.model_.calibration.threshold)]

    def _target(self, y: Any, n_rows: int) -> tuple[Any, Task]:
        y = column_or_1d(_with_plain_types(y), warn=True)
        require_length(y, n_rows)
        values = pd.Series(y)
        present = values.dropna().infer_objects()  # truth values beside None are objects
        require_rows(len(present))
        _require_one_type(present)
        check_classification_targets(present.to_numpy())
        self.classes_, positions = np.unique(present.to_numpy(), return_inverse=True)
        target = np.full(n_rows, np.nan)
        target[present.index] = positions
        return target, classification_task(self.classes_, self.metric)


class HeadraceRegressor(RegressorMixin, TableEstimator):  # type: ignore[misc]
    """Predict a number, or its quantiles, for the rows of a table by an ensemble that is searched within a time limit.

    Args:
        quantiles: Levels in (0, 1), ascending; None to predict one number.
        seconds: Wall-clock time of `fit`; None where `trials` is given.
        trials: Number of configurations. With `n_jobs=1` and `seconds=None` results are reproducible by seed.
        metric: What is optimised: rmse (default), rmsle, mae, mape, r2; pinball for quantiles.
        validation: "auto", "random", "group" or "time". The reason for the choice is in `notes_`.
        time: Column of times: validation rows are later than training rows.
        groups: Column of groups: the rows of a group are never divided, and the column is no feature.
        folds: Number of folds, None to choose by the size of the table.
        families: Names of model families, None for all that are installed.
        portfolio: First configurations; None for the shipped portfolio and a warm start from similar data sets.
        searcher: Name of the searcher: auto, tpe, gp, random, ...
        ensemble: Whether an ensemble is selected; otherwise the best configuration is the model.
        cost_tolerance: None for the best ensemble; else the cheapest whose out-of-fold loss exceeds that of the best
            by at most this share of the difference to the loss of a constant prediction, by every loss that selects.
        stack: Whether a second level of models, which learns from the predictions of the first, is tried.
        calibrate: Without effect; for the classifier.
        memory_gb: Memory of all worker processes.
        n_jobs: Number of worker processes, None for one a core.
        random_state: Seed, or a generator that one is drawn from; None for 0.

    Attributes:
        model_: The fitted ensemble.
        outcome_: Everything that the search found.
        notes_: Lines about validation, columns and families.
    """

    def __init__(
        self,
        *,
        quantiles: Sequence[float] | None = None,
        seconds: float | None = 60.0,
        trials: int | None = None,
        metric: str | None = None,
        validation: str = "auto",
        time: str | None = None,
        groups: str | None = None,
        folds: int | None = None,
        families: Sequence[str] | None = None,
        portfolio: Sequence[dict[str, Any]] | None = None,
        searcher: str = "auto",
        ensemble: bool = True,
        cost_tolerance: float | None = None,
        stack: bool = True,
        calibrate: bool = True,
        memory_gb: float | None = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        super().__init__(
            seconds=seconds, trials=trials, metric=metric, validation=validation, time=time, groups=groups,
            folds=folds, families=families, portfolio=portfolio, searcher=searcher, ensemble=ensemble,
            cost_tolerance=cost_tolerance, stack=stack, calibrate=calibrate, memory_gb=memory_gb, n_jobs=n_jobs,
            random_state=random_state,
        )  # fmt: skip
        self.quantiles = quantiles

    def predict(self, X: Any) -> Any:
        """Predict a number for each row [n], or its quantiles [n, levels]."""
        p = self._predicted(X)
        return p if self.model_.task.kind == "quantile" else p[:, 0]

    def _target(self, y: Any, n_rows: int) -> tuple[Any, Task]:
        y = column_or_1d(y, warn=True)
        require_length(y, n_rows)
        values = pd.Series(y)
        numbers = pd.to_numeric(values, errors="coerce")
        texts = values[numbers.isna() & values.notna()]
        if len(texts):
            raise DataError(
                f"{len(texts)} values are no numbers", where="target", found=texts.astype(str).unique(),
                fix="repair those rows, or use the classifier",
            )  # fmt: skip
        target = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
        if np.isinf(target).any():
            raise DataError(
                f"{int(np.isinf(target).sum())} values are infinite", where="target", fix="drop or repair those rows"
            )
        present = target[np.isfinite(target)]
        require_rows(len(present))
        if np.abs(present).max() > _LARGEST:
            raise DataError(
                f"numbers beyond {_LARGEST:g}", where="target", found=[float(np.abs(present).max())],
                fix="divide the target by a constant",
            )  # fmt: skip
        if self.metric == "rmsle" and (present < 0).any():
            raise DataError("rmsle needs a target of at least 0", where="target", fix="use rmse or mae")
        return target, regression_task(present, self.metric, _levels(self.quantiles))


def _with_plain_types(y: Any) -> Any:
    """Return labels of pandas' nullable types as objects: scikit-learn makes numbers of those that have gaps."""
    nullable = isinstance(getattr(y, "dtype", None), pd.api.extensions.ExtensionDtype)
    if nullable and (pd.api.types.is_bool_dtype(y.dtype) or pd.api.types.is_integer_dtype(y.dtype)):
        labels = pd.Series(y)
        return labels.astype(object).where(labels.notna())
    return y


def _levels(quantiles: Any) -> tuple[float, ...]:
    """Return the levels of quantiles.

    Raises:
        DeclarationError: They are no list of numbers.
    """
    try:
        return () if quantiles is None else tuple(float(level) for level in quantiles)
    except (TypeError, ValueError):
        raise DeclarationError(
            f"{quantiles!r} is no list of levels", where="quantiles", fix="write it as (0.1, 0.5, 0.9)"
        ) from None


def _require_one_type(labels: pd.Series) -> None:
    """Check that class labels can be put in order.

    Raises:
        DataError: They have several types.
    """
    types = sorted({type(label).__name__ for label in labels}) if labels.dtype == object else []
    if len(types) > 1:
        raise DataError(
            "the labels have several types",
            where="target",
            found=types,
            fix="write all of them as texts, or as numbers",
        )
