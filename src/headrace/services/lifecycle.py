"""Start a set of services in order, wait until each responds, record them, and stop them, for `up` and `down`.

The record, `run/services.json` below the home folder, names the processes. Starting again starts only the services that
do not run. If one fails to start, those that this call started are stopped. Only recorded processes are ever stopped.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import httpx
from filelock import FileLock

from headrace.core.errors import CorruptError, NotFoundError, UnavailableError
from headrace.core.replicas import read_replicas, remove_replicas, write_replicas
from headrace.services import processes
from headrace.services.processes import ProcessRecord

#: How long a service may take to its first response, s. Prefect's server migrates its database first.
START_TIMEOUT_S = 150.0


@dataclass(frozen=True, kw_only=True)
class Service:
    """A process that runs in the background.

    Attributes:
        name: Unique name.
        command: The program and its arguments.
        env: Environment variables beside those of the caller.
        url: Address for people; empty if it has none.
        probe: Address whose 200 says that the service responds; without one, `ready` decides.
        port: Port that it listens on; None if it listens on none.
        setting: The variable that changes the port, for the message when the port is taken.
        after: Names of services that must respond before this one is prepared and started.
        prepare: Command that must succeed before the service starts; empty for none.
        ready: Whether the service has started, for one without a probe.
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    probe: str = ""
    port: int | None = None
    setting: str = ""
    after: tuple[str, ...] = ()
    prepare: tuple[str, ...] = ()
    ready: Callable[[], bool] | None = None


@dataclass(frozen=True, kw_only=True)
class Address:
    """Address of a service.

    Attributes:
        name: Name of the service.
        url: Address for people; empty if it has none.
        state: Whether it was started now, ran already, or is the user's own.
    """

    name: str
    url: str
    state: str


def start_services(root: Path, services: Sequence[Service], *, host: str = "127.0.0.1") -> list[Address]:
    """Start the services that do not run, and wait until each responds. A failure leaves no new process behind.

    What a killed service of this home left running, and may hold its port or its database, is stopped first.

    Args:
        root: The home folder; it contains the record and the logs.
        services: In the order to start them.
        host: The address that they listen on.

    Returns:
        The address and state of each service.

    Raises:
        UnavailableError: A port is taken (checked before anything starts), or a service ended or did not respond.
    """
    (root / "run").mkdir(parents=True, exist_ok=True)
    with FileLock(root / "run" / ".lock", timeout=START_TIMEOUT_S):
        present = {record.name: record for record in read_record(root) if processes.is_alive(record)}
        processes.stop_orphans(_mark_prefix(root), {record.mark for record in present.values()})
        _check_ports(host, [service for service in services if service.name not in present])
        records = _start_missing(root, services, present)
    return [
        Address(name=one.name, url=one.url, state="running already" if one.name in present else "started")
        for one in records.values()
    ]


def _check_ports(host: str, services: Sequence[Service]) -> None:
    for service in services:
        if service.port is not None and processes.port_is_taken(host, service.port):
            owner = processes.port_owner(service.port)
            raise UnavailableError(
                f"port {service.port} is taken" + (f" by {owner}" if owner else ""),
                where=service.name,
                fix=f"stop that process, or set {service.setting} to a free port",
                port=service.port,
                setting=service.setting,
            )


def _start_missing(
    root: Path, services: Sequence[Service], present: Mapping[str, ProcessRecord]
) -> dict[str, ProcessRecord]:
    records = dict(present)
    by_name = {service.name: service for service in services}
    with _stop_after_failure(root, present, records):
        for service in services:
            if service.name in present:
                continue
            for name in service.after:
                _wait_for(by_name[name], records[name])
            records[service.name] = _start(root, service)
            _write_record(root, records.values())
        for service in services:
            if service.name not in present or service.probe:
                _wait_for(service, records[service.name])
    return records


