"""Weeks are held to the same weeks of earlier years, where the reference has them: seasons are no drift."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from headrace.core.clock import DAY, WEEK
from headrace.models.bundle import CUTOFF
from headrace.monitor.evidence.season import AROUND, MIN_ROWS, YEAR, explained_by_season, same_season
from headrace.monitor.evidence.window import WindowEvidence, window_evidence

KINDS = {"warmth": "numeric", "weather": "categorical", "steady": "numeric"}
_YEARS = 2
_START = _YEARS * YEAR + 180 * DAY


def _world(rng: np.random.Generator, rows: int, start_us: int, end_us: int) -> pa.Table:
    """Warmth goes up and down by three standard deviations within a year; snow falls where it is cold."""
    cutoffs = np.sort(rng.integers(start_us, end_us, rows))
    season = -3 * np.cos(2 * np.pi * cutoffs / YEAR)
    cold = rng.random(rows) < np.clip(0.5 - season / 6, 0.02, 0.98)
    return pa.table(
        {
            "warmth": season + rng.normal(size=rows),
            "weather": np.where(cold, "snow", "sun"),
            "steady": rng.normal(size=rows),
            CUTOFF: cutoffs,
        }
    )


def _look(reference_start: int = 0, *, moved: float = 0.0, column: str = "warmth") -> tuple[WindowEvidence, ...]:
    """Evidence of a week in summer against all rows, and after its season was considered."""
    rng = np.random.default_rng(0)
    reference = _world(rng, 10_000, reference_start, _YEARS * YEAR)
    current = _world(rng, 1_000, _START, _START + WEEK)
    position = current.column_names.index(column)
    current = current.set_column(position, column, pa.array(current[column].to_numpy() + moved)) if moved else current
    found = window_evidence(reference, current.drop_columns([CUTOFF]), KINDS)
    return found, explained_by_season(found, reference, current, _START, _START + WEEK)


def test_a_season_that_came_last_year_too_is_no_drift() -> None:
    against_all, found = _look()
    assert {"warmth", "weather"} <= set(against_all.drifted)
    assert found.drifted == ()
    assert found.share_drifted == 0
    assert not any(column.drifted for column in found.columns)
    assert "warmth: as in the same weeks of a year before" in found.notes


@pytest.mark.parametrize(("column", "moved"), [("warmth", 4.0), ("steady", 1.0)])
def test_drift_beside_the_season_stays(column: str, moved: float) -> None:
    assert column in _look(moved=moved, column=column)[1].drifted


def test_without_the_season_in_the_reference_nothing_is_explained() -> None:
    against_all, found = _look(_YEARS * YEAR - 120 * DAY)
    assert found == against_all
    assert "warmth" in found.drifted


@pytest.mark.parametrize("years", [1, 2])
def test_rows_of_the_season_are_those_near_the_window_years_before(years: int) -> None:
    window = (10 * YEAR, 10 * YEAR + WEEK)
    edges = np.array([window[0] - AROUND - 1, window[0] - AROUND, window[1] + AROUND - 1, window[1] + AROUND])
    cutoffs = np.repeat(edges - years * YEAR, MIN_ROWS)
    selected = same_season(pa.table({CUTOFF: cutoffs, "row": np.arange(len(cutoffs))}), *window)
    assert selected is not None
    assert selected["row"].to_pylist() == list(range(MIN_ROWS, 3 * MIN_ROWS))


def test_the_weeks_just_before_the_window_are_not_its_season() -> None:
    cutoffs = np.arange(_START - 14 * DAY, _START, DAY // 20)
    assert same_season(pa.table({CUTOFF: cutoffs}), _START, _START + WEEK) is None
