"""A cheap study for tests, importable by worker processes; run as a script it is the one that gets killed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace.search.searchers import SEARCHERS
from headrace.search.space import Choice, Config, Float, Integer, Space
from headrace.search.study import StudyResult, run_study

SPACE = Space(
    {
        "x": Float(-3, 3),
        "kind": Choice({"plain": Space({}), "shifted": Space({"by": Integer(1, 20, log=True)})}),
    }
)


@dataclass(frozen=True)
class Bowl:
    """(x - 1)^2, plus a shift. fail, die: configs with x above these raise, or kill their own process.

    gate: a FIFO that each trial reads one byte from first, so that a test decides how far the study gets.
    """

    fail: float = 9.0
    die: float = 9.0
    gate: str = ""

    def fingerprint(self) -> str:
        return f"bowl {self.fail} {self.die}"

    def __call__(self, config: Config) -> Mapping[str, Any]:
        if self.gate:
            handle = os.open(self.gate, os.O_RDWR)
            os.read(handle, 1)
            os.close(handle)
        x = float(config["x"])  # type: ignore[arg-type]
        if x > self.die:
            os.kill(os.getpid(), signal.SIGKILL)
        if x > self.fail:
            raise ValueError("x is too large")
        return {"loss": (x - 1) ** 2 + float(config.get("shifted.by") or 0), "pid": os.getpid()}


def study(
    journal: Path, objective: Bowl, *, trials: int, workers: int, searcher: str = "tpe", **more: Any
) -> StudyResult:
    return run_study(
        SPACE,
        objective,
        SEARCHERS[searcher](SPACE),
        trials=trials,
        seed=11,
        workers=workers,
        journal_path=journal,
        **more,
    )


if __name__ == "__main__":
    study(Path(sys.argv[1]), Bowl(gate=sys.argv[2]), trials=12, workers=int(sys.argv[3]))
