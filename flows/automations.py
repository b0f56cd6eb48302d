"""Create or update automations on a running Prefect server, one per trigger, idempotent by name.

Prefect allows several automations of one name, so existing ones are updated and duplicates removed. An automation that
was switched off in Prefect's pages stays off.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from prefect.automations import AutomationCore, EventTrigger, Posture
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.events.actions import RunDeployment

from headrace.flows.deployments import Trigger


def ensure_automations(triggers: Iterable[Trigger]) -> None:
    """Create or update the automation of each trigger. Their deployments must be registered before."""
    with get_client(sync_client=True) as client:
        for trigger in triggers:
            _ensure(client, trigger)


def _ensure(client: SyncPrefectClient, trigger: Trigger) -> None:
    automation = _automation(client, trigger)
    existing = client.read_automations_by_name(trigger.name)
    for duplicate in existing[1:]:
        client.delete_automation(duplicate.id)
    if existing:
        client.update_automation(existing[0].id, automation.model_copy(update={"enabled": existing[0].enabled}))
    else:
        client.create_automation(automation)


def _automation(client: SyncPrefectClient, trigger: Trigger) -> AutomationCore:
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
