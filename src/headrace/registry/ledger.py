"""The promotion ledger: which version is champion, since when and why, and which versions are barred.

MLflow's aliases are last-write-wins; the ledger is authoritative and they mirror it (`registry.aliases`). Its tables
are in an SQLite file of the home, or in a PostgreSQL database that machines share (`headrace.database`).

  change    append-only: every promotion and rollback, in order. The champion is the version of the last one.
  version   metrics of a version, and whether a rollback barred it.
  alias     what was last written to MLflow per alias, and what is being written: see `registry.aliases`.
  identity  random id that identifies the ledger's copy in MLflow: see `registry.recovery`.
  rollout   append-only: every step of gradual replacements of the champion, see `registry.rollouts`.
  audit_outbox, fencing_token: see `registry.audit_lines` and `registry.fencing`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from sqlalchemy import Connection, select

from headrace.core.errors import ConflictError, NotFoundError
from headrace.database.open_tables import file_of, open_tables
from headrace.database.upsert import insert_or_update
from headrace.registry import ledger_schema as schema
from headrace.registry.audit_lines import note_author, write_audit_lines
from headrace.registry.fencing import FencingToken, require_current
from headrace.registry.ledger_schema import LEDGER
from headrace.registry.ledger_tables import (
    AliasState,
    Record,
    adopt_changes,
    barred_versions,
    champion_record,
    champion_stack,
    change_history,
    last_sequence,
    merge_metrics,
    record_change,
    rollback_target,
    set_barred,
    version_metrics,
)
from headrace.registry.rollout_tables import RolloutStep, close_rollouts, last_steps, steps_of


class Ledger:
    """The ledger of one problem. Safe for many processes.

    Args:
        root: Home folder; the file is `<root>/ledger/<problem>.db`.
        problem: Name of the problem.
        database_url: Address of PostgreSQL; None for the setting, empty for the file.
        token: Of the run that writes; None: another run does not end its right to write (`registry.fencing`).
    """

    def __init__(
        self, root: Path, problem: str, *, database_url: str | None = None, token: FencingToken | None = None
    ) -> None:
        self.problem = problem
        self._token = token
        self._root = root
        self.path = file_of(root, problem, LEDGER)
        self._tables = open_tables(
            root,
            problem,
            LEDGER,
            database_url=database_url,
            fix="remove it: the next run makes it again from its copy in MLflow",
            recreate=True,
        )

    @property
    def place(self) -> str:
        """The file, or the database and schema, for messages."""
        return self._tables.place

    def exists(self) -> bool:
        """Whether the ledger's file exists; a database has always one."""
        return self._tables.exists()

    def read(self) -> AbstractContextManager[Connection]:
        """Yield a connection for reading."""
        return self._tables.read()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection with an open transaction; ConflictError where the run's token is not current any more."""
        with self._tables.write() as connection:
            require_current(connection, self._token)
            yield connection

    def write_audit_lines(self) -> None:
        """Write the lines of the audit log that a killed process did not write (`registry.audit_lines`)."""
        write_audit_lines(self._tables, self._root, self.problem)

    # -- reading

    def champion(self) -> Record | None:
        """Return the change that made the present champion; None before the first promotion."""
        with self._tables.read() as connection:
            return champion_record(connection)

    def history(self) -> tuple[Record, ...]:
        """Return all changes, oldest first."""
        with self._tables.read() as connection:
            return change_history(connection)

    def sequence(self) -> int:
        """Return the number of the last change, for servers that poll it (well under a millisecond)."""
        with self._tables.read() as connection:
            return last_sequence(connection)

    def previous(self) -> str | None:
        """Return the version that a rollback would restore, None where there is none."""
        with self._tables.read() as connection:
            return rollback_target(connection)

    def challenger(self) -> str | None:
        """Return the challenger, None where there is none."""
        with self._tables.read() as connection:
            return connection.execute(select(schema.challenger.c.version)).scalar()

    def eligible(self) -> frozenset[str]:
        """The versions that may be champion without a manual promotion.

        The champion, those that rollbacks restore one after the other, the challenger, and those of open rollouts.
        """
        with self._tables.read() as connection:
            challenger = connection.execute(select(schema.challenger.c.version)).scalar()
            rollouts = (step.version for step in last_steps(connection) if step.open or step.phase == "waiting")
            found = {*champion_stack(connection), challenger, *rollouts}
            barred = barred_versions(connection)
        return frozenset(version for version in found if version is not None and version not in barred)

    def versions(self) -> dict[str, dict[str, float]]:
        """Return version -> metrics for all versions in the ledger."""
        with self._tables.read() as connection:
            return version_metrics(connection)

    def barred(self) -> dict[str, str]:
        """Return rolled-back version -> reason; the gate does not promote these versions again."""
        with self._tables.read() as connection:
            return barred_versions(connection)

    def identity(self) -> str | None:
        """Return the ledger's random id; None before its first change (in older ledgers, before the next one)."""
        with self._tables.read() as connection:
            return connection.execute(select(schema.identity.c.id)).scalar()

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
        step: RolloutStep | None = None,
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
            step: The last step of the version's rollout as it was read, where the promotion is the next one.

        Returns:
            The change.

        Raises:
            ConflictError: The champion is another version, the version was rolled back, or its rollout went on.
        """
        version, expected = str(version), _optional_text(expected_version)
        with self.write() as connection:
            current = champion_record(connection)
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
            if step is not None and (last := steps_of(connection, step.id)[-1]).sequence != step.sequence:
                raise ConflictError(
                    f"the rollout of version {version} is not as it was read",
                    where=f"ledger {self.problem}",
                    found=[f"{last.phase}: {last.reason}"],
                    fix="read its state and decide again",
                )
            barred = barred_versions(connection).get(version)
            if barred is not None and not force:
                raise ConflictError(
                    f"version {version} was rolled back and does not come back by itself",
                    where=f"ledger {self.problem}",
                    found=[barred],
                    fix="promote it by hand (force) if that was a mistake",
                )
            merge_metrics(connection, version, metrics)
            set_barred(connection, version, None)
            connection.execute(schema.challenger.delete().where(schema.challenger.c.version == version))
            close_rollouts(connection, version, reason, at_us)
            record = record_change(connection, "promote", version, champion, reason, at_us)
            note_author(connection, record.sequence)
        self.write_audit_lines()
        return record

    def rollback(
        self, at_us: int, reason: str = "rolled back by hand", *, expected: tuple[str | None, str | None] | None = None
    ) -> Record:
        """Restore the previous champion and bar the present one.

        Args:
            at_us: Instant on the production clock.
            reason: Reason to record.
            expected: The champion and the one before it as they were read, on which the decision was made.

        Raises:
            NotFoundError: There is no previous champion.
            ConflictError: They are not as expected: another process promoted a version or rolled it back.
        """
        with self.write() as connection:
            current = champion_record(connection)
            target = rollback_target(connection)
            found = (current.version if current else None, target)
            if expected is not None and found != expected:
                raise ConflictError(
                    f"the champion is {_version_text(found[0])}, not {_version_text(expected[0])}",
                    where=f"ledger {self.problem}",
                    found=[f"before it: {_version_text(found[1])}"],
                    fix="another process changed the champion meanwhile: look at it and decide again",
                )
            if current is None or target is None:
                raise NotFoundError(
                    "there is no version to roll back to",
                    where=f"ledger {self.problem}",
                    found=[f"champion {current.version}"] if current else ["no champion yet"],
                    fix="promote another version instead",
                )
            set_barred(connection, current.version, reason)
            close_rollouts(connection, target, reason, at_us)
            record = record_change(connection, "rollback", target, current.version, reason, at_us)
            note_author(connection, record.sequence)
        self.write_audit_lines()
        return record

    def set_challenger(self, version: str | int | None) -> None:
        """Set the challenger, None for none."""
        with self.write() as connection:
            insert_or_update(connection, schema.challenger, {"only_one": 1, "version": _optional_text(version)})

    def record_metrics(self, version: str | int, metrics: Mapping[str, float]) -> None:
        """Add metrics of a version (`2013-05_auc` is known only after May)."""
        with self.write() as connection:
            merge_metrics(connection, str(version), metrics)

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
        with self.write() as connection:
            insert_or_update(connection, schema.identity, {"only_one": 1, "id": identity})
            for version, known in metrics.items():
                merge_metrics(connection, version, known)
            adopt_changes(connection, changes)
            insert_or_update(connection, schema.challenger, {"only_one": 1, "version": challenger})
            champion = champion_record(connection)
        assert champion is not None
        return champion

    # -- what registry.aliases needs

    def alias_state(self, name: str) -> AliasState:
        """Return what was last written to an alias of MLflow, and what is being written."""
        with self._tables.read() as connection:
            row = connection.execute(select(schema.alias).where(schema.alias.c.name == name)).first()
            return AliasState(written=row.written, writing=row.writing) if row else AliasState()

    def begin_alias_write(self, name: str, version: str | None) -> None:
        """Record that an alias is about to be written, to distinguish a crash from a change by a person."""
        with self.write() as connection:
            insert_or_update(connection, schema.alias, {"name": name, "writing": version})

    def finish_alias_write(self, name: str, version: str | None) -> None:
        """Record that MLflow has this version under the alias."""
        with self.write() as connection:
            insert_or_update(connection, schema.alias, {"name": name, "written": version, "writing": version})


def _optional_text(version: str | int | None) -> str | None:
    return None if version is None else str(version)


def _version_text(version: str | None) -> str:
    return "none" if version is None else f"version {version}"
