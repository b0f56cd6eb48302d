"""Start background processes and stop exactly these, from a record of their identity, for `headrace.services`.

A pid is not an identity, because the system reuses pids, across reboots too. A process is identified by its pid with
its start time, and by a mark in its environment, which all its descendants inherit whatever session or process group
they move to. Only a process that matches one of the two is ever signalled.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

#: The environment variable that contains the mark.
MARK = "HEADRACE_SERVICES_MARK"
#: Permissions taken from the files that services write: only their owner reads them.
_UMASK = 0o077
#: Largest difference of two readings of one start time, s.
_SAME_START_S = 0.01
#: How long killed processes may take to disappear, s.
_KILL_TIMEOUT_S = 3.0


@dataclass(frozen=True, kw_only=True)
class ProcessRecord:
    """The identity of a process that Headrace started.

    Attributes:
        name: Name of the service.
        pid: Process id.
        created: Start time as psutil computes it, s since the epoch.
        mark: Value of the environment variable `MARK`, unique to this start.
        log: Path of the file with its output.
        url: Address for people; empty if it has none.
        probe: Address whose 200 says that it responds; empty if it has none.
    """

    name: str
    pid: int
    created: float
    mark: str
    log: str
    url: str = ""
    probe: str = ""


def start_process(command: Sequence[str], *, name: str, mark: str, log: Path, env: Mapping[str, str]) -> ProcessRecord:
    """Start a command in the background, in a session of its own and in the current folder.

    Args:
        command: The program and its arguments.
        name: Name of the service.
        mark: Unique value that identifies the process and its descendants.
        log: File that its output is appended to.
        env: Environment variables beside those of this process.

    Returns:
        The identity of the process.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(command),
            env=_environment(env, mark),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=_UMASK,
        )
    process.returncode = 0  # it outlives this process: without a code, Popen warns when it is collected
    try:
        created = psutil.Process(process.pid).create_time()
    except psutil.NoSuchProcess:
        created = 0.0
    return ProcessRecord(name=name, pid=process.pid, created=created, mark=mark, log=str(log))


def run_to_end(command: Sequence[str], *, mark: str, log: Path, env: Mapping[str, str]) -> bool:
    """Run a command to its end in the current folder.

    Args:
        command: The program and its arguments.
        mark: As for `start_process`.
        log: File that its output is appended to.
        env: Environment variables beside those of this process.

    Returns:
        Whether its exit code is 0.
    """
    with log.open("ab") as output:
        done = subprocess.run(
            list(command),
            env=_environment(env, mark),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            umask=_UMASK,
            check=False,
        )
    return done.returncode == 0


def _environment(env: Mapping[str, str], mark: str) -> dict[str, str]:
    # The environment of the caller is passed on; no setting is read from it here.
    return {**os.environ, **env, MARK: mark}


def is_alive(record: ProcessRecord) -> bool:
    """Whether the recorded process still runs; another process with its pid does not count."""
    return _process(record) is not None


def _process(record: ProcessRecord) -> psutil.Process | None:
    try:
        process = psutil.Process(record.pid)
        # psutil derives the start time from the wall clock: after that was set, only the mark identifies a process.
        same = abs(process.create_time() - record.created) < _SAME_START_S or _mark_of(process) == record.mark
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None


def _members(records: Sequence[ProcessRecord]) -> list[psutil.Process]:
    """The recorded processes, their descendants, and all other processes with one of their marks."""
    members: dict[int, psutil.Process] = {}
    marks = {record.mark for record in records}
    for record in records:
        process = _process(record)
        if process is not None:
            members[process.pid] = process
            members.update((child.pid, child) for child in _descendants(process))
    for process in psutil.process_iter():
        if process.pid not in members and process.pid != os.getpid() and _mark_of(process) in marks:
            members[process.pid] = process
    return list(members.values())


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def _mark_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError):
        return None


def stop_processes(records: Sequence[ProcessRecord], *, grace_s: float = 15.0) -> None:
    """Stop processes with all their descendants: SIGTERM to the recorded ones first, SIGKILL to what remains.

    Args:
        records: The processes to stop; those that have ended are ignored.
        grace_s: How long the recorded processes may take to end by themselves, s.
    """
    members = _members(records)
    parents = [process for record in records if (process := _process(record)) is not None]
    _signal(parents, psutil.Process.terminate)
    psutil.wait_procs(parents, timeout=grace_s)
    remaining = [process for process in members + _members(records) if process.is_running()]
    _signal(remaining, psutil.Process.terminate)
    _, remaining = psutil.wait_procs(remaining, timeout=_KILL_TIMEOUT_S)
    _signal(remaining, psutil.Process.kill)
    psutil.wait_procs(remaining, timeout=_KILL_TIMEOUT_S)


def stop_orphans(prefix: str, living: Collection[str]) -> list[int]:
    """Stop the processes of killed services.

    Args:
        prefix: Beginning of the marks of all services of a home.
        living: Marks of the services that are alive; their processes are spared, as is the present one.

    Returns:
        Process ids of what was stopped.
    """
    orphans = [
        process
        for process in psutil.process_iter()
        if process.pid != os.getpid()
        and (mark := _mark_of(process)) is not None
        and mark.startswith(prefix)
        and mark not in living
    ]
    _signal(orphans, psutil.Process.terminate)
    _, remaining = psutil.wait_procs(orphans, timeout=_KILL_TIMEOUT_S)
    _signal(remaining, psutil.Process.kill)
    psutil.wait_procs(remaining, timeout=_KILL_TIMEOUT_S)
    return [process.pid for process in orphans]


def _signal(processes: Sequence[psutil.Process], send: Callable[[psutil.Process], None]) -> None:
    for process in processes:
        try:
            send(process)
        except psutil.NoSuchProcess:
            continue


def port_is_taken(host: str, port: int) -> bool:
    """Whether another process listens on a port of a host."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Servers set it too: a connection that lingers after a server has stopped does not occupy its port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def port_owner(port: int) -> str:
    """The process that listens on a port, as `name (pid 123)`; empty where the system does not say."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            listens = connection.status == psutil.CONN_LISTEN and tuple(connection.laddr)[1:] == (port,)
            if listens and connection.pid is not None:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        return ""
    return ""


def log_tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log; empty if there is no such file."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


def wait_until(condition: Callable[[], bool], *, timeout_s: float, pause_s: float = 0.2) -> bool:
    """Poll a condition until it is true.

    Args:
        condition: What to evaluate.
        timeout_s: When to give up, s.
        pause_s: Time between two evaluations, s.

    Returns:
        Whether it became true in time.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause_s)
    return True
