"""Against real servers: schedules fire, flows report, and `up` and `down` are what they say."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId

from headrace.core.settings import Settings
from headrace.flows.deployments import Deployment
from headrace.flows.register import register
from headrace.services.lifecycle import read_record, running_services
from headrace.services.processes import is_alive, wait_until

pytestmark = [pytest.mark.server, pytest.mark.timeout(180), pytest.mark.slow]

ROOT = Path(__file__).parents[2]
TICK = Deployment(
    name="every-few-seconds",
    entrypoint="tests/flows/trivial.py:tick",
    description="fires often",
    parameters={"problem": "none"},
    tags=("test",),
    interval_s=4,
)


def runs_of(identifier: object) -> list[tuple[str, bool]]:
    """(state, scheduled by the server itself) of a deployment's runs that are over."""
    chosen = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[identifier]))
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(flow_run_filter=chosen, limit=100)
    return [(run.state_name or "", run.auto_scheduled) for run in runs if run.state and run.state.is_final()]


def test_everything_answers(local: Settings) -> None:
    assert running_services(local.root) == {
        "Prefect": f"http://127.0.0.1:{local.prefect_port}",
        "MLflow": f"http://127.0.0.1:{local.mlflow_port}",
        "API": f"http://127.0.0.1:{local.api_port}",
    }
    assert {one.name for one in read_record(local.root) if is_alive(one)} == {"Prefect", "MLflow", "API", "worker"}
    page = httpx.get(f"http://127.0.0.1:{local.prefect_port}/runs", headers={"accept": "text/html"})
    assert page.status_code == 200
    told = httpx.get(f"http://127.0.0.1:{local.prefect_port}/ui-settings").json()
    assert told["api_url"] == "/api"  # of the server that the page came from, not of port 4200


def test_deployments_of_the_problem_are_registered(prefect_server: Settings) -> None:
    with get_client(sync_client=True) as client:
        names = {deployment.name for deployment in client.read_deployments()}
    assert {"flights-pipeline", "flights-advance", "flights-score", "flights-materialise"} <= names


def test_a_schedule_fires_and_its_runs_succeed(prefect_server: Settings) -> None:
    """With the wrong SQLAlchemy the server starts and schedules nothing, silently."""
    identifier = register([TICK], ROOT)[TICK.name]
    try:
        enough = wait_until(lambda: runs_of(identifier).count(("Completed", True)) >= 2, timeout_s=90, pause_s=1)
        assert enough, runs_of(identifier)
        assert {state for state, _ in runs_of(identifier)} <= {"Completed", "Cancelled"}
    finally:
        with get_client(sync_client=True) as client:
            client.delete_deployment(identifier)


def test_what_servers_write_is_their_owners_only(prefect_server: Settings) -> None:
    written = [path for name in ("mlflow", "prefect") for path in (prefect_server.root / name).rglob("*")]
    logs = [path for path in (prefect_server.root / "run").iterdir() if path.suffix == ".log"]
    assert {"mlflow.db", "prefect.db"} <= {path.name for path in written}
    assert logs
    assert [path for path in written if path.is_file() and path.stat().st_mode & 0o077] == []


def test_registering_again_changes_nothing_and_keeps_a_pause(prefect_server: Settings) -> None:
    quiet = Deployment(**{**vars(TICK), "name": "quiet", "interval_s": 86_400})
    first = register([quiet], ROOT)
    with get_client(sync_client=True) as client:
        before = client.read_deployment(first["quiet"])
        client.update_deployment_schedule(before.id, before.schedules[0].id, active=False)
        assert register([quiet], ROOT) == first
        after = client.read_deployment(first["quiet"])
        client.delete_deployment(first["quiet"])
    assert len(after.schedules) == 1
    assert [schedule.active for schedule in before.schedules] == [True]
    assert [schedule.active for schedule in after.schedules] == [False]
    assert after.concurrency_options is not None
    assert after.concurrency_options.collision_strategy == "CANCEL_NEW"
