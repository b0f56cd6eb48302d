"""The life of a set of services: decided first, then started in order, waited for, recorded, and stopped again.

What runs is recorded in `run/services.json` below the home folder. Starting a set that is up already starts only
what is missing; when one fails, those just started are stopped again; stopping touches what the record names only.
"""

from __future__ import annotations

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
from headrace.services.processes import Started

#: How long a service may take to its first answer, s. Prefect's server migrates its database first.
START_TIMEOUT_S = 150.0


@dataclass(frozen=True, kw_only=True)
class Service:
    """One process to keep running.

    url: what people open. probe: the address whose 200 says it is up; a service without one has started when `ready`
    says so. after: names of services that must answer before it is prepared and started. prepare: a command that has to
    succeed before. setting: the variable that changes its port.
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
    """Where a service is. state: started now, running already, or the user's own."""

    name: str
    url: str
    state: str


def start_services(root: Path, services: Sequence[Service], *, host: str = "127.0.0.1") -> list[Address]:
    """Start what is not running, wait until each answers, and hand back where. Nothing is left behind by a failure.

    Raises UnavailableError: a port is taken (before anything is started), or a service ended or never answered.
    """
    (root / "run").mkdir(parents=True, exist_ok=True)
    with FileLock(root / "run" / ".lock", timeout=START_TIMEOUT_S):
        standing = {one.name: one for one in recorded(root) if processes.is_alive(one)}
        _check_ports(host, [service for service in services if service.name not in standing])
        begun = _start_all(root, services, standing)
    return [
        Address(name=one.name, url=one.url, state="running already" if one.name in standing else "started")
        for one in begun.values()
    ]


def _check_ports(host: str, services: Sequence[Service]) -> None:
    for service in services:
        if service.port is not None and processes.port_is_taken(host, service.port):
            holder = processes.port_holder(service.port)
            raise UnavailableError(
                f"port {service.port} is taken" + (f" by {holder}" if holder else ""),
                where=service.name,
                fix=f"stop what holds it, or set {service.setting} to a free port",
                port=service.port,
                setting=service.setting,
            )


def _start_all(root: Path, services: Sequence[Service], standing: Mapping[str, Started]) -> dict[str, Started]:
    begun = dict(standing)
    by_name = {service.name: service for service in services}
    with _all_or_nothing(root, standing, begun):
        for service in services:
            if service.name in standing:
                continue
            for needed in service.after:
                _wait_for(by_name[needed], begun[needed])
            begun[service.name] = _start(root, service)
            _record(root, begun.values())
        for service in services:
            if service.name not in standing or service.probe:
                _wait_for(service, begun[service.name])
    return begun


@contextmanager
def _all_or_nothing(root: Path, standing: Mapping[str, Started], begun: Mapping[str, Started]) -> Iterator[None]:
    try:
        yield
    except BaseException:  # an interrupt too: half a set of services helps nobody
        processes.stop([one for name, one in begun.items() if name not in standing])
        _record(root, standing.values())
        raise


def _start(root: Path, service: Service) -> Started:
    log, mark = root / "run" / f"{service.name.lower()}.log", uuid.uuid4().hex
    log.unlink(missing_ok=True)
    if service.prepare and not processes.complete(service.prepare, mark=mark, log=log, env=service.env):
        raise _failure(service.name, "could not be prepared", log)
    started = processes.spawn(service.command, name=service.name, mark=mark, log=log, env=service.env)
    return replace(started, url=service.url, probe=service.probe)


def _wait_for(service: Service, started: Started) -> None:
    ready = service.ready or (lambda: answers(started.probe))
    answered = processes.wait_until(lambda: ready() or not processes.is_alive(started), timeout_s=START_TIMEOUT_S)
    if not processes.is_alive(started):
        raise _failure(service.name, "ended while starting", Path(started.log))
    if not answered:
        raise _failure(service.name, f"did not answer within {START_TIMEOUT_S:.0f} s", Path(started.log))


def _failure(name: str, what: str, log: Path) -> UnavailableError:
    return UnavailableError(f"{what}\n{processes.log_tail(log)}\n", where=name, fix=f"its whole log is {log}", log=log)


def stop_services(root: Path) -> list[str]:
    """Stop what was started here, last started first, with all its children. The names that were still running."""
    (root / "run").mkdir(parents=True, exist_ok=True)
    with FileLock(root / "run" / ".lock", timeout=START_TIMEOUT_S):
        standing = recorded(root)
        stopped = [one.name for one in standing if processes.is_alive(one)]
        for one in reversed(standing):
            processes.stop([one])
        remove_replicas(_path(root))
    return stopped


def running(root: Path) -> dict[str, str]:
    """Services of this home that are alive and answer: name -> address."""
    return {
        started.name: started.url
        for started in recorded(root)
        if started.url and processes.is_alive(started) and answers(started.probe)
    }


def _record(root: Path, started: Iterable[Started]) -> None:
    named = [asdict(one) for one in started]
    write_replicas(_path(root), {"home": str(root.absolute()), "services": named})


def recorded(root: Path) -> list[Started]:
    """What `services.json` names, whether it still runs or not. In a copy of a home it names the services of the
    home that was copied: a copy uses none of them, and stops none."""
    try:
        record = read_replicas(_path(root))
        home = Path(record.get("home", root))
        if home.exists() and not home.samefile(root):
            return []
        return [Started(**fields) for fields in record["services"]]
    except NotFoundError:
        return []
    except (KeyError, TypeError):
        fix = f"end what runs by hand, then delete it; the logs beside it name the services: {root / 'run'}"
        raise CorruptError("not a record of services", where=str(_path(root)), fix=fix) from None


def _path(root: Path) -> Path:
    return root / "run" / "services.json"


def answers(probe: str) -> bool:
    """Whether an address says 200."""
    try:
        # trust_env: a proxy of the user's has no business between us and this machine
        with httpx.Client(trust_env=False, timeout=2.0) as client:
            return client.get(probe).status_code == 200
    except httpx.HTTPError:
        return False
