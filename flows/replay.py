"""A replay of months of production as a flow: policies of when to retrain, compared, with artifacts."""

from __future__ import annotations

from prefect import flow

from headrace.app.context import context_of
from headrace.app.progress import RunDisplay
from headrace.flows.artifacts import publish
from headrace.flows.names import run_name
from headrace.flows.observed import observed
from headrace.replay.plan import ReplayOptions
from headrace.replay.report.publish import artifacts, log_run, write_files
from headrace.replay.result import ReplayResult
from headrace.replay.run import plan_of
from headrace.replay.run import replay as replay_months


@flow(name="replay", flow_run_name=run_name("replay"), persist_result=False)
@observed("replay")
def replay(
    problem: str = "flights",
    start: str | None = None,
    until: str | None = None,
    every: str | None = None,
    shuffle: bool = False,
    seed: int | None = None,
) -> ReplayResult:
    """Replay months of production, and publish which policy of retraining is recommended.

    Args:
        problem: A built-in problem, or the path of a problem file.
        start: Instant of the first champion; the feed's start, or a fifth of the history, if left out.
        until: Instant at which the replay ends; that of the sources if left out.
        every: Time between two decisions; that of the policy's worth if left out.
        shuffle: Shuffle rows over time, so that nothing drifts.
        seed: Of the replay.

    Returns:
        The result.
    """
    with RunDisplay() as progress:
        context = context_of(problem, seed=seed, progress=progress)
        options = ReplayOptions(start=start, until=until, every=every, shuffle=shuffle)
        plan = plan_of(context.problem, options, seed=context.seed)
        result = replay_months(context, plan, say=lambda text: progress.message("replay", text))
    log_run(context, result, write_files(context, result))
    publish(artifacts(result))
    return result
