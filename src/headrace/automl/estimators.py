"""Estimators in scikit-learn's conventions: `HeadraceClassifier` and `HeadraceRegressor`.

from headrace.automl import HeadraceClassifier

model = HeadraceClassifier(seconds=60).fit(X, y)
model.predict_proba(X_new)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_array, check_is_fitted, column_or_1d, validate_data

from headrace.automl.engine import Outcome, Table, search_table
from headrace.automl.leaderboard import leaderboard
from headrace.automl.options import Options
from headrace.automl.sizing import row_limit, sampled_rows
from headrace.automl.table.cleaning import require_rows
from headrace.automl.task.metrics import decide
from headrace.automl.task.task import Task, classification_task, regression_task
from headrace.core.errors import DataError
from headrace.search.trial import Trial


class _TableEstimator(BaseEstimator):  # type: ignore[misc]
    """What both estimators share: parameters, checks of tables, the search."""

    def __init__(
        self,
        *,
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
        calibrate: bool = True,
        memory_gb: float | None = None,
        n_jobs: int | None = None,
        random_state: int | None = 0,
    ) -> None:
        self.seconds = seconds
        self.trials = trials
        self.metric = metric
        self.validation = validation
        self.time = time
        self.groups = groups
        self.folds = folds
        self.families = families
        self.portfolio = portfolio
        self.searcher = searcher
        self.ensemble = ensemble
        self.cost_tolerance = cost_tolerance
        self.calibrate = calibrate
        self.memory_gb = memory_gb
        self.n_jobs = n_jobs
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.non_deterministic = self.seconds is not None
        return tags

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        X_predict: pd.DataFrame | None = None,
        on_trial: Callable[[Trial], None] | None = None,
    ) -> Any:
        """Search for the best ensemble and fit it.

        Args:
            X: Table [n, d]: a pandas frame with columns of any kind, or an array.
            y: Target [n].
            sample_weight: Weights [n], None for equal ones.
            groups: Group of each row [n] for grouped validation, where no column names it.
            X_predict: Rows to predict, where they are known: they help to choose the validation.
            on_trial: Called with every finished configuration.

        Raises:
            HeadraceError: The table cannot be learned from, or nothing was found in time.
        """
        started = time.monotonic()
        frame = self._frame(X, reset=True)
        target, task = self._target(y, len(frame))
        weight = None if sample_weight is None else _check_sample_weight(sample_weight, frame, ensure_non_negative=True)
        known = np.flatnonzero(np.isfinite(target) if weight is None else np.isfinite(target) & (weight > 0))
        options = self._options(given_groups=groups is not None)
        rows = known[sampled_rows(len(known), row_limit(self.seconds), options.seed)]
        table = Table(
            frame=frame.iloc[rows].reset_index(drop=True),
            label=target[rows],
            task=task,
            weight=None if weight is None else weight[rows],
            keys=None if groups is None else np.asarray(groups)[rows],
            to_predict=X_predict,
        )
        outcome = search_table(table, options, on_trial=on_trial, started=started)
        self.outcome_: Outcome = outcome
        self.model_ = outcome.model
        self.notes_ = (*outcome.notes, *_row_notes(len(frame), len(known), len(rows)))
        return self

    def leaderboard(self) -> pd.DataFrame:
        """Return all configurations, best first: metric, weight in the ensemble, time to fit and to predict."""
        check_is_fitted(self, "outcome_")
        return leaderboard(self.outcome_)

    def _options(self, *, given_groups: bool) -> Options:
        mode: Any = "group" if given_groups and self.validation == "auto" else self.validation
        jobs = self.n_jobs if self.n_jobs is not None and self.n_jobs > 0 else 0
        return Options(
            seconds=self.seconds, trials=self.trials, folds=self.folds, validation=mode, time=self.time,
            groups=self.groups, families=self.families, portfolio=self.portfolio, searcher=self.searcher,
            ensemble=self.ensemble, cost_tolerance=self.cost_tolerance, calibrate=self.calibrate, workers=jobs,
            memory_gb=self.memory_gb, seed=self.random_state or 0,
        )  # fmt: skip

    def _frame(self, X: Any, *, reset: bool) -> pd.DataFrame:
        """Return the table as a frame with text names, after scikit-learn's checks."""
        if isinstance(X, pd.DataFrame):
            if X.shape[1] == 0:
                raise ValueError(f"0 feature(s) (shape={X.shape}) while a minimum of 1 is required.")
            X = pd.DataFrame(X).rename(columns=str)
            if X.columns.is_unique:  # otherwise the cleaner names the duplicates
                validate_data(self, X, reset=reset, skip_check_array=True)
            checked: pd.DataFrame = X
            return checked
        X = check_array(X, dtype=None, ensure_all_finite=False, estimator=self, input_name="X")
        validate_data(self, X, reset=reset, skip_check_array=True)
        return pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])]).infer_objects()

    def _target(self, y: Any, n_rows: int) -> tuple[Any, Task]:
        """Return labels [n], NaN where the target is missing, and the task."""
        raise NotImplementedError

    def _predicted(self, X: Any) -> Any:
        check_is_fitted(self, "model_")
        return self.model_.predict(self._frame(X, reset=False))


