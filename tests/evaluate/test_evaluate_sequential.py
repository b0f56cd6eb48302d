"""Tests that may be looked at at any time: equal to their obvious twins, false alarms below the level, and power."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.evaluate.metrics import Floats
from headrace.evaluate.sequential.blocks import block_means, complete_blocks
from headrace.evaluate.sequential.mean import BETS, CLIP, WARM_UP, evidence, limits, log_wealth
from headrace.evaluate.sequential.share import exceeds, log_evidence

_VALUES = st.lists(st.floats(-5, 5, allow_nan=False).map(lambda value: round(value, 3)), max_size=25)


def obvious_wealth(values: list[float]) -> list[float]:
    """E_1 .. E_n, one gambler and one bet after the other."""
    wealth, path = [1.0] * len(BETS), []
    for i, value in enumerate(values):
        scale = CLIP * math.sqrt(sum(one**2 for one in values[:i]) / i) if i else 0.0
        if i >= WARM_UP and scale > 0:
            outcome = max(-1.0, min(1.0, value / scale))
            wealth = [own * (1 + bet * outcome) for own, bet in zip(wealth, BETS, strict=True)]
        path.append(sum(wealth) / len(wealth))
    return path


def obvious_blocks(known: list[int], block: int, now: int, least: int) -> list[int]:
    """The block of each row: periods are gone through one after the other."""
    found = [-1] * len(known)
    number, period, waiting = 0, min(known, default=0) // block, list[int]()
    while (period + 1) * block <= now and period <= max(known, default=-1) // block:
        waiting += [at for at, one in enumerate(known) if one // block == period]
        if len(waiting) >= least:
            for at in waiting:
                found[at] = number
            number, waiting = number + 1, []
        period += 1
    return found


@given(_VALUES)
def test_wealth_is_that_of_the_obvious_gamblers(values: list[float]) -> None:
    assert np.exp(log_wealth(np.array(values))) == pytest.approx(obvious_wealth(values), rel=1e-9)
    assert evidence(np.array(values)) == pytest.approx(max([1.0, *obvious_wealth(values)]), rel=1e-9)


@given(st.lists(st.integers(0, 60), max_size=40), st.integers(1, 9), st.integers(0, 70), st.integers(1, 5))
def test_blocks_are_the_obvious_ones(known: list[int], block: int, now: int, least: int) -> None:
    found = complete_blocks(np.array(known, dtype=np.int64), block_us=block, now_us=now, least_rows=least)
    assert found.tolist() == obvious_blocks(known, block, now, least)


@given(st.lists(st.integers(0, 60), max_size=40), st.integers(1, 9), st.integers(0, 60), st.integers(1, 5))
def test_a_block_that_was_seen_never_changes(known: list[int], block: int, now: int, least: int) -> None:
    rows = np.array(sorted(known), dtype=np.int64)
    early = complete_blocks(rows[rows <= now], block_us=block, now_us=now, least_rows=least)
    late = complete_blocks(rows, block_us=block, now_us=100, least_rows=least)[: len(early)]
    assert (late[early >= 0] == early[early >= 0]).all()


def test_block_means_leave_out_incomplete_blocks() -> None:
    means = block_means(np.array([1.0, 3.0, 5.0, 7.0]), np.array([0, 0, 1, -1]))
    assert means.tolist() == [2.0, 5.0]


def _false_alarms(draw: str, level: float, *, series: int = 400, n: int = 300) -> float:
    """The share of series without an effect whose evidence ever reaches 1 / level."""
    rng = np.random.default_rng(3)
    draws = {
        "normal": lambda: rng.normal(size=n),
        "heavy tails": lambda: rng.standard_t(2.5, size=n),
        "growing": lambda: rng.normal(size=n) * np.linspace(0.1, 5, n),
        "skewed": lambda: rng.exponential(size=n) - 1,
        "skewed the other way": lambda: 1 - rng.exponential(size=n),
        "two values": lambda: rng.choice([-1.0, 1.0], size=n),
    }
    return float(np.mean([evidence(draws[draw]()) >= 1 / level for _ in range(series)]))


@pytest.mark.parametrize("draw", ["normal", "heavy tails", "growing", "skewed", "skewed the other way", "two values"])
@pytest.mark.parametrize("level", [0.05, 0.2])
def test_false_alarms_stay_below_the_level_whenever_one_looks(draw: str, level: float) -> None:
    error = 2 * math.sqrt(level * (1 - level) / 400)  # of the simulation
    assert _false_alarms(draw, level) <= level + error


@pytest.mark.parametrize(("effect", "blocks"), [(0.3, 300), (0.5, 150), (1.0, 60), (5.0, 40)])
def test_an_effect_is_found(effect: float, blocks: int) -> None:
    rng = np.random.default_rng(4)
    found = np.mean([evidence(rng.normal(effect, 1, size=blocks)) >= 20 for _ in range(100)])
    assert found >= 0.9
    assert np.mean([evidence(-rng.normal(effect, 1, size=blocks)) >= 20 for _ in range(100)]) == 0


def test_evidence_does_not_depend_on_the_unit() -> None:
    values = np.random.default_rng(5).normal(0.3, 1, 100)
    assert evidence(values * 1e-9) == pytest.approx(evidence(values), rel=1e-6)


def test_limits_contain_the_mean_and_shrink() -> None:
    rng = np.random.default_rng(6)
    values = rng.normal(0.2, 1, size=2_000)
    widths = []
    for n in (50, 200, 2_000):
        low, high = limits(values[:n], 0.05)
        assert low < 0.2 < high
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
    assert limits(np.empty(0), 0.05) == (-math.inf, math.inf)
    assert limits(np.zeros(3), 0.05) == (-math.inf, math.inf)


# -- shares


@settings(max_examples=30)
@given(st.integers(0, 12), st.integers(0, 12), st.sampled_from([Fraction(1, 100), Fraction(1, 5), Fraction(1, 2)]))
def test_share_evidence_is_the_mean_of_likelihood_ratios(events: int, others: int, limit: Fraction) -> None:
    trials = events + others
    shares = float(limit) + (1 - float(limit)) * (np.arange(20_000) + 0.5) / 20_000
    likelihood: Floats = shares**events * (1 - shares) ** others
    expected = likelihood.mean() / (float(limit) ** events * (1 - float(limit)) ** others)
    assert math.exp(log_evidence(events, trials, float(limit))) == pytest.approx(expected, rel=1e-3)


def test_shares_within_the_limit_raise_few_alarms_whenever_one_looks() -> None:
    rng = np.random.default_rng(7)
    alarms = 0
    for _ in range(200):
        events = np.cumsum(rng.random(600) < 0.05)
        alarms += any(exceeds(int(events[at]), at + 1, 0.05, 0.05) for at in range(0, 600, 10))
    assert alarms / 200 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 200)


def test_many_events_are_found_at_once_and_no_event_is_none() -> None:
    assert exceeds(3, 3, 0.01, 0.001)
    assert not exceeds(1, 1, 0.01, 0.001)
    assert not exceeds(0, 10**6, 0.01, 0.001)
    assert not exceeds(0, 0, 0.01, 0.001)
