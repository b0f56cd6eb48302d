"""Gather what the page shows from the files of a home folder and from Prefect; what cannot be read is named."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from headrace.api.messages import Readiness
from headrace.api.operations import readiness
from headrace.api.page.links import Links
from headrace.api.page.prefect import PrefectState, read_state
from headrace.core.errors import HeadraceError, NotFoundError
from headrace.core.replicas import read_replicas
from headrace.monitor.outbox.outbox import Entry, Outbox
from headrace.registry.ledger_tables import Record
from headrace.registry.rollout_tables import RolloutStep
from headrace.registry.rollouts import Rollouts
from headrace.serving.readiness import ReadinessCheck
from headrace.serving.rollout_counts import CountValues
from headrace.serving.service import Service
from headrace.store.online import Age

T = TypeVar("T")
_log = logging.getLogger(__name__)

#: Decisions to do nothing that are shown; of the others all recent ones.
MAX_DECISIONS = 12


@dataclass(frozen=True, kw_only=True)
class PageFacts:
    """The state of a problem in production.

    Attributes:
        readiness: Whether it can predict, and why not.
        now_us: The production clock, None where it cannot be read.
        champion: The change that made the present champion.
        history: All changes of champion, newest first.
        challenger: Version that waits for a comparison or a person.
        previous: Version that a rollback restores.
        barred: Rolled-back version -> reason.
        versions: Version -> metrics.
        rollout: The last step of the newest rollout; None where there was none.
        rollout_counts: What the challenger of the rollout under way did in this process.
        ages: Feature view -> age.
        decisions: All decisions of monitoring, oldest first.
        last_run: The form of last_run.json.
        links: Services that are up, as the browser reaches them.
        prefect: What Prefect has; None where it is not up.
        faults: What could not be read.
    """

    readiness: Readiness
    now_us: int | None = None
    champion: Record | None = None
    history: tuple[Record, ...] = ()
    challenger: str | None = None
    previous: str | None = None
    barred: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    rollout: RolloutStep | None = None
    rollout_counts: CountValues | None = None
    ages: Mapping[str, Age] = field(default_factory=dict)
    decisions: tuple[Entry, ...] = ()
    last_run: Mapping[str, Any] = field(default_factory=dict)
    links: Links = field(default_factory=Links)
    prefect: PrefectState | None = None
    faults: tuple[str, ...] = ()

    @property
    def open_alerts(self) -> tuple[Entry, ...]:
        """Decisions that people were alerted about and nobody has acknowledged, newest first."""
        return tuple(one for one in reversed(self.decisions) if one.decision.kind != "nothing" and not one.acknowledged)


class FactReader:
    """Reads the facts of one problem.

    Args:
        service: What answers.
        root: Home folder.
        links: Addresses of the services.
    """

    def __init__(self, service: Service, root: Path, links: Links) -> None:
        self._service = service
        self._root = root
        self._links = links
        self._check = ReadinessCheck(service)

    @property
    def outbox(self) -> Outbox:
        """Decisions and alerts of the problem."""
        return Outbox(self._root, self._service.problem.name)

    def read(self, host: str) -> PageFacts:
        """Read everything. host: name of this server in the request, for links."""
        faults: list[str] = []
        service, ledger = self._service, self._service.ledger

        def known(what: str, read: Callable[[], T], default: T) -> T:
            try:
                return read()
            except NotFoundError:
                return default
            except Exception as error:
                _log.warning("page: %s: %s", what, error)
                faults.append(f"{what} cannot be read ({_public(error)})")
                return default

        up, no_changes = self._links.up(), tuple[Record, ...]()
        now_us = known("the production clock", service.now, None)
        return PageFacts(
            readiness=readiness(service, self._check.obstacles()),
            now_us=now_us,
            champion=known("the ledger", ledger.champion, None),
            history=tuple(reversed(known("the ledger's history", ledger.history, no_changes))),
            challenger=known("the challenger", ledger.challenger, None),
            previous=known("the previous version", ledger.previous, None),
            barred=known("barred versions", ledger.barred, {}),
            versions=known("the versions", ledger.versions, {}),
            rollout=known("the rollouts", lambda: newest_rollout(Rollouts(ledger)), None),
            rollout_counts=self._rollout_counts(),
            ages=known("the feature store", lambda: self._ages(now_us), {}),
            decisions=known("the decisions of monitoring", lambda: self.outbox.history(), ()),
            last_run=known("the last run", self._last_run, {}),
            links=up.seen_by(host),
            prefect=known("Prefect", lambda: self._prefect(up), None),
            faults=tuple(faults),
        )

    def _ages(self, now_us: int | None) -> Mapping[str, Age]:
        if now_us is None or self._service.follower.serving is None:
            return {}
        return self._service.online.ages(self._service.follower.current.bundle.service, now_us)

    def _rollout_counts(self) -> CountValues | None:
        active = self._service.rollout.active if self._service.rollout is not None else None
        return active.counts.values() if active is not None else None

    def _last_run(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = read_replicas(self._root / "runs" / self._service.problem.name / "last_run.json")
        return found

    def _prefect(self, up: Links) -> PrefectState | None:
        return read_state(up.prefect, self._service.problem.name) if up.prefect else None


def newest_rollout(rollouts: Rollouts) -> RolloutStep | None:
    """Return the last step of the rollout under way; of the last one that ended where none is."""
    current = rollouts.current()
    if current is not None:
        return current
    history = rollouts.history()
    return history[-1] if history else None


def _public(error: Exception) -> str:
    """What clients may see of an error: no paths."""
    return error.what if isinstance(error, HeadraceError) else type(error).__name__
