"""Studies: reproducible, resumable, and not stopped by what goes wrong in a trial."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from headrace.core.errors import ConflictError, HeadraceError
from headrace.models.space import Config
from headrace.schema import Racing
from headrace.search.study.evaluation import Task, run_trial
from headrace.search.study.study import StudyResult, run_study
from headrace.search.trial import Trial
from tests.search.objectives import Bowl
from tests.search.synthetic import SPACE, study


def _facts(result: StudyResult) -> list[tuple[Any, ...]]:
    return [(trial.number, trial.config, trial.status, trial.loss) for trial in result.trials]


def test_finds_and_records(tmp_path: Path) -> None:
    told: list[Trial] = []
    result = study(tmp_path / "j", Bowl(), trials=25, workers=1, on_trial=told.append)
    assert [trial.number for trial in result.trials] == list(range(25))
    assert result.best.loss == min(trial.loss for trial in result.trials if trial.loss is not None) < 0.5
    assert told == list(result.trials)
    assert all(trial.seconds >= 0 and trial.info["pid"] == os.getpid() for trial in told)


@pytest.mark.parametrize(("loss", "status"), [(1.0, "ok"), (math.nan, "failed")])
def test_a_trial_tells_the_cpu_that_it_took(loss: float, status: str) -> None:
    def burn(config: Config) -> Mapping[str, Any]:
        until = time.process_time() + 0.05
        while time.process_time() < until:
            pass
        return {"loss": loss}

    trial = run_trial(burn, Task(number=0, config={"x": 1.0, "kind": "plain"}), clock=lambda: 0.0)
    assert (trial.status, trial.seconds) == (status, 0.0)
    assert trial.cpu_seconds is not None
    assert trial.cpu_seconds >= 0.05


def test_same_seed_same_trials_in_a_process_of_its_own_too(tmp_path: Path) -> None:
    here = study(tmp_path / "a", Bowl(), trials=9, workers=1)
    there = study(tmp_path / "b", Bowl(), trials=9, workers=1, isolated=True)
    assert _facts(here) == _facts(there)
    assert {trial.info["pid"] for trial in here.trials} == {os.getpid()}
    assert os.getpid() not in {trial.info["pid"] for trial in there.trials}


def test_several_workers_try_every_number_once(tmp_path: Path) -> None:
    result = study(tmp_path / "j", Bowl(), trials=9, workers=2)
    assert [trial.number for trial in result.trials] == list(range(9))
    assert len({trial.info["pid"] for trial in result.trials}) == 2


def test_a_finished_study_is_only_read(tmp_path: Path) -> None:
    first = study(tmp_path / "j", Bowl(), trials=6, workers=1)
    told: list[Trial] = []
    again = study(tmp_path / "j", Bowl(), trials=6, workers=1, on_trial=told.append)
    assert again == first
    assert len(told) == 6


def test_a_larger_budget_goes_on(tmp_path: Path) -> None:
    study(tmp_path / "j", Bowl(), trials=5, workers=1)
    longer = study(tmp_path / "j", Bowl(), trials=10, workers=1)
    assert _facts(longer) == _facts(study(tmp_path / "k", Bowl(), trials=10, workers=1))


@pytest.mark.parametrize("torn", [0, 1, 40])
@pytest.mark.parametrize("lines", [1, 4, 6, 8])
def test_resumed_at_any_line_it_ends_the_same(tmp_path: Path, lines: int, torn: int) -> None:
    whole = study(tmp_path / "a", Bowl(fail=1.5), trials=8, workers=1)
    written = (tmp_path / "a").read_bytes().splitlines(keepends=True)
    (tmp_path / "b").write_bytes(b"".join(written[:lines]) + b"".join(written[lines : lines + 1])[:torn])
    assert _facts(study(tmp_path / "b", Bowl(fail=1.5), trials=8, workers=1)) == _facts(whole)


@pytest.mark.parametrize("line", [0, 1, 5, 8])
def test_with_a_damaged_line_it_ends_the_same_and_says_so(tmp_path: Path, line: int) -> None:
    """A trial in the middle is asked again with what it saw then: the trials below it, not those above."""
    whole = study(tmp_path / "a", Bowl(fail=1.5), trials=8, workers=1)
    lines = (tmp_path / "a").read_bytes().splitlines(keepends=True)
    lines[line] = lines[line].replace(b"0", b"1", 1)
    (tmp_path / "b").write_bytes(b"".join(lines))
    said: list[str] = []
    again = study(tmp_path / "b", Bowl(fail=1.5), trials=8, workers=1, on_damage=said.append)
    assert _facts(again) == _facts(whole)
    pairs = zip(whole.trials, again.trials, strict=True)
    assert [before.number for before, after in pairs if before.seconds != after.seconds] == ([line - 1] if line else [])
    assert said == [f"{tmp_path / 'b'}: damaged lines: 1; the study repeats their trials"]


@pytest.mark.parametrize("workers", [1, 2])
def test_kill_9_then_resume(tmp_path: Path, workers: int) -> None:
    """The killed study can only get as far as the bytes in its FIFO let it, whatever the machine's speed."""
    journal, gate = tmp_path / "j", tmp_path / "gate"
    os.mkfifo(gate)
    held = os.open(gate, os.O_RDWR)
    command = [sys.executable, "-m", "tests.search.synthetic", str(journal), str(gate), str(workers)]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    try:
        os.write(held, b"....." if workers == 1 else b".......")
        wanted = 6 if workers == 1 else 7  # header and whole trials
        deadline = time.monotonic() + 120
        while not journal.exists() or journal.read_bytes().count(b"\n") < wanted:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        children = psutil.Process(process.pid).children(recursive=True)
    finally:
        process.kill()
        process.wait()
        os.close(held)
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == [], "workers outlive a killed study"
    done = journal.read_bytes().count(b"\n") - 1
    assert 5 <= done < 12
    told: list[Trial] = []
    resumed = study(journal, Bowl(), trials=12, workers=workers, on_trial=told.append)
    assert sorted(trial.number for trial in told) == list(range(12))
    if workers == 1:
        assert _facts(resumed) == _facts(study(tmp_path / "undisturbed", Bowl(), trials=12, workers=1))


