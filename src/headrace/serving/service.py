"""One problem's serving, put together: ledger -> follower -> predictor, over the online store and the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headrace.core.errors import CorruptError
from headrace.lake.predictions import PredictionLog
from headrace.registry.ledger import Ledger
from headrace.schema import Problem
from headrace.serving.answers import Policy
from headrace.serving.follow import ChampionFollower
from headrace.serving.predictor import Predictor
from headrace.store.online import OnlineStore

if TYPE_CHECKING:
    from headrace.models.bundle import Bundle


#: Rows of a bundle's profile that are predicted again before it may serve.
TEST_ROWS = 50


@dataclass(frozen=True, kw_only=True)
class Service:
    """What an endpoint needs. now: the problem's production clock."""

    problem: Problem
    ledger: Ledger
    follower: ChampionFollower
    predictor: Predictor
    online: OnlineStore
    log: PredictionLog
    now: Callable[[], int]


def open_service(
    root: Path, problem: Problem, tracking_uri: str, now: Callable[[], int], *, policy: Policy = "default"
) -> Service:
    """Serving for a problem below a home folder. Nothing is loaded yet: `follower.refresh()` or `start()` does."""
    ledger = Ledger(root, problem.name)
    online = OnlineStore(root, problem)
    log = PredictionLog(root, problem.name)

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
    )
    return Service(
        problem=problem, ledger=ledger, follower=follower, predictor=predictor, online=online, log=log, now=now
    )


def load_version(
    root: Path, problem: Problem, version: str, tracking_uri: str, online: OnlineStore, now_us: int
) -> Bundle:
    """A version's model, its files checked, tested on rows it was trained on, its features known to the store.

    Raises CorruptError or NotFoundError: such a version must not serve.
    """
    from headrace.models.bundle import Bundle
    from headrace.registry.models import download

    bundle = Bundle.load(download(problem.name, version, tracking_uri, root))
    self_test(bundle)
    online.ages(bundle.service, now_us)
    return bundle


def self_test(bundle: Bundle) -> None:
    """Predict rows of the bundle's own profile again. Raises CorruptError where that gives other numbers than then."""
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
