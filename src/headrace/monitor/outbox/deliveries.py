"""Delivery state of alerts in the outbox's tables: attempts, next attempt, and the receivers that have each alert.

Delivery is at least once: a receiver is recorded after it accepted the alert, so a crash in between sends it again and
none loses it. Receivers are identified by a digest, because their addresses contain secrets.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, select

from headrace.core.clock import HOUR, MINUTE
from headrace.database.upsert import insert_new
from headrace.monitor.outbox import tables
from headrace.monitor.outbox.message import Alert

_FIRST_PAUSE_US, _LONGEST_PAUSE_US = MINUTE, 6 * HOUR


@dataclass(frozen=True, kw_only=True)
class Queued:
    """An alert in the outbox with its delivery state. Times are wall clock, microseconds UTC.

    Attributes:
        alert: The alert.
        put_us: When it was queued.
        attempts: Number of attempts.
        next_us: Earliest time of the next attempt.
        last_error: Error of the last attempt, None after a success.
        delivered_us: When all receivers had it, None before.
    """

    alert: Alert
    put_us: int
    attempts: int
    next_us: int
    last_error: str | None
    delivered_us: int | None

    def due(self, now_us: int) -> bool:
        """Whether an attempt is due; also where the next one is too far ahead, because the wall clock was set back."""
        return not now_us < self.next_us <= now_us + _LONGEST_PAUSE_US

    @property
    def state(self) -> str:
        if self.delivered_us is not None:
            return "delivered"
        return "failed, will be tried again" if self.attempts else "waiting"


def add(connection: Connection, alert: Alert, now_us: int) -> None:
    """Queue an alert. Idempotent by its id."""
    last = connection.execute(select(func.coalesce(func.max(tables.alert.c.number), 0))).scalar_one()
    row = {name: getattr(alert, name) for name in ("id", "decision_id", "title", "body", "level", "at_us")}
    row |= {"links": json.dumps(dict(alert.links)), "put_us": now_us, "next_us": now_us, "number": last + 1}
    insert_new(connection, tables.alert, row)


def messages(connection: Connection) -> tuple[Queued, ...]:
    """Return all alerts with their delivery state, oldest first."""
    rows = connection.execute(select(tables.alert).order_by(tables.alert.c.put_us, tables.alert.c.number))
    return tuple(
        Queued(
            alert=Alert(
                id=row.id,
                decision_id=row.decision_id,
                title=row.title,
                body=row.body,
                level=row.level,
                at_us=row.at_us,
                links=json.loads(row.links),
            ),
            put_us=row.put_us,
            attempts=row.attempts,
            next_us=row.next_us,
            last_error=row.last_error,
            delivered_us=row.delivered_us,
        )
        for row in rows
    )


def was_received(connection: Connection, alert_id: str, receiver: str) -> bool:
    """Whether a receiver has an alert already."""
    table = tables.delivery
    found = select(table.c.at_us).where(table.c.alert_id == alert_id, table.c.receiver == receiver)
    return connection.execute(found).first() is not None


def mark_received(connection: Connection, alert_id: str, receiver: str, now_us: int) -> None:
    """Record that a receiver accepted an alert."""
    insert_new(connection, tables.delivery, {"alert_id": alert_id, "receiver": receiver, "at_us": now_us})


def record_attempt(connection: Connection, alert_id: str, error: str | None, now_us: int) -> None:
    """Record an attempt: all receivers have the alert (error None), or the next one follows after a longer pause."""
    table = tables.alert
    attempt = table.update().where(table.c.id == alert_id).values(attempts=table.c.attempts + 1, last_error=error)
    if error is None:
        connection.execute(attempt.values(delivered_us=now_us))
        return
    attempts = int(connection.execute(select(table.c.attempts).where(table.c.id == alert_id)).scalar_one())
    pause_us = min(_FIRST_PAUSE_US * 2 ** min(attempts, 20), _LONGEST_PAUSE_US)
    connection.execute(attempt.values(next_us=now_us + pause_us))


def count_delivered(connection: Connection, before_us: int) -> int:
    """Return the number of alerts that were queued before an instant and that every receiver has."""
    found = select(func.count()).select_from(tables.alert).where(*_delivered(before_us))
    return int(connection.execute(found).scalar_one())


def remove_delivered(connection: Connection, before_us: int) -> int:
    """Remove these alerts and their deliveries; returns how many."""
    old = select(tables.alert.c.id).where(*_delivered(before_us))
    connection.execute(tables.delivery.delete().where(tables.delivery.c.alert_id.in_(old)))
    removed = tables.alert.delete().where(*_delivered(before_us))
    return int(connection.execute(removed, execution_options={"preserve_rowcount": True}).rowcount)


def _delivered(before_us: int) -> tuple[ColumnElement[bool], ...]:
    return tables.alert.c.put_us < before_us, tables.alert.c.delivered_us.is_not(None)
