"""Steps of rollouts as rows of the promotion ledger: SQL inside an open transaction, for `registry.rollouts`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Phase = Literal[
    "waiting", "shadow", "canary", "promoted", "rolled back", "refused", "undecided", "superseded", "cancelled"
]
#: Phases in which requests are scored by the challenger.
OPEN = ("shadow", "canary")

#: Not part of the ledger's schema, because ledgers of earlier versions lack it.
ROLLOUT = (
    "CREATE TABLE IF NOT EXISTS rollout (sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL,"
    " version TEXT NOT NULL, champion TEXT NOT NULL, phase TEXT NOT NULL, share REAL NOT NULL, reason TEXT NOT NULL,"
    " facts TEXT NOT NULL, at_us INTEGER NOT NULL)"
)
_COLUMNS = "sequence, id, version, champion, phase, share, reason, facts, at_us"


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


def rollout_steps(
    database: sqlite3.Connection, condition: str = "1", values: tuple[Any, ...] = ()
) -> list[RolloutStep]:
    """Return the steps that meet a condition, oldest first; none in a ledger without rollouts."""
    if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'rollout'").fetchone():
        return []
    rows = database.execute(f"SELECT {_COLUMNS} FROM rollout WHERE {condition} ORDER BY sequence", values)
    return [_row_step(row) for row in rows]


def last_steps(database: sqlite3.Connection) -> list[RolloutStep]:
    """Return the last step of each rollout, oldest first."""
    return rollout_steps(database, "sequence IN (SELECT max(sequence) FROM rollout GROUP BY id)")


def record_step(database: sqlite3.Connection, step: RolloutStep) -> RolloutStep:
    """Append a step; its `sequence` is ignored. Returns it with its number."""
    database.execute(ROLLOUT)
    facts = json.dumps(dict(step.facts), sort_keys=True)
    database.execute(
        "INSERT INTO rollout (id, version, champion, phase, share, reason, facts, at_us)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (step.id, step.version, step.champion, step.phase, step.share, step.reason, facts, step.at_us),
    )
    return rollout_steps(database, "sequence = last_insert_rowid()")[0]


def close_rollouts(database: sqlite3.Connection, version: str, reason: str, at_us: int) -> None:
    """End the rollouts that a change of champion decides: that of the new champion, and the one under way."""
    for step in last_steps(database):
        own = step.version == version
        if step.open or (own and step.phase == "waiting"):
            ended: Phase = "promoted" if own else "superseded"
            why = reason if own else f"version {version} became champion: {reason}"
            record_step(database, _next(step, ended, why, at_us))


def _next(step: RolloutStep, phase: Phase, reason: str, at_us: int) -> RolloutStep:
    return RolloutStep(
        sequence=0, id=step.id, version=step.version, champion=step.champion, phase=phase, share=0.0, reason=reason,
        at_us=at_us,
    )  # fmt: skip


def _row_step(row: tuple[Any, ...]) -> RolloutStep:
    sequence, identity, version, champion, phase, share, reason, facts, at_us = row
    return RolloutStep(
        sequence=sequence, id=identity, version=version, champion=champion, phase=phase, share=share, reason=reason,
        facts=json.loads(facts), at_us=at_us,
    )  # fmt: skip
