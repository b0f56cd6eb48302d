"""Score requests by the version that did not answer them, off the request path, and log the shadow predictions.

Answers go first: rows wait in a bounded queue and are dropped where it is full; between two pieces of work the thread
pauses for a multiple of the time that the work took, so that it takes a bounded share of a core; rows are logged in few
transactions. Failures are counted and never raised. Every answer of the champion gets a prediction of the challenger,
and every answer of the challenger one of the champion, so that both versions can be compared on the same rows.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.prediction_log.log import Prediction
from headrace.schema import Problem
from headrace.serving.answers import Answer, ChallengerRows, Log, Online, Version
from headrace.serving.log_rows import LogRows
from headrace.serving.request import RequestRow
from headrace.serving.rollout_counts import RolloutCounts
from headrace.serving.scoring import ScoredRow, score_rows
from headrace.store.online import AheadError

_log = logging.getLogger(__name__)

#: Rows that may wait; more are dropped.
MAX_ROWS = 5_000
#: Rows of one piece of work.
PIECE = 32
#: The thread works at most this share of the time.
SHARE_OF_CORE = 0.25
#: Rows, and seconds, after which shadow predictions are logged.
LOG_ROWS, LOG_S = 256, 1.0
#: Scoring times are compared in one of so many pieces of work.
TIMED_EVERY = 4


@dataclass(frozen=True, kw_only=True)
class ShadowWork:
    """Answers of one instant and the rows that they are of.

    Attributes:
        champion: The version that is compared with the challenger.
        challenger: The challenger.
        now_us: Instant of the answers on the production clock.
        answers: The answers [n].
        rows: Rows validated for the champion [n].
        received: Rows as received [n].
        counts: Counts of the rollout.
    """

    champion: Version
    challenger: Version
    now_us: int
    answers: Sequence[Answer]
    rows: Sequence[RequestRow]
    received: Sequence[Any]
    counts: RolloutCounts


class ShadowScorer:
    """One thread that makes the shadow predictions of a serving process; it starts with the first answer.

    Args:
        problem: The problem.
        online: Stored features.
        log: The prediction log.
        clock: Seconds, monotonic.
        background: Whether a thread does the work; else only `drain` does, as tests and benchmarks want.
    """

    def __init__(
        self,
        problem: Problem,
        online: Online,
        log: Log,
        *,
        clock: Callable[[], float] = time.perf_counter,
        background: bool = True,
    ) -> None:
        self._problem = problem
        self._online = online
        self._log = log
        self._clock = clock
        self._background = background
        self._rows = LogRows(problem)
        self._waiting: deque[ShadowWork] = deque()
        self._size = 0
        self._made: list[Prediction] = []
        self._pieces = 0
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def offer(self, work: ShadowWork) -> None:
        """Queue answers; they are dropped, and counted, where too many rows wait."""
        with self._changed:
            if self._stopping.is_set() or self._size + len(work.answers) > MAX_ROWS:
                work.counts.dropped(len(work.answers))
                return
            self._waiting.append(work)
            self._size += len(work.answers)
            if self._thread is None and self._background:
                self._thread = threading.Thread(target=self._run, name="shadow-predictions", daemon=True)
                self._thread.start()
            self._changed.notify()

    def stop(self) -> None:
        """Log what was made, drop what waits, and end the thread."""
        self._stopping.set()
        with self._changed:
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def drain(self) -> None:
        """Make and log the shadow predictions of all answers that wait, in this thread."""
        while self._waiting:
            self._work(self._next())
        self._write()

    def _run(self) -> None:
        written = self._clock()
        while not self._stopping.is_set():
            with self._changed:
                if not self._waiting:
                    self._changed.wait(LOG_S if self._made else None)
            started = self._clock()
            if self._waiting and not self._stopping.is_set():
                self._work(self._next())
            if len(self._made) >= LOG_ROWS or (self._made and self._clock() - written >= LOG_S):
                self._write()
                written = self._clock()
            self._stopping.wait((self._clock() - started) * (1 / SHARE_OF_CORE - 1))
        self._write()

    def _next(self) -> ShadowWork:
        with self._changed:
            work = self._waiting.popleft()
            self._size -= len(work.answers)
        return work

    def _work(self, work: ShadowWork) -> None:
        for start in range(0, len(work.answers), PIECE):
            part = slice(start, start + PIECE)
            try:
                self._score(work, work.answers[part], work.rows[part], work.received[part])
            except AheadError:  # the store moved on while the rows waited
                work.counts.dropped(len(work.answers[part]))
            except Exception as error:
                work.counts.failed(len(work.answers[part]), error)

    def _score(
        self, work: ShadowWork, answers: Sequence[Answer], rows: Sequence[RequestRow], received: Sequence[Any]
    ) -> None:
        own = work.challenger.loaded.version
        missing = [at for at, answer in enumerate(answers) if answer.model_version != own]
        if missing:
            checked = [work.challenger.plain.check(received[at], "row") for at in missing]
            scored, seconds = self._timed(work, work.challenger, checked)
            work.counts.scored(len(missing))
            self._keep(scored, [answers[at] for at in missing])
            self._pieces += 1
            if self._pieces % TIMED_EVERY == 0:
                _, champion_s = self._timed(work, work.champion, [rows[at] for at in missing])
                work.counts.timed(champion_s, seconds)
        answered = [at for at, answer in enumerate(answers) if answer.model_version == own]
        if answered:
            by_champion, _ = self._timed(work, work.champion, [rows[at] for at in answered])
            self._keep(by_champion, [answers[at] for at in answered])

    def _timed(self, work: ShadowWork, version: Version, rows: Sequence[RequestRow]) -> tuple[list[ScoredRow], float]:
        started = self._clock()
        scored = score_rows(self._online, version, rows, work.now_us)
        return scored, self._clock() - started

    def _keep(self, scored: Sequence[ScoredRow], answers: Sequence[Answer]) -> None:
        self._made += [self._rows.shadow(row, answer) for row, answer in zip(scored, answers, strict=True)]

    def _write(self) -> None:
        made, self._made = self._made, []
        try:
            self._log.append(made)
        except Exception as error:  # a log that cannot be written refuses answers too, and says so there
            _log.warning("%d shadow predictions of %s are lost: %s", len(made), self._problem.name, error)


def shadow_work(
    challenger: ChallengerRows,
    champion: Version,
    rows: Sequence[RequestRow],
    answers: Sequence[Answer],
    counts: RolloutCounts,
    now_us: int,
) -> ShadowWork:
    """Compose the work for the answers of one call."""
    return ShadowWork(
        champion=champion, challenger=challenger.version, now_us=now_us, answers=answers, rows=rows,
        received=challenger.received, counts=counts,
    )  # fmt: skip
