"""Model family `catboost`: ordered boosting (Prokhorenkova et al., 2018) with native categories; optional package.

A problem names it: `families=("lightgbm", "catboost")`. The package is part of `headrace[automl]`. CatBoost cannot be
stepped: the first step of a learner trains all rounds, with its overfitting detector, and the others read its curve.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headrace.core.errors import CorruptError
from headrace.evaluate.metrics import Metric
from headrace.models.design import Design, Predictions
from headrace.models.families.protocol import Label, Rows
from headrace.models.families.steps import BoostingSteps
from headrace.models.space import Config, Float, Integer, Space

if TYPE_CHECKING:
    from headrace.models.cache import FoldCache

_MAX_ROUNDS = 300
#: Rounds without improvement after which training ends: more than the patience of `models.rounds`.
_PATIENCE = 40
_FILE = "model.cbm"


@dataclass(frozen=True)
class FittedCatBoost:
    """A trained model; `best` is the number of rounds that are used, None for all."""

    trained: Any
    binary: bool
    best: int | None = None

    @cached_property
    def model(self) -> Any:
        """The model of the first `best` rounds."""
        if self.best is None or self.best >= self.trained.tree_count_:
            return self.trained
        model = self.trained.copy()
        model.shrink(ntree_end=self.best)
        return model

    @property
    def rounds(self) -> int | None:
        trained = int(self.trained.tree_count_)
        return trained if self.best is None else min(self.best, trained)

    def predict(self, design: Design, *, threads: int = 1) -> Predictions:
        raw = np.asarray(self.model.predict(_cells(design), thread_count=1), dtype=np.float64)
        return np.asarray(1 / (1 + np.exp(-raw)), dtype=np.float64) if self.binary else raw

    def contributions(self, design: Design) -> NDArray[np.float64]:
        """Exact Shapley values of the trees (Lundberg et al., 2020), in log-odds or the label's unit."""
        values = self.model.get_feature_importance(_pool(design), type="ShapValues", thread_count=1)
        return np.asarray(values, dtype=np.float64)[:, :-1]  # the last is the mean

    def save(self, folder: Path) -> None:
        self.model.save_model(str(folder / _FILE), format="cbm")


class _After:
    """Callback that ends training after some rounds: with fewer declared iterations the first trees would differ."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds

    def after_iteration(self, info: Any) -> bool:
        return int(info.iteration) < self._rounds


class CatBoost(BoostingSteps):
    """CatBoost with ordered target statistics of the categories."""

    name, module = "catboost", "catboost"

    def space(self) -> Space:
        return Space(
            {
                "learning_rate": Float(0.04, 0.2, log=True),
                "depth": Integer(4, 8),
                "l2_leaf_reg": Float(1.0, 10.0, log=True),
                "random_strength": Float(0.2, 10.0, log=True),
                "rsm": Float(0.3, 1.0),
            }
        )

    def default(self) -> Config:
        return {"learning_rate": 0.1, "depth": 6, "l2_leaf_reg": 3.0, "random_strength": 1.0, "rsm": 0.6}

    def fit(
        self,
        design: Design,
        label: Label,
        config: Mapping[str, Any],
        *,
        metric: Metric,
        rounds: int | None = None,
        seed: int = 0,
        threads: int = 1,
    ) -> FittedCatBoost:
        model = _model(config, metric, seed)
        model.fit(_pool(design, label), callbacks=[_After(rounds or _MAX_ROUNDS)])
        return FittedCatBoost(model, metric.binary)

    def learner(
        self,
        design: Design,
        label: Label,
        valid: tuple[Design, Label],
        config: Mapping[str, Any],
        *,
        metric: Metric,
        seed: int = 0,
        threads: int = 1,
        rows: Rows | None = None,
        cache: FoldCache | None = None,
    ) -> _Boosting:
        train = (design, label) if rows is None else (design.rows(rows), label[rows])
        return _Boosting(train, valid, _model(config, metric, seed), metric)

    def load(self, folder: Path) -> FittedCatBoost:
        import catboost

        path = folder / _FILE
        model = catboost.CatBoost()
        try:
            model.load_model(str(path), format="cbm")
            objective = str(model.get_all_params()["loss_function"])
        except (catboost.CatBoostError, KeyError, OSError, ValueError) as error:
            raise CorruptError(f"not a CatBoost model ({str(error)[:80]})", where=str(path)) from None
        return FittedCatBoost(model, objective == "Logloss")


class _Boosting:
    """A model whose first step trains all rounds."""

    def __init__(self, train: tuple[Design, Label], valid: tuple[Design, Label], model: Any, metric: Metric) -> None:
        self._train, self._valid, self._model, self._metric = train, valid, model, metric
        self._losses: Iterator[float] | None = None

    def step(self) -> float | None:
        if self._losses is None:
            self._model.fit(_pool(*self._train), eval_set=_pool(*self._valid), use_best_model=False)
            self._losses = self._staged()
        return next(self._losses, None)

    def _staged(self) -> Iterator[float]:
        design, label = self._valid
        for raw in self._model.staged_predict(_pool(design), thread_count=1):
            predicted = np.asarray(raw, dtype=np.float64)
            yield self._metric.loss(label, 1 / (1 + np.exp(-predicted)) if self._metric.binary else predicted)

    def fitted(self, rounds: int) -> FittedCatBoost:
        return FittedCatBoost(self._model, self._metric.binary, rounds)


def _model(config: Mapping[str, Any], metric: Metric, seed: int) -> Any:
    """Return an untrained model; one thread, because other numbers of threads give other bits."""
    import catboost

    number = "MAE" if metric.name == "mae" else "RMSE"
    if metric.level is not None and metric.name != "mae":
        number = f"Quantile:alpha={metric.level:g}"
    return catboost.CatBoost(
        {
            **config,
            "loss_function": "Logloss" if metric.binary else number,
            "iterations": _MAX_ROUNDS,
            "od_type": "Iter",
            "od_wait": _PATIENCE,
            "max_ctr_complexity": 1,
            "random_seed": seed,
            "thread_count": 1,
            "logging_level": "Silent",
            "allow_writing_files": False,
        }
    )


def _cells(design: Design) -> Any:
    """Return a design as CatBoost reads it: category codes as whole numbers, -1 for missing."""
    if not design.categorical:
        return design.X
    cells = design.X.astype(object)
    for position in design.categorical:
        codes = design.X[:, position]
        cells[:, position] = np.where(np.isnan(codes), -1, codes).astype(np.int64)
    return cells


def _pool(design: Design, label: Label | None = None) -> Any:
    import catboost

    return catboost.Pool(_cells(design), label, cat_features=list(design.categorical))
