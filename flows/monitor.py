"""Drift monitoring as flows: evaluate the last window, and start retrains whose event was lost.

The outbox records the decision; the event only starts the retrain sooner. `reconcile` starts the retrains whose events
were lost. Repeated events and reconciliations start one retrain.
"""

from __future__ import annotations

import logging

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.deployments import run_deployment
from prefect.events import emit_event

from headrace.app.addresses import addresses
from headrace.app.context import context_of, wall_us
from headrace.audit.skew import SkewReport
from headrace.core.settings import settings
from headrace.flows.alerts import send_alerts
from headrace.flows.artifacts import publish
from headrace.flows.deployments import retrain_name
from headrace.flows.names import run_name
from headrace.flows.observed import observed
from headrace.flows.rollout import evaluate as evaluate_rollout
from headrace.monitor.outbox.outbox import Outbox
from headrace.pipeline.context import Context
from headrace.pipeline.monitoring.monitor_report import MonitorReport
from headrace.pipeline.monitoring.monitor_window import RETRAIN_EVENT, draw, link, monitor_window, resource_of
from headrace.pipeline.operations.skew import audit_artifact, audit_window, require_clean
from headrace.registry.ledger import Ledger

log = logging.getLogger("headrace.flows")


@flow(name="monitor", flow_run_name=run_name("monitor"), persist_result=False)
@observed("monitor")
def monitor(problem: str = "flights") -> str:
    """Evaluate the last window of production and decide. The decision is recorded before its event is sent.

    Args:
        problem: A built-in problem, or the path of a problem file.

    Returns:
        The kind of the decision: nothing, alert or retrain.
    """
    context = context_of(problem)
    links = addresses(settings())

    @task(name="monitor", cache_policy=NO_CACHE, persist_result=False)
    def evaluate() -> MonitorReport:
        return monitor_window(context, now_us=wall_us(), links=links)

    report = evaluate()
    if context.problem.rollout is not None:
        evaluate_rollout(context)
    if report.retrain_is_open:
        emit_event(RETRAIN_EVENT, resource={"prefect.resource.id": resource_of(report.problem)}, payload=report.event)
    send_alerts(context)
    task(name="draw", cache_policy=NO_CACHE, persist_result=False)(lambda: draw(context, report))()
    publish(report.artifacts())
    task(name="link", cache_policy=NO_CACHE, persist_result=False)(lambda: link(context, report))()
    log.info("%s: %s", report.decision.kind, report.decision.reason)
    audit(context, report)
    return report.decision.kind


def audit(context: Context, report: MonitorReport) -> None:
    """Compare the window's served features with the history; the flow fails where one differs."""

    @task(name="audit-skew", cache_policy=NO_CACHE, persist_result=False)
    def compare() -> SkewReport | None:
        return audit_window(context, report.decision.start_us, report.decision.end_us)

    found = compare()
    if found is not None:
        publish((audit_artifact(found),))
        log.info("skew audit: %d of %d values differ", found.different, found.values)
        require_clean(found)


@flow(name="reconcile", flow_run_name=run_name("reconcile"), persist_result=False)
@observed("reconcile")
def reconcile(problem: str = "flights") -> list[str]:
    """Start the pending retrains that no process works on, send the pending alerts, and complete the audit log.

    Args:
        problem: A built-in problem, or the path of a problem file.

    Returns:
        Ids of the decisions whose retrains were started.
    """
    context = context_of(problem)
    decisions = [entry.decision.id for entry in Outbox(context.root, context.problem.name).open_retrains(wall_us())]
    for decision in decisions:
        run_deployment(retrain_name(context.problem.name), parameters={"decision": decision}, timeout=0)
    send_alerts(context)
    Ledger(context.root, context.problem.name).write_audit_lines()
    log.info("%d retrains were open", len(decisions))
    return decisions
