"""Deep Feature Synthesis beside other engines: same events, same cutoffs, same features, values compared.

    make bench-dfs [QUICK=1] [ONLY=beside|classes|growth|depth|flights]

Each engine is a process of its own (benchmarks/peers), timed from tables in memory to values in memory, on one thread:
what is timed is the processor time of that thread, so that the machine may have other work.
featuretools' time is measured on some of the cutoffs and multiplied: it works through distinct cutoffs one by one.
A peer that is not done after its limit, on the wall, counts with that limit, and the row says so.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.peers.depth_world import depth_world
from benchmarks.results import Goal, Row, publish

ROOT = Path(__file__).parents[1]
COMMAND = "make bench-dfs"
FEATURES = ("count", *(f"{name}_{column}" for column in "xy" for name in ("sum", "mean", "min", "max")))
SPAN = 30 * 86_400_000_000
PYTHONS = {
    "featuretools_depth": ROOT / ".venv-featuretools" / "bin" / "python",
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


def measured(
    peer: str, events: pa.Table, asked: pa.Table, limit_s: float = 900, features: Sequence[str] = ()
) -> Outcome:
    """One engine in a process of its own."""
    more = [",".join(features)] if features else []
    with tempfile.TemporaryDirectory() as name:
        return run(peer, Path(name), {"events": events, "asked": asked}, limit_s, more)


def run(peer: str, folder: Path, tables: Mapping[str, pa.Table], limit_s: float, more: Sequence[str] = ()) -> Outcome:
    """A peer's script on tables that are written into a folder."""
    for name, rows in tables.items():
        pq.write_table(rows, folder / f"{name}.parquet")
    script = ROOT / "benchmarks" / "peers" / f"{peer}_peer.py"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [str(PYTHONS.get(peer, sys.executable)), str(script), str(folder), *more]
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


def check_equal(ours: pa.Table, theirs: pa.Table, peer: str, tolerance: float = 1e-9) -> None:
    """Raise where a value differs, of the rows that both have."""
    theirs = theirs.sort_by("row")
    mine = ours.filter(pc.is_in(ours["row"], theirs["row"].cast(pa.int64()).combine_chunks())).sort_by("row")
    for name in set(theirs.column_names) & set(mine.column_names) - {"row"}:
        one, other = (table[name].cast(pa.float64()).to_numpy() for table in (mine, theirs))
        if name == "count":
            one, other = np.nan_to_num(one), np.nan_to_num(other)
        if name.startswith("sum"):
            other = np.nan_to_num(other)  # SQL's sum of nothing is null
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance, err_msg=f"{peer}: {name}")


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
    slow = beside("featuretools", ours, events, few, 900)
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
        Row(metric=f"{what}: peak memory of the process (six calls)", value=ours.peak_mb, unit="MB",
            peer="floor in numpy",
            peer_value=floor.peak_mb, command=command),
    ]  # fmt: skip
    for peer, goal in (("duckdb", None), ("fastdfs", 50), ("getml", 50)):
        other = beside(peer, ours, events, asked, 120 if quick else 600)
        if math.isnan(other.seconds):
            print(f"{peer} left out: {other.why}")
            continue
        name = f"{peer}, s{' (' + other.why + ')' if other.why else ''}"
        rows.append(
            Row(metric=f"{what}: times as fast as {peer}", value=other.seconds / ours.seconds, unit="x",
                goal=Goal(op=">=", value=goal) if goal else None, peer=name, peer_value=other.seconds, command=command)
        )  # fmt: skip
    return rows


#: Classes of primitives over one column of the heavy entities; the floor is what bare numpy needs for them.
CLASSES = {
    "positional": (("count", "first_x", "last_x"), 3.0),
    "invertible": (("sum_x", "mean_x", "std_x"), 3.0),
    "extremes": (("min_x", "max_x"), None),
    "distinct": (("num_unique_y",), None),
}


