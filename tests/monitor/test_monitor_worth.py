"""The worth of a refresh against brute force, and its rates on worlds with and without a gain and dependent days."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import integrate, stats
from sklearn.metrics import roc_auc_score

from headrace.core.clock import DAY, HOUR
from headrace.monitor.worth.days import DayLosses, day_losses
from headrace.monitor.worth.e_value import PRIOR_PRECISION, autocorrelation, e_value
from headrace.monitor.worth.losses import row_losses
from headrace.monitor.worth.wording import describe
from headrace.monitor.worth.worth import WorthEvidence, evidence_above, limits, worth
from headrace.schema import Worth

Floats = NDArray[np.float64]
#: The first day is a refit.
_FIRST = 7 * 2_000 * DAY


def _bayes_factor(values: Floats) -> float:
    """The obvious twin: the t statistic's likelihood under positive effects, by quadrature, over that under none."""
    n = len(values)
    t = values.mean() / (values.std(ddof=1) / np.sqrt(n))
    prior = stats.norm(0, 1 / np.sqrt(PRIOR_PRECISION))

    def density(effect: float) -> float:
        return float(stats.nct.pdf(t, n - 1, effect * np.sqrt(n)) * 2 * prior.pdf(effect))

    return float(integrate.quad(density, 0, 8, limit=200)[0] / stats.t.pdf(t, n - 1))


@settings(max_examples=40, deadline=None)
@given(st.integers(3, 20), st.floats(-1.5, 1.5), st.integers(0, 10_000))
def test_the_e_value_is_the_bayes_factor_of_the_t_test(n: int, effect: float, seed: int) -> None:
    values = np.random.default_rng(seed).normal(effect, 1, n)
    assert e_value(values) == pytest.approx(_bayes_factor(values), rel=1e-4, abs=1e-6)


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=20), st.floats(0.01, 1e3), st.floats(0, 0.9))
def test_the_e_value_has_no_unit(values: list[float], unit: float, phi: float) -> None:
    series = np.array(values)
    assert e_value(series * unit, phi) == pytest.approx(e_value(series, phi), rel=1e-6)


def test_dependent_days_are_less_evidence() -> None:
    values = np.random.default_rng(0).normal(0.8, 1, 28)
    assert e_value(values) > e_value(values, 0.4) > e_value(values, 0.8) > 0.5
    assert e_value(np.zeros(5)) == e_value(np.array([])) == 1.0


def test_autocorrelation_is_estimated_with_little_bias() -> None:
    for phi in (0.3, 0.6, 0.8):
        estimates = [autocorrelation(series) for series in _series(phi, runs=400, days=28, seed=1)]
        assert np.mean(estimates) == pytest.approx(phi, abs=0.1)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 5 * 24), st.floats(0, 2), st.floats(0, 2)), min_size=1, max_size=40))
def test_days_are_summed(rows: list[tuple[int, float, float]]) -> None:
    champion, shadow = np.array([row[1] for row in rows]), np.array([row[2] for row in rows])
    days = day_losses(champion, shadow, np.array([row[0] * HOUR for row in rows], dtype=np.int64))
    expected: dict[int, list[float]] = {}
    for hour, one, other in rows:
        sums = expected.setdefault(hour // 24 * DAY, [0, 0, 0])
        sums[0], sums[1], sums[2] = sums[0] + 1, sums[1] + one, sums[2] + other
    assert days.start_us.tolist() == sorted(expected)
    found = np.array([days.rows, days.champion, days.shadow]).T
    np.testing.assert_allclose(found, [expected[day] for day in sorted(expected)])


@pytest.mark.parametrize(
    ("metric", "label", "prediction", "expected"),
    [
        ("log_loss", 1.0, 1.0, 1e-6),
        ("brier", 1.0, 0.25, 0.75**2),
        ("rmse", 3.0, 1.0, 4.0),
        ("mae", 3.0, 1.0, 2.0),
    ],
)
def test_losses_by_hand(metric: str, label: float, prediction: float, expected: float) -> None:
    (loss,) = row_losses(metric, np.array([label]), np.array([prediction]), np.array([0]))
    assert loss == pytest.approx(expected, rel=1e-3)


@given(data=st.data())
def test_losses_of_a_ranking_are_the_pairs_on_the_wrong_side(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 12))
    label, score, week = (
        np.array(data.draw(st.lists(values, min_size=n, max_size=n)))
        for values in (st.sampled_from([0.0, 1.0]), st.sampled_from([0.1, 0.2, 0.5]), st.integers(0, 1))
    )
    found = row_losses("auc", label, score, week)
    for row in range(n):
        others = [one for one in range(n) if week[one] == week[row] and label[one] != label[row]]
        own = sum(week[one] == week[row] and label[one] == label[row] for one in range(n))
        sign = 1 if label[row] == 1 else -1
        wrong = [0.5 * (1 - np.sign(sign * (score[row] - score[one]))) for one in others]
        share = np.mean(wrong) * (own + len(others)) / (2 * own) if others else 0.0
        assert found[row] == pytest.approx(share)
    for one in np.unique(week):
        rows = week == one
        if 0 < label[rows].sum() < rows.sum():
            assert found[rows].mean() == pytest.approx(1 - roc_auc_score(label[rows], score[rows]))


