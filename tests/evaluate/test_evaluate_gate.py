"""Who is let through the gate."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.core.clock import DAY
from headrace.evaluate.gate import decide, resample_groups
from headrace.evaluate.metrics import METRICS

AUC, RMSE = METRICS["auc"], METRICS["rmse"]


def _window(n: int = 3000, days: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    cutoffs = np.sort(rng.integers(0, days * DAY, n))
    signal = rng.random(n)
    label = (rng.random(n) < signal).astype(float)
    return label, signal, cutoffs


def _blurred(signal: np.ndarray, spread: float) -> np.ndarray:
    return np.clip(signal + np.random.default_rng(1).normal(0, spread, len(signal)), 0, 1)


def test_first_champion_must_beat_the_trivial_baseline() -> None:
    label, signal, cutoffs = _window()
    good = decide(AUC, label, signal, None, cutoffs, margin=0.002, baseline=0.5)
    noise = np.random.default_rng(9).random(len(label))
    bad = decide(AUC, label, noise, None, cutoffs, margin=0.002, baseline=0.5)
    assert good.promote
    assert (good.change, good.champion) == ("first", 0.5)
    assert not bad.promote
    assert "trivial baseline" in bad.reason


def test_refresh_may_be_a_little_worse_but_not_more() -> None:
    label, signal, cutoffs = _window()
    worse = _blurred(signal, 0.3)
    assert decide(AUC, label, signal, signal, cutoffs, margin=0.002, baseline=0.5).promote
    refused = decide(AUC, label, worse, signal, cutoffs, margin=0.002, baseline=0.5)
    assert not refused.promote
    assert refused.difference < -0.002
    assert refused.high < 0
    assert decide(AUC, label, worse, signal, cutoffs, margin=0.5, baseline=0.5).promote


def test_structural_change_must_be_better_for_certain() -> None:
    label, signal, cutoffs = _window()
    same = decide(AUC, label, signal, signal, cutoffs, margin=0.002, baseline=0.5, structural=True)
    assert not same.promote
    assert same.change == "structural"
    better = decide(AUC, label, signal, _blurred(signal, 0.5), cutoffs, margin=0.002, baseline=0.5, structural=True)
    assert better.promote
    assert better.low > 0


def test_regression_counts_lower_as_better() -> None:
    label, signal, cutoffs = _window()
    decision = decide(RMSE, label * 10, signal * 10, None, cutoffs, margin=0.01, baseline=5.0)
    assert decision.promote
    assert decision.difference > 0
    assert decision.challenger < decision.champion


@pytest.mark.parametrize("name", sorted(METRICS))
def test_every_metric_tells_a_better_model_from_a_worse_one(name: str) -> None:
    metric, (label, signal, cutoffs) = METRICS[name], _window()
    baseline = float(metric.constant(label))
    first = decide(metric, label, signal, None, cutoffs, margin=0.002, baseline=baseline)
    assert first.promote
    blurred = _blurred(signal, 0.5)
    better = decide(metric, label, signal, blurred, cutoffs, margin=0, baseline=baseline, structural=True)
    worse = decide(metric, label, blurred, signal, cutoffs, margin=0, baseline=baseline)
    assert (better.promote, worse.promote) == (True, False)


def test_days_are_the_unit_not_rows() -> None:
    """Rows copied within their day add no evidence: the interval must not shrink."""
    label, signal, cutoffs = _window(n=800, days=12)
    weak = _blurred(signal, 0.3)
    once = decide(AUC, label, signal, weak, cutoffs, margin=0, baseline=0.5)
    copies = [np.repeat(values, 10) for values in (label, signal, weak, cutoffs)]
    copied = decide(AUC, *copies, margin=0, baseline=0.5)
    assert copied.high - copied.low == pytest.approx(once.high - once.low, rel=1e-6)
    assert once.n_days == once.n_groups == 12


def test_seeded_and_json_able() -> None:
    label, signal, cutoffs = _window()
    one = decide(AUC, label, signal, None, cutoffs, margin=0.002, baseline=0.5, seed=4, censored=17)
    two = decide(AUC, label, signal, None, cutoffs, margin=0.002, baseline=0.5, seed=4, censored=17)
    assert one == two
    assert one.to_json()["censored"] == 17


def test_a_window_of_one_day_is_cut_into_blocks() -> None:
    label, signal, cutoffs = _window(n=200, days=1)
    decision = decide(AUC, label, signal, None, cutoffs, margin=0.002, baseline=0.5)
    assert (decision.n_days, decision.n_groups) == (1, 20)
    assert decision.low < decision.high


def test_very_many_days_are_merged_in_order() -> None:
    days, groups = resample_groups(np.arange(3000) * DAY)
    assert days == 3000
    assert groups.max() == 399
    assert (np.diff(groups) >= 0).all()
