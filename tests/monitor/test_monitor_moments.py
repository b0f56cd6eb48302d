"""Moments of windows: each clever formula equals its plain twin, and type-I errors keep their level."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import ndtri, polygamma

from headrace.core.clock import DAY
from headrace.monitor.drift_tests.samples import Pair
from headrace.monitor.drift_tests.scores import NormalScores
from headrace.monitor.evidence.clusters import (
    Clusters,
    cluster_share_p_value,
    cluster_variance,
    effective_count,
    shrinkage,
)
from headrace.monitor.evidence.moderation import fit_prior, mean_squared_correlation, trigamma_inverse
from headrace.monitor.evidence.moment_tests import moment_results as judge_together
from headrace.monitor.evidence.moments import MomentDifference, moment_difference
from headrace.monitor.evidence.variance import Blocks
from tests.monitor.dependent_world import WORLDS, draw

SEEDS = st.integers(0, 10_000)


@given(seed=SEEDS, distinct=st.integers(2, 40))
@settings(max_examples=40, deadline=None)
def test_normal_scores_equal_mid_ranks(seed: int, distinct: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.lognormal(size=distinct)[rng.integers(0, distinct, 200)]
    scores = NormalScores.fit(np.sort(values)).transform(values)
    plain = np.array([ndtri(((values < x).mean() + (values <= x).mean()) / 2) for x in values])
    if plain.std() < 1e-9:
        return
    assert scores == pytest.approx((plain - plain.mean()) / plain.std(), abs=1e-9)


def test_scores_grow_beyond_the_range_by_standard_deviations_and_at_most_three() -> None:
    values = np.sort(np.random.default_rng(0).normal(2, 5, 500))
    scores, deviation = NormalScores.fit(values), values.std()
    beyond = scores.transform(values[-1] + deviation * np.array([0.0, 1.0, 2.5, 9.0, np.inf])) - scores.scores[-1]
    assert beyond == pytest.approx([0, 1, 2.5, 3, 3])
    below = scores.transform(values[0] - deviation * np.array([0.5, 4.0])) - scores.scores[0]
    assert below == pytest.approx([-0.5, -3])
    assert np.isnan(scores.transform(np.array([np.nan]))).all()


@given(seed=SEEDS, clusters=st.integers(2, 12))
@settings(max_examples=40, deadline=None)
def test_the_variance_of_clusters_equals_loops(seed: int, clusters: int) -> None:
    rng = np.random.default_rng(seed)
    entity = np.append(np.arange(clusters), rng.integers(0, clusters, 50))
    values = rng.normal(size=len(entity)) + rng.normal(size=clusters)[entity]
    sizes = np.bincount(entity, minlength=clusters).astype(float)
    mean, total = values.mean(), 0.0
    for one in range(clusters):
        deviation = 0.0
        for row in range(len(values)):
            if entity[row] == one:
                deviation += values[row] - mean
        total += deviation**2
    units = sum(n**2 for n in sizes) ** 2 / sum(n**4 for n in sizes)
    expected = total / len(values) ** 2 * units / max(units - 1, 0.5)
    found = cluster_variance(np.bincount(entity, weights=values, minlength=clusters), sizes)
    assert found == pytest.approx((expected, units))
    assert effective_count(np.full(7, 3.0)) == pytest.approx(7)


def test_shrinkage_is_the_ratio_of_variances() -> None:
    rng = np.random.default_rng(0)
    entity = rng.integers(0, 400, 40_000)
    values = 0.5 * rng.normal(size=400)[entity] + rng.normal(size=len(entity))
    sums, counts = np.bincount(entity, weights=values), np.bincount(entity).astype(float)
    assert shrinkage(sums, float((values**2).sum()), counts) == pytest.approx(4, rel=0.15)
    assert shrinkage(np.zeros(3), 10.0, np.ones(3)) == np.inf


@given(seed=SEEDS, missing=st.booleans(), entities=st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_differences_equal_loops_that_leave_each_block_out(seed: int, missing: bool, entities: int) -> None:
    """The obvious twin: for each block, levels of entities from all other rows, row by row."""
    rng = np.random.default_rng(seed)
    cutoffs = np.sort(rng.integers(0, 40 * DAY, 150))
    blocks = Blocks.from_cutoffs(cutoffs, 7 * DAY)
    before, after = rng.integers(0, entities, 150), rng.integers(0, entities + 2, 60)
    x, y = rng.normal(size=150) + before, rng.normal(size=60) + 0.3
    if missing:
        x[rng.random(150) < 0.2], y[rng.random(60) < 0.2] = np.nan, np.nan
    pair = Pair.numeric(x, y)
    found = moment_difference(pair, "mean", blocks, Clusters.from_keys(pa.array(before), pa.array(after), blocks))
    assert found is not None
    s, t = pair.scores.transform(x), pair.scores.transform(y)
    kept, ids = np.isfinite(s), sorted(set(np.unique(blocks.ids[np.isfinite(s)])) - {-1})
    own, counts = (np.array([f(s[kept & (before == e)]) for e in range(entities)]) for f in (np.sum, np.size))
    shrink = shrinkage(own, float((s[kept] ** 2).sum()), counts.astype(float))

    def level(entity: int, rows: np.ndarray) -> float:
        mine = s[rows & kept & (before == entity)]
        overall = s[kept].mean()
        return overall if not len(mine) else overall + len(mine) / (len(mine) + shrink) * (mine.mean() - overall)

    means = []
    for block in ids:
        rows = kept & (blocks.ids == block)
        means.append(np.mean([s[i] - level(before[i], blocks.ids != block) for i in np.flatnonzero(rows)]))
    assert found.blocks == pytest.approx(np.array(means))
    current = [t[i] - level(after[i], np.full(150, True)) for i in np.flatnonzero(np.isfinite(t))]
    assert found.difference == pytest.approx(np.mean(current) - np.mean(means))
    assert found.window_row_variance == pytest.approx(np.var(current))


@given(value=st.floats(1e-6, 1e6))
@settings(max_examples=60, deadline=None)
def test_the_inverse_of_trigamma(value: float) -> None:
    assert float(polygamma(1, trigamma_inverse(value))) == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("freedom", [4.0, 20.0])
def test_the_prior_is_that_which_variances_were_drawn_from_and_near_the_most_likely(freedom: float) -> None:
    """s^2 is s0^2 F(d, d0) over columns; the twin maximises that likelihood by numbers."""
    rng = np.random.default_rng(3)
    drawn = 2.0 * stats.f.rvs(16, freedom, size=3_000, random_state=rng)
    prior = fit_prior(drawn, np.full(3_000, 16.0))
    assert prior.freedom == pytest.approx(freedom, rel=0.25)
    assert prior.variance == pytest.approx(2, rel=0.1)
    grid = [(d0, s0) for d0 in np.geomspace(2, 60, 30) for s0 in np.linspace(1.5, 2.6, 12)]
    likely = max(grid, key=lambda one: float(stats.f.logpdf(drawn / one[1], 16, one[0]).sum() - 3_000 * np.log(one[1])))
    assert prior.freedom == pytest.approx(likely[0], rel=0.25)
    assert prior.variance == pytest.approx(likely[1], abs=0.2)


def test_columns_of_one_kind_say_no_more_than_one_column() -> None:
    rng = np.random.default_rng(4)
    one = rng.normal(size=(17, 1))
    assert mean_squared_correlation(np.repeat(one, 20, axis=1)) == pytest.approx(1)
    alike = fit_prior(np.full(20, 1.7), np.full(20, 16.0), 1.0)
    assert alike.freedom == pytest.approx(0, abs=1e-9)
    assert fit_prior(np.full(20, 1.7), np.full(20, 16.0), 0.0).freedom == pytest.approx(16 * 19)
    assert fit_prior(np.array([1.0, 2.0]), np.full(2, 16.0)).freedom == 0


def test_moderated_variances_by_hand() -> None:
    variances, freedom = fit_prior(np.array([1.0, 1.0, 1.0]), np.full(3, 4.0)).moderate(
        np.array([3.0]), np.array([4.0])
    )
    assert freedom == pytest.approx([12])
    # d0 = 8 (two more columns), and the mean of log s^2 gives s0^2 = exp(-digamma(2) + log 2)
    expected = np.exp(np.log(2) - (1 - np.euler_gamma))
    assert variances == pytest.approx([(8 * expected + 4 * 3) / 12])


def _difference(scatter: np.ndarray, difference: float, **changed: float) -> MomentDifference:
    facts = {"block_rows": 300.0, "rows": 1_000, "row_variance": 1.0, "window_row_variance": 1.0} | changed
    return MomentDifference(difference=difference, blocks=scatter, **facts)  # type: ignore[arg-type]


def test_the_larger_of_both_p_values_decides() -> None:
    rng = np.random.default_rng(5)
    scatter = [0.1 * rng.normal(size=17) for _ in range(6)]
    plain = judge_together([_difference(one, 0.9) for one in scatter])
    entities = judge_together([_difference(one, 0.9, cluster_variance=0.2, clusters=9.0) for one in scatter])
    assert all(one.p_value < 1e-5 for one in plain if one.p_value is not None)
    expected = 2 * stats.t.sf(0.9 / np.sqrt(0.2 * 18 / 17), 8)
    assert [one.p_value for one in entities] == pytest.approx([expected] * 6)
    long = judge_together([_difference(one, 0.9, lookback_blocks=10.0) for one in scatter])
    assert [one.p_value for one in long] == [None] * 6
    assert judge_together([]) == []


def test_moderation_finds_what_a_column_by_itself_does_not() -> None:
    rng = np.random.default_rng(6)
    columns = [_difference(0.2 * rng.normal(size=17), 1.0) for _ in range(40)]
    alone = np.array([judge_together([one])[0].p_value for one in columns], dtype=float)
    together = np.array([one.p_value for one in judge_together(columns)], dtype=float)
    assert np.median(together) < np.median(alone) / 10


@pytest.mark.parametrize("world", sorted(WORLDS))
def test_type_one_errors_keep_their_level(world: str) -> None:
    """60 windows of ten columns: more than 12 p-values below .01 come by chance in one run of 100 (`bench-drift`)."""
    rng, p_values = np.random.default_rng(8), []
    for _ in range(60):
        one = draw(rng, world, rows=400, columns=10)
        blocks = Blocks.from_cutoffs(one.cutoffs, 7 * DAY)
        clusters = Clusters.from_keys(pa.array(one.reference_entities), pa.array(one.current_entities), blocks)
        pairs = [Pair.numeric(x, y) for x, y in zip(one.reference, one.current, strict=True)]
        differences = [moment_difference(pair, "mean", blocks, clusters) for pair in pairs]
        p_values += [item.p_value for item in judge_together([item for item in differences if item is not None])]
    assert len(p_values) == 600
    assert sum(1 for p in p_values if p is not None and p < 0.01) <= 12


def test_shares_of_new_entities_are_held_to_the_variance_of_entities() -> None:
    rng = np.random.default_rng(9)
    levels = rng.random(100)
    p_values = []
    for _ in range(100):
        entity = np.repeat(np.arange(40), 50)
        chance = levels[rng.permutation(100)[:80]]
        before, after = (
            np.stack(
                [np.bincount(entity, weights=1 - hit, minlength=80), np.bincount(entity, weights=hit, minlength=80)], 1
            )
            for hit in (rng.random(2_000) < chance[entity], rng.random(2_000) < chance[entity + 40])
        )
        after = np.roll(after, 40, axis=0)
        p_values.append(cluster_share_p_value(before.astype(np.int64), after.astype(np.int64), recur=False))
    assert np.mean(np.array(p_values) < 0.05) < 0.12
    assert cluster_share_p_value(np.full((3, 2), 50), np.array([[99, 1]] * 3), recur=True) == 0
