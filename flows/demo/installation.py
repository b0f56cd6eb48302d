"""Declare an installation of the demo's own: a home folder, ports and servers beside the user's."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headrace.core.errors import NotFoundError
from headrace.core.files import read_json, write_json
from headrace.core.settings import Settings, settings
from headrace.flows.demo.receiver import Receiver, alert_receiver
from headrace.services.lifecycle import Service, read_record, start_services, stop_services
from headrace.services.local import PYTHON_MODULE, local_services
from headrace.services.processes import is_alive, port_is_taken

_HOST = "127.0.0.1"
_NAMES = ("prefect", "mlflow", "evidently", "api", "receiver")


@dataclass(frozen=True, kw_only=True)
class Installation:
    """The demo's installation.

    Attributes:
        home: The home folder.
        reference: Path of the problem file.
        ports: Port by name of service.
    """

    home: Path
    reference: str
    ports: Mapping[str, int]

    @property
    def settings(self) -> Settings:
        """Settings as for `headrace up`, with none of the user's ports, servers or alert addresses."""
        return Settings(
            home=self.home,
            host=_HOST,
            alert_url=None,
            prefect_port=self.ports["prefect"],
            mlflow_port=self.ports["mlflow"],
            evidently_port=self.ports["evidently"],
            api_port=self.ports["api"],
            MLFLOW_TRACKING_URI=None,
            PREFECT_API_URL=None,
        )

    def url(self, name: str) -> str:
        return f"http://{_HOST}:{self.ports[name]}"

    def services(self, receiver: Receiver) -> list[Service]:
        """The services of `headrace up` without schedules and Feast's pages; the receiver is their alert address."""
        environment = {**_alerts_to(receiver), "PREFECT_WORKER_QUERY_SECONDS": "1"}
        deploy = (*PYTHON_MODULE, "headrace.flows", "deploy", "--without-schedules", self.reference)
        return [
            replace(one, env={**one.env, **environment}, prepare=deploy if one.prepare else ())
            for one in local_services(self.settings, self.reference)
            if one.name != "Feast"  # its pages take no part
        ]

    def activate(self, receiver: Receiver) -> None:
        """Set the environment of this process to this installation. Call it before Prefect and MLflow are imported."""
        names = {
            "HEADRACE_HOME": str(self.home),
            "HEADRACE_HOST": _HOST,
            **_alerts_to(receiver),
            "PREFECT_API_URL": f"{self.url('prefect')}/api",
            "MLFLOW_TRACKING_URI": self.url("mlflow"),
            "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
            **{f"HEADRACE_{name.upper()}_PORT": str(port) for name, port in self.ports.items() if name != "receiver"},
        }
        os.environ.update(names)
        settings.cache_clear()


def installation(home: Path, reference: str) -> Installation:
    """Get the installation of a folder, on its earlier ports if they are free; a new one otherwise."""
    home = home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    (home / ".gitignore").write_text("*\n", encoding="utf-8")
    return Installation(home=home, reference=reference, ports=_ports(home))


@contextmanager
def running_installation(where: Installation, on_alert: Callable[[dict[str, Any]], None]) -> Iterator[Receiver]:
    """Run all services and the receiver during the block; processes that a killed demo left are used and stopped."""
    with ExitStack() as exits:
        receiver = exits.enter_context(alert_receiver(where.ports["receiver"], on_alert))
        exits.callback(stop_services, where.home)
        for name in ("mlflow/artifacts", "prefect", "evidently"):
            (where.home / name).mkdir(parents=True, exist_ok=True)
        start_services(where.home, where.services(receiver), host=_HOST)
        where.activate(receiver)
        yield receiver


def _ports(home: Path) -> dict[str, int]:
    path = home / "demo.json"
    try:
        known: dict[str, int] = read_json(path)["ports"]
    except NotFoundError:
        known = {}
    left_running = any(is_alive(one) for one in read_record(home))
    if known and (left_running or not any(port_is_taken(_HOST, port) for port in known.values())):
        return known
    chosen = dict(zip(_NAMES, _free_ports(len(_NAMES)), strict=True))
    write_json(path, {"ports": chosen})
    return chosen


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((_HOST, 0))
        return [int(one.getsockname()[1]) for one in sockets]


def _alerts_to(receiver: Receiver) -> dict[str, str]:
    """The variables that send alerts to the demo's receiver on this machine."""
    return {"HEADRACE_ALERT_URL": receiver.url, "HEADRACE_ALERT_NETWORKS": "127.0.0.0/8"}
