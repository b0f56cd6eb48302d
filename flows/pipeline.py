"""The main job as a flow with one task per stage, so that Prefect's pages show progress and times.

Stages read their inputs from disk by content address, so tasks exchange no data. Prefect neither retries nor caches
them: a stage reuses its own finished output.
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
    """Run every stage in order, from raw tables to a served model, and publish the report as artifacts.

    Args:
        problem: A built-in problem, or the path of a problem file.
        trials: Number of trials of the search; the problem's own if left out.
        seed: Seed of the search and the selection; the problem's own if left out.

    Returns:
        The report of the run.
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
    """Run every stage in order, each as a task of the calling flow."""
    for name in run.stage_names:
        report = _stage(run, name)
        log.info("%-14s %7.1f s  %s", name, report.seconds, report.state)


def _stage(run: PipelineRun, name: str) -> StageReport:
    # A closure, because Prefect inspects and records the parameters of a task.
    @task(name=name, task_run_name=name, retries=0, cache_policy=NO_CACHE, persist_result=False)
    def stage() -> StageReport:
        return run.run_stage(name)

    return stage()
