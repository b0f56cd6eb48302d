"""A program that may start flow runs tries to make the worker run a command of its own.

Whoever may change deployments or the work pool can make the worker run anything: what keeps a page from that is tried
in the other files. Starting a run is less, and must stay less.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headrace.services.processes import wait_until
from tests.security.requests_of_pages import REQUESTS
from tests.security.state import state
from tests.security.talking import deployment, prefect
from tests.security.target import Target

pytestmark = [pytest.mark.security, pytest.mark.timeout(300)]

VARIABLES: dict[str, dict[str, Any]] = {
    "command": {"command": "touch CANARY"},
    "env": {"env": {"PYTHONPATH": "/tmp"}},
    "env.PYTHONPATH": {"env.PYTHONPATH": "/tmp"},
    "working_dir": {"working_dir": "/tmp"},
    "one of the attacker's": {"anything": 1},
}


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.attack("a flow run is started with the job variable {variable}", target="work pool")
def test_no_job_variable_is_taken(target: Target, variable: str, record_property: Any) -> None:
    before = state(target, "prefect")
    body = {"name": "hostile", "job_variables": VARIABLES[variable]}
    answer = prefect(target, "POST", f"/deployments/{deployment(target)}/create_flow_run", body)
    record_property("observed", f"{answer.status_code} {answer.text[:120]}")
    assert answer.status_code == 422
    assert state(target, "prefect") == before


@pytest.mark.attack("a flow run that waits is given a command", target="work pool")
def test_a_run_that_waits_takes_none(target: Target) -> None:
    body = {"state": {"type": "SCHEDULED", "state_details": {"scheduled_time": "2100-01-01T00:00:00Z"}}}
    made = prefect(target, "POST", f"/deployments/{deployment(target)}/create_flow_run", body)
    assert made.status_code == 201, made.text
    path = f"/flow_runs/{made.json()['id']}"
    try:
        changed = prefect(target, "PATCH", path, {"job_variables": {"command": "touch x"}})
        assert changed.status_code == 422
    finally:
        prefect(target, "DELETE", path)


@pytest.mark.attack("an automation would start a deployment with a command", target="work pool")
def test_an_automation_hands_on_no_command(target: Target) -> None:
    hostile, before = REQUESTS["an automation that starts a deployment"], state(target, "prefect")
    (action,) = hostile.body["actions"]
    action = {**action, "deployment_id": deployment(target), "job_variables": {"command": "touch x"}}
    assert prefect(target, "POST", "/automations/", {**hostile.body, "actions": [action]}).status_code == 422
    assert state(target, "prefect") == before


@pytest.mark.long
@pytest.mark.attack("a flow run of no deployment brings its command past the check", target="worker")
def test_the_worker_runs_no_command_that_was_not_checked(target: Target, tmp_path: Path, record_property: Any) -> None:
    """The server checks job variables against deployments only; the worker's template has no place for a command."""
    canary = tmp_path / "canary"
    path, body = REQUESTS["a flow run for the work pool, of no deployment"].filled(target, canary)
    wanted = {**json.loads(body), "state": {"type": "SCHEDULED"}}
    made = prefect(target, "POST", path.removeprefix("/api"), wanted)
    assert made.status_code == 201, made.text

    def over() -> bool:
        kind = prefect(target, "GET", f"/flow_runs/{made.json()['id']}").json()["state_type"]
        return kind not in ("SCHEDULED", "PENDING", "RUNNING")

    wait_until(over, timeout_s=60, pause_s=1)
    record_property("observed", str(prefect(target, "GET", f"/flow_runs/{made.json()['id']}").json()["state_type"]))
    prefect(target, "DELETE", f"/flow_runs/{made.json()['id']}")
    assert not canary.exists()
