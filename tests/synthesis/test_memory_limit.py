"""A memory limit is kept by the process, and only because of the parts; see memory_case."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.synthesis.memory_case import ASKED, ROWS

MARGIN_MB = "90"


def measured(*arguments: str) -> dict[str, int]:
    command = [sys.executable, "-m", "tests.synthesis.memory_case", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, int] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is read from /proc")
def test_a_limit_is_kept_and_would_not_be_without_parts() -> None:
    assert ROWS * len(ASKED) * 8 > 0.7 * float(MARGIN_MB) * 1e6  # the matrix alone all but fills it
    kept = measured(MARGIN_MB)
    assert kept["peak"] <= kept["limit"]
    whole = measured(MARGIN_MB, "whole")
    assert whole["peak"] > 1.2 * whole["limit"]
