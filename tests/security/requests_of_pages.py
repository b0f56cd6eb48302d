"""The requests that a hostile page sends: each would run a command, or change what is served, if it were let in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.security.talking import deployment, prefect
from tests.security.target import Target


@dataclass(frozen=True, kw_only=True)
class Hostile:
    """One request. body: filled in with the ids of the installation."""

    service: str
    method: str
    path: str
    body: Any

    def filled(self, target: Target, canary: Path) -> tuple[str, str]:
        """(path, JSON body). canary: a file that commands would make."""
        found = deployment(target)
        flow = prefect(target, "GET", f"/deployments/{found}").json()["flow_id"]
        names = {"DEPLOYMENT": found, "FLOW": flow, "CANARY": str(canary)}
        path, body = self.path, json.dumps(self.body)
        for name, value in names.items():
            path, body = path.replace(name, value), body.replace(name, value)
        return path, body


_COMMAND = {"command": "touch CANARY"}
_STEPS = [{"prefect.deployments.steps.run_shell_script": {"script": "touch CANARY"}}]
_WHEN = {"type": "event", "posture": "Reactive", "expect": ["headrace.*"], "threshold": 1, "within": 0}
_TEMPLATE = {"job_configuration": {"command": "touch CANARY"}, "variables": {"type": "object", "properties": {}}}


def _prefect(method: str, path: str, body: Any) -> Hostile:
    return Hostile(service="prefect", method=method, path=f"/api{path}", body=body)


#: By what each asks for. The first is the attack that was recorded.
REQUESTS: dict[str, Hostile] = {
    "a flow run with a command": _prefect(
        "POST", "/deployments/DEPLOYMENT/create_flow_run", {"name": "hostile", "job_variables": _COMMAND}
    ),
    "a flow run with an environment": _prefect(
        "POST",
        "/deployments/DEPLOYMENT/create_flow_run",
        {"name": "hostile", "job_variables": {"env": {"PYTHONPATH": "/tmp"}}},
    ),
    "a flow run of a problem file of the page's": _prefect(
        "POST", "/deployments/DEPLOYMENT/create_flow_run", {"name": "hostile", "parameters": {"problem": "CANARY"}}
    ),
    "a flow run for the work pool, of no deployment": _prefect(
        "POST",
        "/flow_runs/",
        {"name": "hostile", "flow_id": "FLOW", "work_pool_name": "headrace", "job_variables": _COMMAND},
    ),
    "a deployment that pulls by a shell script": _prefect(
        "POST", "/deployments/", {"name": "hostile", "flow_id": "FLOW", "pull_steps": _STEPS}
    ),
    "another pull step in a deployment": _prefect("PATCH", "/deployments/DEPLOYMENT", {"pull_steps": _STEPS}),
    "another template in the work pool": _prefect("PATCH", "/work_pools/headrace", {"base_job_template": _TEMPLATE}),
    "an automation that starts a deployment": _prefect(
        "POST",
        "/automations/",
        {
            "name": "hostile",
            "trigger": _WHEN,
            "actions": [{"type": "run-deployment", "source": "selected", "deployment_id": "DEPLOYMENT"}],
        },
    ),
    "a variable that flows read": _prefect("POST", "/variables/", {"name": "hostile", "value": "x"}),
    "an empty database": _prefect("POST", "/admin/database/clear", {"confirm": True}),
    "an experiment": Hostile(
        service="mlflow", method="POST", path="/api/2.0/mlflow/experiments/create", body={"name": "hostile"}
    ),
    "an experiment, as MLflow's own pages ask": Hostile(
        service="mlflow", method="POST", path="/ajax-api/2.0/mlflow/experiments/create", body={"name": "hostile"}
    ),
    "another champion": Hostile(
        service="mlflow",
        method="DELETE",
        path="/api/2.0/mlflow/registered-models/alias",
        body={"name": "shop", "alias": "champion"},
    ),
    "a project": Hostile(service="evidently", method="POST", path="/api/projects", body={"name": "hostile"}),
    "a prediction in the log": Hostile(
        service="api",
        method="POST",
        path="/predict",
        body={"customer_id": "hostile", "placed": "2024-03-01T12:00:00Z", "amount": 1.0, "channel": "web"},
    ),
}
