"""Built-in drift tests pass the conformance suite; their scores equal those of SciPy and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from headrace.monitor.drift_tests import DEFAULT_TESTS, MISSING, TESTS, DriftTest
from headrace.monitor.drift_tests.samples import Pair
from headrace.testing.drift_tests import DriftTestConformance


class TestBuiltInDriftTests(DriftTestConformance):
    conservative = frozenset({"ks"})
    of_spread = frozenset({"spread"})

    @pytest.fixture(params=sorted(TESTS.built_in))
    def drift_test(self, request: pytest.FixtureRequest) -> DriftTest:
        return TESTS[request.param]


def test_the_floor_of_spread_is_a_standard_deviation_a_fifth_larger() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=200_000), rng.normal(size=200_000)
    assert TESTS["spread"].score(Pair.numeric(a, b * 1.12)) < TESTS["spread"].floor
    assert TESTS["spread"].floor < TESTS["spread"].score(Pair.numeric(a, b * 1.25))


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


def test_missing_share_is_fishers_exact_test() -> None:
    a, b = np.zeros(50), np.zeros(40)
    b[:6] = np.nan
    found = MISSING.measure(Pair.numeric(a, b), seed=0)
    assert found.score == pytest.approx(6 / 40)
    assert found.p_value == pytest.approx(2 * stats.hypergeom.sf(5, 90, 6, 40))


def test_the_deciding_tests_are_in_the_catalogue() -> None:
    for kind, names in DEFAULT_TESTS.items():
        assert all(kind in TESTS[name].kinds for name in names)
