"""What attacks would change, read back as a program on the machine reads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headrace.prediction_log.log import PredictionLog
from tests.security.talking import asked, deployment, prefect
from tests.security.target import Target


def state(target: Target, service: str) -> Any:
    """What attacks on a service are sent to change. Of runs and predictions, those that are called hostile."""
    return _STATES[service](target)


def _prefect(target: Target) -> dict[str, Any]:
    hostile = {"flow_runs": {"name": {"any_": ["hostile"]}}}
    return {
        "flow runs": prefect(target, "POST", "/flow_runs/count", hostile).json(),
        "pull steps": prefect(target, "GET", f"/deployments/{deployment(target)}").json()["pull_steps"],
        "deployments": prefect(target, "POST", "/deployments/count", {}).json(),
        "work pool": prefect(target, "GET", "/work_pools/headrace").json()["base_job_template"],
        "automations": prefect(target, "POST", "/automations/count").json(),
        "variables": prefect(target, "POST", "/variables/count", {}).json(),
    }


def _mlflow(target: Target) -> tuple[str, str]:
    experiments = "/api/2.0/mlflow/experiments/search?max_results=100"
    champion = "/api/2.0/mlflow/registered-models/alias?name=shop&alias=champion"
    return asked("mlflow", target, path=experiments).text, asked("mlflow", target, path=champion).text


def _evidently(target: Target) -> str:
    return asked("evidently", target, path="/api/projects").text


def _predictions(target: Target) -> int:
    with PredictionLog(target.home, "shop") as log:
        return sum(row.join_keys.get("customer_id") == "hostile" for row in log.read())


_STATES: dict[str, Callable[[Target], Any]] = {
    "prefect": _prefect,
    "mlflow": _mlflow,
    "evidently": _evidently,
    "api": _predictions,
}