def test_a_gain_that_grows_is_no_dependence_between_days() -> None:
    noise = np.random.default_rng(0).standard_normal(28)
    assert autocorrelation(noise + np.arange(28.0)) == pytest.approx(autocorrelation(noise))


def _series(phi: float, *, runs: int, days: int, seed: int) -> Floats:
    """Gains of mean 0 and standard deviation 1 by day [runs, days], a first-order autoregression."""
    noise = np.random.default_rng(seed).standard_normal((runs, days))
    series = noise.copy()
    for day in range(1, days):
        series[:, day] = phi * series[:, day - 1] + np.sqrt(1 - phi**2) * noise[:, day]
    return series


def _days(gains: Floats, *, loss: float = 10.0, rows: Floats | None = None) -> DayLosses:
    """Days of the given mean gains per row; the champion loses `loss` per row."""
    count = np.full(len(gains), 50.0) if rows is None else rows
    start = _FIRST + DAY * np.arange(len(gains), dtype=np.int64)
    return DayLosses(start_us=start, rows=count, champion=count * loss, shadow=count * (loss - gains))


def _judge(days: DayLosses, rules: Worth | None = None) -> WorthEvidence:
    return worth(days, rules or Worth(), end_us=int(days.start_us[-1]) + DAY)


def test_the_average_over_starts_by_hand() -> None:
    gains = np.random.default_rng(3).normal(0.5, 1, 30)
    days, rules = _days(gains), Worth()
    end = _FIRST + 30 * DAY
    window = days.between(end - 28 * DAY, end)
    phi = autocorrelation((gains[2:] - gains[2:].mean()) * 50)
    expected = [e_value(50 * (gains[start:] - 0.1), phi) for start in (7, 14, 21, 28)]
    assert evidence_above(window, rules, 0.1, end_us=end) == pytest.approx(np.mean(expected))


@settings(max_examples=25, deadline=None)
@example(seed=3600, n=36, gain=0.0)
@given(seed=st.integers(0, 10_000), n=st.integers(14, 40), gain=st.floats(-1, 1))
def test_limits_are_where_the_evidence_reaches_its_threshold(seed: int, n: int, gain: float) -> None:
    rng = np.random.default_rng(seed)
    days, rules = _days(rng.normal(gain, 1, n), rows=rng.integers(10, 90, n).astype(float)), Worth()
    end = _FIRST + n * DAY
    window = days.between(end - rules.window_us, end)
    low, high = limits(window, rules, end_us=end)
    centre = window.gain.sum() / window.rows.sum()
    assert low < centre < high
    for limit, sign in ((low, 1.0), (high, -1.0)):
        if np.isfinite(limit):
            # The e-value of a start with one day is of its sign only, so the evidence may jump over the threshold.
            inside = centre + (1 - 1e-6) * (limit - centre)
            assert evidence_above(window, rules, limit, end_us=end, sign=sign) >= 5 * (1 - 1e-6)
            assert evidence_above(window, rules, inside, end_us=end, sign=sign) < 5


