"""Answer the calls of one turn of an event loop together, in the loop's own thread: no hand-over between threads.

Requests that have arrived when the loop looks for them are read first, and then predicted with one read of the store,
one prediction and one record of the journal. A call of many rows would hold up all connections, so it is answered by a
thread of its own (`serving.queue`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from headrace.core.errors import HeadraceError, UnavailableError
from headrace.prediction_log.journal import PredictionJournal
from headrace.serving.answers import Answer, ValidatedCall
from headrace.serving.queue import BATCH_ROWS, PredictionQueue, deliver

Outcomes = list[list[Answer] | HeadraceError]


class TurnQueue:
    """A queue for the calls of one event loop.

    Args:
        write: Answers calls together and writes them to the journal without waiting for the disk; called in the loop.
        append: Answers calls together and appends them to the journal; called in a thread.
        journal: The journal. Where it syncs always, an answer waits for the sync that covers it.
        batch_rows: Largest number of rows of a call that is answered in the loop.
    """

    def __init__(
        self,
        write: Callable[[Sequence[ValidatedCall]], Outcomes],
        append: Callable[[Sequence[ValidatedCall]], Outcomes],
        journal: PredictionJournal,
        *,
        batch_rows: int = BATCH_ROWS,
    ) -> None:
        self._write = write
        self._journal = journal
        self._batch_rows = batch_rows
        self._large: PredictionQueue[ValidatedCall, Answer] = PredictionQueue(append)
        self._waiting: list[tuple[ValidatedCall, asyncio.Future[list[Answer]]]] = []
        self._stopping = False

    @property
    def rows(self) -> int:
        """Number of rows that wait now."""
        return sum(len(call.rows) for call, _ in self._waiting) + self._large.rows

    async def answer(self, call: ValidatedCall) -> list[Answer]:
        """Return the answers of a call once they are in the journal, or raise the error that it would raise alone."""
        if len(call.rows) > self._batch_rows:
            return await self._large.answer(call)
        if self._stopping:
            raise UnavailableError("the server is being stopped", fix="send it again later")
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[list[Answer]] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._answer_turn, loop)
        self._waiting.append((call, answered))
        return await answered

    def stop(self) -> None:
        """Refuse later calls, and answer those that wait in the thread."""
        self._stopping = True
        self._large.stop()

    def _answer_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        waiting, self._waiting = self._waiting, []
        while waiting:
            batch: list[tuple[ValidatedCall, asyncio.Future[list[Answer]]]] = []
            rows = 0
            while waiting and (not batch or rows + len(waiting[0][0].rows) <= self._batch_rows):
                batch.append(waiting.pop(0))
                rows += len(batch[-1][0].rows)
            self._answer_batch(loop, batch)

    def _answer_batch(
        self, loop: asyncio.AbstractEventLoop, batch: list[tuple[ValidatedCall, asyncio.Future[list[Answer]]]]
    ) -> None:
        outcomes = _outcomes(self._write, [call for call, _ in batch])
        results = [(answered, outcome) for (_, answered), outcome in zip(batch, outcomes, strict=True)]
        if self._journal.sync == "interval":
            deliver(results)
        else:
            self._journal.when_synced(partial(_deliver_later, loop, results))


def _outcomes(write: Callable[[Sequence[ValidatedCall]], Outcomes], calls: Sequence[ValidatedCall]) -> list[Any]:
    """Answer calls; where that fails unforeseen, each alone, so that the call at fault takes no other with it."""
    try:
        return list(write(calls))
    except Exception as error:
        return [error] if len(calls) == 1 else [outcome for call in calls for outcome in _outcomes(write, [call])]


def _deliver_later(
    loop: asyncio.AbstractEventLoop,
    results: list[tuple[asyncio.Future[list[Answer]], Any]],
    error: HeadraceError | None,
) -> None:
    """Give each call its answers, or the error of the sync; called from the journal's thread."""
    if error is not None:
        refused = UnavailableError(
            "the prediction could not be logged, so it is not given",
            found=[error.what],
            fix="see that the disk is writable and not full; `/readyz` says when it is",
        )
        results = [(answered, refused) for answered, _ in results]
    with suppress(RuntimeError):  # a loop that was closed: nobody waits any more
        loop.call_soon_threadsafe(deliver, results)
