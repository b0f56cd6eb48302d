"""The gain of each feature in a small boosted model, compared with the gain of pure noise."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from headrace.core.openmp import ensure_openmp
from headrace.synthesis.language.values import Floats

#: Number of permuted copies ("shadows") that stand for noise; the quantile of their gains is the threshold.
_SHADOWS = 48
_NOISE_QUANTILE = 0.9
_ROUNDS = 50


def gains_against_noise(
    values: Floats, categorical: npt.NDArray[np.bool_], target: Floats, *, seed: int, threads: int
) -> tuple[Floats, float]:
    """Train a small LightGBM model and return the gains of its features and of noise.

    Shadows are columns drawn at random with their rows permuted: same distribution, no relation to the target.

    Args:
        values: numbers, or codes of categories, NaN missing [n, p].
        categorical: which columns are codes [p].
        target: labels [n].
        seed: of the random numbers.
        threads: of LightGBM.

    Returns:
        Total gain of each column [p], and the gain that noise reaches.
    """
    ensure_openmp()
    import lightgbm  # 0.3 s: only selection needs it here

    rng = np.random.default_rng([seed, 1])
    n, p = values.shape
    drawn = rng.permutation(p)[:_SHADOWS]
    shadows = np.stack([values[rng.permutation(n), column] for column in drawn], axis=1)
    features = np.concatenate([values, shadows], axis=1).astype(np.float32)
    flags = np.concatenate([categorical, categorical[drawn]])
    data = lightgbm.Dataset(
        features,
        label=_encoded(target),
        categorical_feature=[int(index) for index in np.flatnonzero(flags)],
        params={"max_bin": 63, "verbosity": -1, "num_threads": threads},
    )
    model = lightgbm.train(
        {
            "objective": "binary" if len(np.unique(target)) == 2 else "regression",
            "num_leaves": 31,
            "learning_rate": 0.15,
            "feature_fraction": 0.3,
            "min_data_in_leaf": max(5, min(50, n // 50)),
            "max_bin": 63,
            "seed": seed,
            "deterministic": True,
            "force_col_wise": True,
            "num_threads": threads,
            "verbosity": -1,
        },
        data,
        num_boost_round=_ROUNDS,
    )
    gains = np.asarray(model.feature_importance("gain"), dtype=np.float64)
    return gains[:p], float(np.quantile(gains[p:], _NOISE_QUANTILE))


def _encoded(target: Floats) -> Floats:
    """0 and 1 for a condition, whatever its two values were."""
    values = np.unique(target)
    return (target == values[-1]).astype(np.float64) if len(values) == 2 else target