def test_failed_trials_are_results(tmp_path: Path) -> None:
    result = study(tmp_path / "j", Bowl(fail=0.0), trials=12, workers=1, searcher="random")
    failed = [trial for trial in result.trials if trial.status == "failed"]
    assert 0 < len(failed) < 12
    assert all(trial.loss is None and "ValueError: x is too large" in trial.error for trial in failed)
    assert result.best.status == "ok"


def test_a_killed_worker_is_one_failed_trial(tmp_path: Path) -> None:
    result = study(tmp_path / "j", Bowl(die=1.5), trials=8, workers=2, searcher="random")
    died = {trial.number for trial in result.trials if "killed by SIGKILL" in trial.error}
    assert died == {trial.number for trial in result.trials if float(trial.config["x"]) > 1.5}  # type: ignore[arg-type]
    assert 0 < len(died) < 8


def test_all_failed_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(HeadraceError, match=r"all 3 trials failed.*x is too large"):
        study(tmp_path / "j", Bowl(fail=-9), trials=3, workers=1)


@pytest.mark.parametrize(
    ("loss", "reason"),
    [
        (math.nan, "the loss is nan"),
        (math.inf, "the loss is inf"),
        ("much", "could not convert string to float"),
        (None, "NoneType"),
    ],
)
def test_a_loss_that_is_no_number_is_a_failed_trial(tmp_path: Path, loss: object, reason: str) -> None:
    with pytest.raises(HeadraceError, match=f"all 1 trials failed.*{reason}"):
        run_study(
            SPACE,
            lambda config: {"loss": loss},
            _Fixed([{"x": 1.0, "kind": "plain"}]),
            trials=1,
            seed=0,
            workers=1,
            journal_path=tmp_path / "j",
        )


def test_warm_start_is_asked_first(tmp_path: Path) -> None:
    known = [{"x": 1.0, "kind": "plain"}, {"x": 2.0, "kind": "shifted", "shifted.by": 3}, {"x": 0.5, "kind": "plain"}]
    result = study(tmp_path / "j", Bowl(), trials=6, workers=2, warm_start=known)
    assert [trial.config for trial in result.trials[:3]] == known
    assert result.best.number == 0


def test_another_seed_or_objective_needs_another_journal(tmp_path: Path) -> None:
    study(tmp_path / "j", Bowl(), trials=2, workers=1)
    for changed in (
        lambda: study(tmp_path / "j", Bowl(fail=2), trials=2, workers=1),
        lambda: study(tmp_path / "j", Bowl(), trials=2, workers=1, racing=Racing()),
        lambda: study(tmp_path / "j", Bowl(), trials=2, workers=1, searcher="random"),
        lambda: study(tmp_path / "j", Bowl(), trials=2, workers=1, warm_start=[{"x": 1.0, "kind": "plain"}]),
    ):
        with pytest.raises(ConflictError, match="another study"):
            changed()


class _Fixed:
    name = "fixed"

    def __init__(self, configs: list[Any]) -> None:
        self.configs = configs

    def ask(self, history: Any, n: int, rng: Any, pending: Any = ()) -> list[Any]:
        return self.configs


@pytest.mark.parametrize(
    ("configs", "message"),
    [
        ([], "returned 0 configs for 1"),
        ([{"x": 7.0, "kind": "plain"}], "outside"),
        ([{"x": 1.0, "kind": "plain", "shifted.by": 2}], "unknown parameter"),
    ],
)
def test_what_a_searcher_asks_is_checked(tmp_path: Path, configs: list[Any], message: str) -> None:
    with pytest.raises(HeadraceError, match=message):
        run_study(SPACE, Bowl(), _Fixed(configs), trials=1, seed=0, workers=1, journal_path=tmp_path / "j")
