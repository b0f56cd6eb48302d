"""What `make bench-selection` computes itself: AUC with units drawn anew, and the peers' choices."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import selection_peers as peers
from benchmarks.bench_selection import drawn_auc


def _counted(y: list[int], p: list[float]) -> float:
    """Of all pairs of a true and a false one, the share in the right order; ties are half."""
    pairs = [(a, b) for a, t in zip(p, y, strict=True) if t for b, f in zip(p, y, strict=True) if not f]
    return sum((a > b) + 0.5 * (a == b) for a, b in pairs) / len(pairs)


def test_auc_is_the_mean_over_periods_of_pairs_in_order() -> None:
    rng = np.random.default_rng(3)
    y = rng.integers(0, 2, 80).astype(np.float64)
    p = np.round(rng.normal(size=80) + y, 1)  # with ties
    period = np.repeat([0, 1], 40)
    expected = np.mean([_counted(y[period == one].tolist(), p[period == one].tolist()) for one in (0, 1)])
    assert drawn_auc(y, p, period, np.arange(80), 0)[0] == pytest.approx(expected, abs=1e-12)


def test_units_are_drawn_whole() -> None:
    y, p, unit = np.tile([0.0, 1.0], 30), np.tile([0.1, 0.2], 30), np.repeat(np.arange(30), 2)
    p[-2:] = p[-2:][::-1]  # one unit of thirty is in the wrong order
    found = drawn_auc(y, p, np.zeros(60, dtype=np.int64), unit, 200)
    assert found[0] < 1
    assert found[1:].max() == 1.0  # a third of the draws has none of it


def test_the_same_units_are_drawn_for_every_model() -> None:
    y, unit = np.tile([0.0, 1.0, 1.0], 20), np.repeat(np.arange(20), 3)
    p = np.random.default_rng(0).normal(size=60)
    period = np.zeros(60, dtype=np.int64)
    assert drawn_auc(y, p, period, unit, 50) == pytest.approx(drawn_auc(y, 2 * p + 1, period, unit, 50))


def test_the_rules_drop_null_constant_and_correlated_ones() -> None:
    rng = np.random.default_rng(0)
    good, other = rng.normal(size=(2, 400))
    null = np.full(400, np.nan)
    null[:10] = 1.0
    X = np.stack([good, np.ones(400), null, good * 3 + 1, other], axis=1).astype(np.float32)
    assert peers.by_rules(X, 0).tolist() == [0, 4]


def test_both_tests_find_the_column_that_tells() -> None:
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 600).astype(np.float64)
    X = np.stack([rng.normal(size=600), np.ones(600), y + 0.3 * rng.normal(size=600)], axis=1).astype(np.float32)
    X[:5, 2] = np.nan
    assert peers.by_f_test(X, y, 1).tolist() == [2]
    assert peers.by_mutual_information(X, y, 1, 0).tolist() == [2]
    assert sorted(peers.at_random(9, 4, 0).tolist()) == peers.at_random(9, 4, 0).tolist()
