"""Fencing tokens: a run that was taken for dead and replaced by another cannot write any more.

Whether a run lives is a guess: its machine may only have been slow, or cut off from Prefect. The run that replaces it
takes the next token of the same work. The ledger compares the token of a run inside each of its transactions, and the
pipeline before it commits anything else, so the earlier run ends with an error instead of writing over the newer one's
results. Lamport's and Chubby's sequencers do the same (Burrows, "The Chubby lock service", OSDI 2006, section 2.4).
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection, select

from headrace.core.errors import ConflictError
from headrace.database.upsert import insert_or_update
from headrace.registry.ledger_schema import fencing_token


@dataclass(frozen=True, kw_only=True)
class FencingToken:
    """The right of a run to write.

    Attributes:
        work: What the run does. Runs of different work do not replace each other.
        number: Grows with each run of the work; the largest is current.
        holder: The run, for messages.
    """

    work: str
    number: int
    holder: str


class Writable(Protocol):
    """The ledger, as far as tokens need it."""

    def write(self) -> AbstractContextManager[Connection]:
        """Yield a connection with an open transaction."""


def take_token(ledger: Writable, work: str, holder: str, number: int | None = None) -> FencingToken:
    """Take the next token of a work, which ends the right of all earlier runs of it to write.

    Args:
        ledger: The ledger.
        work: What the run does.
        holder: The run.
        number: A number that grows with each run, where something else counts them already.

    Raises:
        ConflictError: A run with a larger number has begun.
    """
    with ledger.write() as connection:
        row = connection.execute(select(fencing_token).where(fencing_token.c.work == work)).first()
        token = FencingToken(work=work, number=number or (row.number if row else 0) + 1, holder=holder)
        if row is not None and row.number > token.number:
            raise _replaced(token, str(row.holder))
        insert_or_update(connection, fencing_token, vars(token))
    return token


def require_current(connection: Connection, token: FencingToken | None) -> None:
    """Raise ConflictError where another run has taken a later token of the same work; None is always current."""
    if token is None:
        return
    row = connection.execute(select(fencing_token).where(fencing_token.c.work == token.work)).first()
    if row is not None and row.number > token.number:
        raise _replaced(token, str(row.holder))


def _replaced(token: FencingToken, holder: str) -> ConflictError:
    return ConflictError(
        f"this run ({token.holder}) was taken for dead, and another one has replaced it",
        where=token.work,
        found=[holder],
        fix="end this run: the other one does the work",
    )
