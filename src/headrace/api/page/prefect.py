"""What the page reads from Prefect's API, and starts there: deployments, runs and artifacts of one problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from headrace.core.errors import NotFoundError, UnavailableError
from headrace.core.prefect_server import csrf_headers
from headrace.core.redact import redact
from headrace.core.server_auth import prefect_auth

#: The page is shown without Prefect's part rather than late; a start is waited for, so that a busy server is not taken
#: for one that refused.
_READ_TIMEOUT_S = 3.0
_START_TIMEOUT_S = 30.0
_MAX_RUNS = 60
#: Deployments in the order that people need them; unknown ones follow.
ORDER = ("pipeline", "advance", "score", "materialise", "monitor", "shadow", "retrain", "reconcile", "replay")


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A deployment. name: as in `shop-pipeline`; schedule: its cron lines, "" where it is started by hand or events."""

    id: str
    name: str
    description: str
    schedule: str = ""


@dataclass(frozen=True, kw_only=True)
class FlowRun:
    """A run of a flow.

    Attributes:
        id, name: Of Prefect.
        state: Such as Completed, Failed, Running, Scheduled.
        kind: Such as COMPLETED, FAILED, RUNNING, SCHEDULED.
        at: Start, or when it is due.
        seconds: Length, None where it has not started.
    """

    id: str
    name: str
    state: str
    kind: str
    at: datetime | None
    seconds: float | None


@dataclass(frozen=True, kw_only=True)
class PrefectState:
    """What Prefect has of a problem. artifacts: keys."""

    deployments: tuple[Deployment, ...] = ()
    runs: tuple[FlowRun, ...] = ()
    artifacts: tuple[str, ...] = ()


def read_state(address: str, problem: str, *, runs: int = 8) -> PrefectState:
    """Read deployments, the last runs and the artifacts of a problem.

    Args:
        address: Of the Prefect server, without `/api`.
        problem: Name of the problem.
        runs: Most runs.

    Raises:
        UnavailableError: The server does not answer.
    """
    tags = {"tags": {"all_": ["headrace", problem]}}
    keys = artifact_prefix(problem)
    with _Api(address, timeout_s=_READ_TIMEOUT_S) as api:
        deployments = api.query("/deployments/filter", {"deployments": tags})
        found = api.query(
            "/flow_runs/filter",
            {
                "flow_runs": {"name": {"like_": problem}, "state": {"type": {"not_any_": ["SCHEDULED"]}}},
                "sort": "START_TIME_DESC",
                "limit": _MAX_RUNS,
            },
        )
        artifacts = api.query("/artifacts/latest/filter", {"artifacts": {"key": {"like_": f"{keys}%"}}})
    return PrefectState(
        deployments=tuple(sorted((_deployment(one) for one in deployments), key=lambda one: _rank(one.name))),
        runs=tuple(_run(one) for one in found if problem in str(one["name"]).split()[1:])[:runs],
        artifacts=tuple(sorted({str(one["key"]) for one in artifacts if str(one["key"]).startswith(keys)})),
    )


def start_run(address: str, problem: str, name: str) -> str:
    """Start a run of a deployment of a problem.

    Returns:
        The run's id.

    Raises:
        NotFoundError: The problem has no such deployment.
        UnavailableError: The server does not answer, or refuses.
    """
    with _Api(address, timeout_s=_START_TIMEOUT_S) as api:
        tags = {"tags": {"all_": ["headrace", problem]}}
        found = api.query("/deployments/filter", {"deployments": {**tags, "name": {"any_": [name]}}})
        if not found:
            raise NotFoundError(f"no deployment {name!r}", where="Prefect", fix="`headrace deploy` registers them")
        run = api.query(f"/deployments/{found[0]['id']}/create_flow_run", {"state": {"type": "SCHEDULED"}})
    return str(run["id"])


def artifact_prefix(problem: str) -> str:
    """The beginning of the keys of a problem's artifacts."""
    return f"{problem.lower().replace('_', '-')}-"


class _Api:
    """A connection to a Prefect server's API, without Prefect's client, which takes seconds to import."""

    def __init__(self, address: str, *, timeout_s: float) -> None:
        self._api = f"{address}/api"
        self._client = httpx.Client(trust_env=False, timeout=timeout_s, auth=prefect_auth())

    def __enter__(self) -> _Api:
        try:
            self._headers = csrf_headers(self._client, self._api)
        except (httpx.HTTPError, ValueError):
            self._client.close()
            raise self._unavailable() from None
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def query(self, path: str, body: Mapping[str, Any]) -> Any:
        try:
            response = self._client.post(f"{self._api}{path}", json=body, headers=self._headers)
            response.raise_for_status()
            return response.json()
        except (httpx.HTTPError, ValueError):
            raise self._unavailable() from None

    def _unavailable(self) -> UnavailableError:
        return UnavailableError("Prefect does not answer", where=redact(self._api), fix="`headrace up` starts it")


def _rank(name: str) -> tuple[int, str]:
    kind = name.rpartition("-")[2]
    return (ORDER.index(kind) if kind in ORDER else len(ORDER)), name


def _deployment(one: Mapping[str, Any]) -> Deployment:
    return Deployment(
        id=str(one["id"]),
        name=str(one["name"]),
        description=str(one.get("description") or ""),
        schedule=", ".join(_schedule(schedule) for schedule in one.get("schedules", [])),
    )


def _schedule(schedule: Mapping[str, Any]) -> str:
    rule = schedule["schedule"]
    text = str(rule.get("cron") or f"every {rule.get('interval', '?')} s")
    return text if schedule.get("active", True) else f"{text} (paused)"


def _run(one: Mapping[str, Any]) -> FlowRun:
    started = one.get("start_time") or one.get("expected_start_time")
    return FlowRun(
        id=str(one["id"]),
        name=str(one["name"]),
        state=str(one.get("state_name") or "unknown"),
        kind=str(one.get("state_type") or ""),
        at=datetime.fromisoformat(started) if started else None,
        seconds=float(one["total_run_time"]) if one.get("start_time") else None,
    )


def failed(runs: Sequence[FlowRun]) -> int:
    """Count the runs that failed or crashed."""
    return sum(run.kind in ("FAILED", "CRASHED") for run in runs)
