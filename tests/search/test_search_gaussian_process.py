"""The numerics of the GP searcher against what is slow and obvious, and against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad

from headrace.search.searchers.gaussian_process import Posterior, fit, log_marginal, matern
from headrace.search.searchers.gp import fit_size
from headrace.search.searchers.improvement import (
    log_expected_improvement,
    log_expected_improvement_with_gradient,
    log_h,
)

OWNER = np.array([0, 1, 1, 2])


def _case(n: int = 25) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    rng = np.random.default_rng(0)
    return rng.random((n, 4)), rng.normal(size=n), rng.normal(size=5) * 0.5


def _dense(F: np.ndarray, G: np.ndarray, t: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """k of each pair, by the formula, one by one."""
    lengths, s2 = np.exp(t[:3]), math.exp(t[3])
    K = np.empty((len(F), len(G)))
    for i, f in enumerate(F):
        for j, g in enumerate(G):
            r = math.sqrt(sum(((f[p] - g[p]) / lengths[OWNER[p]]) ** 2 for p in range(4)))
            K[i, j] = s2 * (1 + math.sqrt(5) * r + 5 / 3 * r * r) * math.exp(-math.sqrt(5) * r)
    return K


def test_the_kernel_by_hand() -> None:
    # (1 + 2.2360680 + 1.6666667) * exp(-2.2360680)
    assert matern(np.array([[1.0]]), 1.0)[0].item() == pytest.approx(0.5239941)
    assert matern(np.array([[0.0]]), 3.0)[0].item() == pytest.approx(3.0)


def test_the_posterior_of_one_trial_by_hand() -> None:
    """y = 1 at 0 with noise .25, seen from a distance of 1: k / 1.25, and 1 - k^2 / 1.25."""
    t = np.array([0.0, 0.0, math.log(0.25)])
    mean, variance = Posterior(t, np.zeros((1, 1)), np.array([0]), np.ones(1)).predict(np.ones((1, 1)))
    assert mean.item() == pytest.approx(0.4191953)
    assert variance.item() == pytest.approx(0.7803441)


def test_the_posterior_is_that_of_a_dense_solve() -> None:
    F, y, t = _case()
    G = np.random.default_rng(1).random((7, 4))
    K, k = _dense(F, F, t) + math.exp(t[4]) * np.eye(len(F)), _dense(G, F, t)
    model = Posterior(t, F, OWNER, y)
    mean, variance = model.predict(G)
    assert model.fitted == pytest.approx(_dense(F, F, t) @ np.linalg.inv(K) @ y, abs=1e-9)
    assert mean == pytest.approx(k @ np.linalg.inv(K) @ y, abs=1e-9)
    assert variance == pytest.approx(math.exp(t[3]) - np.diag(k @ np.linalg.inv(K) @ k.T), abs=1e-9)


def test_the_marginal_likelihood_is_the_normal_density_of_the_losses() -> None:
    F, y, t = _case()
    K = _dense(F, F, t) + math.exp(t[4]) * np.eye(len(F))
    expected = -0.5 * (y @ np.linalg.solve(K, y) + np.linalg.slogdet(K)[1] + len(y) * math.log(2 * math.pi))
    assert log_marginal(t, F, OWNER, y)[0] == pytest.approx(expected)


def test_gradients_are_those_of_finite_differences() -> None:
    F, y, t = _case()
    _, gradient = log_marginal(t, F, OWNER, y)
    for i, step in enumerate(1e-6 * np.eye(5)):
        change = (log_marginal(t + step, F, OWNER, y)[0] - log_marginal(t - step, F, OWNER, y)[0]) / 2e-6
        assert gradient[i] == pytest.approx(change, rel=1e-5, abs=1e-6)
    model, f = Posterior(t, F, OWNER, y), np.random.default_rng(2).random(4)
    found = model.gradient(np.stack([f, f[::-1]]))  # two at once: neither has a part in the other's
    mean, variance, by_mean, by_variance = (part[0] for part in found)
    assert (mean, variance) == pytest.approx([part.item() for part in model.predict(f[None])])
    for i, step in enumerate(1e-6 * np.eye(4)):
        up, down = model.predict((f + step)[None]), model.predict((f - step)[None])
        assert by_mean[i] == pytest.approx((up[0] - down[0]).item() / 2e-6, abs=1e-7)
        assert by_variance[i] == pytest.approx((up[1] - down[1]).item() / 2e-6, abs=1e-7)


def test_what_is_fitted_is_what_the_losses_are_made_of() -> None:
    """Losses that depend on the first parameter only: its length scale is the shortest, and the noise is small."""
    F = np.random.default_rng(3).random((60, 3))
    y = np.sin(6 * F[:, 0])
    t = fit(F, np.arange(3), (y - y.mean()) / y.std(), 3)
    assert t[0] < min(t[1], t[2]) - 1
    assert math.exp(t[4]) < 0.02


def test_expected_improvement_by_hand() -> None:
    assert log_h(np.array(0.0)) == pytest.approx(math.log(0.3989422804))
    assert log_h(np.array(-1.0)) == pytest.approx(math.log(0.2419707245 - 0.1586552539))
    assert log_expected_improvement(np.zeros(1), np.full(1, 4.0), 0.0).item() == pytest.approx(math.log(2 * 0.39894228))


@pytest.mark.parametrize(("mean", "variance", "best"), [(0.0, 1.0, 0.3), (2.0, 0.5, 1.2), (-1.0, 2.0, 1.0)])
def test_expected_improvement_is_that_of_monte_carlo(mean: float, variance: float, best: float) -> None:
    drawn = mean + math.sqrt(variance) * np.random.default_rng(0).standard_normal(400_000)
    gains = np.maximum(best - drawn, 0.0)
    exact = math.exp(log_expected_improvement(np.array([mean]), np.array([variance]), best).item())
    assert abs(exact - gains.mean()) < 4 * gains.std() / math.sqrt(len(gains))


@pytest.mark.parametrize("u", [-0.999, -1.001, -3.0, -10.0, -35.0, -199.0, -201.0, -1e4, -1e8])
def test_far_from_the_best_its_logarithm_is_still_right(u: float) -> None:
    """h(u) = phi(u) times the integral of x exp(-x |u| - x^2 / 2) over x > 0, computed in units of 1 / |u|."""
    a = abs(u)
    tail = quad(lambda x: x * math.exp(-x - 0.5 * (x / a) ** 2), 0, 60, epsabs=0, epsrel=1e-11)[0] / a**2
    exact = -0.5 * u * u - 0.5 * math.log(2 * math.pi) + math.log(tail)
    assert log_h(np.array(u)) == pytest.approx(exact, rel=1e-7, abs=1e-5)


def test_slopes_of_log_expected_improvement_are_those_of_finite_differences() -> None:
    for mean, variance, best in ((1.0, 2.0, 0.5), (0.0, 1.0, 1.0), (3.0, 0.3, 0.5)):

        def value(m: float, v: float, best: float = best) -> float:
            return log_expected_improvement(np.array([m]), np.array([v]), best).item()

        log, by_mean, by_variance = (
            part.item() for part in log_expected_improvement_with_gradient(np.array([mean]), np.array([variance]), best)
        )
        assert log == pytest.approx(value(mean, variance))
        assert by_mean == pytest.approx((value(mean + 1e-6, variance) - value(mean - 1e-6, variance)) / 2e-6, rel=1e-4)
        change = (value(mean, variance + 1e-6) - value(mean, variance - 1e-6)) / 2e-6
        assert by_variance == pytest.approx(change, rel=1e-4)


def test_length_scales_are_fitted_again_with_each_tenth_more() -> None:
    fits = [fit_size(n) for n in range(1, 501)]
    assert all(at <= n for n, at in enumerate(fits, start=1))
    assert fits == sorted(fits)
    assert fits[:20] == list(range(1, 21))
    assert len(set(fits[20:])) <= 34
    assert all(n <= 1.1 * at + 1 for n, at in enumerate(fits, start=1))
