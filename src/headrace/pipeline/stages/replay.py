"""The stage `replay`: run the first steps of the feed with the new champion, and measure its quality on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from headrace.core.clock import window_name
from headrace.lake import feed
from headrace.lake.store import Lake
from headrace.pipeline.context import Context
from headrace.pipeline.fence import ledger_of
from headrace.pipeline.production.champion import champion_bundle
from headrace.pipeline.production.feed import feed_lock, feed_step
from headrace.pipeline.production.intake import QuarantinedBatch, ingest, refused
from headrace.pipeline.production.quality import live_metrics
from headrace.pipeline.production.scoring import score_due, score_window
from headrace.pipeline.stage import Inputs, Stage
from headrace.pipeline.stages.promote import PROMOTE
from headrace.registry.ledger import Ledger


@dataclass(frozen=True, kw_only=True)
class ReplayOutput:
    """metrics: of the champion on the replayed steps, by name; empty where it cannot be measured on them.

    quarantined: batches of the feed that were refused.
    """

    metrics: Mapping[str, float]
    quarantined: tuple[QuarantinedBatch, ...]


def _run(context: Context, inputs: Inputs, folder: Path) -> ReplayOutput:
    """Replay the feed, then measure.

    A champion that learnt from these steps (retrained since) is not measured on them. The metrics bear the window's
    name, so that other windows of one version have a place beside them.
    """
    if context.problem.feed is None:
        return ReplayOutput(metrics={}, quarantined=())
    quarantined = _advance_to_end(context, context.problem.feed.end_us)
    score_due(context)
    return ReplayOutput(metrics=_measure(context), quarantined=quarantined)


def _advance_to_end(context: Context, end_us: int) -> tuple[QuarantinedBatch, ...]:
    """Ingest the feed's batches up to its end; returns those that were refused."""
    lake = Lake(context.root, context.problem.name)
    quarantined: list[QuarantinedBatch] = []
    while (clock := lake.clock()) is not None and clock < end_us:
        quarantined += refused(feed_step(context).batches)
    return (*quarantined, *_ingest_last_labels(context, end_us))


def _ingest_last_labels(context: Context, end_us: int) -> tuple[QuarantinedBatch, ...]:
    """Ingest what becomes known at the very instant that the replay ends; a label is mature at its known time.

    Steps are half open, so it would come with the next one, of which there is none. Should there be one after all, it
    brings the same rows again, which changes nothing. Features at that instant see what was known before it.
    """
    with FileLock(feed_lock(context)):
        if Lake(context.root, context.problem.name).clock() != end_us:
            return ()
        last = feed.step(context.problem, end_us, end_us + 1)
        return refused(ingest(context.problem, context.root, last, arrival_us=end_us))


def _measure(context: Context) -> Mapping[str, float]:
    """The champion's metrics on the replayed window, which the ledger and MLflow then know too."""
    from headrace.registry.aliases import mirror

    problem = context.problem
    assert problem.feed is not None  # _run returns without one
    start, end = problem.feed.start_us, problem.feed.end_us
    now = Lake(context.root, problem.name).clock()
    assert now is not None  # ingest has been
    record = Ledger(context.root, problem.name).champion()
    if record is None:  # the gate refused it, and nobody was before it
        return {}
    if int(champion_bundle(context, record).windows["trained_until_us"]) > start:
        return {}
    measured = live_metrics(context, record.version, start, end, now)
    if not measured["predictions"]:
        # Another version predicted in this window; this one is measured on the same rows, at the same ticks.
        score_window(context, record, start, end, now)
        measured = live_metrics(context, record.version, start, end, now)
    metrics = {f"{window_name(start, end)}_{name}": value for name, value in measured.items()}
    ledger_of(context).record_metrics(record.version, metrics)
    mirror(context.root, problem.name, context.tracking_uri, token=context.token)  # MLflow's copy knows them too
    return metrics


def _effects_exist(context: Context, output: ReplayOutput) -> bool:
    """The clock stands at the feed's end or later, and the ledger knows the metrics."""
    problem = context.problem
    if problem.feed is None:
        return True
    clock = Lake(context.root, problem.name).clock()
    record = Ledger(context.root, problem.name).champion()
    return (
        clock is not None
        and clock >= problem.feed.end_us
        and record is not None
        and set(output.metrics) <= set(record.metrics)
    )


REPLAY = Stage(
    name="replay",
    output=ReplayOutput,
    run=_run,
    needs=(PROMOTE,),
    code=("headrace.synthesis.engines",),
    parameters=lambda context: {"feed": context.problem.feed},
    effects_exist=_effects_exist,
)
