"""Linear models by scikit-learn: logistic regression for a binary label; for a number ridge, or Huber's for `mae`.

Columns are made ready inside the model: numbers imputed by the median and scaled (or mapped to normal quantiles, which
tames heavy tails), category codes one-hot. Stored by skops; what types a file may hold is our list, never the file's.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headrace.core.errors import CorruptError
from headrace.evaluate.metrics import Metric
from headrace.models.design import Design, Predictions
from headrace.models.families.protocol import Label, Rows
from headrace.models.space import Categorical, Config, Float, Space

if TYPE_CHECKING:
    from headrace.models.kept import Kept

_FILE = "model.skops"
#: Types beyond skops' own defaults that our pipelines are made of. Nothing outside can add to it.
TRUSTED = ("numpy.dtype",)
#: Rare categories share a column, so that a thousand airports do not make a thousand columns.
_MAX_ONE_HOT = 40


@dataclass(frozen=True)
class FittedLinear:
    """A pipeline of column preparation and linear model."""

    pipeline: Any

    @property
    def rounds(self) -> int | None:
        return None

    def predict(self, design: Design, *, threads: int = 1) -> Predictions:
        if hasattr(self.pipeline[-1], "predict_proba"):
            return np.asarray(self.pipeline.predict_proba(design.X)[:, 1], dtype=np.float64)
        return np.asarray(self.pipeline.predict(design.X), dtype=np.float64)

    def contributions(self, design: Design) -> NDArray[np.float64]:
        """Shapley values of a linear model, inputs independent: coefficient x (value - mean), summed per feature."""
        prepare, model = self.pipeline[:-1], self.pipeline[-1]
        Z = np.asarray(prepare.transform(design.X), dtype=np.float64)  # [n, columns after one-hot]
        parts = (Z - Z.mean(axis=0)) * np.ravel(model.coef_)
        owner = _owners(self.pipeline[0], design)
        summed = np.zeros((len(design), len(design.names)))
        for feature in np.unique(owner):
            summed[:, feature] = parts[:, owner == feature].sum(axis=1)
        return summed

    def save(self, folder: Path) -> None:
        import skops.io

        skops.io.dump(self.pipeline, folder / _FILE)


class _LinearLearner:
    """All is learnt in the first round."""

    def __init__(self, fit: Callable[[], FittedLinear], valid: tuple[Design, Label], metric: Metric) -> None:
        self._fit, self._valid, self._metric = fit, valid, metric
        self._fitted: FittedLinear | None = None

    def step(self) -> float | None:
        if self._fitted is not None:
            return None
        self._fitted = self._fit()
        return self._metric.loss(self._valid[1], self._fitted.predict(self._valid[0]))

    def fitted(self, rounds: int) -> FittedLinear:
        return self._fitted if self._fitted is not None else self._fit()


class Linear:
    """Logistic, ridge or Huber regression."""

    name = "linear"

    def space(self) -> Space:
        return Space(
            {
                "strength": Float(1e-4, 10.0, log=True),
                "scale": Categorical(("standard", "quantile")),
            }
        )

    def default(self) -> Config:
        return {"strength": 0.05, "scale": "quantile"}

    def others(self) -> tuple[Config, ...]:
        return ()

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
    ) -> FittedLinear:
        """strength: the inverse of regularisation (scikit-learn's C), per row for ridge and Huber's."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.pipeline import Pipeline
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        model = _model(metric, float(config["strength"]), seed)
        pipeline = Pipeline([("prepare", _preparation(design, str(config["scale"]), seed)), ("model", model)])
        unit = _Unit.of(label) if metric.name == "mae" else _Unit()
        with threadpool_limits(threads), warnings.catch_warnings():
            # Not quite converged is a model like any other: its validation loss tells what it is worth.
            warnings.simplefilter("ignore", ConvergenceWarning)
            pipeline.fit(design.X, label.astype(np.int64) if metric.binary else unit.taken_from(label))
            if metric.name == "mae":
                unit.give_back(model)
                model.intercept_ += np.median(label - pipeline.predict(design.X))
        return FittedLinear(pipeline)

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
        kept: Kept | None = None,
    ) -> _LinearLearner:
        taught = (design, label) if rows is None else (design.rows(rows), label[rows])
        return _LinearLearner(
            partial(self.fit, *taught, config, metric=metric, seed=seed, threads=threads), valid, metric
        )

    def rounds_at(self, config: Mapping[str, Any], progress: float) -> int | None:
        return None

    def coarse(self, config: Mapping[str, Any]) -> Config:
        return dict(config)

    def slower(self, config: Mapping[str, Any], factor: float) -> Config:
        return dict(config)

    def load(self, folder: Path) -> FittedLinear:
        import skops.io

        path = folder / _FILE
        try:
            unknown = set(skops.io.get_untrusted_types(file=path)) - set(TRUSTED)
            if unknown:
                raise CorruptError("the file holds types that are not trusted", where=str(path), found=sorted(unknown))
            return FittedLinear(skops.io.load(path, trusted=list(TRUSTED)))
        except CorruptError:
            raise
        except Exception as error:
            raise CorruptError(f"not a skops model ({error})", where=str(path)) from None


