"""Micro-batching: one thread answers all calls that wait at the same time together.

A prediction needs the CPU under Python's lock, and a commit of the log waits for the disk. With a thread per call,
threads contend for the lock; one thread pays the fixed costs (reads, matrix, prediction, commit) once per batch. A
single call starts at once, and calls that arrive meanwhile are the next batch. A call returns after the commit that
contains its rows (group commit).
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from headrace.core.errors import HeadraceError, UnavailableError

#: Rows of a batch, and rows that may wait; a call with more rows is a batch of its own.
BATCH_ROWS = 256
MAX_QUEUED_ROWS = 20_000


class Call(Protocol):
    """A validated call."""

    @property
    def rows(self) -> Sequence[Any]: ...


C = TypeVar("C", bound=Call)
#: One answer.
A = TypeVar("A")


@dataclass(frozen=True)
class _QueuedCall(Generic[C, A]):
    call: C
    future: Future[list[A]] = field(default_factory=Future)
    loop: asyncio.AbstractEventLoop | None = None
    waiting: asyncio.Future[list[A]] | None = None


class PredictionQueue(Generic[C, A]):
    """A queue of calls of type C with answers of type A, answered in order by one thread.

    The thread starts with the first call.

    Args:
        answer: Answers calls together, such as `Predictor.answer`; called from one thread only.
        batch_rows: Largest number of rows of a batch.
        max_queued_rows: Largest number of waiting rows; a call beyond it is refused at once.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[C]], list[list[A] | HeadraceError]],
        *,
        batch_rows: int = BATCH_ROWS,
        max_queued_rows: int = MAX_QUEUED_ROWS,
    ) -> None:
        self._answer = answer
        self._batch_rows = batch_rows
        self._max_queued_rows = max_queued_rows
        self._queued: deque[_QueuedCall[C, A]] = deque()
        self._rows = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopping = False

    @property
    def rows(self) -> int:
        """Number of rows that wait now."""
        return self._rows

    def submit(self, call: C) -> Future[list[A]]:
        """Queue a call.

        Returns:
            A future with its answers, or the HeadraceError that it would raise alone.

        Raises:
            UnavailableError: Too many rows wait, or the queue was stopped.
        """
        return self._enqueue(_QueuedCall(call)).future

    async def answer(self, call: C) -> list[A]:
        """Answer a call of an event loop: as `submit`, with one message to the loop for all calls of a batch."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[list[A]] = loop.create_future()
        self._enqueue(_QueuedCall(call, loop=loop, waiting=waiting))
        return await waiting

    def _enqueue(self, queued: _QueuedCall[C, A]) -> _QueuedCall[C, A]:
        call = queued.call
        with self._changed:
            if self._stopping:
                raise UnavailableError("the server is being stopped", fix="send it again later")
            if self._rows and self._rows + len(call.rows) > self._max_queued_rows:
                raise UnavailableError(
                    "too many rows wait for their predictions", found=[self._rows], fix="send it again later"
                )
            self._queued.append(queued)
            self._rows += len(call.rows)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="predictions", daemon=True)
                self._thread.start()
            self._changed.notify()
        return queued

    def stop(self) -> None:
        """Answer the waiting calls, end the thread, and refuse later calls."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while batch := self._next_batch():
            outcomes = self._outcomes([item.call for item in batch])
            by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[list[A]], Any]]] = {}
            for item, outcome in zip(batch, outcomes, strict=True):
                if item.loop is not None and item.waiting is not None:
                    by_loop.setdefault(item.loop, []).append((item.waiting, outcome))
                elif isinstance(outcome, BaseException):
                    item.future.set_exception(outcome)
                else:
                    item.future.set_result(outcome)
            for loop, results in by_loop.items():
                with suppress(RuntimeError):  # a loop that was closed: nobody waits any more
                    loop.call_soon_threadsafe(deliver, results)

    def _next_batch(self) -> list[_QueuedCall[C, A]]:
        """Return the next calls to answer together; none once the queue is stopped and empty."""
        batch: list[_QueuedCall[C, A]] = []
        rows = 0
        with self._changed:
            while not batch:
                self._changed.wait_for(lambda: self._queued or self._stopping)
                if not self._queued:
                    break
                while self._queued and (not batch or rows + len(self._queued[0].call.rows) <= self._batch_rows):
                    item = self._queued.popleft()
                    self._rows -= len(item.call.rows)
                    if item.future.set_running_or_notify_cancel():
                        batch.append(item)
                        rows += len(item.call.rows)
        return batch

    def _outcomes(self, calls: Sequence[C]) -> Sequence[list[A] | BaseException]:
        """Return the outcome of each call; after an unexpected error, calls are answered one by one."""
        try:
            return self._answer(calls)
        except Exception as error:
            return [error] if len(calls) == 1 else [self._outcomes([call])[0] for call in calls]


def deliver(results: Sequence[tuple[asyncio.Future[Any], Any]]) -> None:
    """Give outcomes to the calls that wait on this event loop; some may have been cancelled."""
    for waiting, outcome in results:
        if waiting.done():
            continue
        if isinstance(outcome, BaseException):
            waiting.set_exception(outcome)
        else:
            waiting.set_result(outcome)
