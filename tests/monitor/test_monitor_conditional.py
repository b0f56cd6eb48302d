"""The mean given other features: against a plain Gaussian process, without drift, and with one feature shifted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from headrace.monitor.drift_tests.samples import Floats
from headrace.monitor.evidence.conditional import conditional_results
from headrace.monitor.evidence.moderation import fit_prior, mean_squared_correlation
from headrace.monitor.evidence.moment_tests import MomentResult, moment_results
from headrace.monitor.evidence.moments import MomentDifference

pytestmark = pytest.mark.slow

_BLOCKS, _ROWS = 17, 1_000


def _means(seed: int, features: int, *, own: float = 0.1, lookback: int = 1) -> Floats:
    """Means of features [windows, features] that follow three common factors and something of their own."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(_BLOCKS + 1, 3)) @ rng.normal(size=(3, features)) * 0.3
    noise = rng.normal(size=(_BLOCKS + lookback, features)) * own
    remembered = np.cumsum(noise, axis=0)
    sums = remembered[lookback:] - np.vstack([np.zeros(features), remembered])[:_BLOCKS]
    return factors + np.vstack([sums, noise[-1:]])


def _differences(means: Floats, *, lookback: float = 0.0, rows: int = _ROWS) -> list[MomentDifference]:
    """The last row is the window; the blocks before it are measured as `moments` does, each from the others."""
    blocks, window = means[:-1], means[-1] - means[:-1].mean(axis=0)
    apart = (blocks - blocks.mean(axis=0)) * _BLOCKS / (_BLOCKS - 1)
    return [
        MomentDifference(
            difference=float(window[i]), blocks=apart[:, i], block_rows=float(_ROWS), rows=rows, row_variance=1.0,
            window_row_variance=1.0, lookback_blocks=lookback,
        )
        for i in range(means.shape[1])
    ]  # fmt: skip


def _tested(
    differences: list[MomentDifference], columns: list[str] | None = None
) -> list[tuple[float, MomentResult] | None]:
    reads = [(name,) for name in columns] if columns else [()] * len(differences)
    return conditional_results(differences, moment_results(differences), reads)


def _first(differences: list[MomentDifference], columns: list[str] | None = None) -> MomentResult:
    first = _tested(differences, columns)[0]
    assert first is not None
    return first[1]


def _p_values(differences: list[MomentDifference]) -> list[float]:
    return [one[1].p_value for one in _tested(differences) if one is not None and one[1].p_value is not None]


@given(seed=st.integers(0, 1_000), features=st.integers(5, 8), lookback=st.sampled_from([0.0, 2.0]))
@settings(max_examples=10, deadline=None)
def test_residual_and_variance_are_those_of_a_gaussian_process_of_the_other_features(
    seed: int, features: int, lookback: float
) -> None:
    """One feature after another, with scikit-learn's regressor; the level is left to a constant kernel."""
    means = _means(seed, features)
    found = _tested(_differences(means, lookback=lookback))
    judged = [i for i, one in enumerate(found) if one is not None]
    results = np.array([(one[0], one[1].variance) for one in found if one is not None]).reshape(-1, 2).T
    matches = []
    for noise in (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0):
        residual, variance, unexplained = _by_scikit_learn(means, noise, apart=2 if lookback else 0)
        same = np.allclose(results, [residual[judged], variance[judged]], rtol=1e-3, atol=1e-6)
        matches.append(same and judged == list(np.flatnonzero(unexplained <= 0.7)))
    assert any(matches)


def _by_scikit_learn(means: Floats, noise: float, *, apart: int) -> tuple[Floats, Floats, Floats]:
    """Residual and variance of each feature's window, the latter by the errors of blocks predicted from the others; and
    the share of a feature's variance over blocks that these errors are.
    """
    scale = means[:-1].std(axis=0, ddof=1)
    z = (means - means[:-1].mean(axis=0)) / scale
    index, features = np.arange(_BLOCKS), means.shape[1]
    errors, left = np.empty((_BLOCKS, features)), np.empty((_BLOCKS, features))
    residual, spread = np.empty(features), np.empty(features)
    for i in range(features):
        others = np.delete(z, i, axis=1) / np.sqrt(features - 1)
        error, deviation = _predicted(others, z[:, i], index, _BLOCKS, noise)
        residual[i], spread[i] = error * scale[i], (deviation * scale[i]) ** 2
        for b in index:
            error, deviation = _predicted(others, z[:, i], index[np.abs(index - b) > apart], b, noise)
            errors[b, i], left[b, i] = error / deviation, error
    square = (errors**2).mean(axis=0)
    freedom = np.full(features, _BLOCKS - 4.0)
    moderated, _ = fit_prior(square, freedom, mean_squared_correlation(errors)).moderate(square, freedom)
    return residual, spread * moderated, (left**2).mean(axis=0)