def _model(metric: Metric, strength: float, seed: int) -> Any:
    """The linear model that fits a metric. Huber's loss is near the absolute one and smooth: exact quantile regression
    takes minutes where this takes seconds."""
    from sklearn.linear_model import HuberRegressor, LogisticRegression, Ridge

    if metric.binary:
        return LogisticRegression(C=strength, max_iter=200, tol=1e-3, random_state=seed)
    if metric.name == "mae":
        return HuberRegressor(epsilon=1.1, alpha=1.0 / strength, max_iter=200)
    return Ridge(alpha=1.0 / strength, random_state=seed)


@dataclass(frozen=True)
class _Unit:
    """A label's middle and spread. Huber's solver begins at zero with a spread of one, and stops early elsewhere."""

    middle: float = 0.0
    spread: float = 1.0

    @classmethod
    def of(cls, label: Label) -> _Unit:
        middle = float(np.median(label))
        return cls(middle, float(np.mean(np.abs(label - middle))) or 1.0)

    def taken_from(self, label: Label) -> Label:
        return (label - self.middle) / self.spread

    def give_back(self, model: Any) -> None:
        """Coefficients in the label's unit."""
        model.coef_ = model.coef_ * self.spread
        model.intercept_ = model.intercept_ * self.spread + self.middle


def _preparation(design: Design, scale: str, seed: int) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, QuantileTransformer, StandardScaler

    numeric = [i for i in range(len(design.names)) if i not in design.categorical]
    scaler = (
        StandardScaler()
        if scale == "standard"
        else QuantileTransformer(
            n_quantiles=min(200, len(design)), output_distribution="normal", subsample=20_000, random_state=seed
        )
    )
    impute = SimpleImputer(strategy="median", keep_empty_features=True)
    numbers = Pipeline([("impute", impute), ("scale", scaler)])
    codes = Pipeline(
        [
            ("impute", SimpleImputer(strategy="constant", fill_value=-1.0)),
            (
                "one_hot",
                OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=_MAX_ONE_HOT, sparse_output=False),
            ),
        ]
    )
    return ColumnTransformer([("numbers", numbers, numeric), ("codes", codes, list(design.categorical))])


def _owners(prepare: Any, design: Design) -> NDArray[np.int64]:
    """Which feature each prepared column came from."""
    numeric = [i for i in range(len(design.names)) if i not in design.categorical]
    owner = list(numeric)
    if design.categorical:
        one_hot = prepare.named_transformers_["codes"]["one_hot"]
        # not every category has a column of its own: names are x<input>_<category>
        inputs = [f"x{i}" for i in range(len(design.categorical))]
        for name in one_hot.get_feature_names_out(inputs):
            owner.append(design.categorical[int(name.split("_")[0][1:])])
    return np.asarray(owner, dtype=np.int64)
