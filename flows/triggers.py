"""Declare what starts a problem's deployments beside their schedules: events, and the death of a machine, as values.

`headrace.flows.automations` makes automations of Prefect of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from headrace.flows.deployments import retrain_name
from headrace.pipeline.monitoring.monitor_window import RETRAIN_EVENT, resource_of
from headrace.schema import Problem


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """An event that starts a deployment.

    Attributes:
        name: Unique name of the automation.
        description: Shown in Prefect's pages.
        event: Name of the event.
        resource: Id of the resource that the event is about.
        deployment: What to start, as flow/deployment.
        parameters: Arguments of the run, as templates over the event.
    """

    name: str
    description: str
    event: str
    resource: str
    deployment: str
    parameters: dict[str, str]


def triggers_for(problem: Problem) -> tuple[Trigger, ...]:
    """Declare the events that start a problem's deployments."""
    return (
        Trigger(
            name=f"{problem.name}-retrain-on-drift",
            description=f"Drift of {problem.name} that justifies a retrain starts it",
            event=RETRAIN_EVENT,
            resource=resource_of(problem.name),
            deployment=retrain_name(problem.name),
            parameters={"decision": "{{ event.payload.decision }}"},
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Takeover:
    """A deployment that runs again where the machine of its run died.

    A worker that lives reports a run that fails or is killed. Where the worker died too, nobody does; but a run sends
    heartbeats (every three minutes by default), and they stop.

    Attributes:
        name: Unique name of the automation.
        description: Shown in Prefect's pages.
        deployment: What to start again, as flow/deployment. A run of it continues what the dead one left.
        silence: Time without a heartbeat after which a run counts as dead: more than that between two of them, so that
            one lost heartbeat is no death.
    """

    name: str
    description: str
    deployment: str
    silence: timedelta = timedelta(minutes=7)


def takeovers_for(problem: Problem) -> tuple[Takeover, ...]:
    """Declare which deployments run again after the death of their machine: the main job, which continues its stages.

    The others run every few minutes by their schedules, and a retrain is started again by the flow `reconcile`.
    """
    return (
        Takeover(
            name=f"{problem.name}-pipeline-takeover",
            description=f"Mark a run of {problem.name} whose machine died as crashed, and start the main job again",
            deployment=f"pipeline/{problem.name}-pipeline",
        ),
    )
