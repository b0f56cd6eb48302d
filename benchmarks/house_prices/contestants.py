"""Run the contestants of the study, each in its own environment and on its own cores; finished ones are kept."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from headrace.automl.report.explanation import Explained, explain_predictions
from headrace.core.files import read_json, write_json

_HERE = Path(__file__).parent
#: Time beyond its limit after which a contestant is ended.
_GRACE = 4.0
_GRACE_S = 600.0


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A contestant.

    Attributes:
        name: Of its script and its folder.
        title: For people.
        environment: Folder of its virtual environment.
    """

    name: str
    title: str
    environment: str

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return Path(self.environment) / "bin" / "python"


CONTESTANTS = (
    Contestant(name="headrace", title="Headrace", environment=".venv"),
    Contestant(name="hyperopt", title="XGBoost + Hyperopt", environment=".venv"),
    Contestant(name="autosklearn", title="auto-sklearn", environment=".venv-autosklearn"),
    Contestant(name="autogluon", title="AutoGluon, best quality", environment=".venv-autogluon"),
    Contestant(name="flaml", title="FLAML", environment=".venv-flaml"),
)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a contestant has written.

    Attributes:
        contestant: Who.
        facts: version, fit_s, row_ms, model, note; {"absent": reason} where it did not run.
        predictions: Predicted prices [n], None where it did not run.
        configurations: finished_s, family, loss, weight of each.
        explained: Shapley values, where there was time.
    """

    contestant: Contestant
    facts: dict[str, Any]
    predictions: Any = None
    configurations: pd.DataFrame | None = None
    explained: Explained | None = None


def core_sets(cores: int | None) -> list[set[int]]:
    """Divide the cores of this process into sets of `cores`; one set of all where None, or where it cannot be done.

    Raises:
        ValueError: There are fewer cores.
    """
    if not hasattr(os, "sched_getaffinity"):
        return [set()]
    usable = sorted(os.sched_getaffinity(0))
    size = cores or len(usable)
    if not 1 <= size <= len(usable):
        raise ValueError(f"CORES={size}: this machine has 1 to {len(usable)}")
    return [set(usable[at : at + size]) for at in range(0, len(usable) - size + 1, size)]


def run_all(
    contestants: Sequence[Contestant], run_one: Callable[[Contestant], Result], sets: Sequence[set[int]]
) -> Iterator[Result]:
    """Run contestants in their order, as many at a time as there are sets of cores, each on one of these sets."""
    free: queue.SimpleQueue[set[int]] = queue.SimpleQueue()
    for own in sets:
        free.put(own)

    def on_own_cores(contestant: Contestant) -> Result:
        own = free.get()
        try:
            if own:
                os.sched_setaffinity(0, own)  # of this thread; the process that it starts has the same
            return run_one(contestant)
        finally:
            free.put(own)

    with ThreadPoolExecutor(len(sets)) as pool:
        yield from pool.map(on_own_cores, contestants)


def run(
    contestant: Contestant, folder: Path, *, seconds: float, seed: int, explain_s: float, say: Callable[[str], None]
) -> Result:
    """Run a contestant, or read what it has written before.

    Args:
        contestant: Who.
        folder: Of train.csv and test.csv; the contestant's results lie in `folder/name`.
        seconds: Its time limit.
        seed: Of its random numbers.
        explain_s: Time for Shapley values, after its time limit.
        say: Receives how far it is.
    """
    out = folder / contestant.name
    if not (out / "finished.json").exists():
        if not contestant.python.exists():
            reason = f"no environment {contestant.environment}: it could not be made here"
            return Result(contestant=contestant, facts={"absent": reason})
        say(f"{contestant.title}: {seconds:.0f} s")
        absent = _fit(contestant, folder, out, seconds, seed, explain_s)
        if absent:
            say(f"{contestant.title}: {absent}")
            return Result(contestant=contestant, facts={"absent": absent})
    return _read(contestant, out)


def _fit(contestant: Contestant, folder: Path, out: Path, seconds: float, seed: int, explain_s: float) -> str:
    """Run the script, let it answer the questions of the explanation; "" or why it has no result."""
    out.mkdir(parents=True, exist_ok=True)
    script = _HERE / f"{contestant.name}_contestant.py"
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")}
    # Threads that wait give their core away: spinning, a fit on busy cores takes several times as long.
    environment["OMP_WAIT_POLICY"] = "PASSIVE"
    command = [str(contestant.python), str(script), str(folder), str(out), str(seconds), str(seed)]
    with (
        (out / "log.txt").open("w") as log,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment,
            start_new_session=True,
        ) as process,
    ):
        try:
            failed = _wait(process, _GRACE * seconds + _GRACE_S)
            if failed:
                return f"{failed}; see {out / 'log.txt'}"
            explained = _explain(process, folder, out, explain_s)
        finally:
            _end(process)
    if explained is not None:
        np.savez(out / "shap.npz", values=explained.values, base=explained.base, size=explained.size)
        explained.rows.to_parquet(out / "shap-rows.parquet")
    write_json(out / "finished.json", {"seconds": seconds, "seed": seed, "at": time.strftime("%Y-%m-%d")})
    return ""


def _end(process: subprocess.Popen[str]) -> None:
    """End a contestant with the worker processes that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _wait(process: subprocess.Popen[str], limit_s: float) -> str:
    """Wait for the line `finished`; other output is passed over."""
    assert process.stdout is not None
    timer = threading.Timer(limit_s, _end, (process,))
    timer.start()
    try:
        for line in process.stdout:
            if line.strip() == "finished":
                return ""
        return f"ended with code {process.wait()}" if timer.is_alive() else f"ended after {limit_s:.0f} s"
    finally:
        timer.cancel()


def _explain(process: subprocess.Popen[str], folder: Path, out: Path, seconds: float) -> Explained | None:
    """Compute Shapley values of test rows; the contestant predicts what shap asks for."""
    asked, rows = out / "asked.csv", pd.read_csv(folder / "test.csv")
    frame = rows.astype({name: object for name in rows if rows[name].dtype == object})

    def predict(changed: pd.DataFrame) -> Any:
        assert process.stdin is not None
        assert process.stdout is not None
        changed.to_csv(asked, index=False)
        process.stdin.write(f"{asked}\n")
        process.stdin.flush()
        for line in process.stdout:
            if line.strip() == "answered":
                return pd.read_csv(f"{asked}.out").iloc[:, 0].to_numpy(dtype=np.float64)
        raise RuntimeError(f"{out.name} ended while it was explained")

    numbers = {name: np.float64 for name in frame if frame[name].dtype != object}
    return explain_predictions(frame.astype(numbers), predict, seconds=seconds, unit="dollars")


def _read(contestant: Contestant, out: Path) -> Result:
    explained = None
    if (out / "shap.npz").exists():
        stored = np.load(out / "shap.npz")
        explained = Explained(
            values=stored["values"], base=float(stored["base"]), size=stored["size"], unit="dollars",
            rows=pd.read_parquet(out / "shap-rows.parquet"),
        )  # fmt: skip
    return Result(
        contestant=contestant,
        facts=read_json(out / "facts.json"),
        predictions=pd.read_csv(out / "predictions.csv").iloc[:, 0].to_numpy(),
        configurations=pd.read_csv(out / "configurations.csv"),
        explained=explained,
    )
