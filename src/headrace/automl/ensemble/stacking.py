"""Stack models: the second level learns from a table's columns and the out-of-fold predictions of the first level.

A model of the second level validates on a fold's validation rows and trains on those of the other folds, because only
these rows have predictions of models that did not see them (Wolpert, 1992). At prediction, the first level predicts
with the mean of the models of its folds.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.automl.ensemble.columns import with_predictions
from headrace.automl.families import TABLE_FAMILIES
from headrace.automl.families.protocol import Fit, Rows
from headrace.automl.task.metrics import metric_of
from headrace.automl.task.task import Floats
from headrace.automl.trials.data import SearchData, fold_rows
from headrace.automl.trials.fitting import FittedConfig, fit_config, split_table_config
from headrace.automl.trials.prepared import preparation_key, prepared_fold
from headrace.core.errors import HeadraceError
from headrace.models.space import Config
from headrace.search.trial import Trial

#: Models of the first level whose predictions become columns: the best of each family, at most so many.
_INPUTS = 6
#: Fewest validated rows: with fewer, the second level mostly learns the noise of the first one.
_LEAST_ROWS = 1_000
#: Share of the folds in which the ensemble must be better with the second level than without it.
_SHARE_BETTER = 0.75
#: (family, changes of its default) of the second level: few leaves, because the columns are few and strong.
_CONFIGS: tuple[tuple[str, Config], ...] = (
    ("lightgbm", {"num_leaves": 8, "learning_rate": 0.05, "feature_fraction": 0.5, "min_data_in_leaf": 20}),
    ("extra_trees", {"max_features": 0.4, "min_samples_leaf": 5}),
    ("linear", {"strength": 0.02}),
)


@dataclass(frozen=True, kw_only=True)
class StackedConfig:
    """A configuration of the second level, fitted on all folds.

    Attributes:
        config: The configuration.
        inputs: Numbers of the trials whose predictions are its further columns.
        predictions: Out-of-fold predictions [n, k].
        parts: (key of a preparation, fitted model) of each fold.
        seconds: Time of its fits, s.
    """

    config: Config
    inputs: tuple[int, ...]
    predictions: Floats
    parts: tuple[tuple[str, FittedConfig], ...]
    seconds: float


def may_stack(data: SearchData, families: Sequence[str]) -> bool:
    """Whether there can be a second level: enough rows and folds, and more than one family."""
    return len(families) > 1 and len(data.folds) > 2 and len(data.valid_rows) >= _LEAST_ROWS


def first_level(ranked: Sequence[Trial]) -> tuple[Trial, ...]:
    """Return the trials whose predictions become columns: the best of each family, best first."""
    best: dict[str, Trial] = {}
    for trial in ranked:
        best.setdefault(str(trial.config["family"]), trial)
    return tuple(best.values())[:_INPUTS]


def stack(
    folder: Path,
    digest: str,
    data: SearchData,
    ranked: Sequence[Trial],
    stored: Mapping[int, Floats],
    *,
    seed: int,
    threads: int,
    deadline: float,
) -> tuple[StackedConfig, ...]:
    """Fit the configurations of the second level.

    Args:
        folder: Folder of the data of the search.
        digest: Its digest.
        data: The data.
        ranked: Finished trials, best first.
        stored: Out-of-fold predictions [n, k] of the trials by number, in the order of `data.valid_rows`.
        seed: Of all random numbers.
        threads: Threads of a fit.
        deadline: Instant of `time.monotonic` at which the last fit ends; a configuration that is not finished is left
            out.

    Returns:
        The finished configurations; none where the rows are too few, or one family alone finished.
    """
    inputs = first_level(ranked)
    if not may_stack(data, [str(trial.config["family"]) for trial in inputs]):
        return ()
    columns = [stored[trial.number].astype(np.float64) for trial in inputs]
    numbers = tuple(trial.number for trial in inputs)
    found = []
    for family, changes in _CONFIGS:
        config = _config(family, changes)
        if not config or TABLE_FAMILIES[family].refuses(data.task, len(data.label), data.frame.shape[1]):
            continue
        started = time.monotonic()
        fitted = _fit_folds(folder, digest, data, config, columns, seed=seed, threads=threads, deadline=deadline)
        if fitted is None:
            break
        parts, predictions = fitted
        found.append(StackedConfig(config=config, inputs=numbers, predictions=predictions, parts=parts,
                                   seconds=time.monotonic() - started))  # fmt: skip
    return tuple(found)


def better_in_most_folds(data: SearchData, alone: Floats, stacked: Floats) -> bool:
    """Whether predictions [n, k] with the second level are better than those without it in most folds."""
    metric, end, better = metric_of(data.task), 0, []
    for fold in data.folds:
        rows = slice(end, end := end + len(fold.valid))
        label, weight = data.label[fold.valid], data.weights(fold.valid)
        one, two = (metric.loss(label, p[rows], weight, data.task) for p in (alone, stacked))
        better.append(two < one)
    return float(np.mean(better)) >= _SHARE_BETTER


def _config(family: str, changes: Config) -> Config:
    own = {**TABLE_FAMILIES[family].default(), **changes}
    return {"family": family, **{f"{family}.{key}": value for key, value in own.items()}}


def _fit_folds(
    folder: Path, digest: str, data: SearchData, config: Config, columns: Sequence[Floats], *, seed: int, threads: int,
    deadline: float,
) -> tuple[tuple[tuple[str, FittedConfig], ...], Floats] | None:  # fmt: skip
    """Return (key of a preparation, fitted model) of each fold and the out-of-fold predictions; None if out of time."""
    spec = split_table_config(config)[2]
    position = _positions(data)
    parts, predictions = [], []
    for number, fold in enumerate(data.folds):
        if time.monotonic() > deadline:
            return None
        prepared = prepared_fold(folder, digest, number, spec, seed)
        known = np.flatnonzero(position[fold.train] >= 0)  # rows of the training part that some other fold validates
        train = _stacked_rows(fold_rows(data, prepared.train, fold.train), known, position[fold.train], columns, data)
        every = np.arange(len(fold.valid))
        valid = _stacked_rows(fold_rows(data, prepared.valid, fold.valid), every, position[fold.valid], columns, data)
        fit = Fit(task=data.task, seed=seed + number, threads=threads, deadline=deadline)
        try:
            fitted = fit_config(config, train, valid, fit)
        except HeadraceError:  # a fold of one class
            return None
        parts.append((preparation_key(number, spec), fitted))
        predictions.append(fitted.predict(valid.design))
    return tuple(parts), np.concatenate(predictions)


def _positions(data: SearchData) -> NDArray[np.int64]:
    """Return the position of each row among the out-of-fold predictions [n]; -1 for rows that no fold validates."""
    position = np.full(len(data.label), -1, dtype=np.int64)
    position[data.valid_rows] = np.arange(len(data.valid_rows))
    return position


def _stacked_rows(
    rows: Rows, chosen: NDArray[np.int64], position: NDArray[np.int64], columns: Sequence[Floats], data: SearchData
) -> Rows:
    design = with_predictions(rows.design.rows(chosen), [each[position[chosen]] for each in columns], data.task)
    weight: Any = None if rows.weight is None else rows.weight[chosen]
    return Rows(design=design, label=rows.label[chosen], weight=weight)
