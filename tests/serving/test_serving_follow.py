"""Following the champion: atomic swaps under load, refusals, and a rollback that needs no loading."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from headrace.core.errors import CorruptError, UnavailableError
from headrace.prediction_log.log import PredictionLog
from headrace.registry.ledger import Ledger
from headrace.serving.answers import Answer
from headrace.serving.follow import ChampionFollower
from headrace.serving.predictor import Predictor
from headrace.store.online import OnlineStore
from tests.serving_fixtures import NOW, PROBLEM, ROW, TinyModel, write_store


class Shelf:
    """Models by version; what was loaded is noted."""

    def __init__(self, *, broken: tuple[str, ...] = ()) -> None:
        self.broken = set(broken)
        self.loaded: list[str] = []

    def load(self, version: str) -> TinyModel:
        self.loaded.append(version)
        if version in self.broken:
            raise CorruptError("sha256 differs from the manifest", where=f"bundle {version}")
        return TinyModel(offset=float(version))


class Seconds:
    """A monotonic clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def follow(ledger: Ledger, shelf: Shelf, clock: Seconds | None = None) -> ChampionFollower:
    return ChampionFollower(ledger, shelf.load, retry_s=30, clock=clock or Seconds())  # type: ignore[arg-type]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path, "shop")


def test_without_a_champion_nothing_answers(ledger: Ledger) -> None:
    follower = follow(ledger, Shelf())
    assert not follower.refresh()
    assert follower.serving is None
    with pytest.raises(UnavailableError, match=r"no model can answer yet.*headrace run"):
        _ = follower.current


def test_the_champion_is_taken_over_once(ledger: Ledger) -> None:
    shelf = Shelf()
    follower = follow(ledger, shelf)
    ledger.promote("1", None, "first", {}, 1)
    assert follower.refresh()
    assert follower.current.version == "1"
    assert not follower.refresh()
    assert shelf.loaded == ["1"]


def test_a_corrupt_bundle_is_refused_and_the_old_one_serves_on(ledger: Ledger) -> None:
    shelf, clock = Shelf(broken=("2",)), Seconds()
    follower = follow(ledger, shelf, clock)
    ledger.promote("1", None, "first", {}, 1)
    follower.refresh()
    ledger.promote("2", "1", "better", {}, 2)
    assert not follower.refresh()
    assert follower.current.version == "1"
    assert follower.refused is not None
    assert (follower.refused.version, follower.refused.reason) == ("2", "sha256 differs from the manifest")
    # It is not loaded again and again ...
    clock.now = 29
    follower.refresh()
    assert shelf.loaded == ["1", "2"]
    # ... but when it was mended, it takes over by itself.
    shelf.broken.clear()
    clock.now = 30
    assert follower.refresh()
    assert follower.current.version == "2"
    assert follower.refused is None


def test_a_refused_version_is_forgotten_when_the_ledger_turns_away_from_it(ledger: Ledger) -> None:
    follower = follow(ledger, Shelf(broken=("2",)))
    ledger.promote("1", None, "first", {}, 1)
    follower.refresh()
    ledger.promote("2", "1", "better", {}, 2)
    follower.refresh()
    ledger.rollback(3)
    assert not follower.refresh()
    assert (follower.serving, follower.refused) == ("1", None)


def test_the_first_champion_refused_leaves_its_reason(ledger: Ledger) -> None:
    follower = follow(ledger, Shelf(broken=("1",)))
    ledger.promote("1", None, "first", {}, 1)
    follower.refresh()
    with pytest.raises(UnavailableError, match=r"no model can answer yet.*sha256 differs"):
        _ = follower.current


def test_a_rollback_takes_the_kept_version(ledger: Ledger) -> None:
    shelf = Shelf()
    follower = follow(ledger, shelf)
    ledger.promote("1", None, "first", {}, 1)
    follower.refresh()
    ledger.promote("2", "1", "better", {}, 2)
    follower.refresh()
    ledger.rollback(3)
    assert follower.refresh()
    assert follower.current.version == "1"
    assert shelf.loaded == ["1", "2"]


def test_the_background_thread_follows_and_survives_an_unreadable_ledger(ledger: Ledger) -> None:
    swapped, failed = threading.Event(), threading.Event()

    class Watched(ChampionFollower):
        def refresh(self) -> bool:
            if not failed.is_set():
                failed.set()
                raise OSError("disk away")
            done = super().refresh()
            if done:
                swapped.set()
            return done

    ledger.promote("1", None, "first", {}, 1)
    follower = Watched(ledger, Shelf().load)  # type: ignore[arg-type]
    follower.start(poll_s=0.001)
    try:
        assert swapped.wait(timeout=30)
        assert follower.current.version == "1"
    finally:
        follower.stop()
    assert failed.is_set()


def test_swaps_under_load_fail_nothing_and_mix_nothing(tmp_path: Path, ledger: Ledger) -> None:
    """20 swaps while four threads predict: every answer is of one version, and versions only go up in each thread."""
    write_store(tmp_path, means={"c1": 0.0})
    follower = follow(ledger, Shelf())
    ledger.promote("1", None, "first", {}, 1)
    follower.refresh()
    predictor = Predictor(
        PROBLEM,
        champion=lambda: follower.current,
        online=OnlineStore(tmp_path, PROBLEM),
        log=PredictionLog(tmp_path, "shop"),
    )
    done = threading.Event()
    answers: list[list[list[Answer]]] = [[] for _ in range(4)]
    failures: list[BaseException] = []
    answered = threading.Semaphore(0)

    def ask(at: int) -> None:
        try:
            while not done.is_set():
                answers[at].append(predictor.predict([ROW, ROW], now_us=NOW))
                answered.release()
        except BaseException as error:
            failures.append(error)
            answered.release()

    threads = [threading.Thread(target=ask, args=(at,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for version in range(2, 22):
        for _ in range(3):
            answered.acquire(timeout=30)
        ledger.promote(version, version - 1, "better", {}, version)
        assert follower.refresh()
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []
    for batches in answers:
        versions = [{int(answer.model_version) for answer in batch} for batch in batches]
        assert all(len(one) == 1 for one in versions)
        order = [next(iter(one)) for one in versions]
        assert order == sorted(order)
        assert all(answer.value == float(answer.model_version) for batch in batches for answer in batch)
    given = sum(len(batch) for batches in answers for batch in batches)
    assert len(PredictionLog(tmp_path, "shop")) == given
    assert len({answer.model_version for batches in answers for batch in batches for answer in batch}) > 5
