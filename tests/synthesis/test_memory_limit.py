"""A memory limit is kept by the process, and only because of the parts; see memory_case."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.synthesis.memory_case import DEFINITIONS, ROWS

# Measured peaks of processes: with the long suites (make test-chaos), not with what CI runs.
pytestmark = pytest.mark.chaos

MARGIN_MB = "90"


def measured(*arguments: str) -> Any:
    command = [sys.executable, "-m", "tests.synthesis.memory_case", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is read from /proc")
def test_a_limit_is_kept_and_would_not_be_without_parts() -> None:
    assert ROWS * len(DEFINITIONS) * 8 > 0.7 * float(MARGIN_MB) * 1e6  # the matrix alone all but fills it
    kept = measured("limit", MARGIN_MB)
    assert kept["peak"] <= kept["limit"]
    whole = measured("whole", MARGIN_MB)
    assert whole["peak"] > 1.2 * whole["limit"]


def test_the_estimate_is_not_below_the_memory_taken_and_not_far_above() -> None:
    """Flat features and stacked ones; mostly history, mostly queries, as many of both."""
    for case in measured("need"):
        assert 0.95 * case["taken"] <= case["estimated"] <= 3 * case["taken"] + 20e6, case
