"""Ctrl-C in the middle of a search: exit code 130, the best so far, and the same command goes on from there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.tiny_problem import write_tiny_problem

pytestmark = pytest.mark.chaos

TRIALS = 40


def _start(problem: Path, home: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "headrace.cli", "run", str(problem), "--trials", str(TRIALS), "--home", str(home)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)


def test_ctrl_c_in_a_search_says_the_best_so_far_and_goes_on_later(tmp_path: Path) -> None:
    problem, home = write_tiny_problem(tmp_path), tmp_path / "home"
    process = _start(problem, home)
    deadline = time.monotonic() + 120
    while not any(path.read_bytes().count(b"\n") > 4 for path in home.glob("stages/*/search/*.journal.jsonl")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)  # to all of them, as a terminal does
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert f"of {TRIALS} trials. found: best so far: auc" in err
    (journal,) = home.glob("stages/*/search/*.journal.jsonl")
    before = journal.read_bytes()
    assert before.endswith(b"\n")
    process = _start(problem, home)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert journal.read_bytes().startswith(before)
    assert journal.read_bytes().count(b"\n") == TRIALS + 1
