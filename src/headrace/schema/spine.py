"""The spine as a user declares it: for which rows, and at which instants, a problem is predicted."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.core.calendar import parse_lookback
from headrace.core.clock import parse_duration

#: The column of a scheduled spine that holds its cutoffs (int64 us); with the entity's key it names a row.
DUE = "due"


@dataclass(frozen=True, kw_only=True)
class EachRow:
    """A spine of one row per row of a table.

    Args:
        table: the table whose rows are predicted.
        cutoff: time expression over a row, such as `"scheduled_departure - 2h"`.
    """

    table: str
    cutoff: str


def each_row(table: str, *, cutoff: str) -> EachRow:
    """Predict once for every row of a table, at the instant `cutoff`."""
    return EachRow(table=table, cutoff=cutoff)


@dataclass(frozen=True, kw_only=True)
class Every:
    """A spine on a schedule: at every whole multiple of `step` since 1970, each entity that was active.

    Args:
        step: period of the schedule.
        entity: the table that holds the entities, by its one key column.
        active: the table of which a row of that entity must have become known in [cutoff - within, cutoff).
        within: how far back an entity counts as active.
    """

    step: str
    entity: str
    active: str
    within: str

    @property
    def table(self) -> str:
        """What the rows of this spine are called. No table of that name is in the lake."""
        return f"{self.entity}_every_{self.step}"

    @property
    def step_us(self) -> int:
        return parse_duration(self.step)

    @property
    def within_us(self) -> int:
        return parse_lookback(self.within)


def every(step: str, entity: str, *, active: str, within: str | None = None) -> Every:
    """Predict on a schedule, for each entity with a row of `active` in the time `within` before (one step at least)."""
    return Every(step=step, entity=entity, active=active, within=within if within is not None else step)


@dataclass(frozen=True, kw_only=True)
class GivenRows(Every):
    """A spine whose rows the caller of `headrace.synthesize` gives: keys of `entity`, each with a cutoff.

    It has no schedule and no label, so the pipeline does not run it.
    """

    step: str = "1s"
    active: str = ""
    within: str = "1s"

    @property
    def table(self) -> str:
        """What the rows of this spine are called. No table of that name is in the lake."""
        return f"{self.entity}_at_cutoffs"
