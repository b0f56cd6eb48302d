"""Performance before labels: expected metrics against plain twins, calibration, and intervals that hold the truth."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.clock import DAY
from headrace.evaluate.metrics import METRICS
from headrace.models.design import Design
from headrace.monitor.estimates.calibration import KINDS, contiguous_folds, cross_fitted, fit, fit_calibration
from headrace.monitor.estimates.direct_loss import estimate_regression
from headrace.monitor.estimates.expected import COST, EXPECTED, DecisionRule, expected_metric, greater_is_better
from headrace.monitor.estimates.performance import HeldOut, PerformanceEstimate, estimate_binary

RULE = DecisionRule(threshold=0.4, false_positive=2.0, false_negative=7.0)
#: Few distinct values, so that there are ties.
PROBABILITY = st.integers(1, 9).map(lambda tenths: tenths / 10)
ROWS = st.integers(2, 7).flatmap(lambda n: st.tuples(*(st.lists(PROBABILITY, min_size=n, max_size=n),) * 2))


def plain(name: str, p: list[float], c: list[float]) -> float:
    """The expected metric of a few rows, by loops."""
    rows = list(zip(p, c, strict=True))
    if name == "auc":
        pairs = [(p[i], p[j], c[i] * (1 - c[j])) for i in range(len(p)) for j in range(len(p)) if i != j]
        total = sum(weight for *_, weight in pairs)
        return sum(weight * ((a > b) + (a == b) / 2) for a, b, weight in pairs) / total if total > 1e-12 else np.nan
    if name == "average_precision":
        sums = 0.0
        for i, (score, chance) in enumerate(rows):
            above = [j for j in range(len(p)) if p[j] >= score]
            sums += chance * (1 + sum(c[j] for j in above if j != i)) / len(above)
        return sums / sum(c)
    positive = [score >= RULE.threshold for score in p]
    if name == "f1":
        both = sum(chance for chance, yes in zip(c, positive, strict=True) if yes)
        return 2 * both / (sum(positive) + sum(c))
    losses = {
        "log_loss": lambda s, y: -np.log(s if y else 1 - s),
        "brier": lambda s, y: (s - y) ** 2,
        "accuracy": lambda s, y: float((s >= RULE.threshold) == bool(y)),
        COST: lambda s, y: (0 if y else RULE.false_positive) if s >= RULE.threshold else y * RULE.false_negative,
    }
    loss = losses[name]
    return float(np.mean([chance * loss(score, 1) + (1 - chance) * loss(score, 0) for score, chance in rows]))


@pytest.mark.parametrize("name", EXPECTED)
@given(rows=ROWS)
def test_expected_metrics_equal_their_plain_twins(name: str, rows: tuple[list[float], list[float]]) -> None:
    p, c = rows
    found = expected_metric(name, np.array(p), np.array(c), None, RULE)[0]
    assert found == pytest.approx(plain(name, p, c), nan_ok=True)


@pytest.mark.parametrize("name", ["log_loss", "brier", "accuracy", COST])
@given(rows=ROWS.filter(lambda rows: len(rows[0]) <= 5))
def test_means_over_rows_equal_the_expectation_over_all_labels(
    name: str, rows: tuple[list[float], list[float]]
) -> None:
    p, c = np.array(rows[0]), np.array(rows[1])
    expectation = 0.0
    for labels in product((0.0, 1.0), repeat=len(p)):
        y = np.array(labels)
        chance = float(np.prod(np.where(y == 1, c, 1 - c)))
        expectation += chance * float(expected_metric(name, p, y, None, RULE)[0])
    assert expected_metric(name, p, c, None, RULE)[0] == pytest.approx(expectation)


@pytest.mark.parametrize("name", ["auc", "average_precision", "log_loss", "brier"])
def test_with_known_labels_the_expected_metric_is_the_metric(name: str) -> None:
    rng = np.random.default_rng(0)
    p, y = rng.integers(1, 20, 300) / 20, (rng.random(300) < 0.3).astype(np.float64)
    assert expected_metric(name, p, y)[0] == pytest.approx(METRICS[name].value(y, p))
    assert greater_is_better(name) == METRICS[name].greater_is_better


@pytest.mark.parametrize("name", EXPECTED)
def test_a_weight_counts_a_row_so_often_but_for_pairs_with_itself(name: str) -> None:
    rng = np.random.default_rng(1)
    p, y = rng.random(30), (rng.random(30) < 0.4).astype(np.float64)  # known labels: a row has no pair with itself
    weights = rng.integers(0, 4, 30)
    repeated = np.repeat(np.arange(30), weights)
    found = expected_metric(name, p, y, weights[None, :].astype(np.float64), RULE)[0]
    assert found == pytest.approx(expected_metric(name, p[repeated], y[repeated], None, RULE)[0])


def world(
    rng: np.random.Generator,
    days: int,
    rows: int,
    *,
    shock: float = 0.0,
    slope: float = 1.0,
    start: int = 0,
    shift: float = 0.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions, labels and cutoffs; days have shocks of their own, and predictions a wrong slope."""
    day = np.repeat(np.arange(days), rows)
    z = rng.normal(shift, 1, days * rows)
    y = rng.random(len(z)) < 1 / (1 + np.exp(-(z + rng.normal(0, shock, days)[day] - 1)))
    p = 1 / (1 + np.exp(-slope * (z - 1)))
    return p, y.astype(np.float64), (start + day) * DAY + rng.integers(0, DAY, len(z))


