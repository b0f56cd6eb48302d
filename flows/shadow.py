"""Shadows as a flow: refit the champion's recipe when a refit is due on the production clock, one task per stage."""

from __future__ import annotations

import logging

from prefect import flow

from headrace.app.context import context_of
from headrace.app.progress import RunDisplay
from headrace.flows.artifacts import publish
from headrace.flows.names import run_name
from headrace.flows.observed import observed
from headrace.flows.pipeline import as_task
from headrace.pipeline.operations.shadow import refit_shadow

log = logging.getLogger("headrace.flows")


@flow(name="shadow", flow_run_name=run_name("shadow"), persist_result=False)
@observed("shadow")
def shadow(problem: str = "flights") -> bool:
    """Fit the champion's recipe on what is known, unless that was done since the last instant at which it was due.

    Args:
        problem: A built-in problem, or the path of a problem file.

    Returns:
        Whether a shadow was fitted.
    """
    with RunDisplay() as progress:
        report = refit_shadow(context_of(problem, progress=progress), execute=as_task)
    publish(report.artifacts())
    log.info("%s", report.reason)
    return report.new
