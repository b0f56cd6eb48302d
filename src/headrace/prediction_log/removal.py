"""Statements that count and remove old predictions, in whichever database they are."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, and_, case, func, select

from headrace.prediction_log.tables import predictions

#: Rows of one statement and transaction.
ROWS_AT_ONCE = 2_000


def count_removable(connection: Connection, before_us: int, versions: Sequence[str], newest: int) -> tuple[int, int]:
    """Return the number of removable rows, and how many of them were scored.

    Args:
        connection: Reads the tables.
        before_us: Rows made, and with a cutoff, before this instant.
        versions: Versions whose newest rows stay.
        newest: How many of each stay.
    """
    scored = func.coalesce(func.sum(case((predictions.c.source == "score", 1), else_=0)), 0)
    statement = select(func.count(), scored).select_from(predictions).where(_removable(before_us, versions, newest))
    rows, of_score = connection.execute(statement).one()
    return int(rows), int(of_score)


def remove_some(connection: Connection, before_us: int, versions: Sequence[str], newest: int) -> int:
    """Remove at most `ROWS_AT_ONCE` of the removable rows; returns how many."""
    chosen = select(predictions.c.id).where(_removable(before_us, versions, newest)).limit(ROWS_AT_ONCE)
    statement = predictions.delete().where(predictions.c.id.in_(chosen))
    return int(connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount)


def _removable(before_us: int, versions: Sequence[str], newest: int) -> ColumnElement[bool]:
    kept = [
        select(predictions.c.id)
        .where(predictions.c.model_version == version)
        .order_by(predictions.c.made_us.desc(), predictions.c.id.desc())
        .limit(newest)
        for version in versions
    ]
    old = and_(predictions.c.made_us < before_us, predictions.c.cutoff_us < before_us)
    return and_(old, *(predictions.c.id.not_in(select(one.subquery())) for one in kept))
