"""The stage `replay`: run the first steps of the feed with the new champion and measure its quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from headrace.core.clock import window_name
from headrace.lake import feed
from headrace.lake.store import Lake
from headrace.pipeline.context import Context
from headrace.pipeline.production.champion import champion_bundle
from headrace.pipeline.production.feed import feed_step
from headrace.pipeline.production.intake import Ingested, ingest
from headrace.pipeline.production.quality import quality
from headrace.pipeline.production.scoring import score_due, score_window
from headrace.pipeline.stage import Needs, Stage
from headrace.registry.ledger import Ledger


def _replay(context: Context, needs: Needs, folder: Path) -> Mapping[str, Any]:
    """The first steps of the feed, lived through by the new champion: its quality in production, measured.

    A champion that learnt from these steps (retrained since) is not measured on them. The metrics bear the window's
    name, so that other windows of one version have a place beside them.
    """
    from headrace.registry.aliases import mirror

    problem = context.problem
    if problem.feed is None:
        return {"metrics": {}, "refused": []}
    lake, start, end = Lake(context.root, problem.name), problem.feed.start_us, problem.feed.end_us
    refused: list[Ingested] = []
    while (clock := lake.clock()) is not None and clock < end:
        refused += [outcome for outcome in feed_step(context)[2] if outcome.quarantined]
    refused += _bring_last_labels(context, end)
    score_due(context)
    now = lake.clock()
    record = Ledger(context.root, problem.name).champion()
    assert now is not None  # ingest has been
    if record is None:  # the gate refused it, and nobody was before it
        return {"metrics": {}, "refused": _told(refused)}
    if int(champion_bundle(context, record).windows["trained_until_us"]) > start:
        return {"metrics": {}, "refused": _told(refused)}
    measured = quality(context, record.version, start, end, now)
    if not measured["predictions"]:
        # Another version lived through this window; this one is measured on the same rows, at the same ticks.
        score_window(context, record, start, end, now)
        measured = quality(context, record.version, start, end, now)
    metrics = {f"{window_name(start, end)}_{name}": value for name, value in measured.items()}
    Ledger(context.root, problem.name).record_metrics(record.version, metrics)
    mirror(context.root, problem.name, context.tracking_uri)  # MLflow's copy knows them too
    return {"metrics": metrics, "refused": _told(refused)}


def _bring_last_labels(context: Context, end_us: int) -> list[Ingested]:
    """Ingest what becomes known at the very instant that the replay ends; a label is mature at its known time.

    Steps are half open, so it would come with the next one, of which there is none. Should there be one after all, it
    brings the same rows again, which changes nothing. Features at that instant see what was known before it.
    """
    with FileLock(context.root / "lake" / f".{context.problem.name}.feed.lock"):
        if Lake(context.root, context.problem.name).clock() != end_us:
            return []
        last = feed.step(context.problem, end_us, end_us + 1)
        outcomes = ingest(context.problem, context.root, last, arrival_us=end_us)
    return [outcome for outcome in outcomes if outcome.quarantined]


def _told(refused: Sequence[Ingested]) -> list[dict[str, Any]]:
    return [{"table": outcome.table, "reasons": list(outcome.reasons)} for outcome in refused]


def _replayed(context: Context, facts: Mapping[str, Any]) -> bool:
    problem = context.problem
    if problem.feed is None:
        return True
    clock = Lake(context.root, problem.name).clock()
    record = Ledger(context.root, problem.name).champion()
    return (
        clock is not None
        and clock >= problem.feed.end_us
        and record is not None
        and set(facts["metrics"]) <= set(record.metrics)
    )


REPLAY = Stage(
    name="replay",
    run=_replay,
    needs=("promote",),
    code=("headrace.lake", "headrace.synthesis"),
    parameters=lambda context: {"feed": context.problem.feed},
    standing=_replayed,
)
