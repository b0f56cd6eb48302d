"""Budgets and limits: kept, whatever a trial does; and a study that is told to end does so tidily."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from multiprocessing.connection import wait
from pathlib import Path

import pytest

from headrace.core.errors import DeclarationError, HeadraceError
from headrace.search.searchers.random import RandomSearcher
from headrace.search.space import Config
from headrace.search.study.budget import Budget, Limits
from headrace.search.study.evaluation import OUT_OF_TIME, Task, run_trial
from headrace.search.study.study import run_study
from headrace.search.study.workers import ProcessPool
from tests.search.objectives import Bowl, Climb, Misbehaving, NeverArrives
from tests.search.synthetic import SPACE, study

pytestmark = pytest.mark.slow


def _at(*xs: float) -> list[Config]:
    return [{"x": x, "kind": "plain"} for x in xs]


def test_trials_that_misbehave_are_recorded_failures_and_the_study_goes_on(tmp_path: Path) -> None:
    objective = Misbehaving({2.1: "hang", 2.2: "eat", 2.3: "exit", 2.4: "crash"})
    limits = Limits(seconds=0.5, memory_mb=400)
    known = _at(1.0, 2.1, 2.2, 2.3, 2.4, 1.5)
    result = study(tmp_path / "j", objective, trials=6, workers=1, limits=limits, warm_start=known)
    assert [trial.status for trial in result.trials] == ["ok", "failed", "failed", "failed", "failed", "ok"]
    for trial, reason in zip(
        result.trials[1:5],
        (
            "longer than 0.5 s and was killed",
            "out of memory: the trial used .* more than 400 MB|longer than",
            r"the worker process died \(exit code 7\)",
            r"the worker process died \(killed by SIGSEGV\)",
        ),
        strict=True,
    ):
        assert re.search(reason, trial.error), trial.error
    assert [trial.cpu_seconds is None for trial in result.trials] == [False, True, True, True, True, False]
    again = study(tmp_path / "j", objective, trials=6, workers=1, limits=limits, warm_start=known)
    assert again == result, "the failures are in the journal"


def test_memory_that_one_trial_holds_is_limited(tmp_path: Path) -> None:
    with pytest.raises(HeadraceError, match=r"all 1 trials failed.*out of memory: the trial used .* more than 300 MB"):
        study(
            tmp_path / "j", Misbehaving({2.0: "eat"}), trials=1, workers=1, limits=Limits(memory_mb=300),
            warm_start=_at(2.0),
        )  # fmt: skip


def test_seconds_are_kept_by_killing_what_does_not_listen(tmp_path: Path) -> None:
    result = study(tmp_path / "j", Misbehaving({2.0: "hang"}), seconds=6, workers=2, warm_start=_at(1.0, 2.0, 2.0, 2.0))
    assert result.ended == "seconds"
    assert [trial.status for trial in result.trials] == ["ok"]
    assert [trial.error for trial in result.cut] == [OUT_OF_TIME] * 2


def test_seconds_are_used_up_and_what_was_cut_is_not_journaled(tmp_path: Path) -> None:
    result = study(tmp_path / "j", Climb(), seconds=6, workers=1, searcher="random")
    assert result.ended == "seconds"
    assert [trial.number for trial in result.trials] == list(range(len(result.trials)))
    assert (tmp_path / "j").read_bytes().count(b"\n") == len(result.trials) + 1


def test_with_no_whole_trial_the_best_is_what_the_deadline_cut(tmp_path: Path) -> None:
    result = study(tmp_path / "j", Climb(rounds=10**9), seconds=6, workers=1, searcher="random")
    assert result.trials == ()
    assert result.best.status == "stopped"
    assert result.best.loss is not None
    with pytest.raises(HeadraceError, match="no trial finished within the time budget"):
        study(tmp_path / "k", Misbehaving({2.0: "hang"}), seconds=0.1, workers=1, warm_start=_at(2.0))


def test_the_deadline_is_noticed_at_a_round() -> None:
    ticks = iter(range(100))
    trial = run_trial(Climb(), Task(number=0, config=_at(1.0)[0], deadline=4.0), clock=lambda: float(next(ticks)))
    assert (trial.status, trial.error) == ("stopped", OUT_OF_TIME)


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_ends_with_the_best_so_far(tmp_path: Path, workers: int) -> None:
    """The signal goes to the whole group, as a terminal sends it; the trial that hangs at that moment is dropped."""
    journal = tmp_path / "j"
    command = [sys.executable, "-m", "tests.search.synthetic", str(journal), "hang", str(workers)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 60
        while not journal.exists() or journal.read_bytes().count(b"\n") < 3:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert err == ""
    assert out.strip() == "interrupted 2 trials, best 0"
    assert journal.read_bytes().endswith(b"\n")
    resumed = study(journal, Misbehaving({}), trials=4, workers=1, warm_start=_at(1.0, 1.0, 2.5, 2.5))
    assert [trial.status for trial in resumed.trials] == ["ok"] * 4


def test_a_worker_that_died_idle_is_replaced() -> None:
    pool = ProcessPool(Bowl(), 1, Limits())
    try:
        for number in range(2):
            pool.start(Task(number=number, config=_at(1.0)[0]))
            trials = []
            while not trials:
                trials = pool.ended()
            assert trials[0].status == "ok"
            os.kill(int(trials[0].info["pid"]), signal.SIGKILL)
            assert wait([pool._workers[0].process.sentinel], timeout=30)
    finally:
        pool.close()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Budget(), "without a budget never ends"),
        (lambda: Budget(trials=0), "a study needs a positive budget, not 0 trials"),
        (lambda: Budget(trials=3, seconds=0), "a study needs a positive budget, not 0 seconds"),
        (lambda: Budget(seconds=float("nan")), "positive budget"),
        (lambda: Limits(memory_mb=-5), "the limit of a trial must be positive, not -5 MB"),
        (lambda: Limits(seconds=0), "the limit of a trial must be positive, not 0 seconds"),
    ],
)
def test_budgets_that_allow_nothing_are_refused(make: object, message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        make()  # type: ignore[operator]


def test_no_workers_and_an_objective_that_cannot_travel_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="at least one worker, not 0"):
        study(tmp_path / "j", Bowl(), trials=1, workers=0)

    def inner(config: Config) -> dict[str, float]:
        return {"loss": 0.0}

    with pytest.raises(DeclarationError, match="cannot be sent to a worker process"):
        run_study(SPACE, inner, RandomSearcher(SPACE), trials=1, seed=0, workers=2, journal_path=tmp_path / "k")


def test_workers_that_cannot_start_are_no_failed_trials(tmp_path: Path) -> None:
    with pytest.raises(HeadraceError, match=r"3 worker processes in a row exited before .*\(exit code 3\)"):
        study(tmp_path / "j", NeverArrives(), trials=4, workers=2)
    mended = study(tmp_path / "j", Bowl(), trials=4, workers=2)
    assert [trial.status for trial in mended.trials] == ["ok"] * 4
