"""The gain of each feature in small boosted models, compared with the gain of pure noise, and how far models agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headrace.core.openmp import ensure_openmp
from headrace.synthesis.language.values import Floats

#: Number of permuted copies ("shadows") that stand for noise; the quantile of their gains is the threshold.
_SHADOWS = 48
_NOISE_QUANTILE = 0.9
_ROUNDS = 50
#: Models that are compared; each leaves out its share of the blocks of consecutive rows, which are blocks of time.
_MODELS, _BLOCKS = 3, 30


@dataclass(frozen=True, kw_only=True)
class StableGains:
    """What several models say of the features.

    Attributes:
        share: mean share of a model's gain [p].
        agreement: the share of models in which the feature gains more than noise [p].
    """

    share: Floats
    agreement: Floats


def stable_gains(
    values: Floats, categorical: npt.NDArray[np.bool_], target: Floats, *, seed: int, threads: int
) -> StableGains:
    """Compare the gains of features in models with other seeds and other blocks of time.

    Args:
        values: numbers, or codes of categories, NaN missing [n, p], rows in the order of time.
        categorical: which columns are codes [p].
        target: labels [n].
        seed: of the random numbers.
        threads: of LightGBM.
    """
    block = np.arange(len(target)) * _BLOCKS // max(len(target), 1)
    shares, better = np.zeros(values.shape[1]), np.zeros(values.shape[1])
    for model in range(_MODELS):
        rows = np.flatnonzero(block % _MODELS != model)
        if len(np.unique(target[rows])) < 2:  # a rare label that is in the left-out blocks only
            rows = np.arange(len(target))
        gains, noise = gains_against_noise(
            values[rows], categorical, target[rows], seed=seed * _MODELS + model, threads=threads
        )
        shares += gains / max(float(gains.sum()), 1e-300)
        better += gains > noise
    return StableGains(share=shares / _MODELS, agreement=better / _MODELS)


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
