"""Rollouts as a flow: make what the journal of rollouts says true outside the ledger, twice a minute."""

from __future__ import annotations

import logging

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from headrace.app.context import context_of, wall_us
from headrace.flows.alerts import send_alerts
from headrace.flows.artifacts import publish
from headrace.flows.names import run_name
from headrace.flows.observed import observed
from headrace.pipeline.context import Context
from headrace.pipeline.rollout.evaluate import RolloutReport, evaluate_rollout
from headrace.pipeline.rollout.reconcile import Reconciliation, reconcile_rollouts

log = logging.getLogger("headrace.flows")


@flow(name="rollout", flow_run_name=run_name("rollout"), persist_result=False)
@observed("rollout")
def rollout(problem: str = "flights") -> bool:
    """Mirror the ledger in MLflow, add missing alerts, and begin a version whose turn it is.

    Args:
        problem: A built-in problem, or the path of a problem file.

    Returns:
        Whether anything was missing.
    """
    context = context_of(problem)

    @task(name="reconcile-rollouts", cache_policy=NO_CACHE, persist_result=False)
    def reconcile() -> Reconciliation:
        return reconcile_rollouts(context, now_us=wall_us())

    found = reconcile()
    if not found.nothing:
        send_alerts(context)
        log.info("%s", found)
    return not found.nothing


def evaluate(context: Context) -> None:
    """Compare the challenger of a rollout with the champion, and take the step that follows; a step of `monitor`."""

    @task(name="evaluate-rollout", cache_policy=NO_CACHE, persist_result=False)
    def compare() -> RolloutReport:
        return evaluate_rollout(context, now_us=wall_us())

    report = compare()
    publish(report.artifacts())
    log.info("rollout: %s", report.reason)
