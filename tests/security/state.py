"""What attacks would change, read back as a program on the machine reads it."""

from __future__ import annotations

from typing import Any

from headrace.lake.predictions import PredictionLog
from tests.security.talking import asked, deployment, prefect
from tests.security.target import Target


def state(target: Target) -> dict[str, Any]:
    """Everything that attacks are sent to change. Of runs and predictions, those that are called hostile."""
    return {
        "flow runs": _flow_runs(target),
        "deployment": prefect(target, "GET", f"/deployments/{deployment(target)}").json()["pull_steps"],
        "deployments": prefect(target, "POST", "/deployments/count", {}).json(),
        "work pool": prefect(target, "GET", "/work_pools/headrace").json()["base_job_template"],
        "automations": prefect(target, "POST", "/automations/count").json(),
        "blocks": prefect(target, "POST", "/block_documents/count", {}).json(),
        "variables": prefect(target, "POST", "/variables/count", {}).json(),
        "experiments": asked(
            "mlflow", target, "POST", "/api/2.0/mlflow/experiments/search", json={"max_results": 100}
        ).text,
        "champion's tags": asked(
            "mlflow", target, path="/api/2.0/mlflow/registered-models/alias?name=shop&alias=champion"
        ).text,
        "projects": asked("evidently", target, path="/api/projects").text,
        "predictions": _predictions(target),
    }


def _flow_runs(target: Target) -> int:
    hostile = {"flow_runs": {"name": {"any_": ["hostile"]}}}
    return int(prefect(target, "POST", "/flow_runs/count", hostile).json())


def _predictions(target: Target) -> int:
    with PredictionLog(target.home, "shop") as log:
        return sum(row.join_keys.get("customer_id") == "hostile" for row in log.read())
