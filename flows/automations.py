"""Automations on a running Prefect server: one per trigger, made from the same source as the deployments.

Prefect's names of automations are not unique, so ours are looked for first: made once, brought up to date, never
doubled. One that somebody switched off in Prefect's pages stays off.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from prefect.automations import AutomationCore, EventTrigger, Posture
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.events.actions import RunDeployment

from headrace.flows.deployments import Trigger


def ensure(triggers: Iterable[Trigger]) -> None:
    """Make each trigger's automation, or bring it up to date. Its deployment has to be registered before."""
    with get_client(sync_client=True) as client:
        for trigger in triggers:
            _ensure(client, trigger)


def _ensure(client: SyncPrefectClient, trigger: Trigger) -> None:
    wanted = _automation(client, trigger)
    found = client.read_automations_by_name(trigger.name)
    for one in found[1:]:
        client.delete_automation(one.id)
    if found:
        client.update_automation(found[0].id, wanted.model_copy(update={"enabled": found[0].enabled}))
    else:
        client.create_automation(wanted)


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
