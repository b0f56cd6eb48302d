"""Real processes that are killed at a named moment, and what must be equal afterwards whoever was killed when."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from headrace.app.context import context_of
from headrace.lake.store import Lake
from headrace.pipeline.stages.search import SEARCH
from headrace.pipeline.stages.training_set import TRAINING_SET
from headrace.pipeline.walker import PipelineRun
from headrace.prediction_log.log import PredictionLog
from headrace.registry.client import connect
from headrace.registry.ledger import Ledger
from headrace.store.materialise import online_is_empty, watermarks

TRIALS = 8
DEADLINE_S = 120.0

#: Whether a moment has come, as seen in the files below a home folder.
Moment = Callable[[Path], bool]


@dataclass(frozen=True, kw_only=True)
class Home:
    """The problem's file and the folder of its state."""

    problem: Path
    root: Path

    def open(self) -> PipelineRun:
        """A run in this process, like the one of `start`."""
        return PipelineRun(context_of(str(self.problem), self.root, trials=TRIALS, workers=1))

    @property
    def command(self) -> tuple[str, ...]:
        """`headrace run`, for `started` and `killed_at`."""
        return ("-m", "headrace.cli", "run", str(self.problem), "--trials", str(TRIALS), "--home", str(self.root))

    def start(self) -> subprocess.Popen[bytes]:
        """A run in a process of its own. One worker: what several ask depends on who is done first."""
        return started(self.root, self.command, workers=1)

    @property
    def said(self) -> str:
        """What the processes wrote to standard error."""
        return _said(self.root).read_text()

    def run_and_kill(self, moment: Moment) -> bool:
        """Start a run and kill it when the moment has come; False when it had ended by then."""
        return killed_at(moment, self.root, self.command, workers=1)

    def finish(self) -> Mapping[str, Any]:
        """Run to the end in this process; what came of it."""
        self.open().complete()
        return self.outcome()

    def outcome(self) -> dict[str, Any]:
        """All that a kill must not change."""
        run = self.open()
        problem = run.context.problem
        found, lake = run.output(SEARCH), Lake(self.root, problem.name)
        champion = Ledger(self.root, problem.name).champion()
        assert champion is not None
        return {
            "stages": {name: run.run_stage(name).cached for name in run.stage_names},
            "lake": lake.snapshot().fingerprint,
            "clock": lake.clock(),
            "training": run.output(TRAINING_SET).sha256,
            "search": {name: getattr(found, name) for name in ("key", "config", "rounds", "value", "trials", "failed")},
            "versions": self.versions(),
            "studies": self.studies(),
            "champion": (champion.version, dict(champion.metrics)),
            "changes": len(Ledger(self.root, problem.name).history()),
            "predictions": self.predictions(),
            "online": (online_is_empty(self.root, problem), _ticks(watermarks(self.root, problem))),
            "half-written": [str(path) for path in self.root.rglob(".*.tmp")],
        }

    def versions(self) -> list[str]:
        """The registered versions."""
        return [str(item.version) for item in self._mlflow().search_model_versions("name = 'shop'")]

    def studies(self) -> list[int]:
        """How many children each study in MLflow has."""
        client = self._mlflow()
        experiment = client.get_experiment_by_name("shop")
        runs = client.search_runs([experiment.experiment_id])
        parents = [run.data.tags.get("mlflow.parentRunId") for run in runs]
        return [parents.count(run.info.run_id) for run in runs if run.info.run_id in parents]

    def predictions(self) -> dict[str, float]:
        """Probability by id, of everything that was logged."""
        return {row.id: float(row.probability or 0.0) for row in PredictionLog(self.root, "shop").read()}

    def _mlflow(self) -> Any:
        return connect(f"sqlite:///{self.root / 'mlflow' / 'mlflow.db'}")


def started(
    root: Path, command: Sequence[str], *, workers: int | None = None, folder: Path | None = None
) -> subprocess.Popen[bytes]:
    """Python with these arguments. root: the home it works in. workers: of a search, where not the setting's."""
    left = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with _said(root).open("ab") as said:  # a file: a pipe would stay open as long as any orphan
        return subprocess.Popen(
            [sys.executable, *command],
            stdout=subprocess.DEVNULL,
            stderr=said,
            cwd=folder,
            env=left if workers is None else {**left, "HEADRACE_WORKERS": str(workers)},
        )


def killed_at(
    moment: Moment, root: Path, command: Sequence[str], *, workers: int | None = None, folder: Path | None = None
) -> bool:
    """Start a process (see `started`), and kill it with SIGKILL when the moment has come; False: it had ended by then.

    Processes that it had started may not outlive it.
    """
    assert not moment(root), "the moment has been"
    process = started(root, command, workers=workers, folder=folder)
    try:
        deadline = time.monotonic() + DEADLINE_S
        while not moment(root):
            if process.poll() is not None:
                assert process.returncode == 0, _said(root).read_text()
                return False
            assert time.monotonic() < deadline, "the moment never came"
            time.sleep(0.0005)  # lets the other process have the CPU; what is waited for is the moment
        helpers = psutil.Process(process.pid).children(recursive=True)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    _, left = psutil.wait_procs(helpers, timeout=30)
    assert not left, "processes outlived the run that they worked for"
    return process.returncode == -signal.SIGKILL


def _said(root: Path) -> Path:
    return root.with_name(f"{root.name}.stderr")


def _ticks(marks: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    return {name: (mark.tick_us, mark.rows) for name, mark in marks.items()}


# -- moments


def begun(stage: str) -> Moment:
    """A stage has made its folder and has not committed it."""
    return there(f"stages/shop/{stage}/.*.tmp")


def there(pattern: str, count: int = 1) -> Moment:
    """So many paths of that pattern are there."""

    def come(root: Path) -> bool:
        return len(list(root.glob(pattern))) >= count

    return come


def tried(trials: int) -> Moment:
    """So many trials are in the search's journal, after its header."""

    def come(root: Path) -> bool:
        journals = list(root.glob("stages/shop/search/*.journal.jsonl"))
        return bool(journals) and journals[0].read_bytes().count(b"\n") > trials

    return come


def clock_moved(steps: int) -> Moment:
    """The production clock has moved by so many days since its start."""

    def come(root: Path) -> bool:
        path = root / "lake" / "shop" / "clock.json"
        try:
            now = json.loads(path.read_bytes())["now"]
        except FileNotFoundError:
            return False
        return bool(now >= f"2024-02-{10 + steps:02d}")

    return come


def grown(root: Path, by: int) -> Moment:
    """There are so many files and folders more than now."""
    wanted = _paths(root) + by
    return lambda root: _paths(root) >= wanted


def _paths(root: Path) -> int:
    return sum(len(folders) + len(files) for _, folders, files in os.walk(root))
