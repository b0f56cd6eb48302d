"""Trials on several machines: workers are processes of their own, and share nothing but a folder with the study."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from headrace.models.space import Config
from headrace.search.study.shared_folder import Attempt, SharedFolder
from headrace.search.study.shared_pool import MOST_ATTEMPTS, SharedPool
from headrace.search.study.shared_worker import SharedWorker
from headrace.search.study.study import StudyResult
from tests.search.objectives import Bowl
from tests.search.synthetic import study

LEASE_S = 1.5


@dataclass(frozen=True)
class Recorded:
    """Waits, then notes the process and the config that it evaluated."""

    log: str
    seconds: float = 0.0

    def fingerprint(self) -> str:
        return "recorded"

    def __call__(self, config: Config) -> dict[str, Any]:
        _note(self.log, f"start {os.getppid()} at {time.monotonic()}")
        time.sleep(self.seconds)
        return {"loss": (float(config["x"]) - 1) ** 2, "worker": os.getppid()}  # type: ignore[arg-type]


def _note(log: str, text: str) -> None:
    with Path(log).open("a") as file:
        file.write(text + "\n")


@contextmanager
def workers(folder: Path, count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """`headrace search-worker` processes; they end with the test."""
    command = [sys.executable, "-m", "headrace.cli", "search-worker", str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    started = [subprocess.Popen(command, env=environment, start_new_session=True) for _ in range(count)]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()


def shared_study(tmp_path: Path, objective: Any, trials: int, **more: Any) -> StudyResult:
    pool = partial(SharedPool, objective, tmp_path / "shared", lease_s=LEASE_S, **more)
    return study(tmp_path / "journal", objective, workers=1, trials=trials, searcher="random", pool=pool)


def numbers_recorded(journal: Path) -> list[int]:
    return [record["number"] for record in map(json.loads, journal.read_text().splitlines()) if "number" in record]


def test_a_killed_worker_loses_no_trial_and_none_is_recorded_twice(tmp_path: Path) -> None:
    """kill -9 while it evaluates one: another worker takes it up."""
    log = tmp_path / "log"
    lines: list[str] = []
    with workers(tmp_path / "shared", 2) as (victim, _):

        def kill_when_it_works() -> None:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                if log.exists() and f"start {victim.pid} " in log.read_text():
                    os.kill(victim.pid, signal.SIGKILL)
                    return
                time.sleep(0.01)

        killer = threading.Thread(target=kill_when_it_works)
        killer.start()
        result = shared_study(tmp_path, Recorded(str(log), 0.3), 8, on_worker=lines.append)
        killer.join()
        assert victim.poll() is not None, "it was never given a trial"
    assert [trial.number for trial in result.trials] == list(range(8))
    assert sorted(numbers_recorded(tmp_path / "journal")) == list(range(8))
    assert {trial.status for trial in result.trials} == {"ok"}
    assert len(log.read_text().splitlines()) >= 9, "the trial of the killed worker started twice"
    assert any("is lost" in line for line in lines)


def test_a_trial_that_kills_its_workers_fails_and_the_study_goes_on(tmp_path: Path) -> None:
    objective = Bowl()
    pool = SharedPool(objective, tmp_path, lease_s=0.2)
    shared, session = SharedFolder(tmp_path), pool._session
    from headrace.search.study.evaluation import Task

    pool.start(Task(number=0, config={"x": 0.0}))
    ended: list[Any] = []
    for attempt in range(1, MOST_ATTEMPTS + 1):
        dead = SharedWorker(tmp_path, name=f"dead{attempt}")
        dead._count_up(0.0)
        assert session.take(dead.name) is not None
        deadline = time.monotonic() + 30
        while not ended and (Attempt(number=0, attempt=attempt) in session.holders()):
            ended += pool.ended()
            assert time.monotonic() < deadline
    (trial,) = ended
    assert trial.status == "failed"
    assert "3 workers died while they evaluated it, the last was dead3" in trial.error
    assert not pool.running
    pool.close()
    assert shared.session() is None


def test_a_worker_that_was_thought_dead_changes_nothing_when_it_comes_back(tmp_path: Path) -> None:
    from headrace.search.study.evaluation import Task

    pool = SharedPool(Bowl(), tmp_path, lease_s=0.2)
    session = pool._session
    pool.start(Task(number=0, config={"x": 0.0}))
    slow = SharedWorker(tmp_path, name="slow")
    slow._count_up(0.0)
    taken = session.take("slow")
    assert taken is not None
    deadline = time.monotonic() + 30
    while session.holders():
        assert pool.ended() == []
        assert time.monotonic() < deadline
    session.finish(taken[0], "slow", {"number": 0, "config": {}, "status": "ok", "loss": -9.0, "seconds": 0.0})
    again = session.take("other")
    assert again is not None
    assert again[0] == Attempt(number=0, attempt=2)
    session.finish(again[0], "other", {"number": 0, "config": {}, "status": "ok", "loss": 1.0, "seconds": 0.0})
    (trial,) = pool.ended()
    assert trial.loss == 1.0
    assert pool.ended() == []


def test_a_worker_that_stops_gives_its_trial_to_another(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with workers(tmp_path / "shared", 1) as (first,):

        def stop_then_replace() -> None:
            deadline = time.monotonic() + 60
            while not (log.exists() and log.read_text()):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            first.terminate()
            first.wait()
            SharedWorker(tmp_path / "shared", name="second").run(idle_s=3.0)

        replaced = threading.Thread(target=stop_then_replace)
        replaced.start()
        result = shared_study(tmp_path, Recorded(str(log), 0.2), 3)
        replaced.join()
    assert [trial.status for trial in result.trials] == ["ok"] * 3
    assert first.returncode == 0


@pytest.mark.slow
def test_two_workers_evaluate_waiting_trials_in_half_the_time(tmp_path: Path) -> None:
    """From the start of the first trial to the end of the study: what schedules them costs little."""
    seconds = {}
    for count in (1, 2):
        home = tmp_path / str(count)
        home.mkdir()
        with workers(home / "shared", count) as started:
            shared = SharedFolder(home / "shared")
            while len(shared.workers()) < len(started):
                time.sleep(0.05)
            shared_study(home, Recorded(str(home / "log"), 4.0), 8)
            ended = time.monotonic()
            seconds[count] = ended - float((home / "log").read_text().split()[3])
    print(f"one worker {seconds[1]:.1f} s, two {seconds[2]:.1f} s")
    assert seconds[1] / seconds[2] >= 1.6, seconds
