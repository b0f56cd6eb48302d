"""The main job on a lake with a table several times larger than the memory limit: below it, with the same champion."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import lake_case

pytestmark = pytest.mark.slow

#: What the libraries take is about 500 MB of it.
LIMIT_MB = 1_200
ROOT = Path(__file__).parents[2]


def run(folder: Path, home: Path, limit_mb: int) -> dict[str, Any]:
    """The main job in a process of its own, whose memory is measured there."""
    command = [sys.executable, "-m", "benchmarks.lake_case", "run", str(folder), str(home), str(limit_mb)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def test_the_champion_of_a_table_larger_than_memory(tmp_path: Path) -> None:
    lake_case.write_sources(tmp_path / "sources", 1_400_000, characters=600)
    limited = run(tmp_path / "sources", tmp_path / "limited", LIMIT_MB)
    assert limited["table_mb"] > 2 * LIMIT_MB
    for name, stage in limited["stages"].items():
        assert stage["peak_mb"] <= LIMIT_MB, name
    free = run(tmp_path / "sources", tmp_path / "free", 0)
    assert free["peak_mb"] > limited["table_mb"] > LIMIT_MB
    assert free["champion"] == limited["champion"]
