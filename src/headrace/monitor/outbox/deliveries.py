"""Delivery state of alerts in the outbox's database: attempts, next attempt, and the receivers that have each alert.

Delivery is at least once: a receiver is recorded after it accepted the alert, so a crash in between sends it again and
none loses it. Receivers are identified by a digest, because their addresses contain secrets.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass

from headrace.core.clock import HOUR, MINUTE
from headrace.monitor.outbox.message import Alert

SCHEMA = """
CREATE TABLE IF NOT EXISTS alert (
    id TEXT PRIMARY KEY, decision_id TEXT NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL, level TEXT NOT NULL,
    at_us INTEGER NOT NULL, links TEXT NOT NULL, put_us INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    next_us INTEGER NOT NULL, last_error TEXT, delivered_us INTEGER);
CREATE TABLE IF NOT EXISTS delivery (
    alert_id TEXT NOT NULL, receiver TEXT NOT NULL, at_us INTEGER NOT NULL, PRIMARY KEY (alert_id, receiver));
"""
_FIELDS = "id, decision_id, title, body, level, at_us, links, put_us, attempts, next_us, last_error, delivered_us"
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


def add(database: sqlite3.Connection, alert: Alert, now_us: int) -> None:
    """Queue an alert. Idempotent by its id."""
    database.execute(
        "INSERT OR IGNORE INTO alert (id, decision_id, title, body, level, at_us, links, put_us, next_us)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(alert.id, alert.decision_id, alert.title, alert.body, alert.level, alert.at_us),
            *(json.dumps(dict(alert.links)), now_us, now_us),
        ),
    )


def messages(database: sqlite3.Connection) -> tuple[Queued, ...]:
    """Return all alerts with their delivery state, oldest first."""
    rows = database.execute(f"SELECT {_FIELDS} FROM alert ORDER BY put_us, rowid").fetchall()
    return tuple(
        Queued(
            alert=Alert(
                id=id_, decision_id=decision, title=title, body=body, level=level, at_us=at_us, links=json.loads(links)
            ),
            put_us=put_us,
            attempts=attempts,
            next_us=next_us,
            last_error=error,
            delivered_us=delivered_us,
        )
        for id_, decision, title, body, level, at_us, links, put_us, attempts, next_us, error, delivered_us in rows
    )


def was_received(database: sqlite3.Connection, alert_id: str, receiver: str) -> bool:
    """Whether a receiver has an alert already."""
    rows = database.execute("SELECT 1 FROM delivery WHERE alert_id = ? AND receiver = ?", (alert_id, receiver))
    return rows.fetchone() is not None


def mark_received(database: sqlite3.Connection, alert_id: str, receiver: str, now_us: int) -> None:
    """Record that a receiver accepted an alert."""
    database.execute("INSERT OR IGNORE INTO delivery VALUES (?, ?, ?)", (alert_id, receiver, now_us))


def record_attempt(database: sqlite3.Connection, alert_id: str, error: str | None, now_us: int) -> None:
    """Record an attempt: all receivers have the alert (error None), or the next one follows after a longer pause."""
    if error is None:
        database.execute(
            "UPDATE alert SET attempts = attempts + 1, last_error = NULL, delivered_us = ? WHERE id = ?",
            (now_us, alert_id),
        )
        return
    attempts = database.execute("SELECT attempts FROM alert WHERE id = ?", (alert_id,)).fetchone()[0]
    pause_us = min(_FIRST_PAUSE_US * 2 ** min(attempts, 20), _LONGEST_PAUSE_US)
    database.execute(
        "UPDATE alert SET attempts = attempts + 1, last_error = ?, next_us = ? WHERE id = ?",
        (error, now_us + pause_us, alert_id),
    )
