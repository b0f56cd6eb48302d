"""Assemble the prediction service of one problem: ledger, champion follower, predictor, online store and log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headrace.core.errors import CorruptError
from headrace.lake.journal import PredictionJournal, Sync
from headrace.lake.predictions import PredictionLog
from headrace.lake.store import Lake
from headrace.registry.ledger import Ledger
from headrace.schema import Every, Problem
from headrace.serving.answers import Policy
from headrace.serving.follow import ChampionFollower
from headrace.serving.predictor import Predictor
from headrace.store.online import OnlineStore

if TYPE_CHECKING:
    from headrace.models.bundle import Bundle


_log = logging.getLogger(__name__)

#: Rows of a bundle's reference profile that the self-test predicts again.
TEST_ROWS = 50


@dataclass(frozen=True, kw_only=True)
class Service:
    """The parts of a prediction service. `now` returns the production clock, microseconds UTC."""

    problem: Problem
    ledger: Ledger
    follower: ChampionFollower
    predictor: Predictor
    online: OnlineStore
    log: PredictionLog | PredictionJournal
    now: Callable[[], int]


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
        log_sync: When answers are on disk (`lake.journal`); None: they are written to the prediction log itself.
    """
    ledger = Ledger(root, problem.name)
    online = OnlineStore(root, problem)
    log = (
        PredictionLog(root, problem.name) if log_sync is None else PredictionJournal(root, problem.name, sync=log_sync)
    )

    def load(version: str) -> Bundle:
        return load_version(root, problem, version, tracking_uri, online, now())

    follower = ChampionFollower(ledger, load)
    predictor = Predictor(
        problem,
        champion=lambda: follower.current,
        online=online,
        log=log,
        policy=policy,
        key_types=online.key_types,
        table_columns=lambda: spine_columns(root, problem),
    )
    return Service(
        problem=problem, ledger=ledger, follower=follower, predictor=predictor, online=online, log=log, now=now
    )


def spine_columns(root: Path, problem: Problem) -> frozenset[str] | None:
    """Return the columns of the spine's table as ingested, None before anything was; of a schedule's rows the keys."""
    if isinstance(problem.spine, Every):
        return frozenset(problem.spine_table.keys)
    schema = Lake(root, problem.name).schema(problem.spine_table.name)
    return None if schema is None else frozenset(schema.names)


def load_version(
    root: Path, problem: Problem, version: str, tracking_uri: str, online: OnlineStore, now_us: int
) -> Bundle:
    """Load a version for serving: check its files, run its self-test, and check that its feature service is published.

    Raises:
        CorruptError: Its files or predictions differ from those of its training.
        NotFoundError: The version or its feature service does not exist.
    """
    from headrace.models.bundle import Bundle
    from headrace.registry.models import download

    bundle = Bundle.load(download(problem.name, version, tracking_uri, root))
    self_test(bundle)
    bundle = with_compiled_trees(bundle)
    online.ages(bundle.service, now_us)
    return bundle


def with_compiled_trees(bundle: Bundle) -> Bundle:
    """Return the bundle with compiled LightGBM trees, if they predict the same bits for rows of its reference profile.

    The first prediction also loads the compiled code, so no request waits for that.
    """
    from headrace.models.compiled import compiled

    rows = bundle.read_reference().slice(0, TEST_ROWS)
    fast = replace(bundle, fitted=compiled(bundle.fitted))
    if np.array_equal(fast.predict(rows), bundle.predict(rows)):
        return fast
    _log.error("version of %s: compiled trees predict otherwise than LightGBM, so LightGBM predicts", bundle.problem)
    return bundle


def self_test(bundle: Bundle) -> None:
    """Predict rows of the bundle's reference profile again and compare with the stored predictions.

    Raises:
        CorruptError: A prediction differs.
    """
    from headrace.models.bundle import PREDICTION

    profile = bundle.read_reference().slice(0, TEST_ROWS)
    expected = profile[PREDICTION].to_numpy()
    actual = bundle.predict(profile)
    if not (np.isfinite(actual).all() and np.allclose(actual, expected, rtol=1e-6, atol=1e-9)):
        worst = int(np.nanargmax(np.abs(actual - expected))) if np.isfinite(actual).any() else 0
        raise CorruptError(
            "the model does not predict what it predicted when it was made",
            where=f"bundle of {bundle.problem}",
            found=[f"{expected[worst]!r} then", f"{actual[worst]!r} now"],
            fix="train again, with the library versions that serve",
        )
