"""Retraining as a flow with one task per stage, on the history up to the decision."""

from __future__ import annotations

import logging

from prefect import flow
from prefect.runtime import flow_run

from headrace.app.context import context_of, wall_us
from headrace.app.progress import RunDisplay
from headrace.flows.alerts import send_alerts
from headrace.flows.artifacts import publish
from headrace.flows.names import run_name
from headrace.flows.observed import observed
from headrace.flows.pipeline import as_task
from headrace.pipeline.operations import retraining

log = logging.getLogger("headrace.flows")


@flow(name="retrain", flow_run_name=run_name("retrain", "decision"), persist_result=False)
@observed("retrain")
def retrain(problem: str = "flights", decision: str = "", reselect: bool = False) -> str:
    """Carry out the retrain of a recorded decision; of several runs for one decision, one does the work.

    Args:
        problem: A built-in problem, or the path of a problem file.
        decision: Id of the decision in the outbox; if empty, this run records a manual one.
        reselect: For a manual retrain: select features and model family anew instead of keeping the champion's.

    Returns:
        The outcome: promoted, refused or failed.
    """
    with RunDisplay() as progress:
        context = context_of(problem, progress=progress)
        by_hand = "asked for by hand"
        chosen = decision or retraining.request_retrain(context, by_hand, now_us=wall_us(), reselect=reselect).id
        report = retraining.retrain(context, chosen, holder=str(flow_run.id), now_us=wall_us, execute=as_task)
    send_alerts(context)
    publish(report.artifacts())
    log.info("%s: %s", report.outcome, report.reason)
    return report.outcome
