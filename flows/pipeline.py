"""The main job as a flow: one task per stage, so that Prefect's pages show how far it is and what each stage took.

Stages find their own inputs on disk by content address; nothing travels between tasks. They are not retried and not
cached by Prefect: a stage that is run again finds what is done by itself.
"""

from __future__ import annotations

import logging

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from headrace.app.addresses import addresses, tracking_uri
from headrace.core.settings import settings
from headrace.flows.artifacts import publish
from headrace.pipeline.report import RunReport
from headrace.pipeline.stage import StageReport
from headrace.pipeline.walker import PipelineRun, open_run

log = logging.getLogger("headrace.flows")


@flow(name="pipeline", flow_run_name="pipeline {problem}", persist_result=False)
def pipeline(problem: str = "flights", trials: int | None = None, seed: int | None = None) -> RunReport:
    """Raw tables to a served model: every stage in order, each cached or run.

    problem: a built-in name or the path of a problem file. trials, seed: of the search; the problem's own if left out.
    """
    chosen = settings()
    run = open_run(
        problem, chosen.root, tracking_uri=tracking_uri(chosen), trials=trials, seed=seed, workers=chosen.workers,
        max_memory=chosen.max_memory, on_search=lambda line: log.info("search: %s", line),
        on_synthesis=lambda line: log.info("synthesise: %s", line), on_damage=log.warning,
    )  # fmt: skip
    run_as_tasks(run)
    finished = run.finish(addresses=addresses(chosen))
    publish(finished.artifacts)
    return finished


def run_as_tasks(run: PipelineRun) -> None:
    """Every stage in order, each a task of the flow that calls this."""
    for name in run.stage_names:
        report = _stage(run, name)
        log.info("%-14s %7.1f s  %s", name, report.seconds, report.state)


def _stage(run: PipelineRun, name: str) -> StageReport:
    # A closure: the run itself is no task parameter, which Prefect would walk through and record.
    @task(name=name, task_run_name=name, retries=0, cache_policy=NO_CACHE, persist_result=False)
    def stage() -> StageReport:
        return run.run_stage(name)

    return stage()
