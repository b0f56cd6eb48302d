"""The production clock of a replayed feed: one step ingests the next batch of each table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from headrace.core.clock import floor_to_tick
from headrace.core.errors import DeclarationError, NotFoundError
from headrace.lake import feed
from headrace.lake.store import Lake
from headrace.pipeline.context import Context
from headrace.pipeline.production.intake import IngestedBatch, ingest
from headrace.pipeline.production.lake_mending import mend_lake
from headrace.pipeline.production.origin import claim_lake


@dataclass(frozen=True, kw_only=True)
class FeedStep:
    """One move of the production clock, and what became of its batches."""

    from_us: int
    to_us: int
    batches: tuple[IngestedBatch, ...]


def feed_step(context: Context) -> FeedStep:
    """Ingest what the feed brings in the next step, then move the clock: last, so that a kill repeats the step.

    Raises:
        DeclarationError: the problem has no feed.
        NotFoundError: nothing was loaded yet.
    """
    problem = context.problem
    if problem.feed is None:
        raise DeclarationError(
            "has no feed to advance", where=problem.name, fix="declare feed=Replay(start=..., step=...)"
        )
    lake = Lake(context.root, problem.name)
    with FileLock(feed_lock(context)):
        start = lake.catch_up(problem.feed.step_us)
        if start is None:
            raise NotFoundError("nothing was loaded yet", where=problem.name, fix="run `headrace run` first")
        claim_lake(context)
        mend_lake(context)
        end = start + problem.feed.step_us
        batches = ingest(problem, context.root, feed.step(problem, start, end), arrival_us=end)
        lake.advance_clock(end)
    return FeedStep(from_us=start, to_us=end, batches=batches)


def feed_lock(context: Context) -> Path:
    """The file that is locked while the feed moves."""
    return context.root / "lake" / f".{context.problem.name}.feed.lock"


def current_tick(context: Context) -> int:
    """The last tick (us) on the problem's production clock."""
    clock = Lake(context.root, context.problem.name).clock()
    assert clock is not None  # ingest sets it
    return floor_to_tick(clock, context.problem.tick_us)
