"""One step of production: ingest the next batch, score what fell due, refresh the online store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headrace.core.clock import floor_to_tick, iso
from headrace.pipeline.context import Context
from headrace.pipeline.production.feed import feed_step
from headrace.pipeline.production.intake import IngestedBatch, QuarantinedBatch, refused
from headrace.pipeline.production.scoring import score_due


@dataclass(frozen=True, kw_only=True)
class AdvanceReport:
    """One move of the production clock.

    Attributes:
        problem: its name.
        from_us, to_us: the clock before and after.
        ingested: what became of each batch.
        scored: predictions made.
        materialised: rows written into the online store, by feature view.
        note: what was mended on the way; empty where nothing was.
    """

    problem: str
    from_us: int
    to_us: int
    ingested: tuple[IngestedBatch, ...]
    scored: int
    materialised: Mapping[str, int]
    note: str = ""

    @property
    def quarantined(self) -> tuple[QuarantinedBatch, ...]:
        """Batches that were refused."""
        return refused(self.ingested)

    def rows(self) -> list[dict[str, Any]]:
        """A table for people: one row per batch."""
        return [
            {"clock": iso(self.to_us), "table": one.table, "rows": one.rows, "outcome": _outcome(one)}
            for one in self.ingested
        ]


def _outcome(batch: IngestedBatch) -> str:
    return f"quarantined: {'; '.join(batch.quarantined.reasons)}" if batch.quarantined else "ingested"


def advance(context: Context) -> AdvanceReport:
    """Move the production clock by one step of the feed."""
    from headrace.store.materialise import materialise, views_ahead_note

    step = feed_step(context)
    scored = score_due(context)
    tick = floor_to_tick(step.to_us, context.problem.tick_us)
    note = views_ahead_note(context.root, context.problem)
    return AdvanceReport(
        problem=context.problem.name,
        from_us=step.from_us,
        to_us=step.to_us,
        ingested=step.batches,
        scored=scored,
        materialised=materialise(context.root, context.problem, tick),
        note=note,
    )
