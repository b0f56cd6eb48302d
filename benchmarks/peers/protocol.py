"""What a peer's script is told and gives: a folder with events and asked rows, afterwards with values and figures.

    PYTHON benchmarks/peers/NAME.py FOLDER

events.parquet     key, at, x, y        in any order
asked.parquet      row, key, cutoff     what was before the cutoff counts, all history
values.parquet     row, then one column per feature of FEATURES: `count`, `sum_x` ...
figures.json       seconds (from tables in memory to values in memory), peak_mb (of the process), note
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

FUNCTIONS = ("sum", "mean", "min", "max")
FEATURES = ("count", *(f"{function}_{column}" for column in ("x", "y") for function in FUNCTIONS))


def folder() -> Path:
    return Path(sys.argv[1])


def report(seconds: float, **more: object) -> None:
    """Write figures.json. The peak is VmHWM: ru_maxrss would be that of the benchmark which started the process."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    (folder() / "figures.json").write_text(
        json.dumps({"seconds": seconds, "peak_mb": int(line.split()[1]) / 1024, **more})
    )
