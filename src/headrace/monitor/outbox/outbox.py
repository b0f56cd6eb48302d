"""The outbox: what was decided, who is at it, and what became of it. Written before anything happens.

An event is only a hint. The truth is here: a decision is put once, however often its window is looked at; a retrain is
claimed by one at a time, under a lease that a killed holder loses; it is finished once. So an event that is lost still
leaves a retrain that is owed, and ten of them make one. One SQLite database per problem (`core.database`).

Two clocks: a decision lives on the production clock (`Decision.end_us`); leases, attempts and deliveries on the wall
clock, because a replayed feed may stand still for as long as it likes. Both come in as arguments.

  decision   one row per decision: its JSON, the claim on it, its outcome
  alert      one row per message, see `deliveries`
  delivery   one row per message and receiver
  acknowledgement   one row per person who has seen the alert of a decision
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace.core.clock import MINUTE, from_us
from headrace.core.database import Database
from headrace.core.errors import ConflictError, NotFoundError
from headrace.monitor.outbox import acknowledgements, deliveries
from headrace.monitor.outbox.message import Alert
from headrace.monitor.policy.decision import Acknowledgement, Decision, Outcome, PastDecision

_SCHEMA = """
CREATE TABLE IF NOT EXISTS decision (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, end_us INTEGER NOT NULL, body TEXT NOT NULL, put_us INTEGER NOT NULL,
    holder TEXT, token INTEGER NOT NULL DEFAULT 0, until_us INTEGER, last_error TEXT,
    outcome TEXT, outcome_reason TEXT NOT NULL DEFAULT '', version TEXT, finished_us INTEGER);
