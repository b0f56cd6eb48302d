"""What a new batch costs: the flights' synthesis after it, carried over against all anew, by the length of the batch.

Run as `make bench-incremental` (QUICK=1: an hour, a day and a week on four months; else a month, and a year's history
as well). The whole stage is measured, from the lake on disk to the candidates on disk. Each carried matrix must equal
the other, bit for bit.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.results import Row, publish
from headrace.app.context import context_of as open_context
from headrace.core.clock import BEFORE_ALL, parse_duration, to_us
from headrace.core.files import read_json
from headrace.lake import feed
from headrace.pipeline.context import Context
from headrace.pipeline.production.intake import ingest
from headrace.pipeline.stage import FinishedStage, run
from headrace.pipeline.stages.candidate_matrix import Candidates
from headrace.pipeline.stages.ingest import IngestOutput
from headrace.pipeline.stages.synthesise import SYNTHESISE

COMMAND = "make bench-incremental"
LENGTHS = ("1h", "1d", "7d", "28d")

NOTE = (
    "The flights and their 981 candidate features, then one batch. The whole synthesis stage, from the lake"
    " on disk to the candidates on disk, is measured once with an earlier result to reuse and once without."
    " The cost of a batch consists of its own rows, the history inside their lookbacks (30 days), and a part"
    " that does not depend on the batch: opening the lake and building the spine (proportional to all rows,"
    " but small), and the 981 definitions. Both results must be bit-identical, or the run fails."
)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One batch: its messages, the rows computed because of it, and processor seconds with and without a past."""

    length: str
    messages: int
    rows: int
    all_rows: int
    carried_s: float
    anew_s: float


def context_of(root: Path) -> Context:
    return open_context("flights", root)


def synthesise(context: Context, until_us: int) -> tuple[float, Path]:
    """Processor seconds of the stage, and its folder."""
    ingested = FinishedStage(
        name="ingest",
        output=IngestOutput(snapshot="", until_us=until_us, tables={}, batches=(), quarantined=()),
        folder=context.root,
        digest=str(until_us),
    )
    started = time.process_time()
    done, _ = run(SYNTHESISE, context, {"ingest": ingested})
    return time.process_time() - started, done.folder


def measure(home: Path, folder: Path, start_us: int, length: str) -> Measured:
    """A batch on top of a home's lake and finished synthesis."""
    shutil.copytree(home, folder, copy_function=os.link)
    context = context_of(folder)
    end = start_us + parse_duration(length)
    outcomes = ingest(context.problem, folder, feed.step(context.problem, start_us, end), arrival_us=end)
    carried_s, grown = synthesise(context, end)
    told = read_json(grown / "lake.json")
    kept = folder / "kept"
    grown.rename(kept)
    shutil.rmtree(context.stages_folder)
    anew_s, whole = synthesise(context, end)
    if not Candidates(kept).table().equals(Candidates(whole).table()):
        raise AssertionError(f"{length}: what was carried over is not what was computed")
    found = Measured(
        length=length,
        messages=sum(outcome.rows for outcome in outcomes),
        rows=told["computed"],
        all_rows=told["rows"],
        carried_s=carried_s,
        anew_s=anew_s,
    )
    print(f"{found}, {len(Candidates(kept).sizes)} parts", flush=True)
    shutil.rmtree(folder)
    return found


def history(root: Path, until_us: int) -> None:
    """The bootstrap load, and the feed's messages up to an instant as one batch."""
    context = context_of(root)
    problem = context.problem
    assert problem.feed is not None
    ingest(problem, root, feed.bootstrap(problem), arrival_us=BEFORE_ALL, bootstrap=True)
    if until_us > problem.feed.start_us:
        ingest(problem, root, feed.step(problem, problem.feed.start_us, until_us), arrival_us=until_us)
    seconds, _ = synthesise(context, until_us)
    print(f"history: {seconds:.2f} s", flush=True)


def series(root: Path, name: str, until_us: int, lengths: tuple[str, ...]) -> list[Row]:
    """Batches of some lengths on one history."""
    home = root / "home"
    history(home, until_us)
    found = [measure(home, root / "one", until_us, length) for length in lengths]
    shutil.rmtree(home)
    rows = [
        Row(
            metric=f"{name}: {one.length} ({one.messages:,} messages, {one.rows:,} of {one.all_rows:,} rows)",
            value=one.carried_s,
            unit="processor s",
            peer="all anew",
            peer_value=one.anew_s,
            command=COMMAND,
        )
        for one in found
    ]
    cost, size = np.array([one.carried_s for one in found]), np.array([float(one.rows) for one in found])
    slope, fixed = np.polyfit(size, cost, 1)
    exponent = np.polyfit(np.log(size), np.log(cost), 1)[0]
    return [
        *rows,
        Row(metric=f"{name}: exponent of cost over new rows", value=float(exponent), unit="", command=COMMAND),
        Row(metric=f"{name}: cost of no rows at all, fitted", value=float(fixed), unit="processor s", command=COMMAND),
        Row(metric=f"{name}: cost of 1,000 new rows, fitted", value=slope * 1000, unit="processor s", command=COMMAND),
    ]


def warm(root: Path) -> None:
    """Kernels compiled, files of the data set read."""
    context = context_of(root)
    problem = context.problem
    assert problem.feed is not None
    tables = {name: rows.slice(0, 3000) for name, rows in feed.bootstrap(problem).items()}
    ingest(problem, root, tables, arrival_us=BEFORE_ALL, bootstrap=True)
    synthesise(context, problem.feed.start_us)


def main() -> None:
    """Every length on a lake of its own."""
    quick = bool(os.environ.get("QUICK"))
    pa.set_cpu_count(2)
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_FOLDER")) as folder:
        root = Path(folder)
        warm(root / "warm")
        start = to_us("2013-05-01")
        rows = series(root, "four months", start, LENGTHS[:3] if quick else LENGTHS)
        if not quick:
            rows += series(root, "eleven months", to_us("2013-12-01"), LENGTHS[1:])
    publish("incremental", "A new batch", rows, NOTE)


if __name__ == "__main__":
    main()
