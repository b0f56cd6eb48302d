"""Families of scikit-learn for tables: forests, linear models, elastic net, nearest neighbours, support vectors."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headrace.automl.families.protocol import Fit, Rows, as_columns, positive_column
from headrace.automl.prepare.scaling import SCALES
from headrace.automl.task.task import Floats, Task
from headrace.models.design import Design
from headrace.models.space import Categorical, Config, Float, Integer, Space

#: Largest tables for models whose cost grows with the square of the rows.
_MAX_SVM_ROWS, _MAX_NEIGHBOUR_ROWS = 5_000, 50_000
#: Trees of a forest, and trees that are added at a time.
_TREES, _BATCH = 300, 25
#: Choices of preparation that every scaled family has beside its scale.
_PREPARATIONS = {"categories": Categorical(("codes", "both")), "constructions": Categorical((False, True))}
_DEFAULT_PREPARATION: Config = {"categories": "both", "constructions": True}
_NO_QUANTILES = "does not predict quantiles"
#: A quantile regression is a linear program of one variable a row.
_MAX_QUANTILE_ROWS = 5_000
#: Standard deviations at which Huber's loss becomes linear (95 % of the efficiency of least squares for normal errors);
#: ratio of a standard deviation to the median absolute error of such errors; reweightings, until weights hardly change.
_HUBER, _MAD, _REWEIGHTINGS = 1.345, 1.4826, 4
#: Missing numbers of the forests: scikit-learn's trees read missing values, but not where training had none.
_MISSING = -1e6


@dataclass(frozen=True)
class FittedEstimator:
    """A fitted estimator of scikit-learn; `scale` and `centre` undo the scaling of a number."""

    estimator: Any
    task: Task
    impute: bool = False
    centre: float = 0.0
    scale: float = 1.0
    rounds: int | None = None

    def predict(self, design: Design) -> Floats:
        # In single precision the sum of a linear model would depend on the order of the rows.
        X = np.asarray(_without_missing(design) if self.impute else design.X, dtype=np.float64)
        if self.task.classification:
            return positive_column(self.estimator.predict_proba(X), self.task)
        return as_columns(self.estimator.predict(X)) * self.scale + self.centre


def _without_missing(design: Design) -> Any:
    return np.nan_to_num(design.X, nan=_MISSING)


class Forest:
    """Extra trees (Geurts et al., 2006) or a random forest (Breiman, 2001).

    Args:
        name: "extra_trees" or "random_forest".
    """

    module = "sklearn"

    def __init__(self, name: str) -> None:
        self.name = name

    def refuses(self, task: Task, n_rows: int, n_columns: int) -> str:
        return _NO_QUANTILES if task.kind == "quantile" else ""

    def space(self, task: Task) -> Space:
        return Space(
            {
                "max_features": Float(0.1, 1.0),
                "min_samples_leaf": Integer(1, 20, log=True),
                "categories": Categorical(("codes", "target", "both")),
                "constructions": Categorical((False, True)),
            }
        )

    def default(self) -> Config:
        return {"max_features": 0.4, "min_samples_leaf": 2, "categories": "target", "constructions": False}

    def fit(self, train: Rows, valid: Rows | None, config: Mapping[str, Any], fit: Fit) -> FittedEstimator:
        import sklearn.ensemble

        kind = "Classifier" if fit.task.classification else "Regressor"
        model_class = getattr(
            sklearn.ensemble, {"extra_trees": "ExtraTrees", "random_forest": "RandomForest"}[self.name] + kind
        )
        estimator = model_class(
            max_features=float(config["max_features"]), min_samples_leaf=int(config["min_samples_leaf"]),
            random_state=fit.seed, n_jobs=fit.threads, warm_start=True,
        )  # fmt: skip
        X, label = _without_missing(train.design), _labels(train, fit.task)
        for trees in range(_BATCH, max(fit.rounds or _TREES, _BATCH) + 1, _BATCH):  # in parts, to end at the deadline
            estimator.set_params(n_estimators=trees).fit(X, label, sample_weight=train.weight)
            if time.monotonic() > fit.deadline:
                break
        return FittedEstimator(estimator, fit.task, impute=True, rounds=len(estimator.estimators_))


class TableLinear:
    """Logistic or ridge regression; quantile regression (Koenker and Bassett, 1978) for few rows."""

    name, module = "linear", "sklearn"

    def refuses(self, task: Task, n_rows: int, n_columns: int) -> str:
        if task.kind == "quantile" and n_rows > _MAX_QUANTILE_ROWS:
            return f"more than {_MAX_QUANTILE_ROWS} rows for quantiles"
        return ""

    def space(self, task: Task) -> Space:
        return Space({"strength": Float(1e-3, 100.0, log=True), "scale": Categorical(SCALES), **_PREPARATIONS})

    def default(self) -> Config:
        return {"strength": 0.5, "scale": "quantile", **_DEFAULT_PREPARATION}

    def fit(self, train: Rows, valid: Rows | None, config: Mapping[str, Any], fit: Fit) -> FittedEstimator:
        from sklearn.linear_model import LogisticRegression, Ridge

        strength = float(config["strength"])
        if fit.task.kind == "quantile":
            return FittedEstimator(_quantile_lines(train, strength, fit.task), fit.task)
        if not fit.task.classification:
            return FittedEstimator(_quietly(Ridge(alpha=1.0 / strength), train, fit.task), fit.task)
        model = LogisticRegression(C=strength, max_iter=300, tol=1e-3, random_state=fit.seed)
        return FittedEstimator(_quietly(model, train, fit.task), fit.task)


def _quantile_lines(train: Rows, strength: float, task: Task) -> QuantileLines:
    from sklearn.linear_model import QuantileRegressor

    alpha = 1e-3 / strength
    return QuantileLines(
        tuple(
            QuantileRegressor(quantile=level, alpha=alpha).fit(train.design.X, train.label, train.weight)
            for level in task.quantiles
        )
    )


@dataclass(frozen=True)
class QuantileLines:
    """One linear model a quantile."""

    models: tuple[Any, ...]

    def predict(self, X: Any) -> Any:
        """Predict [n, levels]."""
        return np.stack([model.predict(X) for model in self.models], axis=1)


class ElasticNetFamily:
    """An elastic net (Zou and Hastie, 2005): few columns of many have a coefficient.

    Its loss is squared, or Huber's (1964), by which rows that lie far from the rest count less. scikit-learn divides
    weights by their mean, so that with Huber's loss the penalty is that share of the given one.
    """

    name, module = "elastic_net", "sklearn"

    def refuses(self, task: Task, n_rows: int, n_columns: int) -> str:
        return "predicts one number only" if task.kind != "regression" else ""

    def space(self, task: Task) -> Space:
        return Space({"penalty": Float(1e-4, 0.1, log=True), "l1_ratio": Float(0.05, 1.0),
                      "loss": Categorical(("squared", "huber")), "scale": Categorical(SCALES),
                      **_PREPARATIONS})  # fmt: skip

    def default(self) -> Config:
        return {"penalty": 1e-2, "l1_ratio": 0.3, "loss": "squared", "scale": "quantile", **_DEFAULT_PREPARATION}

    def fit(self, train: Rows, valid: Rows | None, config: Mapping[str, Any], fit: Fit) -> FittedEstimator:
        from sklearn.linear_model import ElasticNet

        centre, scale = float(np.mean(train.label)), float(np.std(train.label)) or 1.0
        model = ElasticNet(alpha=float(config["penalty"]), l1_ratio=float(config["l1_ratio"]), max_iter=3_000)
        rows = replace(train, label=(train.label - centre) / scale)
        fitted = _quietly(model, rows, fit.task)
        for _ in range(_REWEIGHTINGS if config["loss"] == "huber" else 0):
            if time.monotonic() > fit.deadline:
                break
            fitted = _quietly(model, replace(rows, weight=huber_weights(rows, fitted.predict(rows.design.X))), fit.task)
        return FittedEstimator(fitted, fit.task, centre=centre, scale=scale)


def huber_weights(rows: Rows, predicted: Any) -> Floats:
    """Return the weights [n] by which least squares has the gradient of Huber's loss at these predictions [n].

    Residuals within 1.345 robust standard deviations keep their weight; beyond, it falls with their reciprocal. The
    deviation is the median absolute residual times 1.4826.

    Source: Holland and Welsch (1977).
    """
    residuals = np.abs(rows.label - predicted)
    limit = _HUBER * _MAD * float(np.median(residuals))
    weights = np.minimum(1.0, limit / np.maximum(residuals, limit)) if limit > 0 else np.ones(len(residuals))
    return np.asarray(weights if rows.weight is None else weights * rows.weight, dtype=np.float64)


class Neighbours:
    """k nearest neighbours, weighted by distance."""

    name, module = "neighbours", "sklearn"

    def refuses(self, task: Task, n_rows: int, n_columns: int) -> str:
        if task.kind == "quantile":
            return _NO_QUANTILES
        return f"more than {_MAX_NEIGHBOUR_ROWS} rows" if n_rows > _MAX_NEIGHBOUR_ROWS else ""

    def space(self, task: Task) -> Space:
        return Space({"neighbours": Integer(3, 60, log=True), "p": Categorical((1, 2)),
                      "scale": Categorical(SCALES), **_PREPARATIONS})  # fmt: skip

    def default(self) -> Config:
        return {"neighbours": 15, "p": 1, "scale": "quantile", **_DEFAULT_PREPARATION}

    def fit(self, train: Rows, valid: Rows | None, config: Mapping[str, Any], fit: Fit) -> FittedEstimator:
        from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

        model_class = KNeighborsClassifier if fit.task.classification else KNeighborsRegressor
        k = min(int(config["neighbours"]), len(train.label))
        model = model_class(k, weights="distance", p=int(config["p"]), n_jobs=fit.threads)
        return FittedEstimator(model.fit(train.design.X, _labels(train, fit.task)), fit.task)


class SupportVectors:
    """Support vectors with a radial kernel; numbers are scaled to unit variance."""

    name, module = "svm", "sklearn"

    def refuses(self, task: Task, n_rows: int, n_columns: int) -> str:
        if task.kind == "quantile":
            return _NO_QUANTILES
        return f"more than {_MAX_SVM_ROWS} rows" if n_rows > _MAX_SVM_ROWS else ""

    def space(self, task: Task) -> Space:
        return Space({"strength": Float(0.1, 300.0, log=True), "gamma": Float(0.05, 10.0, log=True),
                      "scale": Categorical(SCALES), **_PREPARATIONS})  # fmt: skip

    def default(self) -> Config:
        return {"strength": 2.0, "gamma": 1.0, "scale": "power", **_DEFAULT_PREPARATION}

    def fit(self, train: Rows, valid: Rows | None, config: Mapping[str, Any], fit: Fit) -> FittedEstimator:
        from sklearn.svm import SVR

        gamma = float(config["gamma"]) / max(train.design.X.shape[1], 1)
        if fit.task.classification:
            model = _probabilistic_svc(float(config["strength"]), gamma, fit.seed)
            return FittedEstimator(_quietly(model, train, fit.task), fit.task)
        centre, scale = float(np.mean(train.label)), float(np.std(train.label)) or 1.0
        model = SVR(C=float(config["strength"]), gamma=gamma)
        model.fit(train.design.X, (train.label - centre) / scale, sample_weight=train.weight)
        return FittedEstimator(model, fit.task, centre=centre, scale=scale)


def _probabilistic_svc(strength: float, gamma: float, seed: int) -> Any:
    """Return support vectors whose margins are calibrated by a sigmoid on three folds (Platt, 1999)."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.model_selection import KFold
    from sklearn.svm import SVC

    folds = KFold(3, shuffle=True, random_state=seed)
    return CalibratedClassifierCV(SVC(C=strength, gamma=gamma), method="sigmoid", cv=folds, ensemble=False)


def _quietly(model: Any, train: Rows, task: Task) -> Any:
    """Fit a model without warnings of slow convergence or of columns that are nearly dependent.

    Such a model is valid: its validation loss shows its quality.
    """
    from scipy.linalg import LinAlgWarning
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        for category in (ConvergenceWarning, LinAlgWarning):
            warnings.simplefilter("ignore", category)
        return model.fit(train.design.X, _labels(train, task), sample_weight=train.weight)


def _labels(rows: Rows, task: Task) -> Any:
    return rows.label.astype(np.int64) if task.classification else rows.label
