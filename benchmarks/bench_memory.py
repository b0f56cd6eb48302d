"""Synthesis below a memory limit beside none: processor seconds, peak memory, and the same bits.

    make bench-memory [QUICK=1] [ONLY=depth|flights|fit|lake]

Two cases of synthesis: two levels down (a million transactions, a million cutoffs; QUICK=1: a quarter of each), and
all flights of the year (left out with QUICK=1). Each run is a process of its own on two threads; what is timed is its
processor time from tables in memory to a Parquet file. The peak is what the process held in all meanwhile, libraries
and tables included. A limit that is refused is a row that says what would do. The third case fits LightGBM on rows in
memory and on rows in mapped files (a million rows of 50 features; QUICK=1: a quarter). The fourth case runs the main
job on a lake with one table of events that is larger than the limit (8 million events, 4 GB in memory, 1,200 MB;
QUICK=1: 600,000), and without a limit. EVENTS and LIMIT_MB set other sizes.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.peers.depth_world import FEATURES, depth_world
from benchmarks.results import Goal, Row, publish

ROOT = Path(__file__).parents[1]
COMMAND = "make bench-memory"
LIMITS_MB = (1_000, 700, 512)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One run. seconds: NaN where the limit was refused; `enough_mb` then says what would do."""

    seconds: float
    peak_mb: float
    held_mb: float
    parts: int
    enough_mb: float


def written(folder: Path, case: str, limit_mb: int) -> Outcome:
    """A matrix below a limit (0: none) in a process of its own."""
    script = ROOT / "benchmarks" / "peers" / "headrace_memory_peer.py"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, str(script), str(folder), case, str(limit_mb)], check=True, env=environment)
    figures = json.loads((folder / "figures.json").read_text())
    found = Outcome(
        seconds=figures["seconds"],
        peak_mb=figures["peak_mb"] * 2**20 / 1e6,
        held_mb=figures["held"],
        parts=figures.get("parts", 0),
        enough_mb=figures.get("enough", math.nan),
    )
    print(f"{case}, limit {limit_mb} MB: {found}", flush=True)
    return found


def check_same(folder: Path, limit_mb: int) -> None:
    """Raise where a bit of a file differs from the one without a limit."""
    one, other = (pq.ParquetFile(folder / f"{mb * 1_000_000}.parquet", memory_map=True) for mb in (limit_mb, 0))
    for name in other.schema_arrow.names:
        if not one.read(columns=[name]).equals(other.read(columns=[name])):
            raise SystemExit(f"{limit_mb} MB: {name} is not what it is without a limit")


def measured(folder: Path, case: str, what: str, command: str) -> list[Row]:
    """A case without a limit and below each."""
    free = written(folder, case, 0)
    rows = [
        Row(metric=f"{what}: no limit", value=free.seconds, unit="processor s", command=command),
        Row(metric=f"{what}: no limit, peak ({free.held_mb:,.0f} of it before)", value=free.peak_mb, unit="MB",
            command=command),
    ]  # fmt: skip
    for limit_mb in LIMITS_MB:
        found = written(folder, case, limit_mb)
        if math.isnan(found.seconds):
            rows.append(Row(metric=f"{what}: {limit_mb:,} MB is refused; asked for", value=found.enough_mb, unit="MB",
                            command=command))  # fmt: skip
            continue
        check_same(folder, limit_mb)
        rows += [
            Row(metric=f"{what}: {limit_mb:,} MB, {found.parts} parts", value=found.seconds, unit="processor s",
                peer="no limit", peer_value=free.seconds, command=command),
            Row(metric=f"{what}: {limit_mb:,} MB, peak", value=found.peak_mb, unit="MB",
                goal=Goal(op="<=", value=limit_mb), peer="no limit", peer_value=free.peak_mb, command=command),
        ]  # fmt: skip
    return rows


def depth(million: int, command: str) -> list[Row]:
    """Customers, sessions, transactions."""
    with tempfile.TemporaryDirectory() as name:
        for table, data in depth_world(million, million).items():
            pq.write_table(data, Path(name) / f"{table}.parquet")
        return measured(Path(name), "depth", f"{million:,} transactions and cutoffs, {len(FEATURES)} features", command)


def flights(command: str) -> list[Row]:
    """Six entities, five lookbacks, twelve aggregates."""
    with tempfile.TemporaryDirectory() as name:
        return measured(Path(name), "flights", "336,776 flights, 360 features", command)


