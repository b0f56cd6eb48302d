"""Registration of deployments on a running Prefect server, idempotent by name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.runner.storage import LocalStorage

from headrace.flows.deployments import Deployment
from headrace.services.local import WORK_POOL

#: Job variables of the work pool: none. In Prefect's own template of a process pool, whoever starts a run chooses its
#: command, environment and folder; Headrace's deployments need none of these.
JOB_TEMPLATE: dict[str, Any] = {
    "job_configuration": {"stream_output": True},
    "variables": {"type": "object", "properties": {}, "additionalProperties": False},
}


def register(
    deployments: Sequence[Deployment], folder: Path | None = None, *, pool: str = WORK_POOL
) -> dict[str, UUID]:
    """Create or update deployments in a process work pool. A schedule paused in Prefect's pages stays paused.

    Args:
        deployments: What to register; their names are unique on the server.
        folder: The folder that their runs work in, whose `.env` they read; the current one if left out.
        pool: Name of the work pool; made if it does not exist.

    Returns:
        Prefect's ids by name of deployment.
    """
    folder = folder or Path.cwd()
    with get_client(sync_client=True) as client:
        _ensure_pool(client, pool)
        paused = {deployment.name: _paused_slugs(client, deployment) for deployment in deployments}
    return {
        deployment.name: _registered(deployment, folder, pool, paused[deployment.name]) for deployment in deployments
    }


def _ensure_pool(client: SyncPrefectClient, pool: str) -> None:
    pool_fields: dict[str, Any] = {"description": "Processes on this machine", "base_job_template": JOB_TEMPLATE}
    try:
        client.create_work_pool(WorkPoolCreate(name=pool, type="process", **pool_fields))
    except ObjectAlreadyExists:
        client.update_work_pool(pool, WorkPoolUpdate(**pool_fields))


def _paused_slugs(client: SyncPrefectClient, deployment: Deployment) -> frozenset[str]:
    try:
        found = client.read_deployment_by_name(f"{deployment.flow_name}/{deployment.name}")
    except ObjectNotFound:
        return frozenset()
    return frozenset(schedule.slug for schedule in found.schedules if schedule.slug and not schedule.active)


def _registered(deployment: Deployment, folder: Path, pool: str, paused: frozenset[str]) -> UUID:
    runner = RunnerDeployment.from_storage(
        storage=LocalStorage(path=str(folder)),
        entrypoint=deployment.entrypoint,
        name=deployment.name,
        description=deployment.description,
        tags=list(deployment.tags),
        parameters=dict(deployment.parameters),
        schedules=_schedules(deployment, paused),
        concurrency_limit=ConcurrencyLimitConfig(
            limit=deployment.concurrency, collision_strategy=ConcurrencyLimitStrategy(deployment.collision)
        ),
        work_pool_name=pool,
    )
    assert isinstance(runner, RunnerDeployment)  # both calls hand back coroutines inside an event loop only
    identifier = runner.apply()
    assert isinstance(identifier, UUID)
    return identifier


def _schedules(deployment: Deployment, paused: frozenset[str]) -> list[DeploymentScheduleCreate]:
    schedule: CronSchedule | IntervalSchedule
    if deployment.cron is not None:
        schedule = CronSchedule(cron=deployment.cron, timezone="UTC")
    elif deployment.interval_s is not None:
        schedule = IntervalSchedule(interval=timedelta(seconds=deployment.interval_s))
    else:
        return []
    return [DeploymentScheduleCreate(schedule=schedule, active=deployment.name not in paused, slug=deployment.name)]
