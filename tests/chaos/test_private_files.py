"""Whatever writes below a home: its files are their owner's only, under the usual umask of the user."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny_problem import write_tiny_problem

pytestmark = pytest.mark.chaos


@pytest.mark.timeout(600)
def test_every_file_of_a_home_is_its_owners(tmp_path: Path) -> None:
    problem, home = write_tiny_problem(tmp_path / "problem", replayed_days=3), tmp_path / "home"
    commands = (
        ("-m", "headrace.flows", "run", str(problem)),
        ("-m", "headrace.cli", "advance", str(problem), "--steps", "3"),
        ("-m", "headrace.cli", "monitor", str(problem)),
        ("-m", "headrace.cli", "backup", str(tmp_path / "backup.tar.gz")),
    )
    for command in commands:
        done = subprocess.run(
            [sys.executable, *command],
            env={**os.environ, "HEADRACE_HOME": str(home), "PREFECT_HOME": str(home / "prefect")},
            umask=0o022,
            capture_output=True,
            text=True,
            check=False,
            timeout=500,
        )
        assert done.returncode == 0, done.stderr[-2000:]
    found = [home, *home.rglob("*"), tmp_path / "backup.tar.gz"]
    assert len(found) > 100
    assert [str(path) for path in found if path.lstat().st_mode & 0o077 and not path.is_symlink()] == []
