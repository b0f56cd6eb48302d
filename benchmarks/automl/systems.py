"""The AutoML systems that are compared: environment and script of each, and Headrace without one of its parts."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.automl.losses import constant_loss, loss_of
from benchmarks.automl.tables import Table

SCRIPTS = Path("benchmarks/peers")
CORES = 2
#: A run is ended after so many times its time limit, and a minute.
_PATIENCE = 3


@dataclass(frozen=True, kw_only=True)
class System:
    """A system.

    Attributes:
        name: Name in results.
        script: Its script among the peers.
        environment: Folder of its environment.
        options: Options of Headrace that differ from the default.
        least_s: Shortest time limit that it accepts.
        cores: Cores that it may use.
    """

    name: str
    script: str
    environment: str = ".venv"
    options: Mapping[str, Any] = field(default_factory=dict)
    least_s: int = 0
    cores: int = CORES

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return Path(self.environment) / "bin" / "python"

    @property
    def own(self) -> bool:
        """Whether it is Headrace."""
        return self.script == "automl_headrace"


def _headrace(name: str, **options: Any) -> System:
    return System(name=name, script="automl_headrace", options=options)


HEADRACE, CHEAP = "Headrace", "Headrace, cost-aware"
AUTOGLUON, FLAML, LIGHTGBM, AUTOSKLEARN = "AutoGluon best quality", "FLAML", "LightGBM default", "auto-sklearn"
MAIN: tuple[System, ...] = (
    _headrace(HEADRACE),
    _headrace(CHEAP, cost_tolerance=0.01),
    System(name=AUTOGLUON, script="automl_autogluon", environment=".venv-autogluon", least_s=20),
    System(name=FLAML, script="automl_flaml", environment=".venv-flaml"),
    System(name=LIGHTGBM, script="automl_lightgbm"),
    System(name=AUTOSKLEARN, script="automl_autosklearn", environment=".venv-autosklearn", least_s=30),
)
#: Headrace without one part each.
PARTS: tuple[System, ...] = (
    _headrace("Headrace without portfolio", portfolio=[]),
    _headrace("Headrace without constructions", constructions=False),
    _headrace("Headrace without racing", racing=None),
    _headrace("Headrace without ensemble", ensemble=False),
    _headrace("Headrace without calibration", calibrate=False),
)


def run_system(system: System, table: Table, fold: int, seconds: int) -> dict[str, Any]:
    """Run a system on a fold of a table in a process of its own.

    Returns:
        table, fold, system, seconds (of the limit), loss, constant_loss, fit_s, predict_us (a row), version; `error`
        and a loss of None where it failed.
    """
    frame = table.read()
    train, test = table.split(frame, fold)
    label = frame[table.target].to_numpy(dtype=np.float64)
    classes = int(label.max()) + 1 if table.classes else 0
    kind = "regression" if not classes else "binary" if classes == 2 else "multiclass"
    found: dict[str, Any] = {"table": table.name, "mode": table.mode, "fold": fold, "system": system.name,
                             "seconds": seconds, "constant_loss": constant_loss(label[train], label[test], classes),
                             "rows": len(train)}  # fmt: skip
    task = {"target": table.target, "kind": kind, "mode": table.mode, "key": table.key, "seconds": seconds,
            "cores": system.cores, "seed": fold, "options": dict(system.options)}  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="bench-automl-") as name:
        folder = Path(name)
        frame.iloc[train].to_csv(folder / "train.csv", index=False)
        frame.iloc[test].drop(columns=table.target).to_csv(folder / "test.csv", index=False)
        (folder / "task.json").write_text(json.dumps(task))
        error = _run(system, folder, _PATIENCE * seconds + 60)
        if error:
            return {**found, "loss": None, "error": error}
        run = json.loads((folder / "run.json").read_text())
        predicted = pd.read_csv(folder / "predictions.csv").to_numpy(dtype=np.float64)
    us = 1e6 * run.pop("predict_s") / len(test)
    return {**found, **run, "loss": loss_of(label[test], predicted), "predict_us": us}


def _run(system: System, folder: Path, limit_s: float) -> str:
    """Run the script; return the end of its errors where it failed."""
    command = [str(system.python), str(SCRIPTS / f"{system.script}.py"), str(folder)]
    # Threads that spin while they wait would make a busy machine decide the result.
    environment = {
        **os.environ,
        "PYTHONWARNINGS": "ignore",
        "OMP_WAIT_POLICY": "PASSIVE",
        **({} if system.cores == CORES else {"OMP_NUM_THREADS": str(system.cores)}),
        "PYTHONPATH": str(SCRIPTS.resolve()),
    }
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                               start_new_session=True)  # fmt: skip
    try:
        _, errors = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.communicate()
        return f"not finished after {limit_s:.0f} s"
    return "" if process.returncode == 0 else errors.strip()[-500:] or f"exit code {process.returncode}"