def fit(million: int, command: str) -> list[Row]:
    """LightGBM on training rows in memory, and in files."""
    rng, columns = np.random.default_rng(0), 50
    names = [f"f{number}" for number in range(columns)]
    with tempfile.TemporaryDirectory() as name:
        folder, schema = Path(name), pa.schema([(column, pa.float64()) for column in (*names, "label")])
        with pq.ParquetWriter(folder / "training.parquet", schema) as writer:
            for start in range(0, million, 50_000):
                X = rng.standard_normal((min(50_000, million - start), columns))
                label = (X[:, 0] + X[:, 1] * X[:, 2] + rng.standard_normal(len(X)) > 0).astype(float)
                writer.write_table(pa.table(dict(zip((*names, "label"), [*X.T, label], strict=True))))
        memory, files = (_fitted(folder, mode) for mode in ("memory", "files"))
        if (folder / "memory.txt").read_bytes() != (folder / "files.txt").read_bytes():
            raise SystemExit("the model of rows in files is not that of rows in memory")
    what = f"fit of {million:,} rows of {columns} features"
    return [
        Row(metric=f"{what}: in files, added to {files['before_mb']:,.0f} MB",
            value=files["peak_mb"] - files["before_mb"], unit="MB", peer="in memory",
            peer_value=memory["peak_mb"] - memory["before_mb"], command=command),
        Row(metric=f"{what}: in files", value=files["seconds"], unit="processor s", peer="in memory",
            peer_value=memory["seconds"], command=command),
    ]  # fmt: skip


def _fitted(folder: Path, mode: str) -> dict[str, float]:
    script = ROOT / "benchmarks" / "peers" / "headrace_fit_peer.py"
    subprocess.run([sys.executable, str(script), str(folder), mode], check=True)
    figures: dict[str, float] = json.loads((folder / f"{mode}.json").read_text())
    print(f"fit, {mode}: {figures}", flush=True)
    return figures


def lake(events: int, limit_mb: int, command: str) -> list[Row]:
    """The main job on a lake with one large table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _lake_case("write", str(folder), str(events))
        free, limited = (_lake_run(folder, mb) for mb in (0, limit_mb))
        if free["champion"] != limited["champion"]:
            raise SystemExit("the champion below the limit is not the one without")
    what = f"main job, {events:,} events of {free['table_mb']:,.0f} MB in memory"
    rows = [
        Row(metric=f"{what}: {limit_mb:,} MB, peak", value=limited["peak_mb"], unit="MB",
            goal=Goal(op="<=", value=limit_mb), peer="no limit, local engine", peer_value=free["peak_mb"],
            command=command),
        Row(metric=f"{what}: {limit_mb:,} MB", value=limited["seconds"], unit="processor s",
            peer="no limit, local engine", peer_value=free["seconds"], command=command),
    ]  # fmt: skip
    return rows + [
        Row(metric=f"stage {stage}: peak", value=limited["stages"][stage]["peak_mb"], unit="MB",
            peer="no limit, local engine", peer_value=free["stages"][stage]["peak_mb"], command=command)
        for stage in ("ingest", "synthesise", "select", "training-set", "search", "materialise")
    ]  # fmt: skip


def _lake_run(folder: Path, limit_mb: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as home:
        figures: dict[str, Any] = json.loads(_lake_case("run", str(folder), home, str(limit_mb)))
    print(f"lake, limit {limit_mb} MB: {figures}", flush=True)
    return figures


def _lake_case(*arguments: str) -> str:
    command = [sys.executable, "-m", "benchmarks.lake_case", *arguments]
    return subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    quick, only = bool(os.environ.get("QUICK")), os.environ.get("ONLY", "")
    command = f"{COMMAND} QUICK=1" if quick else COMMAND
    if only in ("", "depth"):
        rows = depth(250_000 if quick else 1_000_000, command)
        publish("memory", "Synthesis below a memory limit: two levels deep", rows, _NOTE)
    if only in ("", "flights") and not quick:
        publish("memory-flights", "Synthesis below a memory limit: all of the flights", flights(command), _FLIGHTS)
    if only in ("", "fit"):
        publish("memory-fit", "Fitting below a memory limit", fit(250_000 if quick else 1_000_000, command), _FIT)
    if only in ("", "lake"):
        events = int(os.environ.get("EVENTS", 600_000 if quick else 8_000_000))
        rows = lake(events, int(os.environ.get("LIMIT_MB", 1_200)), command)
        publish("memory-lake", "The main job on a lake larger than memory", rows, _LAKE)


_NOTE = """
From tables in memory to a Parquet file of the matrix, on two threads, each run in its own process. The peak is the
memory of the whole process, including its libraries and the tables. Every file computed below a limit is compared bit
by bit with the one computed without, before a row is written. The features two levels deep are those of featuretools'
default primitives, by its names; featuretools itself generates two more (see above).
"""
_FIT = """
From the Parquet file of the training set to predictions of all rows by LightGBM (20 rounds, two threads), each run in
its own process; nine rows of ten are trained on, so they are copied. Memory is what only the process can use: pages of
mapped files are left out, since the operating system may drop them. Both models are the same text.
"""
_LAKE = """
The whole main job, from Parquet sources to a served model, each run in its own process: ingest, features, training set,
search, registration, online store. The events have three texts of 150 characters that no feature reads. Memory is what
only the process can use, as above. Below the limit the engine is `partitioned`. Both champions are the same files.
"""
_FLIGHTS = """
As above, with six entities, each cut into parts of its own.
"""


if __name__ == "__main__":
    main()
