"""The model report: curves against definitions spelled out, groups against filters by hand, the page as HTML."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.clock import DAY, to_us
from headrace.evaluate.metrics import METRICS
from headrace.evaluate.report import curves
from headrace.evaluate.report.groups import by_period, by_slice
from headrace.evaluate.report.page import FeatureUse, ModelReport, render_report

Rows = tuple[Any, Any]


def rows(n: int = 400, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    p = rng.uniform(size=n)
    return (rng.uniform(size=n) < p).astype(float), p


@settings(deadline=None)
@given(st.integers(2, 300), st.integers(0, 1000))
def test_the_roc_curve_has_the_shares_that_each_threshold_gives(n: int, seed: int) -> None:
    y, p = rows(n, seed)
    y[:2] = (0.0, 1.0)
    found = curves.roc_curve(y, p)
    every = {(float((p[y == 0] >= t).mean()), float((p[y == 1] >= t).mean())) for t in (*np.unique(p).tolist(), np.inf)}
    places = {(round(x, 9), round(at, 9)) for x, at in every}
    assert {(round(x, 9), round(at, 9)) for x, at in zip(found.x, found.y, strict=True)} <= places
    assert (found.x[0], found.y[0], found.x[-1], found.y[-1]) == (0.0, 0.0, 1.0, 1.0)
    assert len(found.x) <= curves.MAX_POINTS + 2


def test_the_last_point_of_precision_and_recall_is_the_share_of_positives() -> None:
    y, p = rows()
    found = curves.precision_recall_curve(y, p)
    assert (found.x[-1], found.y[-1]) == (1.0, pytest.approx(y.mean(), abs=0.01))


def test_calibration_groups_hold_all_rows_once_in_order() -> None:
    y, p = rows(403)
    found = curves.calibration(y, p)
    assert sum(found.counts) == 403
    assert max(found.counts) - min(found.counts) <= 1
    assert list(found.x) == sorted(found.x)
    assert np.dot(found.y, found.counts) / 403 == pytest.approx(y.mean())


def test_residuals_hold_all_rows_once() -> None:
    y, p = np.arange(1000.0), np.zeros(1000)
    found = curves.residuals(y, p)
    assert sum(found.counts) == 1000
    assert sum(found.y) == pytest.approx(1.0)
    assert curves.residuals(p, p).y == (1.0,)


def test_periods_are_months_or_weeks_with_their_own_rows() -> None:
    y, p = rows()
    cutoffs = to_us("2024-01-10") + np.arange(400) * DAY // 8  # fifty days: January and February
    kind, months = by_period(y, p, cutoffs, METRICS["auc"])
    assert (kind, [group.name for group in months]) == ("month", ["2024-01", "2024-02"])
    january = cutoffs < to_us("2024-02-01")
    assert months[0].rows == january.sum()
    assert months[0].value == METRICS["auc"].value(y[january], p[january])
    kind, weeks = by_period(y[:80], p[:80], cutoffs[:80], METRICS["auc"])
    assert (kind, weeks[0].name) == ("week", "2024-01-08")  # a Monday


def test_slices_are_the_worst_first_and_a_slice_of_one_class_has_no_value() -> None:
    y, p = rows()
    kind = np.where(np.arange(400) % 2, "good", "bad")
    bad = kind == "bad"
    p = np.where(bad, 1 - p, p)
    found = by_slice({"kind": kind.tolist()}, y, p, METRICS["auc"])
    assert [group.name for group in found] == ["kind = bad", "kind = good"]
    assert found[0].value == METRICS["auc"].value(y[bad], p[bad])
    assert by_slice({"kind": kind.tolist()}, bad.astype(float), p, METRICS["auc"]) == ()


def test_numbers_are_cut_at_quartiles_and_missing_is_a_slice() -> None:
    y, p = rows()
    amount = [None if row < 40 else float(row) for row in range(400)]
    found = by_slice({"amount": amount}, y, p, METRICS["log_loss"])
    assert sorted(group.rows for group in found) == [40, 90, 90, 90, 90]
    assert {group.name for group in found if "missing" in group.name} == {"amount missing"}
    values = [group.value for group in found]
    assert values == sorted(values, reverse=True)  # type: ignore[type-var]  # a loss: the largest is the worst


def report(**fields: Any) -> ModelReport:
    y, p = rows()
    usual = {
        "problem": "shop", "version": "3", "label": "refunded >= 1", "metric": "auc",
        "metrics": {"gate_auc": 0.8576, "tune_auc": 0.866}, "baseline": 0.5, "y": y, "p": p,
        "cutoffs_us": to_us("2024-01-10") + np.arange(400) * DAY // 8,
        "slices": {"channel": ["web", "shop"] * 200}, "sample_y": y, "sample_p": p,
        "windows": {"train_from": "2024-01-01", "tune_from": "2024-02-01", "gate_from": "2024-03-01",
                    "until": "2024-04-01", "train_rows": 1200, "tune_rows": 300, "gate_rows": 400},
        "features": (FeatureUse(name="<amount>", words="this row's amount", shap=0.75, importance=0.1),),
        "family": "lightgbm", "config": {"rate": 0.1},
        "tried": ({"rank": 1, "auc": 0.866},), "trials": {"trials": 16, "stopped": 4, "failed": 1},
    }  # fmt: skip
    return ModelReport(**{**usual, **fields})


def test_the_page_says_how_good_with_what_and_from_when() -> None:
    page = render_report(report())
    for text in (
        "0.8576", "the best constant has 0.5", "ROC curve", "Precision and recall", "Calibration", "Quality by month",
        "channel = web", "this row&#x27;s amount", "75.0%", "+0.1000", "2024-03-01", "1,200",
        "16 trials, of which 4 were stopped early and 1 failed",
    ):  # fmt: skip
        assert text in page, text
    assert "<amount>" not in page


def test_the_page_is_one_file_without_scripts_and_equal_bytes() -> None:
    page = render_report(report(picture=b"png"))
    assert not re.findall(r"<script|<link|\bon\w+=|https?://(?!www\.w3)", page)
    assert "data:image/png;base64,cG5n" in page
    assert page == render_report(report(picture=b"png"))
    assert "prefers-color-scheme: dark" in page


def test_further_figures_have_title_and_caption() -> None:
    page = render_report(report(figures=(("Vectors of <town>", "Two axes.", b"png"),)))
    assert "<h3>Vectors of &lt;town&gt;</h3>" in page
    assert page.count("Two axes.") == 2  # below the title, and for screen readers
    assert "<h3>Vectors" not in render_report(report())


def test_a_number_has_residuals_in_place_of_curves() -> None:
    y = np.arange(400.0)
    page = render_report(
        report(label="amount", metric="rmse", metrics={"gate_rmse": 12.0}, y=y, p=y + 5, sample_y=y, sample_p=y + 5)
    )
    assert "Residuals: label less prediction" in page
    assert "ROC curve" not in page
    assert "Lower is better" in page


def test_without_a_search_or_a_sample_the_page_says_so() -> None:
    bare = replace(
        report(), tried=(), slices={}, sample_y=np.empty(0), sample_p=np.empty(0), features=(), baseline=None
    )
    page = render_report(bare)
    assert "Nothing: the recipe is that of an earlier version" in page
    assert "No slice has enough rows." in page
