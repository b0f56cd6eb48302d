"""Production as flows: one step of a replayed feed, due predictions, and the refresh of the online store."""

from __future__ import annotations

import logging

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from headrace.app.context import context_of
from headrace.flows.artifacts import publish
from headrace.flows.names import run_name
from headrace.flows.observed import observed
from headrace.pipeline.operations.advance import advance as advance_once
from headrace.pipeline.production.scoring import score_due
from headrace.pipeline.report import Artifact, artifact_key
from headrace.pipeline.stages.materialise import MATERIALISE
from headrace.pipeline.walker import PipelineRun

log = logging.getLogger("headrace.flows")


@flow(name="advance", flow_run_name=run_name("advance"), persist_result=False)
@observed("advance")
def advance(problem: str = "flights") -> int:
    """Advance a replayed problem's production clock by one step: ingest, score due rows, refresh the online store.

    Args:
        problem: A built-in problem, or the path of a problem file.

    Returns:
        Number of predictions.
    """
    context = context_of(problem)
    report = task(name="advance", cache_policy=NO_CACHE, persist_result=False)(lambda: advance_once(context))()
    publish([Artifact(key=artifact_key(report.problem, "advance"), kind="table", data=report.rows())])
    log.info("%d predictions, %d batches refused", report.scored, len(report.quarantined))
    if report.note:
        log.warning("%s", report.note)
    return report.scored


@flow(name="score", flow_run_name=run_name("score"), persist_result=False)
@observed("score")
def score(problem: str = "flights") -> int:
    """Predict the rows whose cutoff time has come since the last run.

    Args:
        problem: A built-in problem, or the path of a problem file.

    Returns:
        Number of predictions.
    """
    context = context_of(problem)
    count = task(name="score", cache_policy=NO_CACHE, persist_result=False)(lambda: score_due(context))()
    log.info("%d predictions", count)
    return count


@flow(name="materialise", flow_run_name=run_name("materialise"), persist_result=False)
@observed("materialise")
def materialise(problem: str = "flights") -> None:
    """Bring the online store up to the production clock's last tick; an empty store is filled anew."""
    run = PipelineRun(context_of(problem))
    report = task(name="materialise", cache_policy=NO_CACHE, persist_result=False)(
        lambda: run.run_stage(MATERIALISE.name)
    )()
    note = run.output(MATERIALISE).note
    if not report.cached and note:
        log.warning("%s", note)