@contextmanager
def _stop_after_failure(
    root: Path, present: Mapping[str, ProcessRecord], records: Mapping[str, ProcessRecord]
) -> Iterator[None]:
    try:
        yield
    except BaseException:  # an interrupt too: a part of the services is of no use
        processes.stop_processes([record for name, record in records.items() if name not in present])
        _write_record(root, present.values())
        raise


def _start(root: Path, service: Service) -> ProcessRecord:
    log, mark = root / "run" / f"{service.name.lower()}.log", f"{_mark_prefix(root)}{uuid.uuid4().hex}"
    log.unlink(missing_ok=True)
    if service.prepare and not processes.run_to_end(service.prepare, mark=mark, log=log, env=service.env):
        raise _failure(service.name, "could not be prepared", log)
    record = processes.start_process(service.command, name=service.name, mark=mark, log=log, env=service.env)
    return replace(record, url=service.url, probe=service.probe)


def _wait_for(service: Service, record: ProcessRecord) -> None:
    ready = service.ready or (lambda: responds(record.probe))
    in_time = processes.wait_until(lambda: ready() or not processes.is_alive(record), timeout_s=START_TIMEOUT_S)
    if not processes.is_alive(record):
        raise _failure(service.name, "ended while starting", Path(record.log))
    if not in_time:
        raise _failure(service.name, f"did not answer within {START_TIMEOUT_S:.0f} s", Path(record.log))


def _failure(name: str, what: str, log: Path) -> UnavailableError:
    return UnavailableError(f"{what}\n{processes.log_tail(log)}\n", where=name, fix=f"its whole log is {log}", log=log)


def stop_services(root: Path) -> list[str]:
    """Stop the recorded services with all their descendants, the last started first, and remove the record.

    Args:
        root: The home folder.

    Returns:
        Names of the services that were running.
    """
    (root / "run").mkdir(parents=True, exist_ok=True)
    with FileLock(root / "run" / ".lock", timeout=START_TIMEOUT_S):
        records = read_record(root)
        stopped = [record.name for record in records if processes.is_alive(record)]
        for record in reversed(records):
            processes.stop_processes([record])
        processes.stop_orphans(_mark_prefix(root), set())
        remove_replicas(_record_path(root))
    return stopped


def running_services(root: Path) -> dict[str, str]:
    """Addresses by name of the recorded services that are alive and respond."""
    return {
        record.name: record.url
        for record in read_record(root)
        if record.url and processes.is_alive(record) and responds(record.probe)
    }


def read_record(root: Path) -> list[ProcessRecord]:
    """Read the processes that were started for a home folder, whether they still run or not.

    A copy of a home folder contains the record of the original; its processes are not the copy's.

    Args:
        root: The home folder.

    Returns:
        The recorded processes in the order they were started; none for a copied folder.

    Raises:
        CorruptError: The file is not such a record.
    """
    try:
        record = read_replicas(_record_path(root))
        home = Path(record.get("home", root))
        if home.exists() and not home.samefile(root):
            return []
        return [ProcessRecord(**fields) for fields in record["services"]]
    except NotFoundError:
        return []
    except (KeyError, TypeError):
        fix = f"end what runs by hand, then delete it; the logs beside it name the services: {root / 'run'}"
        raise CorruptError("not a record of services", where=str(_record_path(root)), fix=fix) from None


def _write_record(root: Path, records: Iterable[ProcessRecord]) -> None:
    services = [asdict(record) for record in records]
    write_replicas(_record_path(root), {"home": str(root.absolute()), "services": services})


def _mark_prefix(root: Path) -> str:
    """The beginning of the marks of this home's services, by which they are known when their record is lost."""
    return f"{hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]}-"


def _record_path(root: Path) -> Path:
    return root / "run" / "services.json"


def responds(probe: str) -> bool:
    """Whether an address responds with 200."""
    try:
        # trust_env: no proxy of the user's stands between this process and this machine
        with httpx.Client(trust_env=False, timeout=2.0) as client:
            return client.get(probe).status_code == 200
    except httpx.HTTPError:
        return False
