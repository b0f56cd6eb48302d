"""Create or update automations on a running Prefect server, idempotent by name.

Prefect allows several automations of one name, so existing ones are updated and duplicates removed. An automation that
was switched off in Prefect's pages stays off.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from prefect.automations import AutomationCore, EventTrigger, Posture
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, RunDeployment

from headrace.flows.triggers import Takeover, Trigger

_HEARTBEAT = "prefect.flow-run.heartbeat"
_ENDED = frozenset(f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed"))


def ensure_automations(automations: Iterable[Trigger | Takeover]) -> None:
    """Create or update the automation of each trigger. Their deployments must be registered before."""
    with get_client(sync_client=True) as client:
        for declared in automations:
            made = _triggered(client, declared) if isinstance(declared, Trigger) else _taking_over(client, declared)
            _ensure(client, made)


def _ensure(client: SyncPrefectClient, automation: AutomationCore) -> None:
    existing = client.read_automations_by_name(automation.name)
    for duplicate in existing[1:]:
        client.delete_automation(duplicate.id)
    if existing:
        client.update_automation(existing[0].id, automation.model_copy(update={"enabled": existing[0].enabled}))
    else:
        client.create_automation(automation)


def _triggered(client: SyncPrefectClient, trigger: Trigger) -> AutomationCore:
    deployment = client.read_deployment_by_name(trigger.deployment)
    return AutomationCore(
        name=trigger.name,
        description=trigger.description,
        trigger=EventTrigger(
            expect={trigger.event},
            match={"prefect.resource.id": trigger.resource},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
        actions=[RunDeployment(deployment_id=deployment.id, parameters=dict(trigger.parameters))],
    )


def _taking_over(client: SyncPrefectClient, takeover: Takeover) -> AutomationCore:
    """After a heartbeat neither another one nor an end of the run came in time."""
    deployment = client.read_deployment_by_name(takeover.deployment)
    return AutomationCore(
        name=takeover.name,
        description=takeover.description,
        trigger=EventTrigger(
            after={_HEARTBEAT},
            expect={_HEARTBEAT, *_ENDED},
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related={
                "prefect.resource.role": "deployment",
                "prefect.resource.id": f"prefect.deployment.{deployment.id}",
            },
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=takeover.silence,
        ),
        actions=[
            ChangeFlowRunState(state=StateType.CRASHED, message="no heartbeat: its machine died"),
            RunDeployment(deployment_id=deployment.id),
        ],
    )