def groups_of(cutoffs: np.ndarray) -> np.ndarray:
    return np.unique(cutoffs // DAY, return_inverse=True)[1].astype(np.int64)


def test_the_simplest_map_that_fits_is_chosen() -> None:
    rng = np.random.default_rng(3)
    p, y, at = world(rng, 20, 100)
    assert fit_calibration(p, y, groups_of(at)).kind == "none"
    p, y, at = world(rng, 20, 100, slope=3)
    found = fit_calibration(p, y, groups_of(at))
    assert found.kind == "logistic"
    assert found.slope == pytest.approx(1 / 3, abs=0.1)
    bent = np.clip(np.where(p > 0.5, 0.55, 0.45) + rng.uniform(-0.01, 0.01, len(p)), 0, 1)
    steps = (rng.random(len(p)) < np.where(p > 0.5, 0.9, np.where(p > 0.1, 0.6, 0.05))).astype(np.float64)
    assert fit_calibration(np.where(p > 0.1, bent, p), steps, groups_of(at)).kind == "isotonic"


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from(KINDS))
def test_every_map_is_monotone_and_a_probability(seed: int, kind: str) -> None:
    p, y, _ = world(np.random.default_rng(seed), 5, 12)
    mapped = fit(kind, p, y)(np.linspace(0, 1, 50))  # type: ignore[arg-type]
    assert ((mapped >= 0) & (mapped <= 1)).all()
    assert kind == "logistic" or (np.diff(mapped) >= -1e-12).all()


def test_folds_are_of_neighbouring_days_and_no_row_is_fitted_on_itself() -> None:
    p, y, at = world(np.random.default_rng(5), 10, 20)
    folds = contiguous_folds(groups_of(at))
    assert len(np.unique(folds)) == 5
    assert (np.diff(folds[np.argsort(at, kind="stable")]) >= 0).all()
    turned = y.copy()
    turned[folds == 2] = 1 - turned[folds == 2]
    same = cross_fitted("isotonic", p, y, folds)[folds == 2] == cross_fitted("isotonic", p, turned, folds)[folds == 2]
    assert same.all()


