"""The outbox: what was decided, who is at it, and what became of it. Written before anything happens.

An event is only a hint. The truth is here: a decision is put once, however often its window is looked at; a retrain is
claimed by one at a time, under a lease that a killed holder loses; it is finished once. So an event that is lost still
leaves a retrain that is owed, and ten of them make one. The tables are in an SQLite file of the home, or in a
PostgreSQL database that machines share (`headrace.database`).

Two clocks: a decision lives on the production clock (`Decision.end_us`); leases, attempts and deliveries on the wall
clock, because a replayed feed may stand still for as long as it likes. Both come in as arguments.

  decision   one row per decision: its JSON, the claim on it, its outcome
  alert      one row per message, see `deliveries`
  delivery   one row per message and receiver
  acknowledgement   one row per person who has seen the alert of a decision
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from headrace.core.clock import MINUTE, from_us
from headrace.core.errors import ConflictError, NotFoundError
from headrace.database.open_tables import file_of, open_tables
from headrace.database.upsert import insert_new
from headrace.monitor.outbox import acknowledgements, deliveries
from headrace.monitor.outbox.message import Alert
from headrace.monitor.outbox.tables import OUTBOX
from headrace.monitor.outbox.tables import decision as decisions
from headrace.monitor.policy.decision import Acknowledgement, Decision, Outcome, PastDecision

LEASE_US = 2 * MINUTE
#: By so much the wall clock may be set back and a lease still counts.
_TOLERATED_US = MINUTE
MAX_ATTEMPTS = 20


@dataclass(frozen=True, kw_only=True)
class Entry(PastDecision):
    """A decision in the outbox with its claim and outcome. Times are wall clock, microseconds UTC.

    Attributes:
        put_us: When it was added.
        attempts: Number of claims.
        holder: Process that claimed it last.
        until_us: End of the present lease.
        last_error: Error of the last claim that was released.
        version: Version that a retrain registered.
        finished_us: When it was finished.
    """

    put_us: int
    attempts: int = 0
    holder: str | None = None
    until_us: int | None = None
    last_error: str | None = None
    version: str | None = None
    finished_us: int | None = None

    def claimed(self, now_us: int) -> bool:
        """Whether a process has a valid claim.

        A lease that ends further ahead than a lease is long was taken before the wall clock was set back; a living
        holder renews it.
        """
        if self.outcome is not None or self.until_us is None:
            return False
        return now_us < self.until_us <= now_us + LEASE_US + _TOLERATED_US


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to execute a decision until `until_us`. `token` grows with every claim and detects an older holder."""

    decision: Decision
    holder: str
    token: int
    until_us: int