"""
_COLUMNS = "body, put_us, holder, token, until_us, last_error, outcome, outcome_reason, version, finished_us"

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
    """The outbox of one problem, at `<root>/outbox/<problem>.db`. Safe from many threads and processes."""

    def __init__(self, root: Path, problem: str) -> None:
        self.problem = problem
        self._database = Database(
            path=root / "outbox" / f"{problem}.db", schema=_SCHEMA + deliveries.SCHEMA, last="delivery"
        )

    @property
    def path(self) -> Path:
        """Path of the database."""
        return self._database.path

    # -- decisions

    def add(self, decision: Decision, *, now_us: int, alert: Alert | None = None) -> Entry:
        """Write a decision and its alert in one transaction. Idempotent by the decision's id."""
        with self.write() as database:
            body = json.dumps(decision.to_json(), sort_keys=True)
            inserted = database.execute(
                "INSERT OR IGNORE INTO decision (id, kind, end_us, body, put_us) VALUES (?, ?, ?, ?, ?)",
                (decision.id, decision.kind, decision.end_us, body, now_us),
            ).rowcount
            if inserted and alert is not None:
                deliveries.add(database, alert, now_us)
            return _entry(database, decision.id)

    def get(self, decision_id: str) -> Entry:
        """Return one decision; NotFoundError for an unknown id."""
        with self.read() as database:
            return _entry(database, decision_id)

    def history(self) -> tuple[Entry, ...]:
        """Return all decisions by the end of their window."""
        with self.read() as database:
            return _entries(database, "")

    def open_retrains(self, now_us: int) -> tuple[Entry, ...]:
        """Return the retrains that are neither finished nor claimed, oldest first, for the reconcile flow."""
        with self.read() as database:
            entries = _entries(database, "WHERE kind = 'retrain' AND outcome IS NULL")
            return tuple(entry for entry in entries if not entry.claimed(now_us))

    def acknowledge(self, decision_id: str, acknowledgement: Acknowledgement) -> Entry:
        """Write that a person has seen the alert of a decision, whose id may be shortened to its first letters.

        Raises:
            NotFoundError: No decision has this id.
            ConflictError: The first letters fit several decisions.
        """
        with self.write() as database:
            known = acknowledgements.full_id(database, decision_id)
            acknowledgements.add(database, known, acknowledgement)
            return _entry(database, known)

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
        with self.write() as database:
            entry = _entry(database, decision_id)
            if entry.decision.kind != "retrain" or entry.outcome is not None:
                return None
            if entry.claimed(now_us) and entry.holder != holder:
                return None
            if entry.attempts >= MAX_ATTEMPTS:
                reason = f"begun {entry.attempts} times, never finished (last error: {entry.last_error or 'unknown'})"
                _finish(database, decision_id, "failed", reason, None, now_us)
                return None
            token, until_us = entry.attempts + 1, now_us + lease_us
            database.execute(
                "UPDATE decision SET holder = ?, token = ?, until_us = ? WHERE id = ?",
                (holder, token, until_us, decision_id),
            )
            return Claim(decision=entry.decision, holder=holder, token=token, until_us=until_us)

    def renew(self, claim: Claim, *, now_us: int, lease_us: int = LEASE_US) -> Claim:
        """Renew a claim; ConflictError where another holder has it or the retrain is finished."""
        with self.write() as database:
            _require_valid(_entry(database, claim.decision.id), claim)
            until_us = now_us + lease_us
            database.execute("UPDATE decision SET until_us = ? WHERE id = ?", (until_us, claim.decision.id))
            return Claim(decision=claim.decision, holder=claim.holder, token=claim.token, until_us=until_us)

    def release(self, claim: Claim, error: str, *, now_us: int) -> None:
        """Release a claim without an outcome, with the error; the retrain is open again at once."""
        with self.write() as database:
            database.execute(
                "UPDATE decision SET until_us = ?, last_error = ? WHERE id = ? AND token = ? AND outcome IS NULL",
                (now_us, error, claim.decision.id, claim.token),
            )

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
        with self.write() as database:
            entry = _entry(database, claim.decision.id)
            if entry.outcome is not None:
                return entry
            _require_valid(entry, claim)
            _finish(database, claim.decision.id, outcome, reason, version, now_us)
            for alert in alerts:
                deliveries.add(database, alert, now_us)
            if follow_up is not None:
                body = json.dumps(follow_up.to_json(), sort_keys=True)
                database.execute(
                    "INSERT OR IGNORE INTO decision (id, kind, end_us, body, put_us) VALUES (?, ?, ?, ?, ?)",
                    (follow_up.id, follow_up.kind, follow_up.end_us, body, now_us),
                )
            return _entry(database, claim.decision.id)

    # -- the database, shared with delivery

    def read(self) -> AbstractContextManager[sqlite3.Connection]:
        """Yield a connection for reading; see `Database.read`."""
        return self._database.read()

    def write(self) -> AbstractContextManager[sqlite3.Connection]:
        """One transaction; see `Database.write`."""
        return self._database.write()


def _entry(database: sqlite3.Connection, decision_id: str) -> Entry:
    entries = _entries(database, "WHERE id = ?", decision_id)
    if not entries:
        raise NotFoundError(f"no decision {decision_id!r}", where="outbox", fix="`headrace alerts` lists them")
    return entries[0]


def _entries(database: sqlite3.Connection, where: str, *values: Any) -> tuple[Entry, ...]:
    rows = database.execute(f"SELECT {_COLUMNS} FROM decision {where} ORDER BY end_us, id", values).fetchall()
    seen = acknowledgements.first_by_decision(database)
    decisions = [Decision.from_json(json.loads(row[0])) for row in rows]
    return tuple(
        Entry(
            decision=decision,
            put_us=put_us,
            holder=holder,
            attempts=token,
            until_us=until_us,
            last_error=last_error,
            outcome=outcome,
            outcome_reason=reason,
            version=version,
            finished_us=finished_us,
            acknowledged=seen.get(decision.id),
        )
        for decision, (_, put_us, holder, token, until_us, last_error, outcome, reason, version, finished_us) in zip(
            decisions, rows, strict=True
        )
    )


def _finish(
    database: sqlite3.Connection, decision_id: str, outcome: str, reason: str, version: str | None, now_us: int
) -> None:
    database.execute(
        "UPDATE decision SET outcome = ?, outcome_reason = ?, version = ?, finished_us = ? WHERE id = ?",
        (outcome, reason, version, now_us, decision_id),
    )


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
