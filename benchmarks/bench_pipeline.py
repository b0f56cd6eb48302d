"""What the pipeline costs outside its stages' own work: Prefect, imports, keys and manifests.

    make bench-pipeline [QUICK=1]

Each case is a process of its own, timed from outside; the floor is the sum of the stages that last_run.json reports,
and the peer is the same stages walked without Prefect. A fresh state folder, so the first run is a first run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.results import FOLDER, Goal, Row, publish
from benchmarks.study_flights import MAY

COMMAND = "make bench-pipeline"


@dataclass(frozen=True, kw_only=True)
class Timing:
    """wall: of the whole process, s. stages: sum over stages, s. cached: how many of them were. auc: on May."""

    wall: float
    stages: float
    cached: int
    count: int
    auc: float


def timed(home: Path, *command: str) -> Timing:
    """Run a command with its state in `home`, and read what it reports."""
    environment = {**os.environ, "HEADRACE_HOME": str(home)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    started = time.perf_counter()
    subprocess.run([sys.executable, *command], env=environment, check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - started
    report = json.loads((home / "runs" / "flights" / "last_run.json").read_text())
    stages = report["stages"]
    return Timing(
        wall=wall,
        stages=sum(stage["seconds"] for stage in stages),
        cached=sum(stage["cached"] for stage in stages),
        count=len(stages),
        auc=report["champion"]["metrics"]["2013-05_auc"],
    )


def by_hand() -> float:
    """AUC on May of the history that a person chose, as `make study-flights` measured it last."""
    rows = json.loads((FOLDER / "study-flights.json").read_text())
    return float(next(row["peer_value"] for row in rows if row["metric"] == MAY))


def main() -> None:
    quick = bool(os.environ.get("QUICK"))
    options = ("--trials", "4") if quick else ()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        first = timed(home, "-m", "headrace.flows", "run", "flights", *options)
        second = timed(home, "-m", "headrace.flows", "run", "flights", *options)
        plain = timed(home, "-m", "headrace.cli", "run", "flights", *options)
    command = f"{COMMAND} QUICK=1" if quick else COMMAND
    rows = [
        Row(metric="first run, empty state", value=first.wall, unit="s", goal=Goal(op="<=", value=180),
            peer="its stages alone", peer_value=first.stages, command=command),
        Row(metric="overhead of the first run", value=first.wall - first.stages, unit="s", command=command),
        Row(metric="second run, no server up", value=second.wall, unit="s", goal=Goal(op="<=", value=30),
            peer="without Prefect (headrace run)", peer_value=plain.wall, command=command),
        Row(metric="overhead of the second run", value=second.wall - second.stages, unit="s", command=command),
        Row(metric="stages cached in the second run", value=second.cached, unit="stages",
            goal=Goal(op=">=", value=second.count), command=command),
        Row(metric="AUC on May, trained on January to April", value=first.auc, unit="", goal=Goal(op=">=", value=0.77),
            peer="26 hand-made history features (make study-flights)", peer_value=by_hand(), command=command),
    ]  # fmt: skip
    note = (
        "The main job on the flights, `make run-pipeline`, on two shared cores. The first run of a checkout also"
        " compiles the engine's kernels."
    )
    publish("pipeline", "The pipeline", rows, note)


if __name__ == "__main__":
    main()
