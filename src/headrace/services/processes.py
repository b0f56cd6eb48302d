"""Background processes: started, watched, and stopped again, exactly those.

A process is known by its pid together with its start time, because pids are recycled, and by a mark in its
environment that all its children inherit, whatever session or group they move to. Only what fits one of the two is
ever signalled.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

#: The variable that carries the mark of a `make up` into everything it starts.
MARK = "HEADRACE_SERVICES_MARK"
#: The umask of what is started: its files in the home are their owner's only.
_OWNER_ONLY = 0o077


@dataclass(frozen=True, kw_only=True)
class Started:
    """A process of ours. created: its start time as psutil tells it, s since the epoch. url: where it answers."""

    name: str
    pid: int
    created: float
    mark: str
    log: str
    url: str = ""
    probe: str = ""


def spawn(command: Sequence[str], *, name: str, mark: str, log: Path, env: Mapping[str, str]) -> Started:
    """Start a command in a session of its own, its output appended to a log."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(command),
            env=_environment(env, mark),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=_OWNER_ONLY,
        )
    # Left running on purpose: without this, Popen warns about it when it is collected.
    process.returncode = 0
    try:
        created = psutil.Process(process.pid).create_time()
    except psutil.NoSuchProcess:
        created = 0.0
    return Started(name=name, pid=process.pid, created=created, mark=mark, log=str(log))


def complete(command: Sequence[str], *, mark: str, log: Path, env: Mapping[str, str]) -> bool:
    """Run a command to its end, its output appended to a log; whether it succeeded."""
    with log.open("ab") as output:
        return (
            subprocess.run(
                list(command),
                env=_environment(env, mark),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                umask=_OWNER_ONLY,
                check=False,
            ).returncode
            == 0
        )


def _environment(env: Mapping[str, str], mark: str) -> dict[str, str]:
    # The caller's environment goes on to what is started; nothing is read from it here.
    return {**os.environ, **env, MARK: mark}


def is_alive(started: Started) -> bool:
    """Whether that very process still runs; another one that was given its pid does not count."""
    return _process(started) is not None


def _process(started: Started) -> psutil.Process | None:
    try:
        process = psutil.Process(started.pid)
        # The start time is reckoned from the wall clock: once that is set, it is another, and the mark tells.
        same = abs(process.create_time() - started.created) < 0.01 or _mark_of(process) == started.mark
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None


def members(started: Sequence[Started]) -> list[psutil.Process]:
    """The processes, their descendants, and orphans that carry one of their marks."""
    found: dict[int, psutil.Process] = {}
    marks = {one.mark for one in started}
    for one in started:
        process = _process(one)
        if process is not None:
            found[process.pid] = process
            found.update((child.pid, child) for child in _children(process))
    for process in psutil.process_iter():
        if process.pid not in found and process.pid != os.getpid() and _mark_of(process) in marks:
            found[process.pid] = process
    return list(found.values())


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def _mark_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError):
        return None


def stop(started: Sequence[Started], *, grace_s: float = 15.0) -> None:
    """End processes with all that they started: the heads first and politely, whatever is left by force."""
    everything = members(started)
    heads = [process for one in started if (process := _process(one)) is not None]
    _signal(heads, lambda process: process.terminate())
    psutil.wait_procs(heads, timeout=grace_s)
    left = [process for process in everything + members(started) if process.is_running()]
    _signal(left, lambda process: process.terminate())
    _, left = psutil.wait_procs(left, timeout=3)
    _signal(left, lambda process: process.kill())
    psutil.wait_procs(left, timeout=3)


def _signal(processes: Sequence[psutil.Process], send: Callable[[psutil.Process], None]) -> None:
    for process in processes:
        try:
            send(process)
        except psutil.NoSuchProcess:
            continue


def port_is_taken(host: str, port: int) -> bool:
    """Whether something listens there already."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do it, so that a connection that lingers from a server just stopped is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def port_holder(port: int) -> str:
    """`name (pid 123)` of who listens on a port; empty where the system does not tell."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            listens = connection.status == psutil.CONN_LISTEN and tuple(connection.laddr)[1:] == (port,)
            if listens and connection.pid is not None:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        return ""
    return ""


def log_tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


def wait_until(condition: Callable[[], bool], *, timeout_s: float, pause_s: float = 0.2) -> bool:
    """Poll until a condition holds; False when the time is over."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause_s)
    return True
