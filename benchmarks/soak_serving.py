"""The prediction API under load for long, at compressed time: whether memory, file handles and disk stay flat.

    make soak [MINUTES=10] [QUICK=1: one minute] [HOME_FOLDER=folder with a champion of the flights]

Six years of production pass in the minutes. Two processes on one port answer single rows on four connections, at a
fixed pace. Meanwhile versions are swapped, metrics are read, and every half year retention removes predictions that
are older than half a year. The first fifth of the time fills what has a bound: caches, the log. The thirds of the rest
are compared.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.bench_serving import trained
from benchmarks.results import Goal, Row, publish, show
from benchmarks.serving_load import Load, measure, memory_mb
from benchmarks.serving_peers import Server, headrace
from benchmarks.serving_shadow import PROBLEM, register_copy
from headrace.core.clock import DAY
from headrace.lake.store import Lake
from headrace.pipeline.production.retention import plan_removal, remove
from headrace.problems.catalogue import load_problem
from headrace.registry.ledger import Ledger

COMMAND = "make soak"
CONNECTIONS, PROCESSES, PAUSE_S = 4, 2, 0.02
DAYS, RETENTION_DAYS = 6 * 365, 182
WARM_UP = 0.2
SWAPS, SCRAPES, SAMPLES = 40, 60, 120
#: Largest ratio of the last third to the first one.
GROWTH = 1.1


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What the server holds at one moment. share: of the soak that has passed."""

    share: float
    memory_mb: float
    handles: int
    threads: int
    disk_mb: float


@dataclass(kw_only=True)
class Soak:
    """The state of a soak: its home, its server, what was measured."""

    home: Path
    server: Server
    versions: tuple[str, str]
    samples: list[Sample] = field(default_factory=list)
    swaps: int = 0
    removed: int = 0

    def advance(self, share: float, start_us: int) -> None:
        """Move the production clock to where it is after a share of the soak."""
        Lake(self.home, PROBLEM).advance_clock(start_us + int(share * DAYS) * DAY)

    def swap(self) -> None:
        """Make the other version champion."""
        ledger = Ledger(self.home, PROBLEM)
        champion = ledger.champion()
        assert champion is not None
        (other,) = set(self.versions) - {champion.version}
        ledger.promote(other, champion.version, "a soak", {}, champion.at_us, force=True)
        self.swaps += 1

    def retain(self) -> None:
        """Remove predictions that are older than half a year, as `headrace retention` does."""
        problem = load_problem(PROBLEM)
        planned = plan_removal(
            self.home, problem, predictions_us=RETENTION_DAYS * DAY, alerts_us=None, now_us=time.time_ns() // 1000
        )
        remove(self.home, problem, planned)
        self.removed += planned.predictions

    def scrape(self) -> None:
        """Read the metrics, as Prometheus does."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.server.port}/metrics", timeout=60) as answer:
            answer.read()

    def sample(self, share: float) -> None:
        """Measure what the server holds now."""
        family = [psutil.Process(self.server.pid), *psutil.Process(self.server.pid).children(recursive=True)]
        self.samples.append(
            Sample(
                share=share,
                memory_mb=memory_mb(self.server.pid),
                handles=sum(process.num_fds() for process in family),
                threads=sum(process.num_threads() for process in family),
                disk_mb=sum(path.stat().st_size for path in self.home.rglob("*") if path.is_file()) / 1e6,
            )
        )


def soak(state: Soak, seconds: float) -> Load:
    """Load the server for so many seconds, while swaps, retention and metrics take their turns."""
    loads: list[Load] = []

    def load() -> None:
        requests, server = state.server.single, state.server
        loads.append(
            measure(server.port, server.pid, requests, connections=CONNECTIONS, seconds=seconds, pause_s=PAUSE_S)
        )

    thread = threading.Thread(target=load)
    thread.start()
    start_us, started = Lake(state.home, PROBLEM).clock() or 0, time.monotonic()
    tasks: list[tuple[int, Callable[[float], None]]] = [
        (SAMPLES, state.sample),
        (SCRAPES, lambda share: state.scrape()),
        (SWAPS, lambda share: state.swap()),
        (DAYS // 30, lambda share: state.advance(share, start_us)),
        (DAYS // RETENTION_DAYS, lambda share: state.retain()),
    ]
    done = [0] * len(tasks)
    while thread.is_alive() and (share := (time.monotonic() - started) / seconds) < 1:
        for at, (times, task) in enumerate(tasks):
            if done[at] < int(share * times):
                done[at] = int(share * times)
                task(share)
        time.sleep(min(0.05, seconds / 1000))
    thread.join()
    if not loads:
        raise SystemExit("a request was not answered by 200: see above")
    return loads[0]


def rows_of(state: Soak, load: Load, command: str) -> list[Row]:
    """The rows to publish: each figure in the first, the middle and the last third after the warm-up."""
    thirds = [_third(state.samples, number) for number in range(3)]
    figures: dict[str, tuple[str, Callable[[Sequence[Sample]], float]]] = {
        "memory of the processes, mean": ("MB", lambda part: statistics.mean(one.memory_mb for one in part)),
        "file handles, most": ("", lambda part: max(one.handles for one in part)),
        "threads, most": ("", lambda part: max(one.threads for one in part)),
        "disk of the home, most": ("MB", lambda part: max(one.disk_mb for one in part)),
    }
    rows = []
    for name, (unit, figure) in figures.items():
        first, middle, last = (figure(part) for part in thirds)
        rows += [
            Row(metric=f"{name}: first third", value=first, unit=unit, command=command),
            Row(metric=f"{name}: middle third", value=middle, unit=unit, command=command),
            Row(metric=f"{name}: last third", value=last, unit=unit, command=command),
            Row(metric=f"{name}: last third over the first", value=last / first, unit="x",
                goal=Goal(op="<=", value=GROWTH), command=command),
        ]  # fmt: skip
    return [
        *rows,
        Row(metric="answered requests", value=len(load.latencies_s), unit="", command=command),
        Row(metric="requests that failed", value=0, unit="", goal=Goal(op="<=", value=0), command=command),
        Row(metric="swaps of the champion", value=state.swaps, unit="", command=command),
        Row(metric="predictions that retention removed", value=state.removed, unit="", command=command),
    ]


def _third(samples: Sequence[Sample], number: int) -> list[Sample]:
    length = (1 - WARM_UP) / 3
    low = WARM_UP + number * length
    return [one for one in samples if low <= one.share < low + length]


def main() -> None:
    quick = bool(os.environ.get("QUICK"))
    minutes = 1.0 if quick else float(os.environ.get("MINUTES") or 10)
    command = f"{COMMAND} QUICK=1" if quick else f"{COMMAND} MINUTES={minutes:g}"
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        home = Path(folder) / "home"
        if (given := trained(home, quick)) != home:
            shutil.copytree(given, home)
        first, second = register_copy(home)
        server = running.enter_context(headrace(home, "interval", processes=PROCESSES))
        state = Soak(home=home, server=server, versions=(first, second))
        rows = rows_of(state, soak(state, minutes * 60), command)
    title = "Serving for long"
    if quick:
        show(title, rows)
        return
    publish("soak", title, rows, NOTE)


NOTE = (
    f"Six years of production at compressed time: {PROCESSES} processes on one port answer single rows of the flights"
    f" on {CONNECTIONS} connections, at a fixed pace, while the champion is swapped, metrics are read, and retention"
    " removes old predictions. Each figure is that of all processes of the server, with the one that moves rows to the"
    " prediction log, in a third of the time after the first fifth."
)

if __name__ == "__main__":
    main()
