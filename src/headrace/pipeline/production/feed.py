"""The production clock of a replayed feed: one step ingests one batch of each table."""

from __future__ import annotations

from filelock import FileLock

from headrace.core.clock import floor_to_tick
from headrace.core.errors import DeclarationError, NotFoundError
from headrace.lake import feed
from headrace.lake.store import Lake
from headrace.pipeline.context import Context
from headrace.pipeline.production.intake import Ingested, ingest
from headrace.pipeline.production.lake_mending import mend_lake
from headrace.pipeline.production.origin import claim


def feed_step(context: Context) -> tuple[int, int, tuple[Ingested, ...]]:
    """Ingest what the feed brings in the next step, then move the clock: last, so that a kill repeats the step."""
    problem = context.problem
    if problem.feed is None:
        raise DeclarationError(
            "has no feed to advance", where=problem.name, fix="declare feed=Replay(start=..., step=...)"
        )
    lake = Lake(context.root, problem.name)
    with FileLock(context.root / "lake" / f".{problem.name}.feed.lock"):
        start = lake.catch_up(problem.feed.step_us)
        if start is None:
            raise NotFoundError("nothing was loaded yet", where=problem.name, fix="run `make run-pipeline` first")
        claim(context)
        mend_lake(context)
        end = start + problem.feed.step_us
        outcomes = ingest(problem, context.root, feed.step(problem, start, end), arrival_us=end)
        lake.advance_clock(end)
    return start, end, outcomes


def current_tick(context: Context) -> int:
    """The last tick on the problem's production clock."""
    clock = Lake(context.root, context.problem.name).clock()
    assert clock is not None  # ingest sets it
    return floor_to_tick(clock, context.problem.tick_us)
