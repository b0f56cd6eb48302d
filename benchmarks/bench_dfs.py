"""Deep Feature Synthesis beside other engines: same events, same cutoffs, same features, values compared.

    make bench-dfs [QUICK=1]

Each engine is a process of its own (benchmarks/peers), timed from tables in memory to values in memory, on one thread.
featuretools' time is measured on some of the cutoffs and multiplied: it works through distinct cutoffs one by one.
A peer that is not done after its limit counts with that limit, and the row says so.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.results import Goal, Row, publish

ROOT = Path(__file__).parents[1]
COMMAND = "make bench-dfs"
SPAN = 30 * 86_400_000_000
PYTHONS = {
    "featuretools": ROOT / ".venv-featuretools" / "bin" / "python",
    "fastdfs": ROOT / ".venv-fastdfs" / "bin" / "python",
    "duckdb": ROOT / ".venv-fastdfs" / "bin" / "python",
    "getml": ROOT / ".venv-getml" / "bin" / "python",
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """seconds; peak_mb of the process; values by row, None where it was stopped at its limit or failed (`why`)."""

    seconds: float
    peak_mb: float
    values: pa.Table | None
    figures: Mapping[str, float]
    why: str = ""


def world(entities: int, events: int, cutoffs: int, seed: int = 0) -> tuple[pa.Table, pa.Table]:
    """Events of entities over thirty days, and as many distinct cutoffs as asked, each for one entity."""
    rng = np.random.default_rng(seed)
    at = np.sort(rng.integers(0, SPAN, events))
    columns = {"key": rng.integers(0, entities, events), "at": at, "x": rng.normal(size=events)}
    cutoff = np.arange(cutoffs) * (SPAN // cutoffs) + rng.integers(0, SPAN // cutoffs, cutoffs)
    asked = {"row": np.arange(cutoffs), "key": rng.integers(0, entities, cutoffs), "cutoff": cutoff}
    return pa.table({**columns, "y": rng.integers(0, 100, events).astype(np.float64)}), pa.table(asked)


def measured(peer: str, events: pa.Table, asked: pa.Table, limit_s: float = 120) -> Outcome:
    """One engine in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pq.write_table(events, folder / "events.parquet")
        pq.write_table(asked, folder / "asked.parquet")
        script = ROOT / "benchmarks" / "peers" / f"{peer}_peer.py"
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        environment |= {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        command = [str(PYTHONS.get(peer, sys.executable)), str(script), name]
        try:
            subprocess.run(command, check=True, timeout=limit_s, capture_output=True, env=environment)
        except subprocess.TimeoutExpired:
            return Outcome(seconds=limit_s, peak_mb=math.nan, values=None, figures={}, why="stopped at its limit")
        except subprocess.CalledProcessError as error:
            last = error.stderr.decode().strip().splitlines()[-1:]
            return Outcome(seconds=math.nan, peak_mb=math.nan, values=None, figures={}, why=f"failed: {last}")
        figures = json.loads((folder / "figures.json").read_text())
        values = pq.read_table(folder / "values.parquet")
    return Outcome(seconds=figures["seconds"], peak_mb=figures["peak_mb"], values=values, figures=figures)


def check_equal(ours: pa.Table, theirs: pa.Table, peer: str) -> None:
    """Raise where a value differs, of the rows that both have."""
    theirs = theirs.sort_by("row")
    mine = ours.filter(pc.is_in(ours["row"], theirs["row"].cast(pa.int64()).combine_chunks())).sort_by("row")
    for name in set(theirs.column_names) & set(mine.column_names) - {"row"}:
        one, other = (table[name].cast(pa.float64()).to_numpy() for table in (mine, theirs))
        if name == "count":
            one, other = np.nan_to_num(one), np.nan_to_num(other)
        if name.startswith("sum"):
            other = np.nan_to_num(other)  # SQL's sum of nothing is null
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9, err_msg=f"{peer}: {name}")


def beside(peer: str, ours: Outcome, events: pa.Table, asked: pa.Table, limit_s: float) -> Outcome:
    """A peer, its values held against ours."""
    outcome = measured(peer, events, asked, limit_s)
    if outcome.values is not None and "row" in outcome.values.column_names:
        assert ours.values is not None
        check_equal(ours.values, outcome.values, peer)
    print(
        f"{peer}: {outcome.seconds:.3f} s, {outcome.peak_mb:.0f} MB {outcome.why} {dict(outcome.figures)}", flush=True
    )
    return outcome