def classes(command: str) -> list[Row]:
    """Each class of primitives beside its floor: one sort, one search, and the least that numpy can do."""
    events, asked = world(50, 500_000, 20_000)
    rows = []
    for name, (features, goal) in CLASSES.items():
        ours = measured("headrace", events, asked, features=features)
        floor = measured("floor", events, asked, features=features)
        if ours.values is None or floor.values is None:
            raise SystemExit(f"{name}: {ours.why} {floor.why}")
        check_equal(ours.values, floor.values, "floor", 1e-6)  # its differences of sums of squares lose digits
        print(f"{name}: {ours.seconds:.3f} s, floor {floor.seconds:.3f} s", flush=True)
        rows.append(
            Row(metric=f"{name} ({', '.join(features)}): times the floor", value=ours.seconds / floor.seconds, unit="x",
                goal=Goal(op="<=", value=goal) if goal else None, peer="floor in numpy, s", peer_value=floor.seconds,
                command=command)
        )  # fmt: skip
    return rows


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """The slope of log time over log size."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def fitted(name: str, sizes: Sequence[int], outcomes: Sequence[Outcome], command: str) -> Row:
    """An exponent from outcomes, with the time of the largest and its memory."""
    taken = [outcome.seconds for outcome in outcomes]
    print(f"growth over {name}: {taken}, {[round(outcome.peak_mb) for outcome in outcomes]} MB", flush=True)
    what = f"growth over {name} ({sizes[0]:,} to {sizes[-1]:,}; the largest peaks at {outcomes[-1].peak_mb:,.0f} MB)"
    return Row(metric=f"{what}: exponent", value=exponent(sizes, taken), unit="", goal=Goal(op="<=", value=1.1),
               peer="s at the largest", peer_value=taken[-1], command=command)  # fmt: skip


def growth(quick: bool, command: str) -> list[Row]:
    """Exponents of time over events, cutoffs and features, each doubled twice."""
    base = 100_000 if quick else 250_000
    sizes = [base, 2 * base, 4 * base]
    spans = [f"{name}@{3_600 * 6 * 2**power}" for power in range(8) for name in FEATURES]
    return [
        fitted("events", sizes, [measured("headrace", *world(10_000, n, base)) for n in sizes], command),
        fitted("cutoffs", sizes, [measured("headrace", *world(10_000, base, n)) for n in sizes], command),
        fitted("features", [18, 36, 72],
               [measured("headrace", *world(10_000, base, base), features=spans[:n]) for n in (18, 36, 72)], command),
    ]  # fmt: skip


def depth(quick: bool, command: str) -> list[Row]:
    """Customers, sessions, transactions: featuretools' own 73 features of its defaults, two levels down."""
    million = 100_000 if quick else 1_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small = depth_world(10_000, 50)
        theirs = run("featuretools_depth", folder, small, 900)
        ours = run("headrace_depth", folder, small, 400)
        if ours.values is None or theirs.values is None:
            raise SystemExit(f"{ours.why} {theirs.why}")
        features = json.loads((folder / "names.json").read_text())
        compared = same_values(ours.values, theirs.values)
        print(f"{compared} of {len(features)} features have featuretools' values", flush=True)
        each = theirs.seconds / small["asked"].num_rows
        whole = run("headrace_depth", folder, depth_world(million, million), 1500, ["1"])
        print(f"depth 2: {whole.seconds:.1f} s, {whole.peak_mb:.0f} MB {whole.why}", flush=True)
        what = f"{million:,} transactions, {million:,} cutoffs, {len(features)} features at depth 2"
        rows = [
            Row(metric=f"{what}: Headrace, values in memory (peak {whole.peak_mb:,.0f} MB)", value=whole.seconds,
                unit="s", goal=Goal(op="<=", value=60),
                peer=f"featuretools, s (from 50 cutoffs over 10,000 transactions, {compared} features equal)",
                peer_value=each * million, command=command),
        ]  # fmt: skip
        base = million // 4
        sizes = [base // 4, base // 2, base]
        for axis, shapes in (("transactions", [(n, base) for n in sizes]), ("cutoffs", [(base, n) for n in sizes])):
            outcomes = [run("headrace_depth", folder, depth_world(*shape), 900) for shape in shapes]
            rows.append(fitted(f"{axis}, 73 features at depth 2", sizes, outcomes, command))
        rows.append(_levels(folder, depth_world(base, base), command))
    return rows


def _levels(folder: Path, tables: Mapping[str, pa.Table], command: str) -> Row:
    """What a mean costs two levels down beside one of the transactions themselves."""
    seconds = []
    for name in ("MEAN(transactions.amount)", "MEAN(sessions.MEAN(transactions.amount))"):
        (folder / "names.json").write_text(json.dumps([name]))
        seconds.append(run("headrace_depth", folder, tables, 900).seconds)
    print(f"a mean at depth 1, 2: {seconds}", flush=True)
    return Row(metric="growth over depth (a mean at 1 and at 2): exponent", value=exponent([1, 2], seconds), unit="",
               goal=Goal(op="<=", value=1.1), peer="s at depth 2", peer_value=seconds[1], command=command)  # fmt: skip


def same_values(ours: pa.Table, theirs: pa.Table) -> int:
    """How many features have equal values; raises where one has not. featuretools reads digits as numbers."""
    mine, other = ours.sort_by("row"), theirs.sort_by("row")
    names = [name for name in other.column_names if name != "row"]
    for name in names:
        one, two = mine[name], other[name]
        if pa.types.is_string(one.type) or pa.types.is_large_string(one.type):
            assert one.to_pylist() == two.cast(pa.string()).to_pylist(), name
        else:
            floats = (np.asarray(column.cast(pa.float64()).to_numpy(), dtype=float) for column in (one, two))
            np.testing.assert_allclose(*floats, rtol=1e-9, atol=1e-9, err_msg=name)
    return len(names)


def flights(command: str) -> list[Row]:
    """All flights of the year: six entities, five lookbacks, Parquet to Parquet, on two threads."""
    with tempfile.TemporaryDirectory() as name:
        ours = run("headrace_flights", Path(name), {}, 480)
    if ours.why:
        raise SystemExit(ours.why)
    print(f"flights: {dict(ours.figures)}", flush=True)
    what = f"{ours.figures['cutoffs']:,.0f} flights, {ours.figures['features']:.0f} features, Parquet to Parquet"
    load = ours.figures["load"]
    return [
        Row(metric=f"{what}: by the clock, with {load:.1f} processes wanting the two cores", value=ours.seconds,
            unit="s", goal=Goal(op="<=", value=10), command=command),
        Row(metric=f"{what}: processor time of both threads (peak {ours.peak_mb:,.0f} MB)",
            value=ours.figures["processor"], unit="s", command=command),
    ]  # fmt: skip


def main() -> None:
    quick, only = bool(os.environ.get("QUICK")), os.environ.get("ONLY", "")
    command = f"{COMMAND} QUICK=1" if quick else COMMAND
    if only in ("", "beside"):
        publish("dfs", "Deep Feature Synthesis compared with other engines", beside_others(quick, command), _BESIDE)
    if only in ("", "classes"):
        publish("dfs-classes", "Deep Feature Synthesis: classes of primitives", classes(command), _CLASSES)
    if only in ("", "growth"):
        publish("dfs-growth", "Deep Feature Synthesis: growth", growth(quick, command), _GROWTH)
    if only in ("", "depth"):
        publish("dfs-depth", "Deep Feature Synthesis: two levels deep", depth(quick, command), _DEPTH)
    if only in ("", "flights"):
        publish("dfs-flights", "Deep Feature Synthesis: all of the flights", flights(command), _FLIGHTS)


def beside_others(quick: bool, command: str) -> list[Row]:
    return [*many_cutoffs(quick, command), *heavy(quick, command)]


_BESIDE = """
Flat aggregations (count; sum, mean, min and max of two columns) over the whole history before each cutoff. Seconds
are processor seconds of one thread; every engine uses one thread. Values are compared with every peer's before a row
is written (except getML's, which selects and names its features itself). DuckDB is the fastest of three hand-written
queries: a join, an ASOF join on running windows, and one window over the union. featuretools' total time is its time
per distinct cutoff, measured on a sample, times their number. Headrace's time is the median of five calls; the first
call loads the engine's kernels, or compiles them if no process has done so. Peak memory is the process's own, without
getML's separate engine.
"""
_CLASSES = """
50 entities, 500,000 events, 20,000 cutoffs, the whole history; both sides include one sort of the rows. Headrace
supports keys in any order, versions, nulls, known times and double-double sums; the floor supports none of these.
Processor seconds of one thread, medians of five.
"""
_GROWTH = "Nine flat features of 10,000 entities (72: in eight lookbacks); processor seconds of one thread."
_DEPTH = """
Customers, their sessions, and the sessions' transactions. The features are those that featuretools generates with its
default primitives; values are compared with featuretools' on 50 cutoffs before a row is written. Cutoffs are
distinct. Processor seconds of one thread, values in memory, nothing reused from an earlier call.
"""
_FLIGHTS = """
Every flight of 2013, two hours before its departure: origin, dest, carrier, route, aircraft, flight number; lookbacks
of 6 h, 1 d, 7 d, 30 d and the whole history; twelve aggregations on known time, each column with its own. From the
lake's Parquet files to a Parquet file of the matrix, on two threads; the faster of two calls after a first one. The
wall-clock goal is met only if no other process uses the cores.
"""


if __name__ == "__main__":
    main()
