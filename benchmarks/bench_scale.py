"""Synthesis of tables larger than memory, on this machine, on Spark and on Sail, beside DuckDB below the same limit.

    make bench-scale [QUICK=1]

Each run is a process of its own (`scale_case`). Seconds are those of the processor, over all processes and threads, so
that other work on the machine counts little; wall seconds stand beside. A finished run is kept in build/bench-scale and
not repeated; remove the folder to measure again.
"""

from __future__ import annotations

import json
import math
import os
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.results import Goal, Row, publish
from benchmarks.scale_case import DEFINITIONS, write_world
from benchmarks.scale_model import CostModel, Run, fit

ROOT = Path(__file__).parents[1]
QUICK = bool(os.environ.get("QUICK"))
COMMAND = "make bench-scale QUICK=1" if QUICK else "make bench-scale"
FOLDER = ROOT / "build" / "bench-scale"
#: Seconds of wall clock that one run may take.
LIMIT_S = 900 if QUICK else 3_600
FEATURES = len(DEFINITIONS)


@dataclass(frozen=True, kw_only=True)
class Size:
    """Rows of a world."""

    events: int
    cutoffs: int

    @property
    def folder(self) -> Path:
        """Where its tables and results lie."""
        return FOLDER / f"{self.events}-{self.cutoffs}"

    @property
    def text(self) -> str:
        """For people."""
        return f"{self.events:,} events, {self.cutoffs:,} cutoffs"