@pytest.mark.parametrize("shock", [0.0, 0.4])
def test_intervals_hold_the_realised_metric_also_when_days_have_shocks(shock: float) -> None:
    rng = np.random.default_rng(7)
    hits: dict[str, list[bool]] = {}
    for seed in range(40):
        p, y, at = world(rng, 14, 40, shock=shock, slope=1.5)
        q, label, now = world(rng, 7, 40, shock=shock, slope=1.5, start=14, shift=0.5)
        estimates, _ = estimate_binary(HeldOut(prediction=p, label=y, cutoffs_us=at), q, now, label=label, seed=seed)
        for one in estimates:
            assert one.realised is not None
            hits.setdefault(one.metric, []).append(one.low <= one.realised <= one.high)
    assert min(np.mean(hit) for hit in hits.values()) >= 0.75  # of .9; 40 worlds
    assert np.mean([np.mean(hit) for hit in hits.values()]) >= 0.85


def test_harder_rows_are_seen_before_labels_and_none_in_a_world_that_stays() -> None:
    rng, p_values = np.random.default_rng(9), {0.0: [], 1.0: []}
    for shift, found in p_values.items():
        for seed in range(15):
            p, y, at = world(rng, 14, 60, shift=-1.0)
            q, _, now = world(rng, 7, 60, start=14, shift=-1.0 + shift)  # nearer to one half: harder
            estimates, _ = estimate_binary(
                HeldOut(prediction=p, label=y, cutoffs_us=at), q, now, metrics=("log_loss",), seed=seed
            )
            found.append(estimates[0].p_value)
    assert np.median(p_values[1.0]) < 1e-4
    assert np.mean(np.array(p_values[0.0]) < 0.05) <= 0.2
    assert min(p_values[0.0]) > 5e-4


def test_a_changed_relation_is_invisible_without_labels_and_the_measured_metric_stands_beside() -> None:
    rng = np.random.default_rng(11)
    p, y, at = world(rng, 20, 60)
    q, label, now = world(rng, 7, 60, start=20)
    (auc,), _ = estimate_binary(
        HeldOut(prediction=p, label=y, cutoffs_us=at), q, now, metrics=("auc",), label=1 - label
    )
    assert auc.low <= auc.reference <= auc.high
    assert auc.realised is not None
    assert auc.realised < 0.4 < auc.low


def regression(seed: int, harder: float) -> tuple[PerformanceEstimate, ...]:
    rng = np.random.default_rng(seed)

    def side(days: int, start: int, shift: float) -> tuple[Design, np.ndarray, np.ndarray, np.ndarray]:
        count = days * 60
        noisy = (rng.random(count) < 0.2 + shift).astype(np.float32)
        x = np.stack([noisy, rng.normal(0, 1, count).astype(np.float32)], axis=1)
        label = x[:, 1] + rng.normal(0, 1, count) * np.where(noisy == 1, 3.0, 0.5)
        at = (start + np.repeat(np.arange(days), 60)) * DAY
        return Design(X=x, names=("noisy", "x"), categorical=()), x[:, 1].astype(np.float64), label, at

    design, p, y, at = side(14, 0, 0.0)
    current, q, label, now = side(7, 14, harder)
    held_out = HeldOut(prediction=p, label=y, cutoffs_us=at)
    return estimate_regression(held_out, design, current, q, now, label=label, seed=seed)


def test_the_loss_of_a_regression_is_estimated_from_its_features() -> None:
    hits = []
    for seed in range(8):
        for one in regression(seed, harder=0.5):
            assert one.realised is not None
            hits.append(one.low <= one.realised <= one.high)
            assert one.value > 1.3 * one.reference  # more rows of the noisy kind
            assert one.p_value < 1e-3
    assert np.mean(hits) >= 0.75
    assert all(one.p_value > 1e-3 for one in regression(99, harder=0.0))


def test_money_is_a_metric_of_decisions() -> None:
    p, c = np.array([0.3, 0.5, 0.9]), np.array([0.0, 0.0, 1.0])
    assert expected_metric(COST, p, c, None, RULE)[0] == pytest.approx(2 / 3)  # one false alarm of three rows
    assert not greater_is_better(COST)
