"""What lies between measured configurations: the mean of a Gaussian process and of boosted trees.

A surrogate made of trees is kind to a searcher made of trees, and one made of a process to a process (Eggensperger et
al., 2015, section 4). Each half here interpolates in its own way and neither searcher meets its own model alone. A
smooth answer would also be kinder than training is: what the process takes for noise is put back, as a fixed number
per config (the same config has the same loss, as a training with one seed has).

| symbol | meaning                                                  | shape  |
|--------|----------------------------------------------------------|--------|
| X      | configs of one family, as coordinates of the unit cube   | [n, d] |
| z      | log(loss - lowest + quarter), standardised               | [n]    |
| l      | length scale of each coordinate                          | [d]    |
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Rows that the length scales are learnt from; more cost minutes and change them little.
_LEARNT_FROM = 300
_ROOT5 = 5**0.5
_TREES = {
    "objective": "regression",
    "num_leaves": 16,
    "min_data_in_leaf": 4,
    "min_data_in_bin": 1,
    "learning_rate": 0.05,
    "extra_trees": True,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "num_threads": 1,
    "seed": 0,
    "verbosity": -1,
}
_ROUNDS = 300


@dataclass(frozen=True, kw_only=True)
class Scale:
    """loss <-> z. lowest: the least loss measured. quarter: how far above it a quarter of the configs is."""

    lowest: float
    quarter: float
    mean: float
    sd: float

    @classmethod
    def of(cls, losses: Floats) -> Scale:
        lowest = float(losses.min())
        quarter = float(np.quantile(losses, 0.25)) - lowest
        raw = np.log(losses - lowest + quarter)
        return cls(lowest=lowest, quarter=quarter, mean=float(raw.mean()), sd=float(raw.std()))

    def z(self, losses: Floats) -> Floats:
        return np.asarray((np.log(losses - self.lowest + self.quarter) - self.mean) / self.sd)

    def loss(self, z: Floats) -> Floats:
        return np.asarray(np.exp(z * self.sd + self.mean) - self.quarter + self.lowest)


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """Matern 5/2 with a length scale per coordinate. variance, noise: of z, about its mean."""

    variance: float
    lengths: tuple[float, ...]
    noise: float

    def between(self, A: Floats, B: Floats) -> Floats:
        """[n, m] covariances of coordinates A [n, d] and B [m, d]."""
        from scipy.spatial.distance import cdist

        r = _ROOT5 * cdist(A / self.lengths, B / self.lengths)
        return np.asarray(self.variance * (1 + r + r**2 / 3) * np.exp(-r))

    @classmethod
    def learn(cls, X: Floats, z: Floats) -> Kernel:
        """Of maximal marginal likelihood, by scikit-learn."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

        start = ConstantKernel(1.0) * Matern(np.ones(X.shape[1]), (0.05, 20.0), nu=2.5) + WhiteKernel(0.01, (1e-4, 1.0))
        with warnings.catch_warnings():
            # a coordinate that does not matter goes to the upper bound, as it should
            warnings.simplefilter("ignore", ConvergenceWarning)
            process = GaussianProcessRegressor(start, random_state=0)
            learnt = process.fit(X[:_LEARNT_FROM], z[:_LEARNT_FROM] - z[:_LEARNT_FROM].mean()).kernel_
        lengths = np.atleast_1d(learnt.k1.k2.length_scale)
        return cls(
            variance=float(learnt.k1.k1.constant_value),
            lengths=tuple(round(float(length), 4) for length in lengths),
            noise=float(learnt.k2.noise_level),
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Kernel:
        return cls(variance=data["variance"], lengths=tuple(data["lengths"]), noise=data["noise"])


class Interpolator:
    """z at any coordinates, from measured ones."""

    def __init__(self, X: Floats, z: Floats, kernel: Kernel) -> None:
        import lightgbm
        from scipy.linalg import cho_factor, cho_solve

        self._X, self._kernel, self._mean = X, kernel, float(z.mean())
        K = kernel.between(X, X) + kernel.noise * np.eye(len(X))
        self._weights = cho_solve(cho_factor(K, lower=True), z - self._mean)
        self._trees = lightgbm.train(dict(_TREES), lightgbm.Dataset(X, z, params=dict(_TREES)), _ROUNDS)

    def predict(self, X: Floats) -> Floats:
        """[n]: the mean of both halves."""
        process = self._kernel.between(X, self._X) @ self._weights + self._mean
        trees = np.asarray(self._trees.predict(X, num_threads=1), dtype=np.float64)
        return np.asarray((process + trees) / 2)


def cross_validated(X: Floats, z: Floats, kernel: Kernel, *, folds: int = 5) -> Floats:
    """[n]: each z as interpolated from the configs of the other folds."""
    fold = np.random.default_rng(0).permutation(len(z)) % folds
    predicted = np.empty_like(z)
    for one in range(folds):
        predicted[fold == one] = Interpolator(X[fold != one], z[fold != one], kernel).predict(X[fold == one])
    return predicted