def _predicted(x: Floats, y: Floats, rows: NDArray[np.int64], row: int, noise: float) -> tuple[float, float]:
    """Error and standard deviation of y[row], predicted from other rows."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct

    kernel = ConstantKernel(1e3, "fixed") + DotProduct(1e-9, "fixed")
    model = GaussianProcessRegressor(kernel, alpha=noise, optimizer=None).fit(x[rows], y[rows])
    mean, deviation = model.predict(x[row : row + 1], return_std=True)
    return float(y[row] - mean[0]), float(np.sqrt(deviation[0] ** 2 + noise))


def test_without_drift_few_are_significant() -> None:
    p_values = [p for seed in range(60) for p in _p_values(_differences(_means(seed, 20)))]
    assert len(p_values) > 800
    assert sum(p <= 0.01 for p in p_values) <= 0.02 * len(p_values)
    assert sum(p <= 0.001 for p in p_values) <= 0.004 * len(p_values)


def test_without_drift_few_are_significant_where_windows_overlap() -> None:
    means = (_means(seed, 20, lookback=4) for seed in range(40))
    p_values = [p for one in means for p in _p_values(_differences(one, lookback=4.0))]
    assert len(p_values) > 100
    assert sum(p <= 0.001 for p in p_values) <= 0.01 * len(p_values)


@pytest.mark.parametrize("seed", range(5))
def test_one_feature_leaves_those_that_go_with_it(seed: int) -> None:
    """Its own mean varies by half a standard deviation from week to week: a shift of one is nothing special."""
    means = _means(seed, 20, own=0.05)
    means[-1, 0] += 1.0
    differences = _differences(means)
    alone, given_others = moment_results(differences)[0].p_value, _first(differences).p_value
    assert alone is not None
    assert given_others is not None
    assert given_others < min(1e-4, alone / 10)


def test_features_that_move_together_are_left_to_their_own_means() -> None:
    rng = np.random.default_rng(0)
    means = np.repeat(rng.normal(size=(_BLOCKS + 1, 1)) * 0.1, 8, axis=1) + rng.normal(size=(_BLOCKS + 1, 8)) * 0.02
    means[-1] += 2.0
    differences = _differences(means)
    assert max(result.p_value or 0.0 for result in moment_results(differences)) < 1e-6
    assert min(_p_values(differences)) > 1e-4


def test_features_of_the_same_column_tell_most() -> None:
    """Pairs that go together, among many that do not: the others' noise would hide the shift."""
    rng = np.random.default_rng(1)
    levels = rng.normal(size=(_BLOCKS + 1, 15))
    means = np.repeat(levels, 2, axis=1) + rng.normal(size=(_BLOCKS + 1, 30)) * 0.05
    means[-1, 0] += 1.0
    differences, columns = _differences(means), [f"t.c{i // 2}" for i in range(30)]
    known, unknown = _first(differences, columns).p_value, _tested(differences)[0]
    assert known is not None
    assert known < 1e-4
    assert unknown is None or (unknown[1].p_value or 0.0) > 0.01


def test_features_that_the_others_do_not_explain_are_not_tested() -> None:
    means = np.random.default_rng(0).normal(size=(_BLOCKS + 1, 12))
    assert _tested(_differences(means)) == [None] * 12


def test_a_window_of_few_rows_has_more_noise() -> None:
    means = _means(3, 12)
    means[-1, 0] += 0.6
    many, few = (_first(_differences(means, rows=rows)) for rows in (_ROWS, 30))
    assert few.variance == pytest.approx(many.variance + 1 / 30 - 1 / _ROWS)
    assert (many.p_value or 0.0) < (few.p_value or 0.0)


def test_what_entities_explain_is_no_drift() -> None:
    differences = _differences(_means(3, 12))
    alone = [result._replace(cluster_p_value=0.4) for result in moment_results(differences)]
    found = [one for one in conditional_results(differences, alone, [()] * 12) if one is not None]
    assert found
    assert all((one[1].p_value or 0.0) >= 0.4 for one in found)


@pytest.mark.parametrize("features", [0, 1, 4])
def test_too_few_features_predict_nothing(features: int) -> None:
    differences = _differences(_means(0, features)) if features else []
    assert conditional_results(differences, moment_results(differences), [()] * features) == [None] * features


def test_a_feature_that_is_not_judged_alone_is_not_judged_given_others() -> None:
    differences = _differences(_means(3, 12, own=0.02))
    alone = moment_results(differences)
    alone[2] = alone[2]._replace(p_value=None)
    found = conditional_results(differences, alone, [()] * 12)
    assert found[2] is None
    assert found[3] is not None
