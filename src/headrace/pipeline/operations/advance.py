"""One step of production: ingest the next batch, score what fell due, refresh the online store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headrace.core.clock import floor_to_tick, iso
from headrace.pipeline.context import Context
from headrace.pipeline.production.feed import feed_step
from headrace.pipeline.production.intake import Ingested
from headrace.pipeline.production.scoring import score_due


@dataclass(frozen=True, kw_only=True)
class AdvanceReport:
    """One move of the production clock. note: what was mended on the way; empty where nothing was."""

    problem: str
    from_us: int
    to_us: int
    ingested: tuple[Ingested, ...]
    scored: int
    materialised: Mapping[str, int]
    note: str = ""

    @property
    def refused(self) -> tuple[Ingested, ...]:
        """Batches that went to quarantine."""
        return tuple(outcome for outcome in self.ingested if outcome.quarantined)

    def rows(self) -> list[dict[str, Any]]:
        """A table for people: one row per batch."""
        return [
            {
                "clock": iso(self.to_us),
                "table": outcome.table,
                "rows": outcome.rows,
                "outcome": f"quarantined: {'; '.join(outcome.reasons)}" if outcome.quarantined else "ingested",
            }
            for outcome in self.ingested
        ]


def advance(context: Context) -> AdvanceReport:
    """One step of production: ingest, score what fell due, refresh the online store."""
    from headrace.store.materialise import materialise, views_ahead_note

    start, end, outcomes = feed_step(context)
    scored = score_due(context)
    tick = floor_to_tick(end, context.problem.tick_us)
    note = views_ahead_note(context.root, context.problem)
    return AdvanceReport(
        problem=context.problem.name,
        from_us=start,
        to_us=end,
        ingested=outcomes,
        scored=scored,
        materialised=materialise(context.root, context.problem, tick),
        note=note,
    )
