"""Steps of rollouts as rows of the promotion ledger, inside an open transaction; for `registry.rollouts`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, func, select

from headrace.registry.ledger_schema import rollout

Phase = Literal[
    "waiting", "shadow", "canary", "promoted", "rolled back", "refused", "undecided", "superseded", "cancelled"
]
#: Phases in which requests are scored by the challenger.
OPEN = ("shadow", "canary")


@dataclass(frozen=True, kw_only=True)
class RolloutStep:
    """A step of a rollout. The last step of a rollout is its state.

    Attributes:
        sequence: Its number in the ledger.
        id: Of the rollout; also the salt by which entities are assigned to the canary.
        version: The challenger.
        champion: The version that it is compared with.
        phase: What begins with this step. "waiting": another rollout is under way. "shadow": the challenger scores
            every request and answers none. "canary": it answers a share of the entities. The others end the rollout.
        share: Share of the entities that the challenger answers, 0 to 1.
        reason: Why, for people.
        facts: What was measured, by name.
        at_us: Instant on the production clock, microseconds UTC.
    """

    sequence: int
    id: str
    version: str
    champion: str
    phase: Phase
    share: float
    reason: str
    at_us: int
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        """Whether the challenger scores requests."""
        return self.phase in OPEN


def rollout_steps(connection: Connection, *conditions: ColumnElement[bool]) -> list[RolloutStep]:
    """Return the steps that meet the conditions, oldest first."""
    rows = connection.execute(select(rollout).where(*conditions).order_by(rollout.c.sequence))
    return [_row_step(row) for row in rows]


def steps_of(connection: Connection, identity: str) -> list[RolloutStep]:
    """Return the steps of one rollout, oldest first."""
    return rollout_steps(connection, rollout.c.id == identity)


def last_steps(connection: Connection) -> list[RolloutStep]:
    """Return the last step of each rollout, oldest first."""
    return rollout_steps(
        connection, rollout.c.sequence.in_(select(func.max(rollout.c.sequence)).group_by(rollout.c.id))
    )


def record_step(connection: Connection, step: RolloutStep) -> RolloutStep:
    """Append a step; its `sequence` is ignored. Returns it with its number."""
    # Writers follow each other, so the next number is free.
    sequence = int(connection.execute(select(func.coalesce(func.max(rollout.c.sequence), 0))).scalar_one()) + 1
    row = {name: getattr(step, name) for name in ("id", "version", "champion", "phase", "share", "reason", "at_us")}
    facts = json.dumps(dict(step.facts), sort_keys=True)
    connection.execute(rollout.insert().values(sequence=sequence, facts=facts, **row))
    return rollout_steps(connection, rollout.c.sequence == sequence)[0]


def close_rollouts(connection: Connection, version: str, reason: str, at_us: int) -> None:
    """End the rollouts that a change of champion decides: that of the new champion, and the one under way."""
    for step in last_steps(connection):
        own = step.version == version
        if step.open or (own and step.phase == "waiting"):
            ended: Phase = "promoted" if own else "superseded"
            why = reason if own else f"version {version} became champion: {reason}"
            record_step(connection, _next(step, ended, why, at_us))


def _next(step: RolloutStep, phase: Phase, reason: str, at_us: int) -> RolloutStep:
    return RolloutStep(
        sequence=0, id=step.id, version=step.version, champion=step.champion, phase=phase, share=0.0, reason=reason,
        at_us=at_us,
    )  # fmt: skip


def _row_step(row: Any) -> RolloutStep:
    return RolloutStep(
        sequence=row.sequence, id=row.id, version=row.version, champion=row.champion, phase=row.phase, share=row.share,
        reason=row.reason, facts=json.loads(row.facts), at_us=row.at_us,
    )  # fmt: skip
