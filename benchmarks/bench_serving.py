"""The prediction API of the flights under load, beside its peers: one and sixteen connections, rows and batches.

    make bench-serving [QUICK=1] [HOME_FOLDER=folder with a champion of the flights]

Every server is a process of its own; the API is started as `make serve` starts it. Loads of all take turns, and each
figure is the middle one of its rounds. Processor seconds and memory are the server's own, with its child processes;
where other work is on the machine, trust them and the ratios more than the rates.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.results import Goal, Row, publish, show
from benchmarks.serving_load import Load, measure, memory_mb
from benchmarks.serving_peers import BATCH, LITSERVE, Champion, Server, champion_of, fastapi_alone, headrace, litserve
from benchmarks.serving_peers import mlflow_serve as mlflow
from benchmarks.serving_shadow import in_shadow, scored_share

COMMAND = "make bench-serving"
MANY = 16
#: The setting with which the cost of a challenger in shadow is measured: the disk hides less of it.
SHADOW_SYNC = "interval"
SHADOW = "with a challenger in shadow"
FLOOR, MLFLOW, LITSERVE_NAME = "FastAPI + LightGBM alone", "mlflow models serve", "LitServe"
#: Setting of durability -> the API that runs with it, in words.
OWN = {"always": "disk before answer", "interval": "disk within .1 s"}
#: Kind of load -> words, which requests, connections.
KINDS = {
    "one": ("single rows, 1 connection", "single", 1),
    "many": (f"single rows, {MANY} connections", "single", MANY),
    "batch": (f"batches of {BATCH}, 1 connection", "batch", 1),
    "batches": (f"batches of {BATCH}, {MANY} connections", "batch", MANY),
}
_RATES = {"many": Goal(op=">=", value=3000), "batches": Goal(op=">=", value=300)}
_P99 = {"one": Goal(op="<=", value=1.7)}
_TIMES_MLFLOW = Goal(op=">=", value=10)


@dataclass(kw_only=True)
class Measured:
    """Loads of one server by kind, one for each round, and its memory at the end."""

    loads: dict[str, list[Load]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    memory_mb: float = 0.0

    def rate(self, kind: str) -> float:
        """Requests a second, the middle one of the rounds."""
        return statistics.median(load.rate for load in self.loads[kind])

    def percentile(self, kind: str, share: float) -> float:
        """Latency in ms, the middle one of the rounds."""
        return statistics.median(load.percentile_ms(share) for load in self.loads[kind])

    def cpu_ms(self, kind: str) -> float:
        """The server's processor time for one request in ms, the middle one of the rounds."""
        return statistics.median(load.cpu_ms for load in self.loads[kind])


def measured(servers: Mapping[str, Server], rounds: int, seconds: float) -> dict[str, Measured]:
    """Every load of every server once in each round, in turn; a short one before, which is not counted."""
    found = {name: Measured() for name in servers}
    for server in servers.values():
        measure(server.port, server.pid, server.single, connections=MANY, seconds=1)
        measure(server.port, server.pid, server.batch, connections=1, seconds=1)
    for _ in range(rounds):
        for kind, (_, requests, connections) in KINDS.items():
            for name, server in servers.items():
                load = measure(
                    server.port, server.pid, getattr(server, requests), connections=connections, seconds=seconds
                )
                found[name].loads[kind].append(load)
    for name, server in servers.items():
        found[name].memory_mb = memory_mb(server.pid)
    return found


def in_process(champion: Champion, command: str) -> list[Row]:
    """Time of the trees for one row, within the server's process, beside LightGBM's own."""
    rows, booster = champion.rows, champion.model.source.booster
    own = _microseconds(lambda at: champion.model.forest.raw(rows[at : at + 1]), len(rows))
    peer = _microseconds(
        lambda at: booster.predict(rows[at : at + 1], num_threads=1, raw_score=True, validate_features=False), 500
    )
    return [
        Row(metric=f"in process: trees of one row, p{share}", value=float(np.percentile(own, share)), unit="us",
            goal=Goal(op="<=", value=10) if share == 99 else None, peer="Booster.predict, one thread",
            peer_value=float(np.percentile(peer, share)), command=command)
        for share in (50, 99)
    ]  # fmt: skip


def _microseconds(predict: Callable[[int], object], rows: int) -> list[float]:
    for at in range(50):
        predict(at)
    times = []
    for at in range(rows):
        started = time.perf_counter_ns()
        predict(at)
        times.append((time.perf_counter_ns() - started) / 1000)
    return times


