"""The API over a real store, ledger and log of a tiny problem, for the tests of this room."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from headrace.api.app import build_app
from headrace.core.errors import CorruptError
from headrace.prediction_log.journal import PredictionJournal, Sync
from headrace.prediction_log.log import PredictionLog
from headrace.registry.ledger import Ledger
from headrace.registry.rollouts import Rollouts
from headrace.serving.answers import Policy
from headrace.serving.follow import ChampionFollower
from headrace.serving.predictor import Predictor
from headrace.serving.rollout.follower import RolloutFollower
from headrace.serving.rollout.shadow import ShadowScorer
from headrace.serving.service import Service
from headrace.serving.versions import Versions
from headrace.store.online import OnlineStore
from tests.serving_fixtures import NOW, PROBLEM, ROW, TinyModel, ids, write_store

with warnings.catch_warnings():
    # Starlette's client asks for another package by the name of httpx2; httpx is what we have locked.
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

__all__ = ["Served", "TestClient", "error_of", "serve", "served", "serving"]


#: A version that takes as long to load as a large model.
SLOW = "201"


@dataclass(frozen=True, kw_only=True)
class Served:
    """A running app and what stands behind it."""

    client: TestClient
    service: Service
    ledger: Ledger
    log: PredictionLog


def _load(version: str) -> TinyModel:
    if version == "9":
        raise CorruptError("sha256 differs from the manifest", where="/secret/path/model.txt")
    if version == SLOW:
        time.sleep(1.0)
    return TinyModel(offset=float(version) / 10)


def serving(
    root: Path,
    *,
    policy: Policy = "default",
    now_us: int = NOW,
    log: PredictionLog | PredictionJournal | None = None,
    prefix: str = "p",
    follows_rollouts: bool = False,
) -> Service:
    """Serving of the tiny problem below a folder, with ids p0, p1, ..."""
    ledger, online, names = Ledger(root, "shop"), OnlineStore(root, PROBLEM), ids(prefix)
    log = log or PredictionLog(root, "shop")
    versions, scorer = Versions(PROBLEM, online), ShadowScorer(PROBLEM, online, log, background=False)
    rollout = RolloutFollower(
        PROBLEM, Rollouts(ledger), _load, versions=versions, scorer=scorer, now=lambda: now_us,  # type: ignore[arg-type]
    )  # fmt: skip
    after = rollout.refresh if follows_rollouts else lambda: None
    follower = ChampionFollower(ledger, _load, after=after)  # type: ignore[arg-type]
    predictor = Predictor(
        PROBLEM,
        champion=lambda: follower.current,
        online=online,
        log=log,
        policy=policy,
        new_id=lambda: next(names),
        versions=versions,
        rollout=rollout,
    )
    return Service(
        problem=PROBLEM,
        ledger=ledger,
        follower=follower,
        predictor=predictor,
        online=online,
        log=log,
        now=lambda: now_us,
        rollout=rollout,
    )


@contextmanager
def serve(root: Path, sync: Sync | None = None) -> Iterator[Served]:
    """The app with a first champion, asked as localhost. sync: of its prediction journal, None for none."""
    write_store(root)
    service = serving(root, log=None if sync is None else PredictionJournal(root, "shop", sync=sync))
    service.ledger.promote("1", None, "beats the baseline", {"auc": 0.78}, NOW)
    service.follower.refresh()
    app = build_app(service, example=lambda: dict(ROW))
    log = PredictionLog(root, "shop")
    with log, TestClient(app, raise_server_exceptions=False, base_url="http://localhost") as client:
        yield Served(client=client, service=service, ledger=service.ledger, log=log)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """An app of the test's own."""
    with serve(tmp_path) as app:
        yield app


def error_of(answer: Any, status: int) -> dict[str, Any]:
    """The error of an answer that has this status and the form of our errors."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "what", "where", "found", "fix"}
    error: dict[str, Any] = body["error"]
    return error
