"""Assemble the prediction service of one problem: ledger, champion follower, predictor, online store and log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.lake.store import Lake
from headrace.prediction_log.journal import PredictionJournal, Sync
from headrace.prediction_log.log import PredictionLog
from headrace.registry.ledger import Ledger
from headrace.registry.rollouts import Rollouts
from headrace.schema import Every, Problem
from headrace.serving.answers import Policy
from headrace.serving.follow import ChampionFollower
from headrace.serving.lake_follower import LakeFollower, local_copy
from headrace.serving.loading import load_version
from headrace.serving.predictor import Predictor
from headrace.serving.rollout.follower import RolloutFollower
from headrace.serving.rollout.shadow import ShadowScorer
from headrace.serving.versions import Versions
from headrace.store.online import OnlineStore

if TYPE_CHECKING:
    from headrace.models.bundle import Bundle


@dataclass(frozen=True, kw_only=True)
class Service:
    """The parts of a prediction service.

    Attributes:
        problem: The problem.
        ledger: Its promotion ledger.
        follower: Loads its champion.
        predictor: Predicts.
        online: Stored features.
        log: The prediction log.
        now: Returns the production clock, microseconds UTC.
        rollout: The challenger of a rollout; None where the service takes part in none.
        lake: Follows a lake that several machines share, whose clock `now` reads; None where none is followed.
    """

    problem: Problem
    ledger: Ledger
    follower: ChampionFollower
    predictor: Predictor
    online: OnlineStore
    log: PredictionLog | PredictionJournal
    now: Callable[[], int]
    rollout: RolloutFollower | None = None
    lake: LakeFollower | None = None

    def start(self, poll_s: float) -> None:
        """Start the background threads. poll_s: seconds between looks at the ledger."""
        if self.lake is not None:
            self.lake.start()
        self.follower.start(poll_s)

    def close(self) -> None:
        """End the background threads and close the prediction log."""
        self.follower.stop()
        if self.lake is not None:
            self.lake.stop()
        if self.rollout is not None:
            self.rollout.stop()
        self.log.close()


def open_service(
    root: Path,
    problem: Problem,
    tracking_uri: str,
    now: Callable[[], int],
    *,
    policy: Policy = "default",
    log_sync: Sync | None = None,
) -> Service:
    """Assemble the service of a problem. No model is loaded yet: `follower.refresh()` or `start()` does that.

    Args:
        root: Home folder.
        problem: The problem.
        tracking_uri: Address of MLflow.
        now: Returns the production clock, microseconds UTC.
        policy: What to do with features that are not fresh.
        log_sync: When answers are on disk (`prediction_log.journal`); None: they are written to the log itself.
    """
    ledger = Ledger(root, problem.name)
    online = OnlineStore(root, problem)
    log = (
        PredictionLog(root, problem.name) if log_sync is None else PredictionJournal(root, problem.name, sync=log_sync)
    )

    def load(version: str) -> Bundle:
        return load_version(root, problem, version, tracking_uri, online, now())

    versions = Versions(problem, online, key_types=online.key_types, table_columns=lambda: spine_columns(root, problem))
    scorer = ShadowScorer(problem, online, log)
    rollout = RolloutFollower(problem, Rollouts(ledger), load, versions=versions, scorer=scorer, now=now)
    follower = ChampionFollower(ledger, lambda version: rollout.loaded(version) or load(version), after=rollout.refresh)
    predictor = Predictor(
        problem,
        champion=lambda: follower.current,
        online=online,
        log=log,
        policy=policy,
        versions=versions,
        rollout=rollout,
    )
    return Service(
        problem=problem, ledger=ledger, follower=follower, predictor=predictor, online=online, log=log, now=now,
        rollout=rollout, lake=LakeFollower(Lake(root, problem.name)),
    )  # fmt: skip


def spine_columns(root: Path, problem: Problem) -> frozenset[str] | None:
    """Return the columns of the spine's table as ingested, None before anything was; of a schedule's rows the keys."""
    if isinstance(problem.spine, Every):
        return frozenset(problem.spine_table.keys)
    schema = local_copy(root, problem.name).schema(problem.spine_table.name)
    return None if schema is None else frozenset(schema.names)
