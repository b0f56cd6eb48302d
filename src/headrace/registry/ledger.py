"""The promotion ledger: which version is champion, since when and why, and which versions are barred.

MLflow's aliases are last-write-wins; the ledger is authoritative and they mirror it (`registry.aliases`). One SQLite
database per problem (`core.database`).

  change    append-only: every promotion and rollback, in order. The champion is the version of the last one.
  version   metrics of a version, and whether a rollback barred it.
  alias     what was last written to MLflow per alias, and what is being written: see `registry.aliases`.
  identity  random id that identifies the ledger's copy in MLflow: see `registry.recovery`.
  rollout   append-only: every step of gradual replacements of the champion, see `registry.rollouts`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from headrace.core.database import Database
from headrace.core.errors import ConflictError, NotFoundError
from headrace.registry.ledger_tables import (
    IDENTITY,
    SCHEMA,
    AliasState,
    Record,
    champion_record,
    champion_stack,
    change_history,
    merge_metrics,
    record_change,
    rollback_target,
)
from headrace.registry.rollout_tables import close_rollouts, last_steps


class Ledger:
    """The ledger of one problem, at `<root>/ledger/<problem>.db`. Safe for many threads and processes."""

    def __init__(self, root: Path, problem: str) -> None:
        self.problem = problem
        self._database = Database(
            path=root / "ledger" / f"{problem}.db",
            schema=SCHEMA,
            last="alias",
            fix="remove it: the next run makes it again from its copy in MLflow",
            recreate=True,
        )

    @property
    def path(self) -> Path:
        """The file."""
        return self._database.path

    def read(self) -> AbstractContextManager[sqlite3.Connection]:
        """Yield a connection for reading; for `registry.rollouts`."""
        return self._database.read()

    def write(self) -> AbstractContextManager[sqlite3.Connection]:
        """Yield a connection with an open transaction; for `registry.rollouts`."""
        return self._database.write()

    # -- reading

    def champion(self) -> Record | None:
        """Return the change that made the present champion; None before the first promotion."""
        with self._database.read() as database:
            return champion_record(database)

    def history(self) -> tuple[Record, ...]:
        """Return all changes, oldest first."""
        with self._database.read() as database:
            return change_history(database)

    def sequence(self) -> int:
        """Return the number of the last change, for servers that poll it (well under a millisecond)."""
        with self._database.read() as database:
            return int(database.execute("SELECT coalesce(max(sequence), 0) FROM change").fetchone()[0])

    def previous(self) -> str | None:
        """Return the version that a rollback would restore, None where there is none."""
        with self._database.read() as database:
            return rollback_target(database)

    def challenger(self) -> str | None:
        """Return the challenger, None where there is none."""
        with self._database.read() as database:
            row = database.execute("SELECT version FROM challenger").fetchone()
            return row[0] if row else None

    def eligible(self) -> frozenset[str]:
        """The versions that may be champion without a manual promotion.

        The champion, those that rollbacks restore one after the other, the challenger, and those of open rollouts.
        """
        with self._database.read() as database:
            challenger = database.execute("SELECT version FROM challenger").fetchone()
            rollouts = (step.version for step in last_steps(database) if step.open or step.phase == "waiting")
            found = {*champion_stack(database), *(challenger or ()), *rollouts}
            barred = {row[0] for row in database.execute("SELECT version FROM version WHERE barred IS NOT NULL")}
        return frozenset(version for version in found if version is not None and version not in barred)

    def versions(self) -> dict[str, dict[str, float]]:
        """Return version -> metrics for all versions in the ledger."""
        with self._database.read() as database:
            rows = database.execute("SELECT version, metrics FROM version")
            return {version: json.loads(metrics) for version, metrics in rows}

    def barred(self) -> dict[str, str]:
        """Return rolled-back version -> reason; the gate does not promote these versions again."""
        with self._database.read() as database:
            return dict(database.execute("SELECT version, barred FROM version WHERE barred IS NOT NULL"))

    def identity(self) -> str | None:
        """Return the ledger's random id; None before its first change (in older ledgers, before the next one)."""
        with self._database.read() as database:
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'identity'").fetchone():
                return None
            row = database.execute("SELECT id FROM identity").fetchone()
            return row[0] if row else None

    # -- changing

    def promote(
        self,
        version: str | int,
        expected_version: str | int | None,
        reason: str,
        metrics: Mapping[str, float],
        at_us: int,
        *,
        force: bool = False,
    ) -> Record:
        """Make a version champion by compare-and-set.

        A version that is champion already stays so, and nothing is written: a promotion that was killed after its
        commit can be repeated.

        Args:
            version: The new champion.
            expected_version: The champion that it was compared with, None for no champion.
            reason: Reason to record.
            metrics: Metrics of the version.
            at_us: Instant on the production clock.
            force: Promote a version that was rolled back; a person's decision.

        Returns:
            The change.

        Raises:
            ConflictError: The champion is another version, or the version was rolled back.
        """
        version, expected = str(version), _optional_text(expected_version)
        with self._database.write() as database:
            current = champion_record(database)
            if current is not None and current.version == version:
                return current
            champion = current.version if current else None
            if champion != expected:
                raise ConflictError(
                    f"the champion is {_version_text(champion)}, not {_version_text(expected)}",
                    where=f"ledger {self.problem}",
                    fix="another version was promoted meanwhile: compare with the present champion and decide again",
                    champion=champion,
                )
            barred = database.execute("SELECT barred FROM version WHERE version = ?", (version,)).fetchone()
            if barred and barred[0] is not None and not force:
                raise ConflictError(
                    f"version {version} was rolled back and does not come back by itself",
                    where=f"ledger {self.problem}",
                    found=[barred[0]],
                    fix="promote it by hand (force) if that was a mistake",
                )
            merge_metrics(database, version, metrics)
            database.execute("UPDATE version SET barred = NULL WHERE version = ?", (version,))
            database.execute("DELETE FROM challenger WHERE version = ?", (version,))
            close_rollouts(database, version, reason, at_us)
            return record_change(database, "promote", version, champion, reason, at_us)

    def rollback(self, at_us: int, reason: str = "rolled back by hand") -> Record:
        """Restore the previous champion and bar the present one.

        Raises:
            NotFoundError: There is no previous champion.
        """
        with self._database.write() as database:
            current = champion_record(database)
            target = rollback_target(database)
            if current is None or target is None:
                raise NotFoundError(
                    "there is no version to roll back to",
                    where=f"ledger {self.problem}",
                    found=[f"champion {current.version}"] if current else ["no champion yet"],
                    fix="promote another version instead",
                )
            database.execute("UPDATE version SET barred = ? WHERE version = ?", (reason, current.version))
            close_rollouts(database, target, reason, at_us)
            return record_change(database, "rollback", target, current.version, reason, at_us)

    def set_challenger(self, version: str | int | None) -> None:
        """Set the challenger, None for none."""
        with self._database.write() as database:
            database.execute("INSERT OR REPLACE INTO challenger VALUES (1, ?)", (_optional_text(version),))

    def record_metrics(self, version: str | int, metrics: Mapping[str, float]) -> None:
        """Add metrics of a version (`2013-05_auc` is known only after May)."""
        with self._database.write() as database:
            merge_metrics(database, str(version), metrics)

    # -- what registry.recovery needs

    def adopt(
        self,
        identity: str,
        changes: Sequence[Record],
        metrics: Mapping[str, Mapping[str, float]],
        *,
        challenger: str | None = None,
    ) -> Record:
        """Append changes from the ledger's copy in MLflow, in one transaction.

        Args:
            identity: Id of the ledger.
            changes: Missing changes, oldest first; they determine which versions are barred.
            metrics: Version -> metrics.
            challenger: The challenger.

        Returns:
            The champion afterwards.
        """
        with self._database.write() as database:
            database.execute(IDENTITY)
            database.execute("INSERT OR REPLACE INTO identity VALUES (1, ?)", (identity,))
            for version, known in metrics.items():
                merge_metrics(database, version, known)
            for record in changes:
                merge_metrics(database, record.version, {})
                barred = record.previous if record.action == "rollback" else None
                database.execute("UPDATE version SET barred = NULL WHERE version = ?", (record.version,))
                if barred is not None:
                    merge_metrics(database, barred, {})
                    database.execute("UPDATE version SET barred = ? WHERE version = ?", (record.reason, barred))
                database.execute(
                    "INSERT INTO change VALUES (?, ?, ?, ?, ?, ?)",
                    (record.sequence, record.action, record.version, record.previous, record.reason, record.at_us),
                )
            database.execute("INSERT OR REPLACE INTO challenger VALUES (1, ?)", (challenger,))
            champion = champion_record(database)
        assert champion is not None
        return champion

    # -- what registry.aliases needs

    def alias_state(self, name: str) -> AliasState:
        """Return what was last written to an alias of MLflow, and what is being written."""
        with self._database.read() as database:
            row = database.execute("SELECT written, writing FROM alias WHERE name = ?", (name,)).fetchone()
            return AliasState(written=row[0], writing=row[1]) if row else AliasState()

    def begin_alias_write(self, name: str, version: str | None) -> None:
        """Record that an alias is about to be written, to distinguish a crash from a change by a person."""
        with self._database.write() as database:
            database.execute(
                "INSERT INTO alias VALUES (?, NULL, ?) ON CONFLICT (name) DO UPDATE SET writing = excluded.writing",
                (name, version),
            )

    def finish_alias_write(self, name: str, version: str | None) -> None:
        """Record that MLflow has this version under the alias."""
        with self._database.write() as database:
            database.execute("INSERT OR REPLACE INTO alias VALUES (?, ?, ?)", (name, version, version))


def _optional_text(version: str | int | None) -> str | None:
    return None if version is None else str(version)


def _version_text(version: str | None) -> str:
    return "none" if version is None else f"version {version}"
