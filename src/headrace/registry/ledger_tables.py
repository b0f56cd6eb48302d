"""Records of the promotion ledger (`registry.ledger`), and what is read and written inside an open transaction."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection, func, select

from headrace.database.upsert import insert_new, insert_or_update
from headrace.registry.ledger_schema import change, identity
from headrace.registry.ledger_schema import version as versions


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


def change_history(connection: Connection) -> tuple[Record, ...]:
    metrics = version_metrics(connection)
    rows = connection.execute(select(change).order_by(change.c.sequence))
    return tuple(_record(row, metrics.get(row.version, {})) for row in rows)


def version_metrics(connection: Connection) -> dict[str, dict[str, float]]:
    known = connection.execute(select(versions.c.version, versions.c.metrics))
    return {version: json.loads(text) for version, text in known}


def champion_record(connection: Connection) -> Record | None:
    statement = (
        select(change, versions.c.metrics)
        .outerjoin(versions, change.c.version == versions.c.version)
        .order_by(change.c.sequence.desc())
        .limit(1)
    )
    row = connection.execute(statement).first()
    return _record(row, json.loads(row.metrics or "{}")) if row else None


def _record(row: Any, metrics: Mapping[str, float]) -> Record:
    return Record(
        sequence=row.sequence,
        action=row.action,
        version=row.version,
        previous=row.previous,
        reason=row.reason,
        at_us=row.at_us,
        metrics=metrics,
    )


def last_sequence(connection: Connection) -> int:
    return int(connection.execute(select(func.coalesce(func.max(change.c.sequence), 0))).scalar_one())


def record_change(
    connection: Connection,
    action: Literal["promote", "rollback"],
    version: str,
    previous: str | None,
    reason: str,
    at_us: int,
) -> Record:
    insert_new(connection, identity, {"only_one": 1, "id": uuid.uuid4().hex})
    # Writers follow each other, so the next number is free.
    sequence = last_sequence(connection) + 1
    connection.execute(
        change.insert().values(
            sequence=sequence, action=action, version=version, previous=previous, reason=reason, at_us=at_us
        )
    )
    champion = champion_record(connection)
    assert champion is not None
    return champion


def adopt_changes(connection: Connection, changes: Sequence[Record]) -> None:
    """Append changes of the ledger's copy, oldest first; they determine which versions are barred."""
    for record in changes:
        merge_metrics(connection, record.version, {})
        barred = record.previous if record.action == "rollback" else None
        set_barred(connection, record.version, None)
        if barred is not None:
            merge_metrics(connection, barred, {})
            set_barred(connection, barred, record.reason)
        row = {column.name: getattr(record, column.name) for column in change.columns}
        connection.execute(change.insert().values(row))


def barred_versions(connection: Connection) -> dict[str, str]:
    rows = connection.execute(select(versions.c.version, versions.c.barred).where(versions.c.barred.is_not(None)))
    return {row.version: row.barred for row in rows}


def set_barred(connection: Connection, version: str, reason: str | None) -> None:
    connection.execute(versions.update().where(versions.c.version == version).values(barred=reason))


def rollback_target(connection: Connection) -> str | None:
    """The nearest version below the champion that is not barred."""
    stack, barred = champion_stack(connection), barred_versions(connection)
    candidates = [version for version in stack[:-1] if version not in barred and version != stack[-1]]
    return candidates[-1] if candidates else None


def champion_stack(connection: Connection) -> list[str]:
    """The champions that led to the present one, which is the last: promotions push, rollbacks pop."""
    stack: list[str] = []
    for record in change_history(connection):
        if record.action == "rollback":
            while stack and stack[-1] != record.version:
                stack.pop()
        else:
            stack.append(record.version)
    return stack


def merge_metrics(connection: Connection, version: str, metrics: Mapping[str, float]) -> None:
    known = connection.execute(select(versions.c.metrics).where(versions.c.version == version)).scalar()
    merged = {**(json.loads(known) if known else {}), **metrics}
    insert_or_update(connection, versions, {"version": version, "metrics": json.dumps(merged, sort_keys=True)})
