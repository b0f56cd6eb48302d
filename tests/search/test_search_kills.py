"""kill -9 at random moments, again and again: the study ends with the trials of one that was left alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.registry.client import connect
from headrace.registry.tracking import TRIAL, log_study
from headrace.schema import Racing
from headrace.search.study.study import StudyResult
from tests.search.objectives import Climb
from tests.search.synthetic import study

pytestmark = pytest.mark.slow

_TRIALS = 60
#: Computed in each round, so that kills find a trial under way.
_PAUSE = 3000


def _facts(result: StudyResult) -> list[tuple[Any, ...]]:
    return [(t.number, t.config, t.status, t.loss, t.error, t.info.get("rungs")) for t in result.trials]


def _whole(journal: Path) -> StudyResult:
    return study(
        journal, Climb(rounds=400, pause=_PAUSE), trials=_TRIALS, workers=1, racing=Racing(), searcher="random"
    )


def _killed_once(journal: Path, rng: np.random.Generator) -> bool:
    """Run the study in a process of its own until its journal has grown to a random size, then kill -9."""
    before = journal.stat().st_size if journal.exists() else 0
    command = [sys.executable, "-m", "tests.search.synthetic", str(journal), "free", "1"]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    grow, deadline = int(rng.integers(1, 1500)), time.monotonic() + 60
    try:
        while not journal.exists() or journal.stat().st_size < before + grow:
            if process.poll() is not None:
                return False  # it was done before
            assert time.monotonic() < deadline
        time.sleep(float(rng.uniform(0, 0.02)))  # anywhere in the next trials
    finally:
        process.kill()
        process.wait()
    return True


def _many_kills(tmp_path: Path, times: int) -> StudyResult:
    rng = np.random.default_rng(times)
    kills = sum(_killed_once(tmp_path / "j", rng) for _ in range(times))
    assert kills >= times // 2, "the study was over before it could be killed"
    result = _whole(tmp_path / "j")
    assert _facts(result) == _facts(_whole(tmp_path / "alone"))
    assert {trial.status for trial in result.trials} == {"ok", "stopped"}
    return result


def test_killed_three_times_at_random_moments(tmp_path: Path) -> None:
    tracking_uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    result = _many_kills(tmp_path, 3)
    half = [log_study(tracking_uri, "kills", key="k", study_name="s", trials=result.trials[:n]) for n in (2, 4)]
    parent = log_study(tracking_uri, "kills", key="k", study_name="s", trials=result.trials[:6])
    assert set(half) == {parent}
    client = connect(tracking_uri)
    experiment = client.get_experiment_by_name("kills")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'")
    assert sorted(int(run.data.tags[TRIAL]) for run in runs) == list(range(6)), "every trial once"


@pytest.mark.chaos
def test_killed_twenty_times_at_random_moments(tmp_path: Path) -> None:
    _many_kills(tmp_path, 20)