#: The largest, below a memory limit; what fits into memory; what Spark, Sail and DuckDB compute too.
MAIN = Size(events=2_000_000, cutoffs=200_000) if QUICK else Size(events=50_000_000, cutoffs=5_000_000)
IN_MEMORY = Size(events=2_000_000, cutoffs=200_000) if QUICK else Size(events=5_000_000, cutoffs=500_000)
SHARED = Size(events=200_000, cutoffs=20_000) if QUICK else IN_MEMORY
MAX_MEMORY_MB = 700 if QUICK else 4_000
#: Three decades for the cost model: cutoffs are a tenth of the events, or half of them.
DECADES = [
    Size(events=MAIN.events // 10**power, cutoffs=MAIN.events // 10**power // share)
    for power in (3, 2, 1)
    for share in (10, 2)
]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Figures of a run; NaN where it failed or took too long, with the reason."""

    seconds: float
    wall: float
    peak_mb: float
    reason: str = ""


def measured(name: str, size: Size, max_memory_mb: int = MAX_MEMORY_MB) -> Outcome:
    """A run, or what an earlier one gave."""
    size.folder.mkdir(parents=True, exist_ok=True)
    kept = size.folder / f"{name}-{max_memory_mb}.json"
    if not kept.exists():
        if not (size.folder / "cutoffs.parquet").exists():
            write_world(size.folder, size.events, size.cutoffs)
        kept.write_text(json.dumps(_run(name, size, max_memory_mb)))
    found = Outcome(**json.loads(kept.read_text()))
    print(f"{size.text}: {name}: {found}", file=sys.stderr, flush=True)
    return found


def _run(name: str, size: Size, max_memory_mb: int) -> dict[str, object]:
    command = [sys.executable, "-m", "benchmarks.scale_case", name, str(size.folder), str(max_memory_mb)]
    failed: dict[str, object] = {"seconds": math.nan, "wall": math.nan, "peak_mb": math.nan}
    before = _children_s()
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return {**failed, "reason": f"stopped after {LIMIT_S:,} s and {_children_s() - before:,.0f} processor s"}
    if done.returncode:
        return {**failed, "reason": (done.stderr.strip().splitlines() or ["no message"])[-1][:200]}
    found: dict[str, object] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _children_s() -> float:
    """Processor time of the processes that have ended, s."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def require_same(size: Size, name: str, other: str = "local", *, tolerance: float | None = None) -> None:
    """Raise where a value of two results differs (relatively by more than a tolerance, where one is given)."""
    ours, theirs = (pq.ParquetFile(size.folder / f"{item}.parquet", memory_map=True) for item in (name, other))
    for column in theirs.schema_arrow.names:
        one, two = (file.read(columns=[column])[column].combine_chunks() for file in (ours, theirs))
        equal = one.equals(two) if tolerance is None else _are_close(column, one, two, tolerance)
        if not equal:
            raise SystemExit(f"{name}: {column} is not what {other} computes")


def _are_close(column: str, one: pa.Array, two: pa.Array, tolerance: float) -> bool:
    values = [item.to_numpy(zero_copy_only=False) for item in (one, two)]
    if "_sum_" in column:  # the sum of nothing is null to SQL
        values = [np.nan_to_num(item) for item in values]
    return np.allclose(*values, rtol=tolerance, atol=tolerance, equal_nan=True)


def main_rows() -> list[Row]:
    """The largest world below the limit, and the time a row beside that in memory."""
    local, partitioned = measured("local", IN_MEMORY), measured("partitioned", MAIN)
    in_partitions = measured("partitioned", IN_MEMORY)
    require_same(IN_MEMORY, "partitioned")
    rows_of = {size: size.events + size.cutoffs for size in (MAIN, IN_MEMORY)}
    return [
        Row(metric=f"{IN_MEMORY.text}: in memory", value=local.seconds, unit="processor s", command=COMMAND),
        Row(metric=f"{IN_MEMORY.text}: in memory, peak", value=local.peak_mb, unit="MB", command=COMMAND),
        Row(metric=f"{IN_MEMORY.text}: partitioned, same bits", value=in_partitions.seconds, unit="processor s",
            peer="in memory", peer_value=local.seconds, command=COMMAND),
        Row(metric=f"{MAIN.text}: partitioned below {MAX_MEMORY_MB:,} MB (wall {partitioned.wall:,.0f} s)",
            value=partitioned.seconds, unit="processor s", command=COMMAND),
        Row(metric=f"{MAIN.text}: partitioned, peak", value=partitioned.peak_mb, unit="MB",
            goal=Goal(op="<=", value=MAX_MEMORY_MB), command=COMMAND),
        Row(metric=f"{MAIN.text}: partitioned, processor time a row beside that in memory",
            value=partitioned.seconds / rows_of[MAIN] / (local.seconds / rows_of[IN_MEMORY]), unit="times",
            goal=Goal(op="<=", value=1.5), command=COMMAND),
    ]  # fmt: skip


def duckdb_rows() -> list[Row]:
    """DuckDB below the same limit."""
    rows = []
    for size in dict.fromkeys((SHARED, MAIN)):
        ours, theirs = measured("partitioned", size), measured("duckdb", size)
        if math.isnan(theirs.seconds):
            rows.append(Row(metric=f"{size.text}: DuckDB ended without a result ({theirs.reason})", value=ours.seconds,
                            unit="processor s of ours", command=COMMAND))  # fmt: skip
            continue
        require_same(size, "duckdb", "partitioned", tolerance=1e-6)
        rows.append(Row(metric=f"{size.text}: DuckDB's time ({theirs.seconds:.3g} processor s) beside ours "
                        f"({ours.seconds:.3g} s), both below {MAX_MEMORY_MB:,} MB", value=theirs.seconds / ours.seconds,
                        unit="times", goal=Goal(op=">=", value=10.0), command=COMMAND))  # fmt: skip
    return rows


def spark_rows() -> list[Row]:
    """Spark and Sail, with the local engine's bits."""
    local, rows = measured("local", SHARED), []
    for name, title in (("spark", "Spark local[2]"), ("sail", "Sail")):
        found = measured(name, SHARED)
        if math.isnan(found.seconds):
            rows.append(Row(metric=f"{SHARED.text}: {title}: {found.reason}", value=math.nan, unit="", command=COMMAND))
            continue
        require_same(SHARED, name)
        rows += [
            Row(metric=f"{SHARED.text}: {title}, same bits (wall {found.wall:,.0f} s)", value=found.seconds,
                unit="processor s", peer="in memory", peer_value=local.seconds, command=COMMAND),
            Row(metric=f"{SHARED.text}: {title}, peak of all processes", value=found.peak_mb, unit="MB",
                command=COMMAND),
        ]  # fmt: skip
    return rows


def model_rows() -> list[Row]:
    """The cost model, fitted to the smaller sizes, and its error on the largest, which it has not seen."""
    runs = [_as_run(size, measured("partitioned", size)) for size in DECADES]
    largest = _as_run(MAIN, measured("partitioned", MAIN))
    model = fit(runs)
    return [
        Row(metric="cost model: fixed", value=model.fixed, unit="processor s", command=COMMAND),
        Row(metric="cost model: a million events", value=model.per_million_events, unit="processor s",
            command=COMMAND),
        Row(metric="cost model: a million values (cutoffs x features)", value=model.per_million_values,
            unit="processor s", command=COMMAND),
        Row(metric="cost model: largest error over two decades that it was fitted to",
            value=max(abs(_error(model, run)) for run in runs), unit="of the time", command=COMMAND),
        Row(metric=f"cost model: {MAIN.text}, not fitted: predicted", value=_predicted(model, largest),
            unit="processor s", peer="measured", peer_value=largest.seconds, command=COMMAND),
        Row(metric=f"cost model: {MAIN.text}: processor time at 0.05 US dollars a core and hour",
            value=model.dollars(MAIN.events, MAIN.cutoffs, FEATURES), unit="US dollars", command=COMMAND),
    ]  # fmt: skip


def _as_run(size: Size, outcome: Outcome) -> Run:
    return Run(events=size.events, cutoffs=size.cutoffs, features=FEATURES, seconds=outcome.seconds)


def _predicted(model: CostModel, run: Run) -> float:
    return model.seconds(run.events, run.cutoffs, run.features)


def _error(model: CostModel, run: Run) -> float:
    return _predicted(model, run) / run.seconds - 1


def main() -> None:
    rows = [*main_rows(), *spark_rows(), *duckdb_rows(), *model_rows()]
    publish("scale", "Synthesis of tables larger than memory", rows, _NOTE)


_NOTE = f"""
{FEATURES} features (sum, mean, standard deviation, minimum, maximum of two columns over 1, 7, 30 and 90 days) from
Parquet files to a Parquet file, on two threads. A tenth of the events belong to few, very frequent keys. The peak is
the resident memory of the process with its libraries, of Spark and Sail that of all processes. Results are compared bit
by bit with those in memory, DuckDB's within 1e-6, or the run fails. DuckDB computes one window for each lookback over
the union of events and cutoffs. [Scale](scale.md) describes the engines and the cost model.
"""


if __name__ == "__main__":
    main()
