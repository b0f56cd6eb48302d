"""A challenger in a serving process: its share of entities, shadow predictions, fallbacks, guards, loading test."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.errors import CorruptError, UnavailableError
from headrace.prediction_log.log import PredictionLog
from headrace.prediction_log.rows import shadow_id
from headrace.registry.ledger import Ledger
from headrace.registry.rollouts import Rollouts
from headrace.schema import Rollout
from headrace.serving.answers import Answer
from headrace.serving.follow import ChampionFollower
from headrace.serving.predictor import Predictor
from headrace.serving.rollout.assignment import is_canary, position
from headrace.serving.rollout.follower import RolloutFollower
from headrace.serving.rollout.load_test import load_and_query
from headrace.serving.rollout.shadow import ShadowScorer
from headrace.serving.rollout_counts import LEAST_TIMES, RolloutCounts
from headrace.serving.versions import Versions
from headrace.store.online import OnlineStore
from tests.serving_fixtures import MEAN, NOW, PROBLEM, ROW, TinyModel, write_store

CUSTOMERS = [f"c{number}" for number in range(40)]


class BrokenModel(TinyModel):
    """A model that loads and cannot predict."""

    def predict(self, matrix: pa.Table) -> npt.NDArray[np.float64]:
        raise ValueError("no such kernel")


class Serving:
    """A champion "1" and a challenger "2" in one process; each predicts its own number."""

    def __init__(self, root: Path, *, background: bool = False, **models: TinyModel) -> None:
        write_store(root, means=dict.fromkeys(CUSTOMERS, 0.0))
        self.models = {"1": TinyModel(offset=1.0), "2": TinyModel(offset=2.0), **models}
        self.ledger = Ledger(root, "shop")
        self.ledger.promote("1", None, "first", {}, NOW)
        self.rollouts = Rollouts(self.ledger)
        self.log = PredictionLog(root, "shop")
        online = OnlineStore(root, PROBLEM)
        versions = Versions(PROBLEM, online)
        self.scorer = ShadowScorer(PROBLEM, online, self.log, background=background)
        self.rollout = RolloutFollower(
            PROBLEM, self.rollouts, self.load, versions=versions, scorer=self.scorer, now=lambda: NOW
        )
        self.follower = ChampionFollower(
            self.ledger, lambda version: self.rollout.loaded(version) or self.load(version), after=self.rollout.refresh
        )
        self.predictor = Predictor(
            PROBLEM, champion=lambda: self.follower.current, online=online, log=self.log, versions=versions,
            rollout=self.rollout,
        )  # fmt: skip
        self.look()

    def load(self, version: str) -> Any:
        if version not in self.models:
            raise CorruptError("sha256 differs from the manifest", where="/secret/path")
        return self.models[version]

    def look(self) -> None:
        self.follower.refresh()
        self.rollout.refresh()

    def begin(self, share: float = 0.0, version: str = "2") -> None:
        step = self.rollouts.begin(version, champion="1", reason="gate", at_us=NOW)
        if share:
            self.rollouts.advance(step, "canary", reason="a day", at_us=NOW, share=share)
        self.look()

    def ask(self, *customers: str) -> list[Answer]:
        return self.predictor.predict([{**ROW, "customer_id": name} for name in customers], now_us=NOW)


@pytest.fixture
def serving(tmp_path: Path) -> Serving:
    return Serving(tmp_path)


def test_in_shadow_the_champion_answers_and_the_challenger_is_logged(serving: Serving) -> None:
    serving.begin()
    answers = serving.ask("c1", "c2")
    assert [(one.model_version, one.value) for one in answers] == [("1", 1.0), ("1", 1.0)]
    serving.scorer.drain()
    logged = {row.id: row for row in serving.log.read()}
    assert len(logged) == 4
    for answer in answers:
        own, shadow = logged[answer.id], logged[shadow_id(answer.id)]
        assert (shadow.source, shadow.model_version, shadow.probability) == ("shadow", "2", 2.0)
        assert (shadow.join_keys, shadow.cutoff_us, shadow.features) == (own.join_keys, own.cutoff_us, own.features)
    # what the version itself answered does not contain its shadow predictions
    assert serving.log.read_by_cutoff(NOW, NOW + 1, version="2") == []
    assert len(serving.log.shadows(NOW, NOW + 1, version="2")) == 2


def test_the_challenger_answers_its_share_and_the_champion_is_the_shadow_there(serving: Serving) -> None:
    serving.begin(share=0.5)
    answers = serving.ask(*CUSTOMERS)
    step = serving.rollouts.require_current()
    for customer, answer in zip(CUSTOMERS, answers, strict=True):
        expected = "2" if is_canary(step.id, [customer], 0.5) else "1"
        assert (answer.model_version, answer.value) == (expected, float(expected))
    assert {answer.model_version for answer in answers} == {"1", "2"}
    serving.scorer.drain()
    logged = {row.id: row for row in serving.log.read()}
    assert all(logged[answer.id].model_version == answer.model_version for answer in answers)
    other = {"1": "2", "2": "1"}
    assert all(logged[shadow_id(one.id)].model_version == other[one.model_version] for one in answers)


def test_an_entity_keeps_its_version_while_the_share_grows(serving: Serving) -> None:
    serving.begin(share=0.3)
    before = {name for name, one in zip(CUSTOMERS, serving.ask(*CUSTOMERS), strict=True) if one.model_version == "2"}
    step = serving.rollouts.require_current()
    serving.rollouts.advance(step, "canary", reason="a day", at_us=NOW, share=0.7)
    serving.look()
    after = {name for name, one in zip(CUSTOMERS, serving.ask(*CUSTOMERS), strict=True) if one.model_version == "2"}
    assert before < after
    assert {one.model_version for _ in range(3) for one in serving.ask(*sorted(after))} == {"2"}


@given(st.text(max_size=8), st.one_of(st.integers(), st.text(), st.none()), st.floats(0, 1), st.floats(0, 1))
def test_assignment_is_a_function_of_salt_and_key_and_grows_with_the_share(
    salt: str, key: Any, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    assert 0 <= position(salt, [key]) < 1
    assert is_canary(salt, [key], low) <= is_canary(salt, [key], high)
    assert not is_canary(salt, [key], 0.0)
    assert is_canary(salt, [key], 1.0)


def test_assignment_takes_the_share_that_it_should() -> None:
    taken = [sum(is_canary(salt, [number], 0.2) for number in range(5_000)) / 5_000 for salt in ("a", "b")]
    assert all(0.17 < share < 0.23 for share in taken)
    both = sum(is_canary("a", [number], 0.2) and is_canary("b", [number], 0.2) for number in range(5_000)) / 5_000
    assert 0.025 < both < 0.055  # other entities for another rollout


def test_a_challenger_that_fails_is_answered_for_by_the_champion_and_rolled_back(tmp_path: Path) -> None:
    serving = Serving(tmp_path, **{"2": BrokenModel(offset=2.0)})
    serving.begin(share=0.9)
    answers = serving.ask(*CUSTOMERS)
    assert {one.model_version for one in answers} == {"1"}
    assert all(one.value == 1.0 for one in answers)
    serving.look()
    last = serving.rollouts.history()[-1]
    assert last.phase == "rolled back"
    assert "requests failed, more than 1.0% (the last: ValueError: no such kernel)" in last.reason
    assert serving.rollout.active is None


def test_a_challenger_that_fails_in_shadow_is_rolled_back_too(tmp_path: Path) -> None:
    serving = Serving(tmp_path, **{"2": BrokenModel(offset=2.0)})
    serving.begin()
    assert {one.value for one in serving.ask(*CUSTOMERS)} == {1.0}
    serving.scorer.drain()
    serving.look()
    assert serving.rollouts.history()[-1].phase == "rolled back"
    assert len(serving.log.read()) == len(CUSTOMERS)


def test_a_challenger_that_cannot_be_loaded_is_refused_without_a_path(serving: Serving) -> None:
    serving.begin(version="3")
    last = serving.rollouts.history()[-1]
    assert (last.phase, last.reason) == ("refused", "the API cannot serve it: sha256 differs from the manifest")
    assert serving.ask("c1")[0].model_version == "1"


def test_a_promotion_takes_the_loaded_challenger_and_no_entity_goes_back(serving: Serving) -> None:
    serving.begin(share=0.5)
    serving.ledger.promote("2", "1", "not worse", {}, NOW + 1)
    del serving.models["2"]  # it is in memory already
    serving.follower.refresh()
    assert {one.model_version for one in serving.ask(*CUSTOMERS)} == {"2"}
    serving.rollout.refresh()
    assert serving.rollout.active is None
    assert {one.model_version for one in serving.ask(*CUSTOMERS)} == {"2"}


def test_a_process_that_starts_anew_takes_part_in_the_rollout(serving: Serving, tmp_path: Path) -> None:
    serving.begin(share=0.5)
    before = [one.model_version for one in serving.ask(*CUSTOMERS)]
    again = Serving.__new__(Serving)
    again.__dict__ |= serving.__dict__
    versions = Versions(PROBLEM, OnlineStore(tmp_path, PROBLEM))
    again.rollout = RolloutFollower(
        PROBLEM, serving.rollouts, serving.load, versions=versions, scorer=serving.scorer, now=lambda: NOW
    )
    again.rollout.refresh()
    again.predictor = Predictor(
        PROBLEM, champion=lambda: serving.follower.current, online=OnlineStore(tmp_path, PROBLEM), log=serving.log,
        versions=versions, rollout=again.rollout,
    )  # fmt: skip
    assert [one.model_version for one in again.ask(*CUSTOMERS)] == before


def test_a_full_queue_drops_shadow_predictions_and_no_answer(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.serving.rollout.shadow.MAX_ROWS", 1)
    serving.begin()
    assert len(serving.ask("c1", "c2")) == 2
    assert serving.rollout.active is not None
    assert serving.rollout.active.counts.values().dropped == 2


def test_the_thread_logs_what_it_made_when_the_process_stops(tmp_path: Path) -> None:
    serving = Serving(tmp_path, background=True)
    serving.begin()
    serving.ask("c1")
    serving.rollout.stop()
    assert len(serving.log.read()) in (1, 2)  # the shadow prediction may have been dropped, the answer never
    serving.ask("c1")  # a stopped thread drops
    assert all(row.source == "api" or row.model_version == "2" for row in serving.log.read())


# -- guards


def test_slow_scoring_is_a_fault_and_equal_scoring_is_none() -> None:
    rng = np.random.default_rng(0)
    slow, equal = RolloutCounts(Rollout()), RolloutCounts(Rollout())
    for champion_s in rng.lognormal(-5, 0.3, 2 * LEAST_TIMES):
        slow.timed(champion_s, 6 * champion_s)
        equal.timed(champion_s, rng.lognormal(-5, 0.3))
    assert "more than 2 times the champion's" in slow.fault()
    assert equal.fault() == ""


def test_few_failures_are_no_fault() -> None:
    counts = RolloutCounts(Rollout(errors=0.01))
    counts.scored(990)
    counts.failed(10, ValueError("x"))
    assert counts.fault() == ""
    counts.failed(40, ValueError("x"))
    assert counts.fault().startswith("50 of 1040 requests failed")


# -- the loading test


class _Profile(TinyModel):
    """A model with a stored profile of three rows."""

    problem = "shop"
    stored = 1.0

    def read_reference(self) -> pa.Table:
        return pa.table({MEAN: [0.0, 0.0, 0.0], "_prediction": [self.stored] * 3})


def _ticks(*seconds: float) -> Any:
    instants = iter(np.cumsum((0.0, *seconds)).tolist())
    return lambda: next(instants)


def test_a_version_that_answers_as_in_training_and_in_time_passes() -> None:
    model = _Profile(offset=1.0)
    assert load_and_query(lambda: model, Rollout()) is model  # type: ignore[arg-type,return-value]


def test_a_version_that_predicts_other_values_is_refused() -> None:
    with pytest.raises(CorruptError, match=r"1\.0 then.*2\.0 now"):
        load_and_query(lambda: _Profile(offset=2.0), Rollout())  # type: ignore[arg-type,return-value]


def test_a_version_that_loads_or_answers_too_slowly_is_refused() -> None:
    def load() -> Any:
        return _Profile(offset=1.0)

    with pytest.raises(UnavailableError, match=r"loading took 61\.0 s, more than 60 s"):
        load_and_query(load, Rollout(), clock=_ticks(61.0))
    slow = _ticks(1.0, 0.0, 0.3, 0.0, 0.3, 0.0, 0.3, 0.0)
    with pytest.raises(UnavailableError, match=r"an answer takes 300\.0 ms \(median\), more than 250 ms"):
        load_and_query(load, Rollout(), clock=slow)


# -- swaps under load, with a canary each time


def test_swaps_with_canaries_under_load_fail_nothing_and_mix_nothing(tmp_path: Path) -> None:
    """20 rollouts from shadow over canary to champion while four threads predict."""
    numbered = {str(number): TinyModel(offset=float(number)) for number in range(1, 22)}
    serving = Serving(tmp_path, background=True, **numbered)
    done, answered = threading.Event(), threading.Semaphore(0)
    failures: list[BaseException] = []
    given_answers: list[list[tuple[str, Answer]]] = [[] for _ in range(4)]

    def ask(at: int) -> None:
        try:
            while not done.is_set():
                given_answers[at] += zip(CUSTOMERS[:4], serving.ask(*CUSTOMERS[:4]), strict=True)
                answered.release()
        except BaseException as error:
            failures.append(error)
            answered.release()

    def some() -> None:
        for _ in range(2):
            answered.acquire(timeout=30)

    threads = [threading.Thread(target=ask, args=(at,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for number in range(2, 22):
        champion, version = str(number - 1), str(number)
        step = serving.rollouts.begin(version, champion=champion, reason="gate", at_us=NOW)
        serving.look()
        step = serving.rollouts.advance(step, "canary", reason="shadow", at_us=NOW, share=0.5)
        serving.look()
        some()
        serving.ledger.promote(version, champion, "not worse", {}, NOW)
        serving.look()
        some()
    done.set()
    for thread in threads:
        thread.join()
    serving.rollout.stop()
    assert failures == []
    for answers in given_answers:
        assert all(answer.value == float(answer.model_version) for _, answer in answers)  # none is mixed
        for customer in CUSTOMERS[:4]:  # no entity ever goes back to an older version
            versions = [int(answer.model_version) for name, answer in answers if name == customer]
            assert versions == sorted(versions)
    ids = {answer.id for answers in given_answers for _, answer in answers}
    logged = [row for row in serving.log.read() if row.source == "api"]
    assert {row.id for row in logged} == ids
    assert serving.follower.serving == "21"
