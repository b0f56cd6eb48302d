"""Calls of one turn of the event loop: answered together, each as it would be alone, once they are in the journal."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from headrace.core.errors import DataError, UnavailableError
from headrace.prediction_log import journal as journal_module
from headrace.prediction_log.journal import PredictionJournal, Sync
from headrace.prediction_log.log import PredictionLog
from headrace.registry.ledger import Ledger
from headrace.serving.answers import Answer, ValidatedCall
from headrace.serving.predictor import Predictor
from headrace.serving.turn_queue import TurnQueue
from headrace.store.online import OnlineStore
from tests.serving.test_serving_follow import Shelf, follow, ledger
from tests.serving.test_serving_predictor import predictor
from tests.serving_fixtures import NOW, PROBLEM, ROW, write_store

__all__ = ["ledger"]

BOTH: Sequence[Sync] = ("always", "interval")


class Turns:
    """A queue over a journal. sizes: rows of each call, by batch, and whether the event loop's thread answered it."""

    def __init__(self, root: Path, sync: Sync) -> None:
        self.journal = PredictionJournal(root, "shop", sync=sync)
        self.shop: Predictor = predictor(root, log=self.journal)
        self.sizes: list[tuple[list[int], bool]] = []
        self.queue = TurnQueue(self._write, self._append, self.journal, batch_rows=4)

    def call(self, *customers: object) -> ValidatedCall:
        return self.shop.check([{**ROW, "customer_id": customer} for customer in customers], now_us=NOW)

    def _write(self, calls: Sequence[ValidatedCall]) -> Any:
        self._note(calls)
        if any(row.keys["customer_id"] == "unforeseen" for call in calls for row in call.rows):
            raise RuntimeError("unforeseen")
        return self.shop.write(calls)

    def _append(self, calls: Sequence[ValidatedCall]) -> Any:
        self._note(calls)
        return self.shop.answer(calls)

    def _note(self, calls: Sequence[ValidatedCall]) -> None:
        in_loop = threading.current_thread() is threading.main_thread()
        self.sizes.append(([len(call.rows) for call in calls], in_loop))


@pytest.fixture(params=BOTH)
def turns(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Turns]:
    write_store(tmp_path)
    made = Turns(tmp_path, request.param)
    yield made
    made.queue.stop()
    made.journal.close()


def ask(turns: Turns, *calls: ValidatedCall) -> list[Any]:
    """Answer calls that arrive in one turn."""

    async def together() -> list[Any]:
        return await asyncio.gather(*(turns.queue.answer(call) for call in calls), return_exceptions=True)

    return asyncio.run(together())


def test_a_turn_is_answered_together_in_batches_and_logged(turns: Turns, tmp_path: Path) -> None:
    found = ask(turns, *(turns.call(*names) for names in (("c1",), ("c2", "c1"), ("c1", "c1"), ("c2",))))
    values = [[answer.value for answer in answers] for answers in found]
    assert values == [pytest.approx(expected) for expected in ([0.03], [0.05, 0.03], [0.03, 0.03], [0.05])]
    assert turns.sizes == [([1, 2], True), ([2, 1], True)]
    with PredictionLog(tmp_path, "shop") as log:
        assert {row.id for row in log.read()} == {answer.id for answers in found for answer in answers}


def test_a_large_call_is_answered_by_a_thread(turns: Turns) -> None:
    (found,) = ask(turns, turns.call(*["c1"] * 9))
    assert len(found) == 9
    assert turns.sizes == [([9], False)]


def test_a_wrong_call_takes_no_other_with_it(turns: Turns) -> None:
    good, wrong, unforeseen = ask(turns, turns.call("c1"), turns.call(5), turns.call("unforeseen"))
    assert good[0].value == pytest.approx(0.03)
    assert isinstance(wrong, DataError)
    assert isinstance(unforeseen, RuntimeError)


def test_nothing_is_answered_after_the_end(turns: Turns) -> None:
    turns.queue.stop()
    (found,) = ask(turns, turns.call("c1"))
    assert isinstance(found, UnavailableError)


@pytest.mark.parametrize("turns", ["always"], indirect=True)
def test_an_answer_waits_for_the_disk(turns: Turns, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = threading.Event()
    monkeypatch.setattr(journal_module.os, "fdatasync", lambda descriptor: synced.wait(30))

    async def early() -> tuple[bool, list[Any]]:
        asked = asyncio.ensure_future(turns.queue.answer(turns.call("c1")))
        for _ in range(20):
            await asyncio.sleep(0)
        is_early = asked.done()
        synced.set()
        return is_early, await asked

    is_early, answers = asyncio.run(early())
    assert not is_early
    assert len(answers) == 1


@pytest.mark.parametrize("turns", ["always"], indirect=True)
def test_a_disk_that_fails_refuses_the_answers_that_wait_for_it(turns: Turns, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(journal_module.os, "fdatasync", fails)
        found = ask(turns, turns.call("c1"), turns.call("c2"))
    assert all(isinstance(error, UnavailableError) and "could not be logged" in error.what for error in found)
    (again,) = ask(turns, turns.call("c1"))
    assert len(again) == 1


@pytest.mark.parametrize("sync", BOTH)
def test_swaps_under_load_fail_nothing_and_mix_nothing(tmp_path: Path, ledger: Ledger, sync: Sync) -> None:
    """20 swaps while eight clients of an event loop ask: every answer is of one version, and is in the log."""
    write_store(tmp_path, means={"c1": 0.0})
    follower = follow(ledger, Shelf())
    ledger.promote("1", None, "first", {}, 1)
    follower.refresh()
    journal, online = PredictionJournal(tmp_path, "shop", sync=sync), OnlineStore(tmp_path, PROBLEM)
    shop = Predictor(PROBLEM, champion=lambda: follower.current, online=online, log=journal)
    queue = TurnQueue(shop.write, shop.answer, journal)
    given: list[list[Answer]] = []
    is_over = asyncio.Event()

    async def ask() -> None:
        while not is_over.is_set():
            given.append(await queue.answer(shop.check([ROW, ROW], now_us=NOW)))

    async def swap() -> None:
        for version in range(2, 22):
            before = len(given)
            while len(given) < before + 10:
                await asyncio.sleep(0)
            ledger.promote(str(version), str(version - 1), "better", {}, version)
            assert await asyncio.to_thread(follower.refresh)
        is_over.set()

    async def load() -> None:
        await asyncio.gather(swap(), *(ask() for _ in range(8)))

    asyncio.run(load())
    queue.stop()
    journal.close()
    versions = [{answer.model_version for answer in answers} for answers in given]
    assert all(len(one) == 1 for one in versions)
    assert all(answer.value == float(answer.model_version) for answers in given for answer in answers)
    assert len(set().union(*versions)) > 10
    with PredictionLog(tmp_path, "shop") as log:
        assert {row.id for row in log.read()} == {answer.id for answers in given for answer in answers}
