"""The promotion ledger: which version is champion, since when, why, and what may not come back by itself.

MLflow's aliases are last-write-wins; this file is the truth and they mirror it (`registry.aliases`). One SQLite
database per problem (`core.database`).

  change    append-only: every promotion and rollback, in order. The champion is what the last one left.
  version   what is known about a version: metrics, and whether a rollback barred it.
  alias     what was last written to MLflow per alias, and what is being written: see `registry.aliases`.
  identity  a random name, by which its copy in MLflow is known to be its own: see `registry.recovery`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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


class Ledger:
    """The ledger of one problem, at `<root>/ledger/<problem>.db`. Safe from many threads and processes."""

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

    # -- reading

    def champion(self) -> Record | None:
        """The champion and how it became that; None before the first promotion."""
        with self._database.read() as database:
            return champion_record(database)

    def history(self) -> tuple[Record, ...]:
        """Every change, oldest first."""
        with self._database.read() as database:
            return change_history(database)

    def sequence(self) -> int:
        """Grows with every change of champion: what a server polls (well under a millisecond)."""
        with self._database.read() as database:
            return int(database.execute("SELECT coalesce(max(sequence), 0) FROM change").fetchone()[0])

    def previous(self) -> str | None:
        """The version that a rollback would restore."""
        with self._database.read() as database:
            return rollback_target(database)

    def challenger(self) -> str | None:
        """The version that is compared with the champion, if any."""
        with self._database.read() as database:
            row = database.execute("SELECT version FROM challenger").fetchone()
            return row[0] if row else None

    def eligible(self) -> frozenset[str]:
        """The versions that may be champion without a manual promotion.

        The champion, those that rollbacks restore one after the other, and the challenger.
        """
        with self._database.read() as database:
            challenger = database.execute("SELECT version FROM challenger").fetchone()
            found = {*champion_stack(database), *(challenger or ())}
            barred = {row[0] for row in database.execute("SELECT version FROM version WHERE barred IS NOT NULL")}
        return frozenset(version for version in found if version is not None and version not in barred)

    def versions(self) -> dict[str, dict[str, float]]:
        """Every version that the ledger has heard of, and its metrics."""
        with self._database.read() as database:
            rows = database.execute("SELECT version, metrics FROM version")
            return {version: json.loads(metrics) for version, metrics in rows}

    def barred(self) -> dict[str, str]:
        """Rolled-back versions, with the reason: a gate may not promote them again by itself."""
        with self._database.read() as database:
            return dict(database.execute("SELECT version, barred FROM version WHERE barred IS NOT NULL"))

    def identity(self) -> str | None:
        """The random name of this ledger; None before its first change, and in ledgers of before until their next."""
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
        """Make a version champion if the champion still is the one that it was compared with.

        Compare-and-set: ConflictError when the champion is not `expected_version`, or when the version was rolled
        back before (force=True, a person's decision, lets it come back). A version that is champion already stays
        so, and nothing is written: a promotion that was killed after its commit may simply be asked for again.
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
                    fix="somebody promoted meanwhile: compare with the present champion and decide again",
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
            return record_change(database, "promote", version, champion, reason, at_us)

    def rollback(self, at_us: int, reason: str = "rolled back by hand") -> Record:
        """Restore the version before the champion and bar the champion. NotFoundError when there is none before."""
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
            return record_change(database, "rollback", target, current.version, reason, at_us)

    def set_challenger(self, version: str | int | None) -> None:
        """Name the version that runs in the champion's shadow, or none."""
        with self._database.write() as database:
            database.execute("INSERT OR REPLACE INTO challenger VALUES (1, ?)", (_optional_text(version),))

    def record_metrics(self, version: str | int, metrics: Mapping[str, float]) -> None:
        """Add to what is known about a version (`2013-05_auc` is only known after May)."""
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
        """Append changes that another copy of this ledger knows, oldest first, and what it knows of versions.

        All in one step: who is barred and who could be restored is afterwards as it was there. The champion then.
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
        """What we know to have written to an alias."""
        with self._database.read() as database:
            row = database.execute("SELECT written, writing FROM alias WHERE name = ?", (name,)).fetchone()
            return AliasState(written=row[0], writing=row[1]) if row else AliasState()

    def begin_alias_write(self, name: str, version: str | None) -> None:
        """Note what is about to be written, so that a crash between MLflow and us is told from a person's hand."""
        with self._database.write() as database:
            database.execute(
                "INSERT INTO alias VALUES (?, NULL, ?) ON CONFLICT (name) DO UPDATE SET writing = excluded.writing",
                (name, version),
            )

    def finish_alias_write(self, name: str, version: str | None) -> None:
        """Note that MLflow holds this version under the alias."""
        with self._database.write() as database:
            database.execute("INSERT OR REPLACE INTO alias VALUES (?, ?, ?)", (name, version, version))


def _optional_text(version: str | int | None) -> str | None:
    return None if version is None else str(version)


def _version_text(version: str | None) -> str:
    return "none" if version is None else f"version {version}"
