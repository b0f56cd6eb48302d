"""Tables and records of the promotion ledger (`registry.ledger`): SQL inside an open transaction."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

SCHEMA = """
CREATE TABLE IF NOT EXISTS change (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, action TEXT NOT NULL, version TEXT NOT NULL, previous TEXT,
    reason TEXT NOT NULL, at_us INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS version (
    version TEXT PRIMARY KEY, metrics TEXT NOT NULL DEFAULT '{}', barred TEXT);
CREATE TABLE IF NOT EXISTS challenger (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), version TEXT);
CREATE TABLE IF NOT EXISTS alias (name TEXT PRIMARY KEY, written TEXT, writing TEXT);
"""


#: Not part of SCHEMA, because ledgers of earlier versions lack it.
IDENTITY = "CREATE TABLE IF NOT EXISTS identity (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), id TEXT NOT NULL)"


@dataclass(frozen=True, kw_only=True)
class Record:
    """A change of champion.

    Attributes:
        sequence: Its number.
        action: promote or rollback.
        version: The new champion.
        previous: The champion before, None for the first.
        reason: Why.
        at_us: Instant on the production clock, microseconds UTC.
        metrics: Metrics of the version.
    """

    sequence: int
    action: Literal["promote", "rollback"]
    version: str
    previous: str | None
    reason: str
    at_us: int
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AliasState:
    """The version that Headrace last wrote to an alias of MLflow, and the one that it is writing."""

    written: str | None = None
    writing: str | None = None


def change_history(database: sqlite3.Connection) -> tuple[Record, ...]:
    metrics = {version: json.loads(text) for version, text in database.execute("SELECT version, metrics FROM version")}
    rows = database.execute("SELECT sequence, action, version, previous, reason, at_us FROM change ORDER BY sequence")
    return tuple(_row_record(row, metrics.get(row[2], {})) for row in rows)


def champion_record(database: sqlite3.Connection) -> Record | None:
    row = database.execute(
        "SELECT sequence, action, change.version, previous, reason, at_us, metrics FROM change"
        " LEFT JOIN version USING (version) ORDER BY sequence DESC LIMIT 1"
    ).fetchone()
    return _row_record(row[:6], json.loads(row[6] or "{}")) if row else None


def _row_record(row: tuple[Any, ...], metrics: Mapping[str, float]) -> Record:
    sequence, action, version, previous, reason, at_us = row
    return Record(
        sequence=sequence,
        action=action,
        version=version,
        previous=previous,
        reason=reason,
        at_us=at_us,
        metrics=metrics,
    )


def record_change(
    database: sqlite3.Connection,
    action: Literal["promote", "rollback"],
    version: str,
    previous: str | None,
    reason: str,
    at_us: int,
) -> Record:
    database.execute(IDENTITY)
    database.execute("INSERT OR IGNORE INTO identity VALUES (1, ?)", (uuid.uuid4().hex,))
    database.execute(
        "INSERT INTO change (action, version, previous, reason, at_us) VALUES (?, ?, ?, ?, ?)",
        (action, version, previous, reason, at_us),
    )
    champion = champion_record(database)
    assert champion is not None
    return champion


def rollback_target(database: sqlite3.Connection) -> str | None:
    """The nearest version below the champion that is not barred."""
    stack = champion_stack(database)
    barred = {row[0] for row in database.execute("SELECT version FROM version WHERE barred IS NOT NULL")}
    candidates = [version for version in stack[:-1] if version not in barred and version != stack[-1]]
    return candidates[-1] if candidates else None


def champion_stack(database: sqlite3.Connection) -> list[str]:
    """The champions that led to the present one, which is the last: promotions push, rollbacks pop."""
    stack: list[str] = []
    for record in change_history(database):
        if record.action == "rollback":
            while stack and stack[-1] != record.version:
                stack.pop()
        else:
            stack.append(record.version)
    return stack


def merge_metrics(database: sqlite3.Connection, version: str, metrics: Mapping[str, float]) -> None:
    row = database.execute("SELECT metrics FROM version WHERE version = ?", (version,)).fetchone()
    merged = {**(json.loads(row[0]) if row else {}), **metrics}
    database.execute(
        "INSERT INTO version (version, metrics) VALUES (?, ?)"
        " ON CONFLICT (version) DO UPDATE SET metrics = excluded.metrics",
        (version, json.dumps(merged, sort_keys=True)),
    )
