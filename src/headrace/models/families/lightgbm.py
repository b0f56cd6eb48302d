"""LightGBM (Ke et al., 2017) through its Booster API: text model files, early-stopped rounds, same bits every run."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headrace.core.errors import CorruptError
from headrace.evaluate.metrics import Metric
from headrace.models.design import Design, Predictions
from headrace.models.families.protocol import Label, Report
from headrace.models.space import Categorical, Config, Float, Integer, Space

if TYPE_CHECKING:
    import lightgbm

#: Rounds are found by early stopping. With a learning rate of .04 or more, more than this is seldom of use.
MAX_ROUNDS = 300
PATIENCE = 20
_FILE = "model.txt"
#: Our metric -> the one LightGBM watches while it trains (it has no Brier score; log loss orders configs alike).
_WATCHED = {"auc": "auc", "log_loss": "binary_logloss", "brier": "binary_logloss", "rmse": "rmse"}
#: Fewer rows than this are predicted faster by one thread than by waking others.
_ROWS_PER_THREAD = 256


@dataclass(frozen=True)
class FittedLightGBM:
    """A booster, cut to its best round."""

    booster: lightgbm.Booster

    @property
    def rounds(self) -> int | None:
        return int(self.booster.current_iteration())

    def predict(self, design: Design, *, threads: int = 1) -> Predictions:
        used = threads if len(design) >= _ROWS_PER_THREAD else 1
        predicted = self.booster.predict(design.X, num_threads=used, validate_features=False)
        return np.asarray(predicted, dtype=np.float64)

    def contributions(self, design: Design) -> NDArray[np.float64]:
        """Exact Shapley values of the trees (Lundberg et al., 2020), in log-odds or the label's unit."""
        shap = _quiet_shap()
        with warnings.catch_warnings():
            # said for every binary booster; the check below is what matters to us
            warnings.filterwarnings("ignore", "LightGBM binary classifier", UserWarning)
            values = shap.TreeExplainer(self.booster).shap_values(design.X)
        if isinstance(values, list):  # one array per class, the positive class last
            values = values[-1]
        return np.asarray(values, dtype=np.float64)

    def save(self, folder: Path) -> None:
        (folder / _FILE).write_text(self.booster.model_to_string(), encoding="utf-8")


class LightGBM:
    """Gradient-boosted trees."""

    name = "lightgbm"

    def space(self) -> Space:
        return Space(
            {
                "learning_rate": Float(0.04, 0.2, log=True),
                "num_leaves": Integer(15, 127, log=True),
                "min_data_in_leaf": Integer(10, 300, log=True),
                "feature_fraction": Float(0.3, 1.0),
                "bagging_fraction": Float(0.5, 1.0),
                "lambda_l2": Float(1e-3, 30.0, log=True),
                "max_bin": Categorical((63, 127)),
            }
        )

    def default(self) -> Config:
        return {
            "learning_rate": 0.08,
            "num_leaves": 63,
            "min_data_in_leaf": 40,
            "feature_fraction": 0.6,
            "bagging_fraction": 0.8,
            "lambda_l2": 1.0,
            "max_bin": 63,
        }

    def fit(
        self,
        design: Design,
        label: Label,
        config: Mapping[str, Any],
        *,
        metric: Metric,
        valid: tuple[Design, Label] | None = None,
        rounds: int | None = None,
        seed: int = 0,
        threads: int = 1,
        report: Report | None = None,
    ) -> FittedLightGBM:
        import lightgbm

        parameters = self._parameters(config, metric, len(design), seed, threads)
        train = _dataset(design, label, parameters)
        callbacks: list[Any] = []
        checks: list[lightgbm.Dataset] = []
        if valid is not None:
            checks.append(_dataset(*valid, parameters, reference=train))
            callbacks.append(lightgbm.early_stopping(PATIENCE, first_metric_only=True, verbose=False))
            if report is not None:
                callbacks.append(_reporter(report))
        booster = lightgbm.train(
            parameters,
            train,
            num_boost_round=rounds or MAX_ROUNDS,
            valid_sets=checks,
            valid_names=["valid"] * len(checks),
            callbacks=callbacks,
        )
        best = booster.best_iteration if booster.best_iteration > 0 else booster.current_iteration()
        # Kept as text from here on: the fitted model and the one that a server loads are the same bytes.
        return FittedLightGBM(lightgbm.Booster(model_str=booster.model_to_string(num_iteration=best)))

    def load(self, folder: Path) -> FittedLightGBM:
        import lightgbm

        try:
            return FittedLightGBM(lightgbm.Booster(model_str=(folder / _FILE).read_text(encoding="utf-8")))
        except (lightgbm.basic.LightGBMError, OSError, ValueError) as error:
            raise CorruptError(f"not a LightGBM model ({error})", where=str(folder / _FILE)) from None

    @staticmethod
    def _parameters(config: Mapping[str, Any], metric: Metric, rows: int, seed: int, threads: int) -> dict[str, Any]:
        fixed = {
            "objective": "binary" if metric.binary else "regression",
            "metric": _WATCHED[metric.name],
            "bagging_freq": 1,
            "deterministic": True,
            "force_row_wise": True,
            "seed": seed,
            "num_threads": threads,
            "verbosity": -1,
        }
        # A leaf must not ask for more rows than a small problem has to give.
        leaf = min(int(config["min_data_in_leaf"]), max(rows // 20, 1))
        return {**config, **fixed, "min_data_in_leaf": leaf}


def _quiet_shap() -> Any:
    with warnings.catch_warnings():
        # shap 0.51 builds its colour maps with a call that matplotlib 3.11 announces to drop
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        import shap
    return shap


def _dataset(
    design: Design, label: Label, parameters: Mapping[str, Any], *, reference: lightgbm.Dataset | None = None
) -> lightgbm.Dataset:
    import lightgbm

    return lightgbm.Dataset(
        design.X,
        label=label,
        feature_name=list(design.names),
        categorical_feature=list(design.categorical),
        reference=reference,
        params=dict(parameters),
    )


def _reporter(report: Report) -> Any:
    def callback(environment: Any) -> None:
        _, _, value, greater_is_better, *_ = environment.evaluation_result_list[0]
        report(environment.iteration + 1, float(-value if greater_is_better else value))

    return callback
