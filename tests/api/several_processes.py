"""A server of the tiny problem with several processes, and clients that load it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import psutil

from headrace.api.app import build_app
from headrace.api.processes import serve_until_stopped
from headrace.prediction_log.journal import PredictionJournal
from headrace.registry.ledger import Ledger
from tests.api.served import serving
from tests.serving_fixtures import NOW, ROW, write_store

ROOT = Path(__file__).parents[2]
CUSTOMERS = ("c1", "c2", *(f"x{number}" for number in range(10)))
PATIENCE_S = 120.0
#: Requests after which a client takes a new connection, which any process may accept.
REQUESTS = 10


@dataclass(frozen=True, kw_only=True)
class TinyServer:
    """Makes the application in each process; ids of answers begin with the id of the process."""

    root: Path

    def __call__(self) -> Any:
        log = PredictionJournal(self.root, "shop")
        service = serving(self.root, log=log, prefix=f"{os.getpid()}-", follows_rollouts=True)
        return build_app(service, poll_s=0.02)


@dataclass(frozen=True, kw_only=True)
class Answered:
    """One answer: the process that gave it, and what it says about a customer."""

    process: int
    id: str
    customer: str
    version: str
    value: float


@dataclass(kw_only=True)
class Clients:
    """Threads that send batches of all customers until they are stopped.

    answers: of each request, a list. failures: requests that got no answer of status 200. pause_s: of a client between
    two requests, which leaves processor time to a process that starts.
    """

    port: int
    pause_s: float = 0.0
    answers: list[list[Answered]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Send batches, each on a connection that lasts for `REQUESTS` of them."""
        connection, sent = HTTPConnection("127.0.0.1", self.port, timeout=60), 0
        while not self.stopping.is_set():
            try:
                self.answers.append(predicted(connection))
            except (OSError, HTTPException, AssertionError) as error:
                self.failures.append(repr(error))
                sent = REQUESTS
            sent += 1
            self.stopping.wait(self.pause_s)
            if sent >= REQUESTS:
                connection.close()
                connection, sent = HTTPConnection("127.0.0.1", self.port, timeout=60), 0
        connection.close()

    def wait_for(self, condition: Any) -> None:
        """Wait until a condition of the answers that come from now on is met; they are handed to it."""
        start, until = len(self.answers), time.monotonic() + PATIENCE_S
        while not condition(self.answers[start:]):
            assert time.monotonic() < until, (self.failures[-3:], self.answers[-2:])
            time.sleep(0.01)

    @property
    def ids(self) -> set[str]:
        """Ids of all answers that arrived."""
        return {one.id for answers in list(self.answers) for one in answers}


def predicted(connection: HTTPConnection) -> list[Answered]:
    """Send one batch and return its answers; AssertionError where it is refused."""
    body = json.dumps({"rows": [{**ROW, "customer_id": customer} for customer in CUSTOMERS]})
    connection.request("POST", "/predict/batch", body, {"content-type": "application/json"})
    answer = connection.getresponse()
    content = answer.read()
    assert answer.status == 200, content
    return [
        Answered(process=int(one["id"].partition("-")[0]), id=one["id"], customer=customer,
                 version=one["model_version"], value=one["probability"])
        for customer, one in zip(CUSTOMERS, json.loads(content)["predictions"], strict=True)
    ]  # fmt: skip


@contextmanager
def loaded(port: int, clients: int = 4, pause_s: float = 0.0) -> Iterator[Clients]:
    """Load a server while the block runs."""
    load = Clients(port=port, pause_s=pause_s)
    threads = [threading.Thread(target=load.run) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.stopping.set()
        for thread in threads:
            thread.join()


@contextmanager
def server_of(root: Path, processes: int = 2) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A server whose champion is version 1; yields its parent process and its port once all processes answer."""
    write_store(root)
    Ledger(root, "shop").promote("1", None, "first", {"auc": 0.7}, NOW)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", __name__, str(root), str(port), str(processes)]
    parent = subprocess.Popen(command, cwd=ROOT)
    family = [psutil.Process(parent.pid)]
    try:
        wait_for_processes(port, processes)
        family += family[0].children(recursive=True)
        yield parent, port
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        for one in family:
            if one.is_running():
                one.kill()


def wait_for_processes(port: int, processes: int, without: Sequence[int] = ()) -> set[int]:
    """Wait until so many processes other than those have answered; return their ids."""
    seen: set[int] = set()
    until = time.monotonic() + PATIENCE_S
    while len(seen) < processes:
        assert time.monotonic() < until, seen
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            seen.add(predicted(connection)[0].process)
        except (OSError, HTTPException):
            time.sleep(0.05)
        finally:
            connection.close()
        seen -= set(without)
    return seen


if __name__ == "__main__":
    home, own_port, number = sys.argv[1:]
    serve_until_stopped(TinyServer(root=Path(home)), host="127.0.0.1", port=int(own_port), processes=int(number))
