"""Where random LightGBM configurations stand at each rung, and where they end: what the rule of racing is tested on.

    python -m benchmarks.racing_curves 40 > tests/search/rungs.json

Real trainings on the tables of bench_racing, alone on one thread (six minutes). Each is tried in full, as a study would
with racing: a loss and the CPU seconds spent so far at each rung.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bench_racing import DEFAULT, SPACE, objective_of
from headrace.models.callback import NoCallback
from headrace.search.space import Config, sample

TABLES = ("pipeline", "flights", "diamonds")


class _Recorder(NoCallback):
    """Keeps (loss, CPU s since the trial began) of each rung."""

    def __init__(self) -> None:
        self._began = time.process_time()
        self.rungs: dict[str, tuple[float, float]] = {}

    def on_rung(self, name: str, loss: float) -> None:
        self.rungs[name] = (round(loss, 6), round(self.spent(), 3))

    def spent(self) -> float:
        return time.process_time() - self._began


def curve(objective: Any, config: Config) -> dict[str, Any]:
    recorder = _Recorder()
    loss = objective.evaluate_rungs(config, recorder)["loss"]
    return {"rungs": recorder.rungs, "loss": round(loss, 6), "seconds": round(recorder.spent(), 3)}


def curves(table: str, number: int) -> list[dict[str, Any]]:
    """The default configuration and random ones, `number` in all."""
    rng = np.random.default_rng(11)
    with tempfile.TemporaryDirectory() as folder:
        objective = objective_of(table, Path(folder), "raced")
        curve(objective, DEFAULT)  # the first trial of a process also bins the rows
        return [curve(objective, config) for config in [DEFAULT, *(sample(SPACE, rng) for _ in range(number - 1))]]


if __name__ == "__main__":
    lines = [f' "{table}": [\n' + ",\n".join(f"  {json.dumps(one)}" for one in curves(table, int(sys.argv[1]))) + "\n ]"
             for table in TABLES]  # fmt: skip
    print("{\n" + ",\n".join(lines) + "\n}")
