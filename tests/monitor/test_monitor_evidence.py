"""Evidence of a window: still worlds are left alone, planted shifts are found, bad input is an outcome."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headrace.models.bundle import LABEL, PREDICTION
from headrace.monitor.drift_tests.calibration import benjamini_hochberg_threshold
from headrace.monitor.evidence.columns import column_evidence
from headrace.monitor.evidence.persistence import persistence
from headrace.monitor.evidence.window import WindowEvidence, window_evidence
from tests.monitor.no_drift_world import features, planted, window

KINDS = features(6, 4)
RNG = np.random.default_rng(11)
REFERENCE = window(RNG, 3000, KINDS)
CURRENT = window(RNG, 500, KINDS)


def _without(table: pa.Table, *names: str) -> pa.Table:
    return table.drop_columns(list(names))


def _with(table: pa.Table, name: str, values: Any) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, pa.array(values))


@pytest.mark.parametrize(("rows", "checks"), [(100, 60), (1_000, 40), (10_000, 8)])
def test_a_no_drift_world_raises_nothing(rows: int, checks: int) -> None:
    """The fast part of `make bench-drift`, which makes 1,000 checks of each and counts exactly."""
    rng = np.random.default_rng(rows)
    alarms = [
        window_evidence(window(rng, 5000, KINDS), window(rng, rows, KINDS), KINDS).alarming for _ in range(checks)
    ]
    # One in a hundred is allowed: four of sixty would come by chance in fewer than one of 250 runs.
    assert sum(alarms) <= 3


@pytest.mark.parametrize(
    ("column", "shift", "size"),
    [("n0", "mean", 0.5), ("n0", "spread", 2.0), ("n0", "missing", 0.15), ("c0", "mix", 0.15)],
)
def test_a_planted_shift_is_found_and_named_first(column: str, shift: str, size: float) -> None:
    found = window_evidence(REFERENCE, planted(np.random.default_rng(0), CURRENT, column, shift, size), KINDS)
    assert found.alarming
    assert found.drifted == (column,)
    assert found.columns[0].name == column
    assert found.columns[0].effect >= found.columns[0].floor
    assert found.share_drifted == pytest.approx(1 / len(KINDS))
    assert not found.prediction.drifted  # type: ignore[union-attr]


def test_a_label_rate_that_moved_is_found() -> None:
    found = window_evidence(REFERENCE, planted(np.random.default_rng(0), CURRENT, "", "label rate", 0.2), KINDS)
    assert found.label is not None
    assert found.label.drifted
    assert found.drifted == ()


def test_a_shift_below_the_floor_is_significant_and_does_not_count() -> None:
    rng = np.random.default_rng(5)
    before, after = rng.normal(size=50_000), rng.normal(size=50_000) + 0.1
    found = column_evidence("x", "numeric", before, after)
    assert found.significant
    assert not found.drifted
    assert found.severity < 1
    assert column_evidence("x", "numeric", before, after, floors={"ks": 0.02, "psi": 0.02}).drifted


def test_calendar_features_are_no_evidence() -> None:
    moved = planted(RNG, CURRENT, "n0", "mean", 3)
    found = window_evidence(REFERENCE, moved, KINDS, exclude={"n0"})
    assert found.column("n0") is None
    assert found.drifted == ()
    assert found.excluded == ("n0",)


def test_the_same_window_gives_the_same_evidence() -> None:
    first, again = (window_evidence(REFERENCE, CURRENT, KINDS, seed=3).to_json() for _ in range(2))
    assert json.dumps(first) == json.dumps(again)


BAD: dict[str, tuple[pa.Table | None, pa.Table | None, str, str]] = {
    "no window": (REFERENCE, None, "empty window", "no predictions"),
    "empty window": (REFERENCE, CURRENT.slice(0, 0), "empty window", "no predictions"),
    "a few rows": (REFERENCE, CURRENT.slice(0, 29), "too few rows", "29 rows against 3000"),
    "reference missing": (None, CURRENT, "no reference", "no reference profile"),
    "reference empty": (REFERENCE.slice(0, 0), CURRENT, "no reference", "no reference profile"),
    "no labels column": (REFERENCE, _without(CURRENT, LABEL), "measured", "no labels"),
    "no labels yet": (REFERENCE, _with(CURRENT, LABEL, [None] * 500), "measured", "no labels yet"),
    "labels of type null": (REFERENCE, _with(CURRENT, LABEL, pa.nulls(500)), "measured", "no labels yet"),
    "one class": (REFERENCE, _with(CURRENT, LABEL, np.zeros(500)), "measured", "one class"),
    "labels not binary": (REFERENCE, _with(CURRENT, LABEL, np.full(500, 7.0)), "measured", "not 0 or 1"),
    "no predictions": (REFERENCE, _without(CURRENT, PREDICTION), "measured", "predictions were not compared"),
    "all abstained": (REFERENCE, _with(CURRENT, PREDICTION, pa.nulls(500)), "measured", "predictions: all null"),
    "column gone": (REFERENCE, _without(CURRENT, "n0"), "measured", "n0: gone"),
    "category gone": (REFERENCE, _without(CURRENT, "c0"), "measured", "c0: gone"),
    "all null": (REFERENCE, _with(CURRENT, "n0", pa.nulls(500)), "measured", "n0: all null in the current"),
    "categories null": (REFERENCE, _with(CURRENT, "c0", pa.nulls(500)), "measured", "c0: all null in the current"),
    "not in the reference": (_without(REFERENCE, "n0"), CURRENT, "measured", "n0: not in the reference"),
    "null before": (_with(REFERENCE, "n0", pa.nulls(3000)), CURRENT, "measured", "n0: all null in the reference"),
    "texts": (REFERENCE, _with(CURRENT, "n0", ["x"] * 500), "measured", "n0: holds no numbers any more"),
    "texts before": (_with(REFERENCE, "n0", ["x"] * 3000), CURRENT, "measured", "n0: the reference holds no numbers"),
    "new category": (REFERENCE, _with(CURRENT, "c0", ["new"] * 500), "measured", "new categories in 100.0% of rows"),
    "infinite": (REFERENCE, _with(CURRENT, "n0", np.full(500, np.inf)), "measured", "n0: all null in the current"),
    "constant": (REFERENCE, _with(CURRENT, "n0", np.zeros(500)), "measured", ""),
    "huge": (REFERENCE, _with(CURRENT, "n0", np.full(500, 1.7e308)), "measured", ""),
    "one true label": (REFERENCE, _with(CURRENT, LABEL, np.arange(500) == 7), "measured", ""),
    "numbers as categories": (REFERENCE, _with(CURRENT, "c0", np.arange(500)), "measured", "c0: new categories"),
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_bad_input_is_an_outcome_with_a_note(case: str) -> None:
    reference, current, outcome, note = BAD[case]
    found = window_evidence(reference, current, KINDS, censored=3)
    assert found.outcome == outcome
    assert note in "; ".join(found.notes)
    assert found.censored == 3
    json.dumps(found.to_json(), allow_nan=False)


@pytest.mark.parametrize(
    ("case", "column"), [("column gone", "n0"), ("category gone", "c0"), ("all null", "n0"), ("texts", "n0"),
                         ("new category", "c0"), ("constant", "n0"), ("null before", "n0")],
)  # fmt: skip
def test_a_column_that_broke_counts_as_drifted(case: str, column: str) -> None:
    reference, current, _, _ = BAD[case]
    assert window_evidence(reference, current, KINDS).drifted == (column,)


def test_a_column_that_never_held_a_value_is_no_evidence() -> None:
    nothing = [_with(table, "n0", pa.nulls(table.num_rows)) for table in (REFERENCE, CURRENT)]
    found = window_evidence(*nothing, KINDS)
    assert found.drifted == ()
    assert found.column("n0").note == "null in both"  # type: ignore[union-attr]


def test_kinds_that_are_not_compared_say_so() -> None:
    assert "not compared" in column_evidence("at", "time", [1], [2]).note


def test_truths_are_the_same_in_any_type() -> None:
    truths = np.random.default_rng(0).random(400) < 0.3
    for current in (truths.astype(float), truths.astype(int), pa.array(truths), pa.array(truths).cast(pa.float64())):
        found = column_evidence("late", "boolean", truths, current)
        assert found.scores["js"] == 0
        assert found.note == ""


def test_persistence_wants_k_of_the_last_n() -> None:
    history = [{"a"}, {"a", "b"}, {"b"}, {"b", "c"}]
    assert persistence(history, 2, 3) == ("b",)
    assert persistence(history, 2, 4) == ("a", "b")
    assert persistence(history, 1, 1) == ("b", "c")
    assert persistence([], 1, 3) == ()
    assert persistence(history, 1, 0) == ()


def test_a_window_that_was_not_measured_takes_no_place_in_persistence() -> None:
    empty = WindowEvidence(outcome="empty window")
    drifted = WindowEvidence(outcome="measured", drifted=("a",))
    assert persistence([drifted, empty, empty, drifted], 2, 2) == ("a",)


def test_false_discovery_control_by_hand() -> None:
    # Benjamini and Hochberg's own example (1995, section 3.2): four of fifteen at .05.
    small = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344]
    values = [*small, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    assert benjamini_hochberg_threshold(np.array(values), 0.05) == pytest.approx(0.05 * 4 / 15)
    assert benjamini_hochberg_threshold(np.array([0.9, 0.8]), 0.05) == -1
    assert benjamini_hochberg_threshold(np.array([]), 0.05) == -1


@pytest.mark.parametrize("seed", range(5))
def test_false_discovery_control_agrees_with_scipy(seed: int) -> None:
    from scipy.stats import false_discovery_control

    rng = np.random.default_rng(seed)
    p_values = rng.random(40) ** 4
    level = benjamini_hochberg_threshold(p_values, 0.05)
    assert ((p_values <= level) == (false_discovery_control(p_values) <= 0.05)).all()
    assert level > 0
