"""How many rows and candidates fit into a time limit."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.app.context import context_of
from headrace.core.clock import to_us
from headrace.lake.store import Lake
from headrace.pipeline.holdout import budget
from headrace.pipeline.holdout.budget import Pace, pace_of, plan, within_budget
from headrace.pipeline.stages.ingest import INGEST
from headrace.pipeline.walker import PipelineRun
from tests.tiny_problem import write_tiny_problem

TEST = "2024-02-15"


def test_a_pace_is_read_off_two_measurements() -> None:
    pace = pace_of([(1_000, 7.0), (10_000, 16.0)], 10)
    assert pace == Pace(fixed_s=pytest.approx(0.6), row_s=pytest.approx(1e-4))


def test_a_sample_of_all_rows_says_nothing_about_one_row() -> None:
    assert pace_of([(400, 7.0), (400, 6.0)], 10) == Pace(fixed_s=0.6, row_s=0.0)


def test_everything_fits_into_enough_time() -> None:
    assert plan(Pace(fixed_s=0.01, row_s=1e-7), 1e6, 600, [150_000, 30_000]) == (600, 150_000)


def test_candidates_are_limited_before_rows() -> None:
    candidates, rows = plan(Pace(fixed_s=1.0, row_s=1e-6), 300.0, 600, [1_000_000, 100_000])
    assert candidates == 150
    assert rows == int((150 / 150e-6 - 100_000) / 1)


@settings(deadline=None)
@given(
    fixed_s=st.floats(0, 2), row_s=st.floats(0, 1e-4), seconds=st.floats(0, 2_000), candidates=st.integers(1, 800),
    windows=st.lists(st.integers(5_000, 3_000_000), min_size=2, max_size=2),
)  # fmt: skip
def test_what_is_planned_takes_no_longer_unless_it_is_the_least(
    fixed_s: float, row_s: float, seconds: float, candidates: int, windows: list[int]
) -> None:
    chosen, rows = plan(Pace(fixed_s=fixed_s, row_s=row_s), seconds, candidates, windows)
    used = sum(min(rows, one) for one in windows)
    assert 1 <= chosen <= candidates
    if chosen > 60 and rows > 4_000:
        assert chosen * (fixed_s + row_s * used) <= seconds * 1.001 + chosen * row_s * 2


def test_a_problem_of_any_size_is_limited_where_time_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_tiny_problem(tmp_path / "problem")
    text = path.read_text().replace("Relationship, Table", "Relationship, Splits, Table")
    splits = f'splits=Splits(tune="2024-01-31", test="{TEST}"),'
    path.write_text(text.replace("    trials=4,", f"    trials=1,\n    {splits}"))
    context = context_of(str(path), tmp_path / "home", workers=1)
    PipelineRun(context, (INGEST,)).walk()
    snapshot = Lake(context.root, context.problem.name).snapshot(to_us(TEST))
    monkeypatch.setattr(budget, "_LEAST_CANDIDATES", 5)
    monkeypatch.setattr(budget, "_LEAST_ROWS", 50)
    limited = within_budget(context, snapshot, to_us(TEST), 0.0).problem
    assert limited.max_candidates == 5
    assert limited.splits is not None
    assert limited.splits.max_train_rows == 50
    assert within_budget(context, snapshot, to_us(TEST), 1e9) is context
