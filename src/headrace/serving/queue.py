"""Calls that come at the same time, answered together by one thread.

A prediction is processor work under Python's lock, and a commit of the log waits for the disk. Sixteen threads that do
both for a row each take the lock from one another; one thread that takes all waiting calls pays once for what does not
grow with the rows: the reads, the matrix, the prediction, the commit. A lone call starts at once, and what comes
meanwhile is the next batch. An answer is given after the commit that holds its row (group commit).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from headrace.core.errors import HeadraceError, UnavailableError
from headrace.serving.answers import Answer, ValidatedCall

#: Rows that are answered together, and rows that may wait; a call of more rows is answered alone.
BATCH_ROWS = 256
MAX_QUEUED_ROWS = 20_000

Outcome = list[Answer] | HeadraceError


@dataclass(frozen=True)
class _QueuedCall:
    call: ValidatedCall
    future: Future[list[Answer]] = field(default_factory=Future)


class PredictionQueue:
    """Calls in, futures out, answered in the order in which they came, from the first call on.

    Args:
        answer: answers calls together, such as `Predictor.answer`; it is called from one thread only.
        batch_rows: rows that are answered together at most.
        max_queued_rows: rows that may wait; a call beyond that is refused at once.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[ValidatedCall]], list[Outcome]],
        *,
        batch_rows: int = BATCH_ROWS,
        max_queued_rows: int = MAX_QUEUED_ROWS,
    ) -> None:
        self._answer = answer
        self._batch_rows = batch_rows
        self._max_queued_rows = max_queued_rows
        self._queued: deque[_QueuedCall] = deque()
        self._rows = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopping = False

    def submit(self, call: ValidatedCall) -> Future[list[Answer]]:
        """Queue a call. The future has its answers, or the HeadraceError that it would raise alone.

        Raises UnavailableError where too much waits already, or the queue was stopped.
        """
        with self._changed:
            if self._stopping:
                raise UnavailableError("the server is being stopped", fix="send it again later")
            if self._rows and self._rows + len(call.rows) > self._max_queued_rows:
                raise UnavailableError(
                    "too many rows wait for their predictions", found=[self._rows], fix="send it again later"
                )
            queued = _QueuedCall(call)
            self._queued.append(queued)
            self._rows += len(call.rows)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="predictions", daemon=True)
                self._thread.start()
            self._changed.notify()
        return queued.future

    def stop(self) -> None:
        """Answer what waits, end the thread, and refuse what comes after."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while batch := self._next_batch():
            for item, outcome in zip(batch, self._outcomes([item.call for item in batch]), strict=True):
                if isinstance(outcome, BaseException):
                    item.future.set_exception(outcome)
                else:
                    item.future.set_result(outcome)

    def _next_batch(self) -> list[_QueuedCall]:
        """The next calls to answer together; none once the queue is stopped and empty."""
        batch: list[_QueuedCall] = []
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

    def _outcomes(self, calls: Sequence[ValidatedCall]) -> Sequence[list[Answer] | BaseException]:
        """What becomes of each call; one that fails unforeseen takes no other with it."""
        try:
            return self._answer(calls)
        except Exception as error:
            return [error] if len(calls) == 1 else [self._outcomes([call])[0] for call in calls]
