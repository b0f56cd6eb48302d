"""The loop against real servers: Prefect with a worker, MLflow, the API, and a receiver of alerts on this machine."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import psutil
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.events import Event
from prefect.settings import PREFECT_API_URL, temporary_settings

from headrace.core.prefect_server import csrf_headers
from headrace.core.settings import Settings
from headrace.flows.automations import ensure_automations
from headrace.flows.demo.receiver import Receiver, alert_receiver
from headrace.flows.deployments import for_references
from headrace.flows.register import register
from headrace.flows.triggers import triggers_for
from headrace.problems.catalogue import load_problem
from headrace.registry.ledger import Ledger
from headrace.services.lifecycle import Service, read_record, start_services, stop_services
from headrace.services.local import local_services
from headrace.services.processes import wait_until

ROOT = Path(__file__).parents[2]
PATIENCE_S = 240.0


@dataclass(frozen=True, kw_only=True)
class Installation:
    """Everything up, on free ports, in a home of its own. deployments: name -> id."""

    settings: Settings
    services: tuple[Service, ...]
    receiver: Receiver
    deployments: dict[str, UUID]

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.settings.api_port}"

    def champion(self, problem: str) -> str:
        record = Ledger(self.settings.root, problem).champion()
        return record.version if record else ""

    def runs(self, deployment: str) -> list[str]:
        """The states of a deployment's runs, by name of the state."""
        chosen = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[self.deployments[deployment]]))
        with get_client(sync_client=True) as client:
            runs = client.read_flow_runs(flow_run_filter=chosen, limit=100)
        return [run.state_name or "" for run in runs]

    def start(self, deployment: str, **parameters: Any) -> None:
        """Run a deployment to its end."""
        with get_client(sync_client=True) as client:
            run = client.create_flow_run_from_deployment(self.deployments[deployment], parameters=parameters)
            ended = wait_until(
                lambda: bool((state := client.read_flow_run(run.id).state) and state.is_final()),
                timeout_s=PATIENCE_S,
                pause_s=0.5,
            )
            state = client.read_flow_run(run.id).state
        assert ended, (deployment, state)
        assert state is not None
        assert state.is_completed(), (deployment, state)

    def kill(self, service: str) -> None:
        """kill -9 of a service and of all that it has started."""
        (started,) = [one for one in read_record(self.settings.root) if one.name == service]
        process = psutil.Process(started.pid)
        family = [process, *process.children(recursive=True)]
        for one in family:
            one.kill()
        _, left = psutil.wait_procs(family, timeout=30)
        assert not left

    def up(self) -> None:
        """Start what is not running; deployments stay as they are."""
        start_services(self.settings.root, [replace(one, prepare=()) for one in self.services])

    def emit(self, event: str, resource: str, payload: dict[str, Any]) -> None:
        """An event to this installation's Prefect. Not by `emit_event`: within a process that goes on talking to the
        first server that it met, which here may be that of another test, gone since."""
        told = Event(event=event, resource={"prefect.resource.id": resource}, payload=payload, id=uuid4())
        api = f"http://127.0.0.1:{self.settings.prefect_port}/api"
        with httpx.Client(trust_env=False, timeout=10) as client:
            events = [told.model_dump(mode="json")]
            client.post(f"{api}/events", json=events, headers=csrf_headers(client, api)).raise_for_status()

    def predicted_by(self, row: dict[str, Any]) -> str:
        """The version that answers a request now."""
        answer = httpx.post(f"{self.api}/predict", json=row, trust_env=False, timeout=10)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["model_version"])


@contextmanager
def installed(root: Path, problems: list[Path], *, every_s: float | None = None) -> Iterator[Installation]:
    """Services up for the first problem, deployments for all.

    every_s: what has a schedule runs this often, but for the nightly main job. None: no schedule fires, so that only
    the test moves things.
    """
    prefect, mlflow, evidently, api = free_ports(4)
    with alert_receiver() as receiver:
        chosen = Settings(
            home=root,
            prefect_port=prefect,
            mlflow_port=mlflow,
            evidently_port=evidently,
            api_port=api,
            MLFLOW_TRACKING_URI=None,  # type: ignore[call-arg]
            PREFECT_API_URL=None,  # type: ignore[call-arg]
        )
        for name in ("mlflow/artifacts", "prefect", "evidently"):
            (root / name).mkdir(parents=True, exist_ok=True)
        alerts = {"HEADRACE_ALERT_URL": receiver.url, "HEADRACE_ALERT_NETWORKS": "127.0.0.0/8"}
        extra = {"PREFECT_WORKER_QUERY_SECONDS": "1", **alerts}
        deploy = (sys.executable, "-m", "headrace.flows", "deploy", "--without-schedules", str(problems[0]))
        services = tuple(
            replace(one, env={**one.env, **extra}, prepare=deploy if one.prepare else ())
            for one in local_services(chosen, str(problems[0]))
            if one.name != "Feast"  # its pages take no part
        )
        try:
            start_services(root, services)
            with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{prefect}/api"}):
                references = [str(path) for path in problems]
                deployments = [
                    replace(one, cron=None, interval_s=every_s if one.cron and one.flow_name != "pipeline" else None)
                    for one in for_references(references)
                ]
                identifiers = register(deployments, ROOT)
                ensure_automations(trigger for path in references for trigger in triggers_for(load_problem(path)))
                yield Installation(settings=chosen, services=services, receiver=receiver, deployments=identifiers)
        finally:
            stop_services(root)


def free_ports(count: int) -> list[int]:
    """Ports that nobody holds now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()
