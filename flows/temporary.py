"""Start a Prefect server for the length of one run, where no other server is up.

Prefect starts such a server by itself (its ephemeral mode), but without protection: on a port that any web page can
reach. This one uses the database of `headrace up`, so that the run shows in its pages later, and has the checks of
`headrace.flows.server`.
"""

from __future__ import annotations

import atexit
import os
import socket
import uuid
from collections.abc import Callable

from headrace.core.errors import UnavailableError
from headrace.core.settings import QUIET, Settings
from headrace.services import processes
from headrace.services.lifecycle import responds
from headrace.services.local import PYTHON_MODULE, prefect_server_env

_HOST = "127.0.0.1"
START_TIMEOUT_S = 90.0


def temporary_server(chosen: Settings, *, meanwhile: Callable[[], object] | None = None) -> str:
    """Start a server that ends with this process, in whatever way this process ends.

    Call it before Prefect is imported: exit handlers run in reverse order, and those of Prefect's clients still send.

    Args:
        chosen: Settings of this installation.
        meanwhile: Work for the seconds in which the server starts, such as imports; it must not import Prefect.

    Returns:
        The address of the server's API.

    Raises:
        UnavailableError: The server ended, or did not respond in time.
    """
    for folder in ("prefect", "run"):
        (chosen.root / folder).mkdir(parents=True, exist_ok=True)  # Prefect makes no parents, and then never comes up
    port, log = _free_port(), chosen.root / "run" / "temporary-prefect.log"
    log.unlink(missing_ok=True)
    options = ("--host", _HOST, "--port", str(port), "--parent", str(os.getpid()))
    server = processes.start_process(
        (*PYTHON_MODULE, "headrace.flows.server", *options),
        name="temporary Prefect server",
        mark=uuid.uuid4().hex,
        log=log,
        env={**QUIET, "PREFECT_HOME": str(chosen.root / "prefect"), **prefect_server_env(chosen, port)},
    )
    atexit.register(processes.stop_processes, [server])
    api = f"http://{_HOST}:{port}/api"
    if meanwhile is not None:
        meanwhile()
    in_time = processes.wait_until(
        lambda: responds(f"{api}/health") or not processes.is_alive(server), timeout_s=START_TIMEOUT_S
    )
    if not in_time or not processes.is_alive(server):
        tail = processes.log_tail(log)
        raise UnavailableError(f"did not start\n{tail}\n", where=server.name, fix=f"its whole log is {log}")
    return api


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
