"""The conformance suite of drift tests: p-values hold for both sample sizes, effects and floors have their meaning.

class TestMyTest(DriftTestConformance):
    @pytest.fixture
    def drift_test(self):
        return MyTest()
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from headrace.monitor.drift_tests import DriftTest
from headrace.monitor.drift_tests.samples import Pair

#: Columns without drift: name -> n values from a generator.
WORLDS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "counts": lambda rng, n: rng.poisson(1.0, size=n).astype(float),
    "zeros": lambda rng, n: np.where(rng.random(n) < 0.9, 0.0, rng.lognormal(size=n)),
    "missing": lambda rng, n: np.where(rng.random(n) < 0.05, np.nan, rng.normal(size=n)),
    "categories": lambda rng, n: rng.choice(8, n, p=[0.3, 0.2, 0.2, 0.1, 0.1, 0.05, 0.03, 0.02]),
    "many categories": lambda rng, n: rng.zipf(1.5, n) % 200,
}
_SHUFFLED = [world for world in WORLDS if world not in ("missing", "many categories")]


def pair_of(world: str, reference: np.ndarray, current: np.ndarray) -> Pair:
    """Two samples of a world, as drift tests take them."""
    return (Pair.categorical if "categories" in world else Pair.numeric)(reference, current)


class DriftTestConformance:
    """What every `headrace.monitor.drift_tests.protocol.DriftTest` must do. Override the fixture `drift_test`.

    conservative: names of tests whose p-values may be too large where values are tied.
    of_spread: names of tests that measure spread; their floor is no shift.
    """

    conservative: frozenset[str] = frozenset()
    of_spread: frozenset[str] = frozenset()

    @pytest.fixture
    def drift_test(self) -> DriftTest:
        """The test under test."""
        raise NotImplementedError("give a fixture `drift_test` that returns your drift test")

    def skip_unless_taken(self, drift_test: DriftTest, world: str) -> None:
        if ("categorical" if "categories" in world else "numeric") not in drift_test.kinds:
            pytest.skip("it does not take columns of this kind")

    @pytest.mark.parametrize("sizes", [(2000, 100), (60, 60)])
    @pytest.mark.parametrize("world", WORLDS)
    def test_without_drift_it_is_rarely_significant(
        self, drift_test: DriftTest, world: str, sizes: tuple[int, int]
    ) -> None:
        self.skip_unless_taken(drift_test, world)
        rng = np.random.default_rng(1)
        sample, checks = WORLDS[world], 100
        pairs = [pair_of(world, sample(rng, sizes[0]), sample(rng, sizes[1])) for _ in range(checks)]
        p_values = np.array([drift_test.measure(pair, seed=0).p_value for pair in pairs])
        # More than these come in under one run of ten thousand with p-values that are right.
        assert (p_values <= 0.05).sum() <= stats.binom.isf(1e-4, checks, 0.05)
        assert (p_values <= 0.002).sum() <= stats.binom.isf(1e-4, checks, 0.002)

    @pytest.mark.parametrize("world", _SHUFFLED)
    def test_p_values_equal_those_of_shuffled_rows(self, drift_test: DriftTest, world: str) -> None:
        """Shuffle the rows, score again. Current rows are a little off, so that the tail is compared too."""
        self.skip_unless_taken(drift_test, world)
        if drift_test.name in self.conservative:
            pytest.skip("declared conservative")
        rng = np.random.default_rng(7)
        reference, current = WORLDS[world](rng, 300), WORLDS[world](rng, 80)
        current[:8] = current.max()
        measure = drift_test.measure(pair_of(world, reference, current), seed=0)
        rows, scores = np.concatenate([reference, current]), []
        for _ in range(400):
            rng.shuffle(rows)
            scores.append(drift_test.score(pair_of(world, rows[:300], rows[300:])))
        shuffled = np.mean(np.array(scores) >= measure.score - 1e-12)
        assert measure.p_value == pytest.approx(shuffled, abs=4 * np.sqrt(shuffled * (1 - shuffled) / 400) + 0.02)

    def test_the_effect_is_small_without_drift_and_the_score_with_it(self, drift_test: DriftTest) -> None:
        self.skip_unless_taken(drift_test, "normal")
        rng = np.random.default_rng(3)
        same = [
            drift_test.measure(Pair.numeric(rng.normal(size=2000), rng.normal(size=100)), seed=0) for _ in range(30)
        ]
        moved = drift_test.measure(Pair.numeric(rng.normal(size=20_000), rng.normal(size=20_000) + 1), seed=0)
        assert np.median([measure.effect for measure in same]) < drift_test.floor
        assert moved.effect == pytest.approx(moved.score, rel=0.01)
        assert moved.effect > 2 * drift_test.floor

    def test_the_floor_is_a_shift_of_about_a_quarter_of_a_standard_deviation(self, drift_test: DriftTest) -> None:
        self.skip_unless_taken(drift_test, "normal")
        if drift_test.name in self.of_spread:
            pytest.skip("declared as a test of spread")
        rng = np.random.default_rng(4)
        a, b = rng.normal(size=200_000), rng.normal(size=200_000)
        assert drift_test.score(Pair.numeric(a, b + 0.15)) < drift_test.floor
        assert drift_test.floor < drift_test.score(Pair.numeric(a, b + 0.36))

    def test_the_same_samples_and_seed_give_the_same_measure(self, drift_test: DriftTest) -> None:
        world = "normal" if "numeric" in drift_test.kinds else "categories"
        rng = np.random.default_rng(5)
        samples = WORLDS[world](rng, 400), WORLDS[world](rng, 90)
        one, again = (drift_test.measure(pair_of(world, *samples), seed=3) for _ in range(2))
        assert one == again
