"""Scale a design matrix for models of distances and coefficients: impute, scale numbers, one-hot encode codes."""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace.models.design import Design

#: Scales of numbers; see `Scaled`.
SCALES = ("standard", "quantile", "power")
_QUANTILES = 200
#: Scaled numbers are clipped to this many units, because far values dominate distances.
_CLIP = 8.0
#: Numbers nearer to 0 than this become 0.
_TINY = 1e-30
#: Errors of large numbers that do no harm: infinite quotients are clipped, and scikit-learn looks for infinities by a
#: sum first, cell by cell only where that overflows.
_HARMLESS: Any = {"over": "ignore", "invalid": "ignore"}


class Scaled:
    """Median imputation with indicators, scaled numbers, one-hot codes; by scikit-learn.

    Args:
        scale: "standard": mean 0 and variance 1. "quantile": ranks, to a normal distribution. "power": each column by
            the power that makes it most alike to a normal distribution (Yeo and Johnson, 2000), then standard.
        seed: Of the quantiles' sample.
    """

    def __init__(self, scale: str, seed: int) -> None:
        self.scale, self.seed = scale, seed

    def fit_transform(self, design: Design) -> Design:
        """Fit on training rows and return them scaled; no column is categorical."""
        self._pipeline = self._new_pipeline(design)
        self._range = _range(design)
        with np.errstate(**_HARMLESS):
            return self._result(self._pipeline.fit_transform(_without_tiny(design.X)))

    def transform(self, design: Design) -> Design:
        """Return other rows scaled."""
        # The power of a number far beyond the training rows would overflow.
        X = _without_tiny(design.X)
        X = np.clip(X, *self._range) if self.scale == "power" else X
        with np.errstate(**_HARMLESS):
            return self._result(self._pipeline.transform(X))

    def _result(self, X: Any) -> Design:
        clipped = np.clip(np.asarray(X, dtype=np.float32), -_CLIP, _CLIP)
        return Design(X=clipped, names=tuple(f"x{i}" for i in range(X.shape[1])), categorical=())

    def _new_pipeline(self, design: Design) -> Any:
        from sklearn.compose import ColumnTransformer
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, PowerTransformer, QuantileTransformer, StandardScaler

        scaler = {
            "standard": lambda: StandardScaler(),
            "quantile": lambda: QuantileTransformer(
                n_quantiles=min(_QUANTILES, len(design)), output_distribution="normal", random_state=self.seed
            ),
            "power": lambda: make_pipeline(StandardScaler(), PowerTransformer()),
        }[self.scale]()
        numeric = [i for i in range(len(design.names)) if i not in design.categorical]
        impute = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
        codes = make_pipeline(
            SimpleImputer(strategy="constant", fill_value=-1.0),
            OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.float32),
        )
        return ColumnTransformer(
            [("numbers", make_pipeline(impute, scaler), numeric), ("codes", codes, list(design.categorical))]
        )


def _without_tiny(X: Any) -> Any:
    """Return the matrix with 0 for numbers so small that their deviation may be 0 in single precision."""
    return np.where(np.abs(X) < _TINY, np.float32(0), X)


def _range(design: Design) -> tuple[Any, Any]:
    """Return the least and the largest known number of each column [d]; codes are not limited."""
    known = np.isfinite(design.X)
    low, high = np.where(known, design.X, np.inf).min(axis=0), np.where(known, design.X, -np.inf).max(axis=0)
    free = np.logical_not(known.any(axis=0))
    free[list(design.categorical)] = True
    return np.where(free, -np.inf, low), np.where(free, np.inf, high)
