"""Rows of a small replay without a lake: one number that tells the label, less and less well."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.core.clock import DAY
from headrace.models.families import get_family
from headrace.models.recipe import Recipe
from headrace.replay.fits import Candidates, fit_candidates
from headrace.replay.plan import ReplayPlan
from headrace.replay.rows import ReplayRows

PROBLEM: Any = SimpleNamespace(metric="rmse", name="small", gate_share=0.1, margin=0.05)
PLAN = ReplayPlan(start_us=60 * DAY, end_us=102 * DAY, known_us=110 * DAY, every_us=7 * DAY, warm_up=2)


def small_rows(rows: int = 1_000, seed: int = 0) -> ReplayRows:
    """A slope that turns over time."""
    rng = np.random.default_rng(seed)
    cutoffs = np.sort(rng.integers(0, 102 * DAY, rows))
    x = rng.normal(0, 1, rows)
    return ReplayRows(
        matrix=pa.table({"x": x, "z": rng.normal(0, 1, rows)}),
        definitions=(),
        label=x * (1 - cutoffs / (80 * DAY)) + rng.normal(0, 0.1, rows),
        cutoffs_us=cutoffs,
        known_us=cutoffs + DAY,
        entities={},
        start_us=PLAN.start_us,
    )


def candidates(folder: Path, *, killed_at: int | None = None, fitted: list[str] | None = None) -> Candidates:
    """Fit all candidates; with `killed_at` the process kills itself before one of them."""

    def say(text: str) -> None:
        if fitted is not None:
            fitted.append(text)
        if killed_at is not None and text.startswith(f"candidate {killed_at} "):
            os.kill(os.getpid(), signal.SIGKILL)

    recipe = Recipe(family="linear", config=get_family("linear").default(), rounds=None, rows=0.0)
    return fit_candidates(PROBLEM, PLAN, small_rows(), recipe, folder, threads=1, say=say)


if __name__ == "__main__":
    candidates(Path(sys.argv[1]), killed_at=int(sys.argv[2]))
