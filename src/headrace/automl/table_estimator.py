"""What both estimators share: their parameters, scikit-learn's checks of a table, the search, the leaderboard."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _check_sample_weight, check_array, check_is_fitted, validate_data

from headrace.automl.engine import Outcome, Table, search_table
from headrace.automl.leaderboard import leaderboard
from headrace.automl.options import Options
from headrace.automl.sizing import row_limit, sampled_rows
from headrace.automl.task.task import Task
from headrace.core.errors import DataError, DeclarationError
from headrace.search.trial import Trial

#: Number of seeds.
_SEEDS = 2**31


class TableEstimator(BaseEstimator):  # type: ignore[misc]
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
        stack: bool = True,
        calibrate: bool = True,
        memory_gb: float | None = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = 0,
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
        self.stack = stack
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
        X_predict: Any = None,
        on_trial: Callable[[Trial], None] | None = None,
    ) -> Any:
        """Search for the best ensemble and fit it.

        Args:
            X: Table [n, d]: a pandas frame with columns of any kind, or an array.
            y: Target [n].
            sample_weight: Weights [n], None for equal ones. A common factor changes nothing.
            groups: Group of each row [n] for grouped validation, where no column names it; the instant of each row
                with `validation="time"`; without effect with `validation="random"`.
            X_predict: Rows to predict [m, d], where they are known: they help to choose the validation.
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
        classes = target[known] if task.classification else None
        rows = known[sampled_rows(len(known), row_limit(self.seconds), options.seed, classes)]
        table = Table(
            frame=frame.iloc[rows].reset_index(drop=True),
            label=target[rows],
            task=task,
            weight=None if weight is None else weight[rows] / weight[rows].mean(),
            keys=None if groups is None else _keys(groups, len(frame))[rows],
            to_predict=self._to_predict(X_predict),
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
            ensemble=self.ensemble, cost_tolerance=self.cost_tolerance, stack=self.stack,
            calibrate=self.calibrate, workers=jobs, memory_gb=self.memory_gb, seed=_seed(self.random_state),
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

    def _to_predict(self, X: Any) -> pd.DataFrame | None:
        return X if X is None or isinstance(X, pd.DataFrame) else self._frame(X, reset=False)

    def _target(self, y: Any, n_rows: int) -> tuple[Any, Task]:
        """Return labels [n], NaN where the target is missing, and the task."""
        raise NotImplementedError

    def _predicted(self, X: Any) -> Any:
        check_is_fitted(self, "model_")
        return self.model_.predict(self._frame(X, reset=False))


def require_length(y: Any, n_rows: int) -> None:
    """Raise scikit-learn's error where table and target have different lengths."""
    if len(y) != n_rows:
        raise ValueError(f"Found input variables with inconsistent numbers of samples: {[n_rows, len(y)]}")


def _keys(groups: Any, n_rows: int) -> Any:
    """Return the groups of the rows as an array [n].

    Raises:
        DataError: It is the name of a column, or another number of groups than of rows.
    """
    keys = np.asarray(groups)
    if keys.ndim == 0:
        raise DataError(
            f"{groups!r} is no array of the groups of {n_rows} rows", where="fit, groups",
            fix=f"name a column of groups when the estimator is made: groups={groups!r}",
        )  # fmt: skip
    if keys.shape != (n_rows,):
        raise DataError(
            f"an array of shape {keys.shape} cannot tell the groups of {n_rows} rows", where="fit, groups",
            fix="give one group for each row of the table",
        )  # fmt: skip
    return keys


def _seed(random_state: Any) -> int:
    """Return the seed of a search; one is drawn from a generator of NumPy, as scikit-learn does.

    Raises:
        DeclarationError: It is no seed.
    """
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(_SEEDS))
    if random_state is None or (isinstance(random_state, int | np.integer) and 0 <= random_state < _SEEDS):
        return int(random_state or 0)
    raise DeclarationError(
        f"{random_state!r} is no seed", where="random_state", fix=f"give a whole number from 0 to {_SEEDS - 1}"
    )


def _row_notes(n_rows: int, n_known: int, n_used: int) -> list[str]:
    notes = []
    if n_known < n_rows:
        notes.append(f"{n_rows - n_known} of {n_rows} rows are left out: no target, or no weight")
    if n_used < n_known:
        notes.append(f"a random sample of {n_used} of {n_known} rows is used: the time is too short for all")
    return notes
