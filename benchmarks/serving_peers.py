"""Peers of the prediction API: the champion's trees behind FastAPI alone, `mlflow models serve` and LitServe.

Each gets finished features: it reads no store, computes no features and logs nothing. MLflow's server gets them as the
list of lists that its protocol calls `inputs`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.serving_load import http_request, wait_until_ready
from headrace.api.server import production_clock
from headrace.models.compiled import CompiledLightGBM
from headrace.models.families.lightgbm import FittedLightGBM
from headrace.problems.catalogue import load_problem
from headrace.serving.service import open_service

BATCH = 100
ROWS = 400
LITSERVE = Path(".venv-litserve/bin/python")
_TERMINATION_S = 30


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that answers: its port, its process, and the requests that it is asked."""

    port: int
    pid: int
    single: list[bytes]
    batch: list[bytes]


@dataclass(frozen=True, kw_only=True)
class Champion:
    """The champion's trees, compiled and as text, and rows of its reference profile, float32 [n, d]."""

    model: CompiledLightGBM
    text: str
    rows: NDArray[np.float32]


def champion_of(home: Path) -> Champion:
    """Load the flights' champion as a server does."""
    problem = load_problem("flights")
    service = open_service(home, problem, f"sqlite:///{home / 'mlflow' / 'mlflow.db'}", production_clock(home, problem))
    service.follower.refresh()
    bundle = service.follower.current.bundle
    if not isinstance(bundle.fitted, CompiledLightGBM):
        raise SystemExit("the champion is no LightGBM model: train another one for this benchmark")
    source: FittedLightGBM = bundle.fitted.source
    rows = bundle.encoder.encode(bundle.read_reference()).X
    return Champion(model=bundle.fitted, text=source.booster.model_to_string(), rows=rows)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(command: Sequence[str], port: int, home: Path, ready: str = "/readyz", **settings: str) -> Iterator[int]:
    """Process id of a server that answers on a port, while the block runs."""
    bin_folder = Path(sys.executable).parent
    path = f"{bin_folder}{os.pathsep}{os.environ.get('PATH', '')}"
    own = {"HEADRACE_HOME": str(home), "PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true", **settings}
    # A group of its own, to end it whole; not a session, to which the kernel may give another share of the processors.
    process = subprocess.Popen(
        command, env={**os.environ, **own}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0
    )
    try:
        wait_until_ready(port, path=ready)
        yield process.pid
    finally:
        for end in (signal.SIGTERM, signal.SIGKILL):  # of its whole group: some servers leave children behind
            with suppress(ProcessLookupError):
                os.killpg(process.pid, end)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_TERMINATION_S)


@contextmanager
def headrace(home: Path, sync: str, processes: int = 1) -> Iterator[Server]:
    """The API as `make serve` starts it, asked for its example with other flight numbers and times.

    Args:
        home: Home folder.
        sync: HEADRACE_LOG_SYNC.
        processes: That answer on the port.
    """
    port = free_port()
    command = [sys.executable, "-m", "headrace.api", "--problem", "flights", "--port", str(port)]
    command += ["--processes", str(processes)]
    with started(command, port, home, HEADRACE_LOG_SYNC=sync) as pid:
        row = _example(port)
        rows = [{**_later(row, 5 * number), "flight": number} for number in range(1, ROWS + 1)]
        yield _server(port, pid, "/predict", "/predict/batch", rows, rows_as=lambda part: {"rows": part})


@contextmanager
def fastapi_alone(home: Path, champion: Champion) -> Iterator[Server]:
    """FastAPI and LightGBM alone."""
    port = free_port()
    with started([sys.executable, "-m", "benchmarks.serving_floor", "--port", str(port)], port, home) as pid:
        rows = [{"values": values} for values in _values(champion)]
        yield _server(port, pid, "/predict", "/predict/batch", rows, rows_as=lambda part: {"rows": part})


@contextmanager
def mlflow_serve(home: Path, champion: Champion) -> Iterator[Server]:
    """`mlflow models serve` with MLflow's own flavour for LightGBM."""
    import lightgbm
    import mlflow.lightgbm

    folder, port = home / f"served-{time.time_ns()}", free_port()
    booster = lightgbm.Booster(model_str=champion.text)
    mlflow.lightgbm.save_model(booster, str(folder), pip_requirements=["lightgbm"])
    command = [str(Path(sys.executable).parent / "mlflow"), "models", "serve", "-m", str(folder), "-p", str(port)]
    with started([*command, "--env-manager", "local"], port, home, "/ping") as pid:
        rows = _values(champion)
        single = [http_request("/invocations", json.dumps({"inputs": [row]}).encode(), port) for row in rows]
        batch = _batches("/invocations", rows, port, lambda part: {"inputs": part})
        yield Server(port=port, pid=pid, single=single, batch=batch)


@contextmanager
def litserve(home: Path, champion: Champion) -> Iterator[Server]:
    """LitServe, in an environment of its own."""
    text, port = home / f"trees-{time.time_ns()}.txt", free_port()
    text.write_text(champion.text)
    script = Path(__file__).parent / "peers" / "serving_litserve.py"
    with started([str(LITSERVE.absolute()), str(script), str(text), str(port)], port, home, "/health") as pid:
        rows = [{"values": values} for values in _values(champion)]
        yield _server(port, pid, "/predict", "/predict", rows, rows_as=lambda part: {"rows": part})


def _later(row: dict[str, Any], minutes: int) -> dict[str, Any]:
    """Return a flight that departs and arrives so many minutes later."""
    times = (name for name in ("scheduled_departure", "scheduled_arrival") if row.get(name))
    moved = {name: datetime.fromisoformat(row[name]) + timedelta(minutes=minutes) for name in times}
    return {**row, **{name: time.isoformat() for name, time in moved.items()}}


def _example(port: int) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/example", timeout=120) as answer:
        row: dict[str, Any] = json.load(answer)
    return row


def _values(champion: Champion) -> list[list[float]]:
    """Rows as JSON has them: a missing value is a number that no row has."""
    return np.nan_to_num(champion.rows[:ROWS], nan=-1e6).astype(float).tolist()


def _server(port: int, pid: int, one: str, several: str, rows: Sequence[Any], rows_as: Any) -> Server:
    single = [http_request(one, json.dumps(row).encode(), port) for row in rows]
    return Server(port=port, pid=pid, single=single, batch=_batches(several, rows, port, rows_as))


def _batches(path: str, rows: Sequence[Any], port: int, rows_as: Any) -> list[bytes]:
    parts = [rows[at : at + BATCH] for at in range(0, len(rows), BATCH)]
    return [http_request(path, json.dumps(rows_as(part)).encode(), port) for part in parts]
