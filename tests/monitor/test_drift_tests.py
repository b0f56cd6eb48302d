"""Each drift test of the catalogue: its score by other hands, and its p-value against rows that are really shuffled."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from headrace.monitor.drift_tests import DECIDING, MISSING, TESTS
from headrace.monitor.drift_tests.samples import Pair

LazySearcher = Callable[[np.random.Generator, int], np.ndarray]

WORLDS: dict[str, LazySearcher] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "counts": lambda rng, n: rng.poisson(1.0, size=n).astype(float),
    "zeros": lambda rng, n: np.where(rng.random(n) < 0.9, 0.0, rng.lognormal(size=n)),
    "missing": lambda rng, n: np.where(rng.random(n) < 0.05, np.nan, rng.normal(size=n)),
    "categories": lambda rng, n: rng.choice(8, n, p=[0.3, 0.2, 0.2, 0.1, 0.1, 0.05, 0.03, 0.02]),
    "many categories": lambda rng, n: rng.zipf(1.5, n) % 200,
}
CASES = [
    (test, world)
    for test in TESTS
    for world in WORLDS
    if ("categorical" if "categories" in world else "numeric") in TESTS[test].kinds
]


def _pair(world: str, reference: np.ndarray, current: np.ndarray) -> Pair:
    return (Pair.categorical if "categories" in world else Pair.numeric)(reference, current)


@pytest.mark.parametrize("sizes", [(2000, 100), (60, 60)])
@pytest.mark.parametrize(("test", "world"), CASES)
def test_a_still_world_is_rarely_significant(test: str, world: str, sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    make, checks = WORLDS[world], 100
    pairs = [_pair(world, make(rng, sizes[0]), make(rng, sizes[1])) for _ in range(checks)]
    found = np.array([TESTS[test].measure(pair, seed=0).p_value for pair in pairs])
    # More than these come in under one run of ten thousand with p-values that are right.
    assert (found <= 0.05).sum() <= stats.binom.isf(1e-4, checks, 0.05)
    assert (found <= 0.002).sum() <= stats.binom.isf(1e-4, checks, 0.002)


@pytest.mark.parametrize(
    ("test", "world"), [case for case in CASES if case[0] != "ks" and case[1] not in ("missing", "many categories")]
)
def test_p_values_equal_those_of_rows_really_shuffled(test: str, world: str) -> None:
    """The twin: shuffle the rows, score again. Current rows are a little off, so that the tail is looked at."""
    tool = TESTS[test]
    rng = np.random.default_rng(7)
    reference, current = WORLDS[world](rng, 300), WORLDS[world](rng, 80)
    current[:8] = current.max()
    found = tool.measure(_pair(world, reference, current), seed=0)
    rows, scores = np.concatenate([reference, current]), []
    for _ in range(400):
        rng.shuffle(rows)
        scores.append(tool.score(_pair(world, rows[:300], rows[300:])))
    shuffled = np.mean(np.array(scores) >= found.score - 1e-12)
    assert found.p_value == pytest.approx(shuffled, abs=4 * np.sqrt(shuffled * (1 - shuffled) / 400) + 0.02)


@given(seed=st.integers(0, 10_000), ties=st.booleans())
@settings(max_examples=40, deadline=None)
def test_scores_equal_scipy(seed: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=rng.integers(30, 200)), rng.normal(0.3, 1.4, size=rng.integers(30, 200))
    if ties:
        a, b = np.round(a), np.round(b)
    pair = Pair.numeric(a, b)
    expected = stats.ks_2samp(a, b, method="asymp")
    found = TESTS["ks"].measure(pair, seed=0)
    assert found.score == pytest.approx(expected.statistic, abs=1e-12)
    assert found.p_value == pytest.approx(expected.pvalue, abs=1e-9)
    assert TESTS["wasserstein"].score(pair) * a.std() == pytest.approx(stats.wasserstein_distance(a, b), abs=1e-9)
    p, q = pair.counts / pair.counts.sum(axis=1, keepdims=True)
    assert TESTS["js"].score(pair) == pytest.approx(jensenshannon(p, q, base=2), abs=1e-9)


def test_hand_computed() -> None:
    """Reference 30 a, 10 b; current 10 a, 30 b: with half a row in each cell 30.5 / 41 and 10.5 / 41."""
    pair = Pair.categorical(["a"] * 30 + ["b"] * 10, ["a"] * 10 + ["b"] * 30)
    p, q = 30.5 / 41, 10.5 / 41
    assert TESTS["psi"].score(pair) == pytest.approx(2 * (p - q) * np.log(p / q))
    assert TESTS["kl"].score(pair) == pytest.approx((p - q) * np.log(p / q))
    # H(1/2) - H(1/4) = 1 - (0.75 log2(4/3) + 0.25 log2(4)) bits
    assert TESTS["js"].score(pair) == pytest.approx(np.sqrt(1 - (0.75 * np.log2(4 / 3) + 0.5)))


@given(seed=st.integers(0, 10_000), distinct=st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_cells_hold_every_row_once_and_forget_who_is_the_reference(seed: int, distinct: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.integers(0, distinct, rng.integers(1, 300)).astype(float)
    b = rng.integers(0, distinct, rng.integers(1, 300)).astype(float)
    a[rng.random(len(a)) < 0.1] = np.nan
    for make in (Pair.numeric, Pair.categorical):
        pair = make(a, b)
        if not pair.effective:
            continue
        assert pair.counts.sum(axis=1).tolist() == [len(a), len(b)]
        assert make(b, a).counts.tolist() == pair.counts[::-1].tolist()


def test_a_rare_value_of_a_tied_column_has_a_cell_of_its_own() -> None:
    rng = np.random.default_rng(0)
    mostly_one = (rng.random(3000) < 0.95).astype(float)
    half = (rng.random(3000) < 0.5).astype(float)
    assert Pair.numeric(mostly_one, half).counts.shape == (2, 2)
    assert TESTS["psi"].measure(Pair.numeric(mostly_one, half), seed=0).p_value < 1e-9


@pytest.mark.parametrize("test", sorted(TESTS))
def test_effects_are_near_nothing_without_drift_and_near_the_score_with_it(test: str) -> None:
    rng = np.random.default_rng(3)
    still = [TESTS[test].measure(Pair.numeric(rng.normal(size=2000), rng.normal(size=100)), seed=0) for _ in range(30)]
    moved = TESTS[test].measure(Pair.numeric(rng.normal(size=20_000), rng.normal(size=20_000) + 1), seed=0)
    assert np.median([found.effect for found in still]) < TESTS[test].floor
    assert moved.effect == pytest.approx(moved.score, rel=0.01)
    assert moved.effect > 2 * TESTS[test].floor


def test_floors_are_a_shift_of_about_a_quarter_of_a_standard_deviation() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=200_000), rng.normal(size=200_000)
    for test in TESTS.values():
        assert test.score(Pair.numeric(a, b + 0.15)) < test.floor < test.score(Pair.numeric(a, b + 0.36))


def test_missing_share_is_fishers_exact_test() -> None:
    a, b = np.zeros(50), np.zeros(40)
    b[:6] = np.nan
    found = MISSING.measure(Pair.numeric(a, b), seed=0)
    assert found.score == pytest.approx(6 / 40)
    assert found.p_value == pytest.approx(2 * stats.hypergeom.sf(5, 90, 6, 40))


def test_the_deciding_tests_are_in_the_catalogue() -> None:
    for kind, names in DECIDING.items():
        assert all(kind in TESTS[name].kinds for name in names)