def many_cutoffs(quick: bool, command: str) -> list[Row]:
    """500 entities, 50,000 events, 10,000 distinct cutoffs."""
    events, asked = world(500, 50_000, 10_000)
    ours = measured("headrace", events, asked)
    few = asked.take(pa.array(np.linspace(0, asked.num_rows - 1, 25 if quick else 100).astype(int)))
    slow = beside("featuretools", ours, events, few, 240)
    whole = slow.seconds / few.num_rows * asked.num_rows
    what = "10,000 distinct cutoffs, 500 entities, 50,000 events, 9 features"
    return [
        Row(metric=f"{what}: Headrace", value=ours.seconds, unit="s", peer="its first call",
            peer_value=ours.figures["cold"], command=command),
        Row(metric=f"{what}: times as fast as featuretools", value=whole / ours.seconds, unit="x",
            goal=Goal(op=">=", value=5_000), peer=f"featuretools, s (from {few.num_rows} cutoffs)", peer_value=whole,
            command=command),
        Row(metric=f"{what}: times as fast, first call counted", value=whole / ours.figures["cold"], unit="x",
            command=command),
    ]  # fmt: skip


def heavy(quick: bool, command: str) -> list[Row]:
    """50 entities, 500,000 events, 20,000 cutoffs."""
    events, asked = world(50, 500_000, 20_000)
    ours = measured("headrace", events, asked)
    print(f"headrace: {ours.seconds:.3f} s {dict(ours.figures)}", flush=True)
    what = "50 entities, 500,000 events, 20,000 cutoffs, 9 features"
    floor = beside("floor", ours, events, asked, 60)
    rows = [
        Row(metric=f"{what}: Headrace", value=ours.seconds, unit="s", peer="floor in numpy", peer_value=floor.seconds,
            command=command),
        Row(metric=f"{what}: peak memory of the process (two calls)", value=ours.peak_mb, unit="MB",
            peer="floor in numpy",
            peer_value=floor.peak_mb, command=command),
    ]  # fmt: skip
    for peer, goal in (("duckdb", None), ("fastdfs", 50), ("getml", 50)):
        other = beside(peer, ours, events, asked, 50 if quick else 150)
        if math.isnan(other.seconds):
            print(f"{peer} left out: {other.why}")
            continue
        name = f"{peer}, s{' (' + other.why + ')' if other.why else ''}"
        rows.append(
            Row(metric=f"{what}: times as fast as {peer}", value=other.seconds / ours.seconds, unit="x",
                goal=Goal(op=">=", value=goal) if goal else None, peer=name, peer_value=other.seconds, command=command)
        )  # fmt: skip
    return rows


def growth(quick: bool, command: str) -> list[Row]:
    """Exponents of time over events and over cutoffs, each doubled twice."""
    base = 100_000 if quick else 250_000
    sizes = [base, 2 * base, 4 * base]
    rows = []
    for name, shapes in (("events", [(n, base) for n in sizes]), ("cutoffs", [(base, n) for n in sizes])):
        taken = [measured("headrace", *world(10_000, events, cutoffs)).seconds for events, cutoffs in shapes]
        exponent = float(np.polyfit(np.log(sizes), np.log(taken), 1)[0])
        print(f"growth over {name}: {taken}", flush=True)
        rows.append(
            Row(metric=f"growth over {name} ({sizes[0]:,} to {sizes[-1]:,}): exponent", value=exponent, unit="",
                goal=Goal(op="<=", value=1.1), peer="s at the largest", peer_value=taken[-1], command=command)
        )  # fmt: skip
    return rows


def main() -> None:
    quick = bool(os.environ.get("QUICK"))
    command = f"{COMMAND} QUICK=1" if quick else COMMAND
    rows = [*many_cutoffs(quick, command), *heavy(quick, command), *growth(quick, command)]
    note = (
        "Flat aggregates (count; sum, mean, min and max of two columns) over all history before each cutoff, on one"
        " thread of two shared cores; values are compared with every peer's before a row is written (getML's are not:"
        " it selects and names its features itself). featuretools' whole time is its time per distinct cutoff, measured"
        " on some, times their number."
        " The first call compiles the engine's kernels where no earlier process has; fastdfs"
        " and DuckDB are given one thread too. Peak memory is the process's own, without getML's engine beside it."
    )
    publish("dfs", "Deep Feature Synthesis", rows, note)


if __name__ == "__main__":
    main()
