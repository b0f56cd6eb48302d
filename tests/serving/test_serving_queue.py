"""Calls that wait at the same time: answered together, each as it would be alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from headrace.core.errors import DataError, HeadraceError, UnavailableError
from headrace.prediction_log.log import Prediction, PredictionLog
from headrace.serving.answers import Answer, ValidatedCall
from headrace.serving.predictor import Predictor
from headrace.serving.queue import PredictionQueue
from tests.serving.test_serving_predictor import predictor
from tests.serving_fixtures import NOW, ROW, write_store


@pytest.fixture
def shop(tmp_path: Path) -> Predictor:
    write_store(tmp_path)
    return predictor(tmp_path)


class Gate:
    """Answers like a predictor; the first batch waits until the gate is opened. sizes: rows of each call, by batch."""

    def __init__(self, answer: Callable[[Sequence[ValidatedCall]], list[Any]]) -> None:
        self._answer = answer
        self.entered, self.opened = threading.Event(), threading.Event()
        self.sizes: list[list[int]] = []

    def __call__(self, calls: Sequence[ValidatedCall]) -> list[list[Answer] | HeadraceError]:
        self.sizes.append([len(call.rows) for call in calls])
        self.entered.set()
        assert self.opened.wait(30)
        return self._answer(calls)


@pytest.fixture
def gate(shop: Predictor) -> Gate:
    return Gate(shop.answer)


@pytest.fixture
def queue(gate: Gate) -> Iterator[PredictionQueue]:
    started = PredictionQueue(gate, batch_rows=4, max_queued_rows=6)
    yield started
    gate.opened.set()
    started.stop()


def call(shop: Predictor, *customers: object) -> ValidatedCall:
    return shop.check([{**ROW, "customer_id": customer} for customer in customers], now_us=NOW)


def test_what_waits_is_answered_together_in_its_order(shop: Predictor, gate: Gate, queue: PredictionQueue) -> None:
    first = queue.submit(call(shop, "c1"))
    assert gate.entered.wait(30)
    waiting = [queue.submit(call(shop, *names)) for names in (("c2",), ("c1", "c2"), ("c1",), ("c2",))]
    gate.opened.set()
    answers = [[row.value for row in future.result(30)] for future in (first, *waiting)]
    assert answers == [pytest.approx(found) for found in ([0.03], [0.05], [0.03, 0.05], [0.03], [0.05])]
    assert gate.sizes == [[1], [1, 2, 1], [1]]


def test_a_wrong_call_takes_no_other_with_it(shop: Predictor, gate: Gate, queue: PredictionQueue) -> None:
    gate.opened.set()
    good, wrong, other = call(shop, "c1"), call(shop, 5), call(shop, "c2")
    found = shop.answer([good, wrong, other])
    assert isinstance(found[1], DataError)
    assert isinstance(found[0], list)
    assert isinstance(found[2], list)
    with pytest.raises(DataError, match="'customer_id' must be string"):
        queue.submit(wrong).result(30)


def test_a_call_that_fails_unforeseen_takes_no_other_with_it(shop: Predictor) -> None:
    def fragile(calls: Sequence[ValidatedCall]) -> list[list[Answer] | HeadraceError]:
        if any(row.keys["customer_id"] == "c2" for one in calls for row in one.rows):
            raise RuntimeError("unforeseen")
        return shop.answer(calls)

    gate = Gate(fragile)
    queue = PredictionQueue(gate)
    first = queue.submit(call(shop, "c1"))
    assert gate.entered.wait(30)
    good, bad = queue.submit(call(shop, "c1")), queue.submit(call(shop, "c2"))
    gate.opened.set()
    queue.stop()
    assert len(first.result(30)) == len(good.result(30)) == 1
    with pytest.raises(RuntimeError, match="unforeseen"):
        bad.result(30)


def test_beyond_its_limit_the_queue_refuses_at_once(shop: Predictor, gate: Gate, queue: PredictionQueue) -> None:
    queue.submit(call(shop, "c1"))
    assert gate.entered.wait(30)
    queue.submit(call(shop, *["c1"] * 5))
    with pytest.raises(UnavailableError, match="too many rows wait"):
        queue.submit(call(shop, "c1", "c2"))
    queue.submit(call(shop, "c2"))


def test_a_call_larger_than_a_batch_is_answered_alone(shop: Predictor, gate: Gate, queue: PredictionQueue) -> None:
    gate.opened.set()
    assert len(queue.submit(call(shop, *["c1"] * 9)).result(30)) == 9


def test_what_waits_is_answered_before_the_end_and_nothing_after(shop: Predictor, gate: Gate) -> None:
    queue = PredictionQueue(gate)
    gate.opened.set()
    waiting = [queue.submit(call(shop, "c1")) for _ in range(3)]
    queue.stop()
    assert [len(future.result(0)) for future in waiting] == [1, 1, 1]
    with pytest.raises(UnavailableError):
        queue.submit(call(shop, "c1"))


def test_answers_made_together_are_those_made_alone_in_one_transaction(tmp_path: Path) -> None:
    appended: list[int] = []

    class Counting(PredictionLog):
        def append(self, rows: Sequence[Prediction]) -> int:
            appended.append(len(rows))
            return super().append(rows)

    write_store(tmp_path)
    together = predictor(tmp_path, log=Counting(tmp_path, "together"))
    alone = predictor(tmp_path, log=PredictionLog(tmp_path, "alone"))
    rows: list[list[dict[str, Any]]] = [
        [{**ROW, "customer_id": "c1"}],
        [{**ROW, "customer_id": None}, {**ROW, "amount": None}],
        [dict(ROW)],
    ]
    made = together.answer([together.check(part, now_us=NOW) for part in rows])
    assert made == [alone.predict(part, now_us=NOW) for part in rows]
    assert appended == [4]
    logged = PredictionLog(tmp_path, "together").read()
    assert logged == PredictionLog(tmp_path, "alone").read()


def call_of(now_us: int) -> ValidatedCall:
    """A call without rows."""
    return ValidatedCall(version=None, rows=(), now_us=now_us)  # type: ignore[arg-type]


def answer_of(call: ValidatedCall) -> Answer:
    return Answer(id="", value=None, model_version="", made_us=call.now_us)


def test_calls_of_an_event_loop_are_answered_or_refused_each() -> None:
    refused = UnavailableError("not this one")

    def answer(calls: Sequence[ValidatedCall]) -> list[Any]:
        return [refused if call.now_us == 1 else [answer_of(call)] for call in calls]

    async def ask() -> list[Any]:
        queue: PredictionQueue[ValidatedCall, Answer] = PredictionQueue(answer)
        cancelled = asyncio.ensure_future(queue.answer(call_of(2)))
        await asyncio.sleep(0)
        cancelled.cancel()
        found = await asyncio.gather(*(queue.answer(call_of(at)) for at in range(3)), return_exceptions=True)
        await asyncio.to_thread(queue.stop)
        with pytest.raises(UnavailableError, match="being stopped"):
            await queue.answer(call_of(0))
        return found

    first, second, third = asyncio.run(ask())
    assert ([item.made_us for item in first], second, [item.made_us for item in third]) == ([0], refused, [2])
