"""Follow the rollouts of a ledger in a serving process: load the challenger, route its share, roll it back on faults.

`refresh` reads the journal, well under a millisecond. A new challenger is loaded and queried beside the champion, which
goes on answering; one that cannot be loaded ends the rollout with the reason. After a crash a process reads the journal
and goes on from there; the counts of the guards begin anew.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace.core.errors import ConflictError, HeadraceError
from headrace.registry.rollout_tables import Phase, RolloutStep
from headrace.registry.rollouts import Rollouts
from headrace.schema import Problem, Rollout
from headrace.serving.answers import Answer, ChallengerRows, ValidatedCall, Version
from headrace.serving.follow import LoadedVersion
from headrace.serving.request import RequestRow
from headrace.serving.rollout.assignment import is_canary
from headrace.serving.rollout.shadow import ShadowScorer, shadow_work
from headrace.serving.rollout_counts import RolloutCounts
from headrace.serving.versions import Versions

if TYPE_CHECKING:
    from headrace.models.bundle import Bundle

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ActiveRollout:
    """The rollout that this process takes part in.

    Attributes:
        step: Its last step.
        loaded: The challenger.
        counts: What it did in this process.
    """

    step: RolloutStep
    loaded: LoadedVersion
    counts: RolloutCounts


class RolloutFollower:
    """The challenger of one problem in a serving process. Thread-safe.

    Args:
        problem: The problem; its `rollout`, or the defaults, are the rules.
        rollouts: The journal.
        load: Version -> bundle that has passed its test; raises where it cannot be served.
        versions: Derives what serving needs from a loaded version.
        scorer: Makes shadow predictions.
        now: Returns the production clock, microseconds UTC.
    """

    def __init__(
        self,
        problem: Problem,
        rollouts: Rollouts,
        load: Callable[[str], Bundle],
        *,
        versions: Versions,
        scorer: ShadowScorer,
        now: Callable[[], int],
    ) -> None:
        self._rules = problem.rollout or Rollout()
        self._by = self._rules.by or problem.join_keys
        self._rollouts = rollouts
        self._load = load
        self._versions = versions
        self._scorer = scorer
        self._now = now
        self._active: ActiveRollout | None = None

    @property
    def active(self) -> ActiveRollout | None:
        """The rollout that this process takes part in; None where there is none."""
        return self._active

    def loaded(self, version: str) -> Bundle | None:
        """Return the challenger's model where it is this version, so that its promotion needs no loading."""
        active = self._active
        return active.loaded.bundle if active is not None and active.loaded.version == version else None

    # -- in the background

    def refresh(self) -> None:
        """Read the journal and follow it; roll the challenger back where a guard demands it."""
        step, active = self._rollouts.current(), self._active
        if step is None:
            self._active = None
            return
        if active is None or active.step.id != step.id:
            active = self._begun(step)
        elif active.step.sequence != step.sequence:
            active = ActiveRollout(step=step, loaded=active.loaded, counts=active.counts)
        self._active = active
        if active is not None and (fault := active.counts.fault()):
            self._end(step, "rolled back", fault)

    def stop(self) -> None:
        """End the thread of shadow predictions."""
        self._scorer.stop()

    def _begun(self, step: RolloutStep) -> ActiveRollout | None:
        try:
            loaded = LoadedVersion(version=step.version, bundle=self._load(step.version))
            self._versions.of(loaded)
        except Exception as error:
            # Whatever is wrong with a challenger, the champion goes on answering.
            reason = error.what if isinstance(error, HeadraceError) else f"{type(error).__name__} while loading"
            _log.error("the challenger, version %s of %s, is refused: %s", step.version, self._rollouts.problem, error)
            self._end(step, "refused", f"the API cannot serve it: {reason}")
            return None
        return ActiveRollout(step=step, loaded=loaded, counts=RolloutCounts(self._rules))

    def _end(self, step: RolloutStep, phase: Phase, reason: str) -> None:
        self._active = None
        try:
            self._rollouts.advance(step, phase, reason=reason, at_us=self._now())
        except ConflictError as error:  # another process took a step meanwhile: the next look follows it
            _log.info("%s", error)

    # -- on the request path

    def rows(
        self, champion: Version, received: Sequence[Mapping[str, Any]], checked: Sequence[RequestRow]
    ) -> tuple[ChallengerRows, RolloutCounts] | None:
        """Return what a call's rows are for the challenger; None where no rollout of this champion is under way.

        A row of its share that the challenger cannot take is answered by the champion, and counted as a failure.

        Args:
            champion: The version that the rows were validated for.
            received: The rows as received [n].
            checked: The rows validated for the champion [n].
        """
        active = self._active
        if active is None or active.step.champion != champion.loaded.version:
            return None
        version, step = self._versions.of(active.loaded), active.step
        own: dict[int, RequestRow] = {}
        if step.share > 0:
            for at, row in enumerate(checked):
                if is_canary(step.id, [row.keys.get(name) for name in self._by], step.share):
                    try:
                        own[at] = version.plain.check(received[at], f"row {at}")
                    except HeadraceError as error:
                        active.counts.failed(1, error)
        return ChallengerRows(version=version, rows=own, received=tuple(received)), active.counts

    def offer(self, call: ValidatedCall, answers: Sequence[Answer]) -> None:
        """Queue the answers of a call for shadow predictions; raises nothing."""
        if call.challenger is None or call.counts is None:
            return
        try:
            self._scorer.offer(shadow_work(call.challenger, call.version, call.rows, answers, call.counts, call.now_us))
        except Exception:
            _log.exception("answers could not be queued for shadow predictions")