def rows_of(found: Mapping[str, Measured], command: str) -> list[Row]:
    """The rows to publish: the API with each setting beside each peer."""
    rows: list[Row] = []
    for name in OWN.values():
        for peer in (FLOOR, MLFLOW, LITSERVE_NAME):
            if peer in found:
                rows += _beside(name, found[name], peer, found[peer], command)
    for name in OWN.values():
        rows += [
            Row(metric=f"{KINDS[kind][0]}, {name}: throughput over that of {MLFLOW}", unit="x", goal=_TIMES_MLFLOW,
                value=found[name].rate(kind) / found[MLFLOW].rate(kind), command=command)
            for kind in ("one", "many")
        ]  # fmt: skip
    return [*rows, *_beside(f"{OWN[SHADOW_SYNC]}, {SHADOW}", found[SHADOW], "no challenger", found[OWN[SHADOW_SYNC]],
                            command)]  # fmt: skip


def shadow_share(server: Server, command: str) -> Row:
    """How many of the answers to all loads the challenger scored too, which need not keep up."""
    return Row(metric=f"{SHADOW}: answers that the challenger scored too", value=100 * scored_share(server.port),
               unit="%", command=command)  # fmt: skip


def _beside(name: str, own: Measured, peer: str, other: Measured, command: str) -> list[Row]:
    """The API with one setting beside one peer; goals stand in the rows of the first peer."""
    rows = []
    for kind, (label, _, _) in KINDS.items():
        figures = [
            ("throughput", own.rate(kind), other.rate(kind), "requests/s", _RATES.get(kind)),
            ("p50", own.percentile(kind, 0.5), other.percentile(kind, 0.5), "ms", None),
            ("p99", own.percentile(kind, 0.99), other.percentile(kind, 0.99), "ms", _P99.get(kind)),
            ("processor time a request", own.cpu_ms(kind), other.cpu_ms(kind), "ms", None),
        ]
        rows += [
            Row(metric=f"{label}, {name}: {figure}", value=value, unit=unit, goal=goal if peer == FLOOR else None,
                peer=peer, peer_value=peer_value, command=command)
            for figure, value, peer_value, unit, goal in figures
        ]  # fmt: skip
    rows.append(
        Row(metric=f"memory, {name}", value=own.memory_mb, unit="MB", peer=peer, peer_value=other.memory_mb,
            command=command)
    )  # fmt: skip
    return rows


def trained(home: Path, quick: bool) -> Path:
    """A home with a champion of the flights; trained in `home` where HOME_FOLDER names none."""
    given = os.environ.get("HOME_FOLDER")
    if given:
        return Path(given).absolute()
    options = ("--trials", "2") if quick else ()
    environment = {**os.environ, "HEADRACE_HOME": str(home)}
    subprocess.run([sys.executable, "-m", "headrace.cli", "run", "flights", *options], env=environment, check=True)
    return home


def main() -> None:
    quick = bool(os.environ.get("QUICK"))
    rounds, seconds = (1, 3.0) if quick else (3, 6.0)
    command = f"{COMMAND} QUICK=1" if quick else COMMAND
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        home = trained(Path(folder) / "home", quick)
        champion = champion_of(home)
        trees = in_process(champion, command)
        servers: dict[str, Server] = {
            **{name: running.enter_context(headrace(home, sync)) for sync, name in OWN.items()},
            SHADOW: running.enter_context(in_shadow(home, SHADOW_SYNC)),
            FLOOR: running.enter_context(fastapi_alone(home, champion)),
            MLFLOW: running.enter_context(mlflow(home, champion)),
        }
        if LITSERVE.exists():
            servers[LITSERVE_NAME] = running.enter_context(litserve(home, champion))
        rows: Sequence[Row] = [
            *trees, *rows_of(measured(servers, rounds, seconds), command), shadow_share(servers[SHADOW], command)
        ]  # fmt: skip
    title = "Serving under load"
    if quick:
        show(title, rows)
        return
    publish("serving", title, rows, NOTE)


NOTE = (
    "The prediction API of the flights (120 features of 7 views; every answer is in the prediction journal before it"
    " is sent), and load from a client process on the same two cores, a closed loop on each connection. *Disk before"
    " answer*: `HEADRACE_LOG_SYNC=always`, the default; *disk within .1 s*: `interval`, which loses nothing when the"
    " server is killed, and about a tenth of a second when the power fails. Processor time is that of the server with"
    " the process that moves rows to the prediction log. The peers receive the computed features: they read no store,"
    " compute no features and log nothing. *With a challenger in shadow*: a second version scores every request too, in"
    " a thread that takes a quarter of a core at most; answers that it cannot keep up with are dropped. Medians of"
    " three rounds in which all alternate."
)

if __name__ == "__main__":
    main()
