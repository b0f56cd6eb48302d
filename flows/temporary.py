"""A Prefect server for the length of one run, where no other is up.

Prefect starts such a server by itself (its ephemeral mode), but bare: on a port that any web page can reach, and on the
database that the worker of `make up` takes its runs from. This one is on the same database, so that the run shows in
the same pages later, and behind the checks of `headrace.flows.server`.
"""

from __future__ import annotations

import atexit
import os
import socket
import sys
import uuid

from headrace.core.errors import UnavailableError
from headrace.core.settings import QUIET, Settings
from headrace.services import processes
from headrace.services.lifecycle import answers
from headrace.services.local import prefect_server_env

_HOST = "127.0.0.1"
START_TIMEOUT_S = 90.0


def temporary_server(chosen: Settings) -> str:
    """Start a server that ends with this process, whatever ends it; its API's address.

    Call it before Prefect is imported: what runs at the end of a process runs in reverse, and Prefect's clients send
    what they still have at theirs. Raises UnavailableError: it ended, or did not answer in time.
    """
    for folder in ("prefect", "run"):
        (chosen.root / folder).mkdir(parents=True, exist_ok=True)  # Prefect makes no parents, and then never comes up
    port, log = _free_port(), chosen.root / "run" / "temporary-prefect.log"
    log.unlink(missing_ok=True)
    started = processes.spawn(
        (
            sys.executable,
            "-P",
            "-m",
            "headrace.flows.server",
            "--host",
            _HOST,
            "--port",
            str(port),
            "--parent",
            str(os.getpid()),
        ),
        name="temporary Prefect server",
        mark=uuid.uuid4().hex,
        log=log,
        env={**QUIET, "PREFECT_HOME": str(chosen.root / "prefect"), **prefect_server_env(chosen, port)},
    )
    atexit.register(processes.stop, [started])
    api = f"http://{_HOST}:{port}/api"
    answered = processes.wait_until(
        lambda: answers(f"{api}/health") or not processes.is_alive(started), timeout_s=START_TIMEOUT_S
    )
    if not answered or not processes.is_alive(started):
        tail = processes.log_tail(log)
        raise UnavailableError(f"did not start\n{tail}\n", where=started.name, fix=f"its whole log is {log}")
    return api


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
