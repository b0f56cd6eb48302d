"""Drift or more rows: real refits on a small table that drifts, and on the same table with its rows shuffled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headrace.core.clock import DAY
from headrace.models.families import get_family
from headrace.models.recipe import Recipe
from headrace.replay.cause import Cause, find_cause
from headrace.replay.fits import fit_candidates
from headrace.replay.plan import ReplayPlan
from headrace.replay.rows import ReplayRows, shuffled
from tests.replay.small_rows import PROBLEM

pytestmark = pytest.mark.slow

PLAN = ReplayPlan(start_us=35 * DAY, end_us=203 * DAY, known_us=210 * DAY, every_us=7 * DAY, warm_up=2)
_RECIPE = Recipe(family="linear", config=get_family("linear").default(), rounds=None, rows=0.0)


def _rows(*, turns: float, features: int = 25) -> ReplayRows:
    """Few rows a week for many features, so that more rows help; the first feature's slope turns by so much."""
    rng = np.random.default_rng(0)
    cutoffs = np.sort(rng.integers(0, PLAN.end_us, 1_600))
    x = rng.normal(0, 1, (len(cutoffs), features))
    slope = 1 - turns * cutoffs / PLAN.end_us
    return ReplayRows(
        matrix=pa.table({f"x{i}": x[:, i] for i in range(features)}),
        definitions=(),
        label=x[:, 0] * slope + x[:, 1:] @ np.full(features - 1, 0.2) + rng.normal(0, 1, len(cutoffs)),
        cutoffs_us=cutoffs,
        known_us=cutoffs + DAY,
        entities={},
        start_us=PLAN.start_us,
    )


def _cause(rows: ReplayRows, folder: Path) -> Cause:
    def ignore(text: str) -> None: ...

    problem: Any = PROBLEM
    found = fit_candidates(problem, PLAN, rows, _RECIPE, folder, threads=1, say=ignore)
    return find_cause(problem, rows, _RECIPE, found, folder, seed=0, threads=1, say=ignore)


@pytest.mark.parametrize(
    ("turns", "shuffle", "verdict"),
    [(3.0, False, "drift"), (3.0, True, "more rows"), (0.0, False, "more rows")],
)
def test_the_cause_of_a_gain_is_drift_only_where_the_order_of_the_rows_matters(
    turns: float, shuffle: bool, verdict: str, tmp_path: Path
) -> None:
    rows = _rows(turns=turns)
    found = _cause(shuffled(rows, seed=1) if shuffle else rows, tmp_path)
    assert found.verdict == verdict
    assert found.rows == pytest.approx(1_600 * 35 / 203, abs=30)
