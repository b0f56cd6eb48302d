"""The prediction API of the flights under load: one and sixteen connections, single rows and batches.

    make bench-serving [QUICK=1] [HOME_FOLDER=folder with a champion of the flights]

The API is a process of its own, as `make serve` starts it. The floor is another in the same run: FastAPI and LightGBM
alone, which is given the finished features, so that it reads no store, computes nothing and logs nothing. Loads of both
take turns, and each figure is the middle one of its rounds. Processor seconds are the server's own; where other work is
on the machine, trust them and the ratios more than the rates.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.results import Goal, Row, publish, show
from benchmarks.serving_load import Load, http_request, measure, wait_until_ready

COMMAND = "make bench-serving"
MANY = 16
BATCH = 100
ROWS = 400


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that answers: its port, its process, and the requests that it is asked."""

    port: int
    pid: int
    single: list[bytes]
    batch: list[bytes]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Loads of one server, one for each round."""

    one: list[Load]
    many: list[Load]
    batch: list[Load]
    batches: list[Load]


@contextmanager
def started(module: str, home: Path, *arguments: str) -> Iterator[tuple[int, int]]:
    """Port and process id of `python -m module`, ready to answer, while the block runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = {**os.environ, "HEADRACE_HOME": str(home)}
    command = [sys.executable, "-m", module, *arguments, "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_ready(port)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(30)


def flight_rows(port: int) -> list[dict[str, Any]]:
    """Rows to ask for: the example of the API's reference, under other flight numbers."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/openapi.json", timeout=60) as answer:
        schema = json.load(answer)
    row = schema["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["example"]
    return [{**row, "flight": number} for number in range(1, ROWS + 1)]


def ours(port: int, pid: int, rows: Sequence[dict[str, Any]]) -> Server:
    """The API, asked for rows."""
    return Server(
        port=port,
        pid=pid,
        single=[http_request("/predict", json.dumps(row).encode(), port) for row in rows],
        batch=_batches("/predict/batch", rows, port),
    )


def floor(port: int, pid: int, features: int) -> Server:
    """FastAPI and LightGBM alone, given numbers in place of what the API looks up."""
    rows = [{"values": [float((at * 31 + number) % 97) for at in range(features)]} for number in range(ROWS)]
    return Server(
        port=port,
        pid=pid,
        single=[http_request("/predict", json.dumps(row).encode(), port) for row in rows],
        batch=_batches("/predict/batch", rows, port),
    )


def _batches(path: str, rows: Sequence[dict[str, Any]], port: int) -> list[bytes]:
    parts = [rows[at : at + BATCH] for at in range(0, len(rows), BATCH)]
    return [http_request(path, json.dumps({"rows": part}).encode(), port) for part in parts]


def loads(servers: Sequence[Server], rounds: int, seconds: float) -> list[Measured]:
    """Every load of every server once in each round, in turn; a short one before, which is not counted."""
    found = [Measured(one=[], many=[], batch=[], batches=[]) for _ in servers]
    for server in servers:
        measure(server.port, server.pid, server.single, connections=MANY, seconds=1)
        measure(server.port, server.pid, server.batch, connections=1, seconds=1)
    for _ in range(rounds):
        for kind, requests, connections in (
            ("one", "single", 1),
            ("many", "single", MANY),
            ("batch", "batch", 1),
            ("batches", "batch", MANY),
        ):
            for server, into in zip(servers, found, strict=True):
                made = measure(
                    server.port, server.pid, getattr(server, requests), connections=connections, seconds=seconds
                )
                getattr(into, kind).append(made)
    return found


def rate(made: Sequence[Load]) -> float:
    """Requests a second, the middle one of the rounds."""
    return statistics.median(load.rate for load in made)


def percentile(made: Sequence[Load], share: float) -> float:
    """Latency in ms, the middle one of the rounds."""
    return statistics.median(load.percentile_ms(share) for load in made)


def cpu_ms(made: Sequence[Load]) -> float:
    """The server's processor time for one request in ms, the middle one of the rounds."""
    return statistics.median(load.cpu_ms for load in made)


def rows_of(api: Measured, bare: Measured, command: str) -> list[Row]:
    """The rows to publish."""
    peer = "FastAPI + LightGBM alone"
    found = [
        Row(metric=f"single rows: throughput of {MANY} connections over 1", value=rate(api.many) / rate(api.one),
            unit="x", goal=Goal(op=">=", value=1.0), peer=peer, peer_value=rate(bare.many) / rate(bare.one),
            command=command),
    ]  # fmt: skip
    for label, made, floor_of in (
        ("single rows, 1 connection", api.one, bare.one),
        (f"single rows, {MANY} connections", api.many, bare.many),
        (f"batches of {BATCH}, 1 connection", api.batch, bare.batch),
        (f"batches of {BATCH}, {MANY} connections", api.batches, bare.batches),
    ):
        found += [
            Row(metric=f"{label}: throughput", value=rate(made), unit="requests/s", peer=peer,
                peer_value=rate(floor_of), command=command),
            Row(metric=f"{label}: p50", value=percentile(made, 0.5), unit="ms", peer=peer,
                peer_value=percentile(floor_of, 0.5), command=command),
            Row(metric=f"{label}: p99", value=percentile(made, 0.99), unit="ms", peer=peer,
                peer_value=percentile(floor_of, 0.99), command=command),
            Row(metric=f"{label}: processor time a request", value=cpu_ms(made), unit="ms", peer=peer,
                peer_value=cpu_ms(floor_of), command=command),
        ]  # fmt: skip
    return found


def trained(home: Path, quick: bool) -> Path:
    """A home with a champion of the flights; trained in `home` where HOME_FOLDER names none."""
    given = os.environ.get("HOME_FOLDER")
    if given:
        return Path(given)
    options = ("--trials", "2") if quick else ()
    environment = {**os.environ, "HEADRACE_HOME": str(home)}
    subprocess.run([sys.executable, "-m", "headrace.cli", "run", "flights", *options], env=environment, check=True)
    return home


def main() -> None:
    quick = bool(os.environ.get("QUICK"))
    rounds, seconds = (1, 4.0) if quick else (5, 8.0)
    with tempfile.TemporaryDirectory() as folder:
        home = trained(Path(folder) / "home", quick)
        with (
            started("headrace.api", home, "--problem", "flights") as (port, pid),
            started("benchmarks.serving_floor", home) as (floor_port, floor_pid),
        ):
            with urllib.request.urlopen(f"http://127.0.0.1:{floor_port}/features", timeout=60) as answer:
                features = int(json.load(answer))
            servers = (ours(port, pid, flight_rows(port)), floor(floor_port, floor_pid, features))
            api, bare = loads(servers, rounds, seconds)
    title = "Serving under load"
    rows = rows_of(api, bare, f"{COMMAND} QUICK=1" if quick else COMMAND)
    if quick:
        show(title, rows)
        return
    publish("serving", title, rows, NOTE)


NOTE = (
    "The prediction API of the flights (120 features of 7 views; every answer is in the durable log before it"
    " is sent), and load from a client process on the same two cores, a closed loop on each connection. The"
    " floor receives the computed features: it reads no store, computes no features and logs nothing. Medians"
    " of five rounds in which both alternate. At the last measurement about twenty processes shared the two"
    " cores: rates and latencies are far from those of an idle machine; ratios and processor times are"
    " meaningful."
)

if __name__ == "__main__":
    main()