def test_verdicts() -> None:
    noise = np.random.default_rng(5).normal(0, 0.2, 28)
    clear = _judge(_days(0.5 + noise))
    assert (clear.verdict, clear.days, clear.rows) == ("worth it", 28, 1400)
    assert clear.low > clear.required == pytest.approx(0.1)
    assert clear.share == pytest.approx(0.05, abs=0.01)
    assert clear.net == pytest.approx(4 * clear.share - 0.04)
    assert _judge(_days(-0.5 + noise)).verdict == "not worth it"
    assert _judge(_days(0.1 + noise)).verdict == "not yet"
    dear = _judge(_days(0.5 + noise), Worth(cost=0.4))
    assert (dear.verdict, dear.required) == ("not worth it", pytest.approx(1.0))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(7, 40))
def test_regret_is_the_largest_sum_of_gains_from_a_refit_on(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    days = _days(rng.normal(0.2, 1, n), rows=rng.integers(10, 90, n).astype(float))
    end = _FIRST + n * DAY
    found = _judge(days, Worth(rule="regret", cost=0.05))
    window = [day for day in range(n) if days.start_us[day] >= end - 28 * DAY]
    starts = [start for start in range(end - 28 * DAY, end, DAY) if start % (7 * DAY) == 0]
    sums = [sum(days.gain[day] for day in window if days.start_us[day] >= start) for start in starts]
    week = 7 * sum(days.champion[day] for day in window) / len(window)
    assert found.regret == pytest.approx(max(0.0, *sums) / week)
    assert (found.verdict == "worth it") == (found.regret >= 0.05)
    assert found.cost == pytest.approx(0.05)


def test_regret_asks_for_no_significance_and_says_what_it_asks_for() -> None:
    rules = Worth(rule="regret", cost=0.04)
    uncertain = _days(0.3 + 1.5 * (-1.0) ** np.arange(28))
    assert _judge(uncertain).verdict == "not yet"
    found = _judge(uncertain, rules)
    assert found.verdict == "worth it"
    assert "would have saved" in describe(found)
    assert describe(found).endswith("a retrain costs 0.04")
    assert WorthEvidence.from_json(found.to_json()) == found
    assert _judge(_days(np.zeros(28)), rules).regret == 0.0


def test_too_few_days_are_not_judged() -> None:
    few = _judge(_days(np.full(6, 5.0)))
    assert (few.verdict, few.low, few.high) == ("not yet", -np.inf, np.inf)
    assert "6 days" in few.note
    assert few.to_json()["low"] is None
    assert WorthEvidence.from_json(few.to_json()) == few
    assert describe(few) == "the worth of a refresh is not known yet: 6 days with labels of both, fewer than 7"
    none = worth(day_losses(np.array([]), np.array([]), np.array([], dtype=np.int64)), Worth(), end_us=_FIRST)
    assert (none.verdict, none.rows, none.share, none.net) == ("not yet", 0, 0.0, 0.0)


def test_a_gain_of_long_ago_is_forgotten() -> None:
    noise = np.random.default_rng(6).normal(0, 0.2, 60)
    assert _judge(_days(noise + np.where(np.arange(60) < 30, 1.0, 0.0))).verdict == "not worth it"


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.8])
def test_daily_looks_raise_few_false_alarms_although_days_depend(phi: float) -> None:
    """A free refresh that gains nothing is called worth it at most once in 140 days; naive z > 2.33 far more often."""
    rules, looks, alarms = Worth(cost=0.0), 0, 0
    for series in _series(phi, runs=25, days=140, seed=11):
        for day in range(7, 141):
            looks += 1
            days = _days(series).between(_FIRST, _FIRST + day * DAY)
            window = days.between(_FIRST + (day - 28) * DAY, _FIRST + day * DAY)
            if evidence_above(window, rules, 0.0, end_us=_FIRST + day * DAY) >= 5:
                alarms += 1
                break
    assert alarms <= looks / 140


def test_a_gain_of_half_a_standard_deviation_a_day_is_mostly_seen_within_eight_weeks() -> None:
    rules, seen = Worth(cost=0.0), 0
    for series in _series(0.0, runs=25, days=56, seed=12):
        days = _days(series + 0.5)
        ends = [_FIRST + day * DAY for day in range(14, 57, 3)]
        windows = [days.between(end - rules.window_us, end) for end in ends]
        seen += any(
            evidence_above(window, rules, 0.0, end_us=end) >= 5 for window, end in zip(windows, ends, strict=True)
        )
    assert seen >= 18