class Outbox:
    """The outbox of one problem. Safe for many threads and processes.

    Args:
        root: Home folder; the file is `<root>/outbox/<problem>.db`.
        problem: Name of the problem.
        database_url: Address of PostgreSQL; None for the setting, empty for the file.
    """

    def __init__(self, root: Path, problem: str, *, database_url: str | None = None) -> None:
        self.problem = problem
        self.path = file_of(root, problem, OUTBOX)
        self._tables = open_tables(root, problem, OUTBOX, database_url=database_url)

    # -- decisions

    def add(self, decision: Decision, *, now_us: int, alert: Alert | None = None) -> Entry:
        """Write a decision and its alert in one transaction. Idempotent by the decision's id."""
        with self.write() as connection:
            if _insert(connection, decision, now_us) and alert is not None:
                deliveries.add(connection, alert, now_us)
            return _entry(connection, decision.id)

    def get(self, decision_id: str) -> Entry:
        """Return one decision; NotFoundError for an unknown id."""
        with self.read() as connection:
            return _entry(connection, decision_id)

    def history(self) -> tuple[Entry, ...]:
        """Return all decisions by the end of their window."""
        with self.read() as connection:
            return _entries(connection)

    def open_retrains(self, now_us: int) -> tuple[Entry, ...]:
        """Return the retrains that are neither finished nor claimed, oldest first, for the reconcile flow."""
        with self.read() as connection:
            entries = _entries(connection, decisions.c.kind == "retrain", decisions.c.outcome.is_(None))
            return tuple(entry for entry in entries if not entry.claimed(now_us))

    def acknowledge(self, decision_id: str, acknowledgement: Acknowledgement) -> Entry:
        """Write that a person has seen the alert of a decision, whose id may be shortened to its first letters.

        Raises:
            NotFoundError: No decision has this id.
            ConflictError: The first letters fit several decisions.
        """
        with self.write() as connection:
            known = acknowledgements.full_id(connection, decision_id)
            acknowledgements.add(connection, known, acknowledgement)
            return _entry(connection, known)

    # -- doing

    def claim(self, decision_id: str, holder: str, *, now_us: int, lease_us: int = LEASE_US) -> Claim | None:
        """Claim a retrain until now + lease.

        The same holder may claim again (a repeated run), which ends its earlier claim. A retrain that was claimed
        MAX_ATTEMPTS times without an outcome becomes failed.

        Args:
            decision_id: The decision.
            holder: Name of the process.
            now_us: Wall clock, microseconds UTC.
            lease_us: Length of the lease, microseconds.

        Returns:
            The claim; None where another holder has one, or it is finished or no retrain.
        """
        with self.write() as connection:
            entry = _entry(connection, decision_id)
            if entry.decision.kind != "retrain" or entry.outcome is not None:
                return None
            if entry.claimed(now_us) and entry.holder != holder:
                return None
            if entry.attempts >= MAX_ATTEMPTS:
                reason = f"begun {entry.attempts} times, never finished (last error: {entry.last_error or 'unknown'})"
                _finish(connection, decision_id, "failed", reason, None, now_us)
                return None
            token, until_us = entry.attempts + 1, now_us + lease_us
            _update(connection, decision_id, holder=holder, token=token, until_us=until_us)
            return Claim(decision=entry.decision, holder=holder, token=token, until_us=until_us)

    def renew(self, claim: Claim, *, now_us: int, lease_us: int = LEASE_US) -> Claim:
        """Renew a claim; ConflictError where another holder has it or the retrain is finished."""
        with self.write() as connection:
            _require_valid(_entry(connection, claim.decision.id), claim)
            until_us = now_us + lease_us
            _update(connection, claim.decision.id, until_us=until_us)
            return Claim(decision=claim.decision, holder=claim.holder, token=claim.token, until_us=until_us)

    def release(self, claim: Claim, error: str, *, now_us: int) -> None:
        """Release a claim without an outcome, with the error; the retrain is open again at once."""
        with self.write() as connection:
            entry = _entry(connection, claim.decision.id)
            if entry.attempts == claim.token and entry.outcome is None:
                _update(connection, claim.decision.id, until_us=now_us, last_error=error)

    def finish(
        self,
        claim: Claim,
        outcome: Outcome,
        reason: str,
        *,
        now_us: int,
        version: str | None = None,
        alerts: tuple[Alert, ...] = (),
        follow_up: Decision | None = None,
    ) -> Entry:
        """Write the outcome of a claimed decision, with its alerts and a follow-up decision (an escalation).

        All are written in one transaction. A finished decision stays unchanged.

        Raises:
            ConflictError: Another holder has the claim.
        """
        with self.write() as connection:
            entry = _entry(connection, claim.decision.id)
            if entry.outcome is not None:
                return entry
            _require_valid(entry, claim)
            _finish(connection, claim.decision.id, outcome, reason, version, now_us)
            for alert in alerts:
                deliveries.add(connection, alert, now_us)
            if follow_up is not None:
                _insert(connection, follow_up, now_us)
            return _entry(connection, claim.decision.id)

    # -- retention

    def count_delivered(self, before_us: int) -> int:
        """Return the number of alerts that were queued before an instant of the wall clock, and delivered."""
        with self.read() as connection:
            return deliveries.count_delivered(connection, before_us)

    def remove_delivered(self, before_us: int) -> int:
        """Remove these alerts; returns how many. Their decisions stay."""
        with self.write() as connection:
            return deliveries.remove_delivered(connection, before_us)

    # -- the database, shared with delivery

    def read(self) -> AbstractContextManager[Connection]:
        """Yield a connection for reading."""
        return self._tables.read()

    def write(self) -> AbstractContextManager[Connection]:
        """Yield a connection with an open transaction; transactions of writers follow each other."""
        return self._tables.write()


def _entry(connection: Connection, decision_id: str) -> Entry:
    entries = _entries(connection, decisions.c.id == decision_id)
    if not entries:
        raise NotFoundError(f"no decision {decision_id!r}", where="outbox", fix="`headrace alerts` lists them")
    return entries[0]


def _entries(connection: Connection, *conditions: ColumnElement[bool]) -> tuple[Entry, ...]:
    rows = connection.execute(select(decisions).where(*conditions).order_by(decisions.c.end_us, decisions.c.id)).all()
    seen = acknowledgements.first_by_decision(connection)
    return tuple(
        Entry(
            decision=Decision.from_json(json.loads(row.body)),
            put_us=row.put_us,
            holder=row.holder,
            attempts=row.token,
            until_us=row.until_us,
            last_error=row.last_error,
            outcome=row.outcome,
            outcome_reason=row.outcome_reason,
            version=row.version,
            finished_us=row.finished_us,
            acknowledged=seen.get(row.id),
        )
        for row in rows
    )


def _insert(connection: Connection, decision: Decision, now_us: int) -> bool:
    """Write a decision; False where one with its id exists."""
    row = {"id": decision.id, "kind": decision.kind, "end_us": decision.end_us, "put_us": now_us}
    return insert_new(connection, decisions, {**row, "body": json.dumps(decision.to_json(), sort_keys=True)}) > 0


def _update(connection: Connection, decision_id: str, **values: Any) -> None:
    connection.execute(decisions.update().where(decisions.c.id == decision_id).values(values))


def _finish(
    connection: Connection, decision_id: str, outcome: str, reason: str, version: str | None, now_us: int
) -> None:
    _update(connection, decision_id, outcome=outcome, outcome_reason=reason, version=version, finished_us=now_us)


def _require_valid(entry: Entry, claim: Claim) -> None:
    # An expired lease stays valid until another holder claims the decision.
    if entry.outcome is None and entry.attempts == claim.token:
        return
    state = f"finished: {entry.outcome}" if entry.outcome else f"claimed by {entry.holder}"
    until = f" until {from_us(entry.until_us):%H:%M:%S}" if entry.until_us and not entry.outcome else ""
    raise ConflictError(
        "this claim was lost",
        where=f"decision {claim.decision.id}",
        found=[f"{state}{until}"],
        fix="end this run: the other one does the work",
    )
