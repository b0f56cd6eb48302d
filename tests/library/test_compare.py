"""`headrace.compare` gives the monitor's evidence of two data frames, and keeps its error rate on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headrace
from headrace.core.errors import DataError, DeclarationError, HeadraceError
from headrace.monitor.evidence.window import window_evidence

DAY = pd.Timedelta("1d")


def frame(seed: int, rows: int = 400, *, shift: float = 0.0, start: str = "2024-01-01", days: int = 28) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    at = pd.Timestamp(start) + pd.to_timedelta(np.sort(rng.uniform(0, days, rows)), unit="D")
    label = rng.random(rows) < 0.4
    return pd.DataFrame(
        {
            "x": rng.normal(shift, 1, rows),
            "y": np.where(rng.random(rows) < 0.1, np.nan, rng.normal(0, 1, rows)),
            "colour": rng.choice(np.array(["red", "blue", None], dtype=object), rows),
            "flag": rng.random(rows) < 0.3,
            "customer": rng.choice([f"c{i}" for i in range(40)], rows),
            "at": at,
            "late": label,
            "p": np.clip(label * 0.4 + rng.random(rows) * 0.6, 0, 1),
        }
    )


def as_table(rows: pd.DataFrame) -> pa.Table:
    """By hand what the monitor gets: features, `_label`, `_prediction`, `_cutoff`, entities."""
    return pa.table(
        {
            **{name: pa.array(rows[name], from_pandas=True) for name in ("x", "y", "colour", "flag")},
            "_label": pa.array(rows["late"].astype(float)),
            "_prediction": pa.array(rows["p"]),
            "_cutoff": pa.array(rows["at"].astype("datetime64[us]").astype("int64")),
            "_entity_customer": pa.array(rows["customer"]),
        }
    )


KINDS = {"x": "numeric", "y": "numeric", "colour": "categorical", "flag": "boolean"}


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000), shift=st.sampled_from([0.0, 3.0]))
def test_the_evidence_is_the_monitors(seed: int, shift: float) -> None:
    reference = frame(seed, 1200, days=56)
    current = frame(seed + 1, 300, shift=shift, start="2024-03-04", days=7)
    found = headrace.compare(
        reference, current, time="at", entities=["customer"], label="late", prediction="p", seed=seed
    )
    tables = as_table(reference), as_table(current)
    expected = window_evidence(
        *tables,
        KINDS,
        cutoffs_us=tables[1]["_cutoff"].to_numpy(),
        length_us=7 * 86_400_000_000,
        start_us=1_709_510_400_000_000,
        entities=dict.fromkeys(KINDS, ("_entity_customer",)),
        metric="auc",
        seed=seed,
    )
    assert found.evidence.to_json() == expected.to_json()
    assert "x" in found.drifted or not shift


def test_equal_samples_rarely_alarm() -> None:
    alarms = sum(
        bool(headrace.compare(frame(2 * seed), frame(2 * seed + 1, 150), ignore=["at"]).drifted) for seed in range(40)
    )
    assert alarms <= 3  # 1 % are expected at most: 4 of 40 would have a probability of 0.0006


def test_a_shift_is_shown_in_every_form(tmp_path: Any) -> None:
    reference, current = frame(1), frame(2, 200, shift=1.0).assign(extra=1.0).drop(columns="y")
    found = headrace.compare(reference, current)
    assert found.drifted[0] in ("x", "y")
    assert set(found.drifted) == {"x", "y"}
    table = found.to_frame().set_index("column")
    assert table.loc["x", "drifted"]
    assert table.loc["x", "effect"] > 0.7
    assert table.loc["x", "severity"] > 1 > table.loc["flag", "severity"]
    assert {"ks", "psi", "mean"} <= set(table)
    assert table.loc["y", "note"] == "gone from the current window"
    assert any("at: columns of type timestamp" in note for note in found.notes)
    assert not any("predictions" in note or "quality" in note for note in found.notes)
    assert "Drifted:" in str(found)
    assert "<table" in found._repr_html_()
    page = found.to_html(tmp_path / "drift.html")
    assert (tmp_path / "drift.html").read_text() == page
    assert "Drifted:" in page


def test_quality_of_both_sides() -> None:
    reference, current = frame(3, 1000), frame(4, 500)
    current["p"] = np.random.default_rng(0).random(len(current))
    found = headrace.compare(reference, current, label="late", prediction="p", ignore=["at"])
    assert found.quality["auc"].dropped
    assert "Worse than before: auc" in str(found)
    numbers = reference.assign(late=reference["x"]), current.assign(late=current["x"])
    assert set(headrace.compare(*numbers, label="late", prediction="p").quality) == {"rmse"}


def test_a_window_of_three_days_is_compared_with_its_weekdays() -> None:
    reference = frame(5, 2000, days=56)
    weekend = reference["at"].dt.dayofweek >= 5
    reference.loc[weekend, "x"] += 3.0
    current = frame(6, 200, start="2024-03-04", days=3)  # Monday to Wednesday
    assert "x" not in headrace.compare(reference, current, time="at").drifted
    assert "x" in headrace.compare(reference, current).drifted  # without times, weekends count


def test_identifiers_are_no_categories() -> None:
    sides = [frame(seed).assign(order=[f"o{seed}{i}" for i in range(400)]) for seed in (7, 8)]
    found = headrace.compare(*sides)
    assert found.skipped["order"] == "400 different texts in 400 rows are no categories"


def test_texts_of_other_libraries_are_texts() -> None:
    sides = [pa.table({"c": pa.array(["a", "b"] * 50, kind)}) for kind in (pa.string_view(), pa.large_string())]
    assert headrace.compare(*sides).to_frame()["kind"].tolist() == ["categorical"]


def test_too_few_rows_are_no_verdict() -> None:
    found = headrace.compare(frame(1, 100), frame(2, 10))
    assert str(found) == "Not compared: too few rows (10 rows against 100)."
    assert found.drifted == ()
    assert len(found.to_frame()) == 0


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no frame": ({"current": [1]}, "current: a list is no data frame"),
    "no time": ({"time": "when"}, "reference: no column 'when'. found: x, y"),
    "no entity": ({"entities": ["client"]}, "reference: no column 'client'"),
    "a text as label": ({"label": "colour"}, "colour: holds string, not numbers"),
    "a text as time": ({"time": "colour"}, "colour"),
    "no test": ({"tests": ["kolmogorov"]}, "no drift test 'kolmogorov'. found: ks"),
    "no metric": ({"label": "late", "prediction": "p", "metric": "f2"}, "no metric 'f2'"),
    "a metric of classes": ({"label": "x", "prediction": "p", "metric": "auc"}, "auc needs labels that are 0 or 1"),
    "no rate": ({"false_discovery_rate": 0}, "false_discovery_rate=0"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said(case: str) -> None:
    given, message = WRONG[case]
    options: dict[str, Any] = {"reference": frame(1), "current": frame(2), **given}
    with pytest.raises((DataError, DeclarationError), match=message) as raised:
        headrace.compare(options.pop("reference"), options.pop("current"), **options)
    assert isinstance(raised.value, HeadraceError)
