"""The journal of rollouts in the promotion ledger: which challenger is compared in production, how far, and why.

A rollout replaces a champion gradually: the challenger first scores every request beside it (shadow), then answers a
growing share of the entities (canary), and is promoted or rolled back. Each step is one row, appended by
compare-and-set, so two processes never take two steps at once. The last row is the state; a process that was killed
between two steps leaves the earlier state, from which the next one goes on. A promotion ends the rollout in the
transaction that changes the champion (`Ledger.promote`).

    begin -> shadow -> canary (share by share) -> promoted
               |         |
               +---------+--> rolled back, undecided, cancelled, superseded
    begin -> waiting (another rollout is under way) -> shadow
    begin -> refused (the version could not be loaded, or did not answer as in training)
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from headrace.core.clock import iso
from headrace.core.errors import ConflictError, NotFoundError
from headrace.database.upsert import insert_or_update
from headrace.registry.ledger import Ledger
from headrace.registry.ledger_schema import challenger
from headrace.registry.ledger_tables import barred_versions, champion_record, merge_metrics, set_barred
from headrace.registry.rollout_tables import Phase, RolloutStep, last_steps, record_step, rollout_steps, steps_of

#: Ends after which a version is not tried again within the cooldown.
_FAILED = ("rolled back", "refused", "undecided")


class Rollouts:
    """The rollouts of one problem. Safe for many threads and processes.

    Args:
        ledger: The promotion ledger that holds them.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @property
    def problem(self) -> str:
        """Name of the problem."""
        return self._ledger.problem

    # -- reading

    def current(self) -> RolloutStep | None:
        """Return the last step of the rollout under way; None where there is none."""
        with self._ledger.read() as connection:
            return next((step for step in last_steps(connection) if step.open), None)

    def waiting(self) -> RolloutStep | None:
        """Return the newest rollout that waits for its turn; None where there is none."""
        return next(reversed(self.all_waiting()), None)

    def all_waiting(self) -> tuple[RolloutStep, ...]:
        """Return the rollouts that wait for their turn, oldest first."""
        with self._ledger.read() as connection:
            return tuple(step for step in last_steps(connection) if step.phase == "waiting")

    def is_open(self, version: str) -> bool:
        """Whether the rollout of a version is under way, or waits."""
        with self._ledger.read() as connection:
            return bool(_own(last_steps(connection), version))

    def history(self) -> tuple[RolloutStep, ...]:
        """Return all steps of all rollouts, oldest first."""
        with self._ledger.read() as connection:
            return tuple(rollout_steps(connection))

    def steps(self, rollout: str) -> tuple[RolloutStep, ...]:
        """Return the steps of one rollout, oldest first."""
        with self._ledger.read() as connection:
            return tuple(steps_of(connection, rollout))

    # -- changing

    def begin(
        self,
        version: str,
        *,
        champion: str,
        reason: str,
        at_us: int,
        metrics: Mapping[str, float] | None = None,
        cooldown_us: int = 0,
        force: bool = False,
    ) -> RolloutStep:
        """Begin the rollout of a version in the phase "shadow", or "waiting" while another one is under way.

        A version whose rollout is open already stays as it is: a begin that was killed can be repeated.

        Args:
            version: The challenger.
            champion: The champion that it was compared with.
            reason: Reason to record.
            at_us: Instant on the production clock.
            metrics: Metrics of the version.
            cooldown_us: Time after a failed rollout within which the same version is not tried again.
            force: Ignore cooldown and bar; a person's decision.

        Raises:
            ConflictError: The champion is another version, the version was rolled back, or it is in its cooldown.
        """
        with self._ledger.write() as connection:
            steps = last_steps(connection)
            if own := _own(steps, version):
                return own[0]
            current = champion_record(connection)
            if current is None or current.version != champion or current.version == version:
                found = current.version if current else "none"
                raise ConflictError(
                    f"the champion is version {found}, not {champion}",
                    where=f"ledger {self.problem}",
                    fix="compare with the present champion and decide again",
                )
            if not force:
                barred = barred_versions(connection).get(version)
                self._require_fresh(version, steps, barred, at_us, cooldown_us)
            merge_metrics(connection, version, dict(metrics or {}))
            set_barred(connection, version, None)
            insert_or_update(connection, challenger, {"only_one": 1, "version": version})
            phase: Phase = "waiting" if any(one.open for one in steps) else "shadow"
            return record_step(connection, _step(version, champion, phase, reason, at_us))

    def refuse(self, version: str, *, champion: str, reason: str, at_us: int) -> RolloutStep:
        """Record that a version was refused before its rollout began."""
        with self._ledger.write() as connection:
            merge_metrics(connection, version, {})
            return record_step(connection, _step(version, champion, "refused", reason, at_us))

    def advance(
        self,
        step: RolloutStep,
        phase: Phase,
        *,
        reason: str,
        at_us: int,
        share: float = 0.0,
        facts: Mapping[str, Any] | None = None,
        bar: bool = False,
    ) -> RolloutStep:
        """Take the next step by compare-and-set.

        Args:
            step: The rollout's last step, as it was read.
            phase: What begins. "promoted" is recorded by `Ledger.promote` alone.
            reason: Reason to record.
            at_us: Instant on the production clock.
            share: Share of the entities that the challenger answers from now on.
            facts: What was measured.
            bar: Whether the gate must not promote the version again, as after a roll back of a champion.

        Raises:
            ConflictError: Another process took a step since `step` was read, or the champion changed.
        """
        assert phase != "promoted", "Ledger.promote ends a rollout by promotion"
        with self._ledger.write() as connection:
            last = steps_of(connection, step.id)[-1]
            champion = champion_record(connection)
            begins = step.phase == "waiting" and phase == "shadow"
            if last.sequence != step.sequence or champion is None or (champion.version != step.champion and not begins):
                raise ConflictError(
                    f"the rollout of version {step.version} is not as it was read",
                    where=f"ledger {self.problem}",
                    found=[last.phase, f"champion {champion.version if champion else 'none'}"],
                    fix="read its state and decide again",
                )
            if phase not in ("shadow", "canary"):
                connection.execute(challenger.delete().where(challenger.c.version == step.version))
            if bar:
                merge_metrics(connection, step.version, {})
                set_barred(connection, step.version, reason)
            return record_step(
                connection,
                replace(
                    step, phase=phase, share=share, reason=reason, at_us=at_us, facts=facts or {},
                    champion=champion.version,
                ),
            )  # fmt: skip

    def require_current(self) -> RolloutStep:
        """Return the last step of the rollout under way.

        Raises:
            NotFoundError: There is none.
        """
        step = self.current()
        if step is None:
            raise NotFoundError(
                "no rollout is under way", where=self.problem, fix="begin one: `headrace rollout begin PROBLEM VERSION`"
            )
        return step

    def _require_fresh(
        self, version: str, steps: list[RolloutStep], barred: str | None, at_us: int, cooldown_us: int
    ) -> None:
        """Check that a version may be tried now; raises ConflictError."""
        failed = [one for one in steps if one.version == version and one.phase in _FAILED]
        ends_us = failed[-1].at_us + cooldown_us if failed else at_us
        if barred is None and ends_us <= at_us:
            return
        why = f"was rolled back ({barred})" if barred is not None else f"is in its cooldown until {iso(ends_us)}"
        raise ConflictError(
            f"version {version} {why}",
            where=f"ledger {self.problem}",
            found=[failed[-1].reason] if failed else (),
            fix="begin its rollout by hand with --force if that was a mistake",
        )


def _own(steps: list[RolloutStep], version: str) -> list[RolloutStep]:
    """The last steps of a version's rollouts that have not ended."""
    return [one for one in steps if one.version == version and (one.open or one.phase == "waiting")]


def _step(version: str, champion: str, phase: Phase, reason: str, at_us: int) -> RolloutStep:
    return RolloutStep(
        sequence=0, id=uuid.uuid4().hex, version=version, champion=champion, phase=phase, share=0.0, reason=reason,
        at_us=at_us,
    )  # fmt: skip