class HeadraceClassifier(ClassifierMixin, _TableEstimator):  # type: ignore[misc]
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
        portfolio: First configurations; None for the built-in start list.
        searcher: Name of the searcher: auto, tpe, gp, random, ...
        ensemble: Whether an ensemble is selected; otherwise the best configuration is the model.
        cost_tolerance: None for the best ensemble; else the cheapest within this share of the gap between the worst
            model and the best ensemble.
        calibrate: Whether probabilities are calibrated.
        memory_gb: Memory of all worker processes.
        n_jobs: Number of worker processes, None for one a core.
        random_state: Seed.

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
        task = self.model_.task if hasattr(self, "model_") else None
        p = self._predicted(X)
        assert task is not None
        return self.classes_[decide(p, task, self.model_.calibration.threshold)]

    def _target(self, y: Any, n_rows: int) -> tuple[Any, Task]:
        y = column_or_1d(y, warn=True)
        _require_length(y, n_rows)
        values = pd.Series(y)
        present = values.dropna()
        check_classification_targets(present.to_numpy() if len(present) else y)
        require_rows(len(present))
        self.classes_, positions = np.unique(present.to_numpy(), return_inverse=True)
        target = np.full(n_rows, np.nan)
        target[present.index] = positions
        return target, classification_task(self.classes_, self.metric)


class HeadraceRegressor(RegressorMixin, _TableEstimator):  # type: ignore[misc]
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
        portfolio: First configurations; None for the built-in start list.
        searcher: Name of the searcher: auto, tpe, gp, random, ...
        ensemble: Whether an ensemble is selected; otherwise the best configuration is the model.
        cost_tolerance: None for the best ensemble; else the cheapest within this share of the gap between the worst
            model and the best ensemble.
        calibrate: Without effect; for the classifier.
        memory_gb: Memory of all worker processes.
        n_jobs: Number of worker processes, None for one a core.
        random_state: Seed.

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
        calibrate: bool = True,
        memory_gb: float | None = None,
        n_jobs: int | None = None,
        random_state: int | None = 0,
    ) -> None:
        super().__init__(
            seconds=seconds, trials=trials, metric=metric, validation=validation, time=time, groups=groups,
            folds=folds, families=families, portfolio=portfolio, searcher=searcher, ensemble=ensemble,
            cost_tolerance=cost_tolerance, calibrate=calibrate, memory_gb=memory_gb, n_jobs=n_jobs,
            random_state=random_state,
        )  # fmt: skip
        self.quantiles = quantiles

    def predict(self, X: Any) -> Any:
        """Predict a number for each row [n], or its quantiles [n, levels]."""
        p = self._predicted(X)
        return p if self.quantiles else p[:, 0]

    def _target(self, y: Any, n_rows: int) -> tuple[Any, Task]:
        y = column_or_1d(y, warn=True)
        _require_length(y, n_rows)
        target = pd.to_numeric(pd.Series(y), errors="raise").to_numpy(dtype=np.float64, na_value=np.nan)
        if np.isinf(target).any():
            raise DataError(
                f"{int(np.isinf(target).sum())} values are infinite", where="target", fix="drop or repair those rows"
            )
        present = target[np.isfinite(target)]
        require_rows(len(present))
        if self.metric == "rmsle" and (present < 0).any():
            raise DataError("rmsle needs a target of at least 0", where="target", fix="use rmse or mae")
        return target, regression_task(present, self.metric, tuple(self.quantiles or ()))


def _require_length(y: Any, n_rows: int) -> None:
    if len(y) != n_rows:
        raise ValueError(f"Found input variables with inconsistent numbers of samples: {[n_rows, len(y)]}")


def _row_notes(n_rows: int, n_known: int, n_used: int) -> list[str]:
    notes = []
    if n_known < n_rows:
        notes.append(f"{n_rows - n_known} of {n_rows} rows are left out: no target, or no weight")
    if n_used < n_known:
        notes.append(f"a random sample of {n_used} of {n_known} rows is used: the time is too short for all")
    return notes
