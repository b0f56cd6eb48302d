"""Serve an application on one port until a signal ends it: in this process, or in several that uvicorn looks after.

With several processes, uvicorn (`uvicorn.supervisors.Multiprocess`) binds the port, starts them, starts one again that
ended or does not respond, and passes SIGTERM on. Each process makes the application for itself, so it has its own
followers of the ledger and a prediction journal of its own. What they share is on disk: ledger, online store, log.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from headrace.api.connections import LimitedProtocol
from headrace.core.errors import HeadraceError
from headrace.core.redact import print_redacted

#: Seconds in which requests may finish when a process stops.
SHUTDOWN_S = 10
#: Seconds that a process may take to respond to its parent: it first imports all that it serves with.
_RESPONSE_S = 60
#: Seconds after which a process ends whose application could not be made again, so that attempts do not take a core.
_PAUSE_S = 2.0
_SHARED_METRICS = "PROMETHEUS_MULTIPROC_DIR"
#: Linux has a file system in memory here.
_MEMORY = Path("/dev/shm")
_OPTIONS: dict[str, Any] = {
    "http": LimitedProtocol,
    "ws": "none",
    "server_header": False,
    "timeout_graceful_shutdown": SHUTDOWN_S,
}
_QUIET: dict[str, Any] = {"access_log": False, "log_config": None}


def serve_until_stopped(
    make_app: Callable[[], Any], *, host: str, port: int, processes: int = 1, access_lines: bool = False
) -> bool:
    """Serve an ASGI application.

    Args:
        make_app: Makes the application; called in each process, so it must be picklable where there are several.
        host: Name or address to bind.
        port: Port to bind; it is free.
        processes: Number of processes that answer.
        access_lines: Whether uvicorn writes log lines of its own, one for each request.

    Returns:
        Whether the server was ready once. False: no process could make the application, and each has said why.
    """
    import uvicorn

    options = {"host": host, "port": port, **_OPTIONS, **({} if access_lines else _QUIET)}
    if processes == 1:
        uvicorn.run(make_app(), **options)
        return True
    from uvicorn.supervisors import Multiprocess

    made = multiprocessing.get_context("spawn").Event()
    config = uvicorn.Config(
        _ChildApp(make_app=make_app, made=made), factory=True, workers=processes,
        timeout_worker_healthcheck=_RESPONSE_S, **options,
    )  # fmt: skip
    with config.bind_socket() as bound:
        Multiprocess(config, sockets=[bound]).run()
    return made.is_set()


@contextmanager
def shared_metrics(root: Path, port: int) -> Iterator[None]:
    """Let the processes that this one starts count in files of a folder, so that `/metrics` of each has all counts.

    The folder is in memory where the system has such a file system: the files are mapped, and where a disk is full,
    counting something new would end the process (SIGBUS). A folder that the environment names is left as it is.

    Args:
        root: Home folder.
        port: Of the server.
    """
    if os.environ.get(_SHARED_METRICS):
        yield
        return
    folder = _memory_folder(root, port) or root / "run" / f"metrics-{port}"
    folder.mkdir(parents=True, exist_ok=True)
    _remove_counts(folder)  # of a server that was killed
    os.environ[_SHARED_METRICS] = str(folder)
    try:
        yield
    finally:
        del os.environ[_SHARED_METRICS]
        _remove_counts(folder)
        with suppress(OSError):  # a process that was just killed may still have a file there
            folder.rmdir()


def _memory_folder(root: Path, port: int) -> Path | None:
    """A folder in memory that no other user can write to; None where there is none."""
    name = hashlib.sha256(f"{root.absolute()}:{port}".encode()).hexdigest()[:16]
    folder = _MEMORY / f"headrace-metrics-{os.getuid()}-{name}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022
    return folder if own else None


def _remove_counts(folder: Path) -> None:
    for file in folder.glob("*.db"):
        file.unlink(missing_ok=True)


@dataclass(frozen=True, kw_only=True)
class _ChildApp:
    """Makes the application in a process that uvicorn started, and ends the process with its parent.

    made: whether any process has made it. Before that, one that cannot make it ends all, for it is wrong; afterwards,
    one is started again until it can.
    """

    make_app: Callable[[], Any]
    made: Event

    def __call__(self) -> Any:
        from uvicorn.config import STARTUP_FAILURE

        sys.excepthook = print_redacted
        threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
        try:
            app = self.make_app()
        except HeadraceError as error:
            print(f"headrace.api: {error}", file=sys.stderr)
            if not self.made.is_set():
                sys.exit(STARTUP_FAILURE)
            time.sleep(_PAUSE_S)
            sys.exit(1)
        self.made.set()
        return app


def _end_with_parent() -> None:
    """Stop this process as SIGTERM does once its parent is gone, or nobody could stop it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
