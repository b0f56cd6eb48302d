"""The main job as a flow with one task per stage, so that Prefect's pages show progress and times.

Stages read their inputs from disk by content address, so tasks exchange no data. Prefect neither retries nor caches
them: a stage reuses its own finished output.
"""

from __future__ import annotations

from collections.abc import Callable

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import deployment, flow_run

from headrace.app.addresses import addresses
from headrace.app.context import context_of
from headrace.app.progress import RunDisplay
from headrace.core.settings import settings
from headrace.flows.artifacts import publish
from headrace.flows.names import run_name
from headrace.flows.observed import observed
from headrace.pipeline.fence import PIPELINE, fenced
from headrace.pipeline.report import RunReport
from headrace.pipeline.stage import StageReport
from headrace.pipeline.walker import PipelineRun


@flow(name="pipeline", flow_run_name=run_name("pipeline"), persist_result=False)
@observed("pipeline")
def pipeline(problem: str = "flights", trials: int | None = None, seed: int | None = None) -> RunReport:
    """Run every stage in order, from raw tables to a served model, and publish the report as artifacts.

    A run of the deployment replaces the one before, which Prefect holds for ended: should that one still live, it
    cannot write any more.

    Args:
        problem: A built-in problem, or the path of a problem file.
        trials: Number of trials of the search; the problem's own if left out.
        seed: Seed of the search and the selection; the problem's own if left out.

    Returns:
        The report of the run.
    """
    with RunDisplay() as progress:
        context = context_of(problem, trials=trials, seed=seed, progress=progress)
        if deployment.id is not None:
            context = fenced(context, PIPELINE, f"flow run {flow_run.id}")
        report = PipelineRun(context).complete(as_task, addresses(settings()))
    publish(report.artifacts)
    return report


def as_task(name: str, run_stage: Callable[[], StageReport]) -> StageReport:
    """Run a stage as a task of the calling flow."""
    # A closure without parameters, because Prefect inspects and records the parameters of a task.
    return task(name=name, task_run_name=name, retries=0, cache_policy=NO_CACHE, persist_result=False)(run_stage)()
