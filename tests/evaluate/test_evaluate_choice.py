"""What a search has found replaces the default only where it is better over all folds."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.core.clock import DAY
from headrace.evaluate.choice import FoldPredictions, choose
from headrace.evaluate.metrics import METRICS

pytestmark = pytest.mark.slow

RMSE = METRICS["rmse"]


def _fold(rng: np.random.Generator, *, gain: float = 0.0, n: int = 200, days: int = 40) -> FoldPredictions:
    """Two models whose errors are alike but for `gain`, which takes that share of the found one's away."""
    y = rng.normal(size=n)
    one, two = (y + rng.normal(size=n) for _ in range(2))
    return FoldPredictions(
        label=y, candidate=y + (1 - gain) * (one - y), fallback=two, cutoffs_us=np.arange(n) * days // n * DAY
    )


def test_one_lucky_window_does_not_make_a_champion() -> None:
    """Luck of one window makes a model better there for certain; over four windows it is not."""
    rng = np.random.default_rng(0)
    lucky, others = _fold(rng, gain=0.25), [_fold(rng, gain=-0.15) for _ in range(3)]
    assert choose(RMSE, [lucky]).candidate_better
    told = choose(RMSE, [lucky, *others])
    assert not told.candidate_better
    assert "not better than the default for certain" in told.reason
    assert (told.n_folds, told.n_rows) == (4, 800)


def test_what_is_better_is_chosen() -> None:
    rng = np.random.default_rng(1)
    told = choose(RMSE, [_fold(rng, gain=0.2) for _ in range(4)])
    assert told.candidate_better
    assert 0 < told.low < told.difference < told.high


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_equal_models_are_seldom_told_apart(metric: str) -> None:
    """One in twenty, by the interval's lower end."""
    rng, found, n = np.random.default_rng(2), 0, 150
    for _ in range(60):
        signal = rng.random(4 * n)
        y = (rng.random(4 * n) < signal).astype(float)
        one, two = (np.clip(signal + rng.normal(0, 0.2, 4 * n), 0.01, 0.99) for _ in range(2))
        folds = [
            FoldPredictions(label=y[k], candidate=one[k], fallback=two[k], cutoffs_us=np.arange(n) % 30 * DAY)
            for k in (slice(i * n, (i + 1) * n) for i in range(4))
        ]
        found += choose(METRICS[metric], folds, resamples=200).candidate_better
    assert found <= 8


def test_the_same_seed_says_the_same() -> None:
    folds = [_fold(np.random.default_rng(5)) for _ in range(2)]
    assert choose(RMSE, folds, seed=3) == choose(RMSE, folds, seed=3)
