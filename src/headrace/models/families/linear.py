"""Model family `linear`: logistic regression for a binary label; ridge for a number, Huber regression for `mae`.

The model includes its preprocessing: numbers are imputed by the median and scaled (or mapped to normal quantiles,
against heavy tails), category codes are one-hot encoded. Stored by skops with a fixed list of trusted types.
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
    from headrace.models.cache import FoldCache

_FILE = "model.skops"
#: Types that a file may contain, beyond those that skops trusts by default.
TRUSTED = ("numpy.dtype",)
#: Most one-hot columns of a feature; rarer categories share one.
_MAX_ONE_HOT = 40


@dataclass(frozen=True)
class FittedLinear:
    """A fitted pipeline of preprocessing and linear model."""

    pipeline: Any

    @property
    def rounds(self) -> int | None:
        return None

    def predict(self, design: Design, *, threads: int = 1) -> Predictions:
        if hasattr(self.pipeline[-1], "predict_proba"):
            return np.asarray(self.pipeline.predict_proba(design.X)[:, 1], dtype=np.float64)
        return np.asarray(self.pipeline.predict(design.X), dtype=np.float64)

    def contributions(self, design: Design) -> NDArray[np.float64]:
        """Shapley values for independent inputs: coefficient x (value - mean), summed over the columns of a feature."""
        prepare, model = self.pipeline[:-1], self.pipeline[-1]
        Z = np.asarray(prepare.transform(design.X), dtype=np.float64)  # [n, columns after one-hot]
        terms = (Z - Z.mean(axis=0)) * np.ravel(model.coef_)
        owner = _owners(self.pipeline[0], design)
        summed = np.zeros((len(design), len(design.names)))
        for feature in np.unique(owner):
            summed[:, feature] = terms[:, owner == feature].sum(axis=1)
        return summed

    def save(self, folder: Path) -> None:
        import skops.io

        skops.io.dump(self.pipeline, folder / _FILE)


class _LinearLearner:
    """Fits everything in the first step."""

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
    """Logistic, ridge or Huber regression by scikit-learn."""

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

    def extra_configs(self) -> tuple[Config, ...]:
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
        """Fit a pipeline. `strength` is the inverse regularisation (scikit-learn's C), per row for ridge and Huber."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.pipeline import Pipeline
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        model = _model(metric, float(config["strength"]), seed)
        pipeline = Pipeline([("prepare", _preparation(design, str(config["scale"]), seed)), ("model", model)])
        scaler = _LabelScaler.fit(label) if metric.level is not None else _LabelScaler()
        with threadpool_limits(threads), warnings.catch_warnings():
            # A model that has not fully converged is valid: its validation loss shows its quality.
            warnings.simplefilter("ignore", ConvergenceWarning)
            pipeline.fit(design.X, label.astype(np.int64) if metric.binary else scaler.transform(label))
            if metric.level is not None:
                scaler.rescale_coefficients(model)
                model.intercept_ += np.quantile(label - pipeline.predict(design.X), metric.level)
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
        cache: FoldCache | None = None,
    ) -> _LinearLearner:
        train = (design, label) if rows is None else (design.rows(rows), label[rows])
        return _LinearLearner(
            partial(self.fit, *train, config, metric=metric, seed=seed, threads=threads), valid, metric
        )

    def rounds_at(self, config: Mapping[str, Any], progress: float) -> int | None:
        return None

    def with_coarse_steps(self, config: Mapping[str, Any]) -> Config:
        return dict(config)

    def with_smaller_steps(self, config: Mapping[str, Any], factor: float) -> Config:
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
    """Return the linear model for a metric.

    Huber's loss approximates the absolute one and is smooth; exact quantile regression takes minutes instead of
    seconds.
    """
    from sklearn.linear_model import HuberRegressor, LogisticRegression, Ridge

    if metric.binary:
        return LogisticRegression(C=strength, max_iter=200, tol=1e-3, random_state=seed)
    if metric.level is not None:
        return HuberRegressor(epsilon=1.1, alpha=1.0 / strength, max_iter=200)
    return Ridge(alpha=1.0 / strength, random_state=seed)


@dataclass(frozen=True)
class _LabelScaler:
    """Scale a label to median 0 and mean absolute deviation 1, where the solver of HuberRegressor converges.

    The solver starts at coefficients 0 and scale 1, and stops too early for other scales.
    """

    middle: float = 0.0
    spread: float = 1.0

    @classmethod
    def fit(cls, label: Label) -> _LabelScaler:
        middle = float(np.median(label))
        return cls(middle, float(np.mean(np.abs(label - middle))) or 1.0)

    def transform(self, label: Label) -> Label:
        return (label - self.middle) / self.spread

    def rescale_coefficients(self, model: Any) -> None:
        """Convert the coefficients of a fitted model to the label's unit."""
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
    """Return the feature of each preprocessed column."""
    numeric = [i for i in range(len(design.names)) if i not in design.categorical]
    owner = list(numeric)
    if design.categorical:
        one_hot = prepare.named_transformers_["codes"]["one_hot"]
        # Rare categories share a column, so the features are read from the names x<input>_<category>.
        inputs = [f"x{i}" for i in range(len(design.categorical))]
        for name in one_hot.get_feature_names_out(inputs):
            owner.append(design.categorical[int(name.split("_")[0][1:])])
    return np.asarray(owner, dtype=np.int64)
