"""What a peer's script is told and gives: a folder with events and asked rows, afterwards with values and figures.

    PYTHON benchmarks/peers/NAME.py FOLDER [FEATURES]

events.parquet     key, at, x, y        in any order
asked.parquet      row, key, cutoff     what was before the cutoff counts, all history
values.parquet     row, then one column per feature of FEATURES: `count`, `sum_x` ... (`sum_x@3600`: of the last hour)
figures.json       seconds of processor time (from tables in memory to values in memory), peak_mb (of the process), note

Every engine has one thread, so that its processor time is its time on a core of its own: other work on a shared machine
does not count.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

FUNCTIONS = ("sum", "mean", "min", "max")
FEATURES = ("count", *(f"{function}_{column}" for column in ("x", "y") for function in FUNCTIONS))


def folder() -> Path:
    return Path(sys.argv[1])


def features() -> tuple[str, ...]:
    """What is asked for: FEATURES, or what the command line names."""
    return tuple(sys.argv[2].split(",")) if len(sys.argv) > 2 else FEATURES


#: Seconds of processor time of this process, all its threads together.
clock = time.process_time


def report(seconds: float, **more: object) -> None:
    """Write figures.json. The peak is VmHWM: ru_maxrss would be that of the benchmark which started the process."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    (folder() / "figures.json").write_text(
        json.dumps({"seconds": seconds, "peak_mb": int(line.split()[1]) / 1024, **more})
    )
