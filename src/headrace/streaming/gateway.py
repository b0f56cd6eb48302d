"""Append events to the lake with their arrival, and refresh the served features at the next tick.

Events that wait at the same time become one batch per table. One thread appends and refreshes: an event that arrives at
a is visible to features at the first tick after a, which is when the production clock reaches that tick.
"""

from __future__ import annotations

import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from headrace.core.clock import floor_to_tick
from headrace.core.errors import ConflictError, DataError, HeadraceError, NotFoundError, UnavailableError
from headrace.lake.store import Lake
from headrace.schema import Problem, Table
from headrace.store.materialise import online_is_current
from headrace.streaming.live import LiveTables
from headrace.streaming.refresh import is_published, refresh
from headrace.streaming.rows import event_rows, with_arrival

_log = logging.getLogger(__name__)

#: Requests that may wait; more are refused.
WAITING = 1_000
#: What the batches of events name as their source.
_SOURCE = "events"


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What became of the events of one request.

    Attributes:
        table: their table.
        rows: how many there are.
        arrival_us: when they arrived; nothing in them is known before.
        visible_us: the tick from which served features see them.
        batch: the batch of the lake that holds them.
    """

    table: str
    rows: int
    arrival_us: int
    visible_us: int
    batch: str


@dataclass(frozen=True, kw_only=True)
class _Request:
    table: str
    rows: Sequence[Mapping[str, Any]]
    answer: Future[Receipt] = field(default_factory=Future)


def wall_clock() -> int:
    """The present, microseconds UTC."""
    return time.time_ns() // 1000


class EventGateway:
    """Takes events of one problem. Start it before the first event, and stop it to write what waits.

    Args:
        root: home folder.
        problem: the problem.
        now: the present, microseconds UTC; the arrival of events.

    Raises:
        ConflictError: the problem replays a feed, whose clock is not the present.
    """

    def __init__(self, root: Path, problem: Problem, *, now: Callable[[], int] = wall_clock) -> None:
        if problem.feed is not None:
            raise ConflictError(
                "the problem replays a feed, so events cannot arrive now", where=problem.name, fix="declare no feed"
            )
        self._root, self._problem, self._now = root, problem, now
        self._lake = Lake(root, problem.name)
        self._tables: LiveTables | None = None
        self._waiting: queue.Queue[_Request | None] = queue.Queue(WAITING)
        self._thread: threading.Thread | None = None
        self._last_us = 0
        self._due_us: int | None = None
        self._refreshed_us = 0
        self._refreshed = threading.Condition()

    def start(self) -> None:
        """Start the thread that appends and refreshes."""
        self._thread = threading.Thread(target=self._run, name="headrace-events", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Append what waits, and end the thread. The next start refreshes what is not visible yet."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()
            self._thread = None

    def submit(self, table: str, rows: Sequence[Mapping[str, Any]]) -> Future[Receipt]:
        """Hand over events of a table; the future has the receipt once they are on disk.

        Raises:
            UnavailableError: too many requests wait, or nothing takes them any more.
        """
        if self._thread is not None and not self._thread.is_alive():
            raise UnavailableError(
                "events are not taken any more", where=self._problem.name, fix="start the server anew"
            )
        request = _Request(table=table, rows=rows)
        try:
            self._waiting.put_nowait(request)
        except queue.Full:
            raise UnavailableError("too many events wait", where=self._problem.name, fix="send them again") from None
        return request.answer

    def wait_visible(self, receipt: Receipt, timeout_s: float) -> bool:
        """Wait until served features see the events; whether they do within the time."""
        with self._refreshed:
            return self._refreshed.wait_for(lambda: self._refreshed_us >= receipt.visible_us, timeout_s)

    def _run(self) -> None:
        try:
            self._due_us = self._missed_tick()
        except Exception:
            _log.exception("it is not known whether events of %s are to be served", self._problem.name)
        while True:
            requests, stopped = self._take()
            for name in dict.fromkeys(one.table for one in requests):
                self._append([one for one in requests if one.table == name])
            if self._due_us is not None and self._now() >= self._due_us:
                self._refresh(self._due_us)
            if stopped:
                return

    def _missed_tick(self) -> int | None:
        """The tick after the last event where no features were written at it: a server ended in between."""
        batches = (batch for name in self._lake.tables() for batch in self._lake.batches(name))
        last = max((batch.arrival_us for batch in batches if batch.source == _SOURCE), default=None)
        if last is None:
            return None
        due = floor_to_tick(last, self._problem.tick_us) + self._problem.tick_us
        reached = (self._lake.clock() or 0) >= due
        published = is_published(self._root, self._problem)
        served = reached and (not published or online_is_current(self._root, self._problem, due))
        return None if served else due

    def _take(self) -> tuple[list[_Request], bool]:
        """What waits: at least one request, or nothing where the next refresh is due before."""
        timeout = None if self._due_us is None else max((self._due_us - self._now()) / 1e6, 0.0)
        try:
            taken = [self._waiting.get(timeout=timeout)]
        except queue.Empty:
            return [], False
        while len(taken) < WAITING:
            try:
                taken.append(self._waiting.get_nowait())
            except queue.Empty:
                break
        wanted = [one for one in taken if one is not None and one.answer.set_running_or_notify_cancel()]
        return wanted, None in taken

    def _append(self, requests: Sequence[_Request]) -> None:
        """Append the requests of one table; whatever goes wrong is their answer, and later ones are taken as before."""
        try:
            self._append_together(requests)
        except Exception as error:
            if not isinstance(error, HeadraceError):
                _log.exception("events of %s were not appended", requests[0].table)
                self._tables = None  # they may lack rows that are in the lake
            for one in requests:
                if not one.answer.done():
                    one.answer.set_exception(error)

    def _append_together(self, requests: Sequence[_Request]) -> None:
        """Append the requests of one table as one batch; one that is wrong does not hold up the others."""
        table, tables = self._declared(requests[0].table), self._live()
        expected = tables.source_schema(table.name)
        if expected is None:
            fix = "run `headrace run` first"
            raise NotFoundError("nothing of the table was loaded yet", where=table.name, fix=fix)
        accepted: list[tuple[_Request, pa.Table, int]] = []
        for one in requests:
            try:
                arrival = self._arrival()
                rows = event_rows(self._problem, table, one.rows, expected, tables)
                accepted.append((one, with_arrival(rows, arrival), arrival))
            except HeadraceError as error:
                one.answer.set_exception(error)
        # A column that is all null in the lake has no type yet: requests with other types are batches of their own.
        for _, group in itertools.groupby(accepted, key=lambda item: item[1].schema):
            self._commit(table, tables, list(group))

    def _commit(self, table: Table, tables: LiveTables, accepted: Sequence[tuple[_Request, pa.Table, int]]) -> None:
        rows, last = pa.concat_tables([rows for _, rows, _ in accepted]), accepted[-1][2]
        batch = self._lake.append(table, rows, arrival_us=last, source=_SOURCE)
        tables.extend(table, rows)
        self._lake.advance_clock(last + 1)
        tick = self._problem.tick_us
        self._due_us = floor_to_tick(last, tick) + tick
        for one, own, arrival in accepted:
            receipt = Receipt(
                table=table.name,
                rows=own.num_rows,
                arrival_us=arrival,
                visible_us=floor_to_tick(arrival, tick) + tick,
                batch=batch.id,
            )
            one.answer.set_result(receipt)

    def _refresh(self, tick_us: int) -> None:
        """Advance the clock to the tick and write the features at it; a failure is logged and left to `materialise`."""
        self._due_us = None
        try:
            self._lake.advance_clock(tick_us)
            tables = self._live()
            refresh(self._root, self._problem, tables, tick_us)
            with self._refreshed:
                self._refreshed_us = tick_us
                self._refreshed.notify_all()
        except Exception:
            _log.exception("features of %s were not refreshed after events", self._problem.name)

    def _live(self) -> LiveTables:
        if self._tables is None:
            self._tables = LiveTables(self._lake, self._problem)
        else:
            self._tables.synchronise()
        return self._tables

    def _declared(self, name: str) -> Table:
        known = {table.name: table for table in self._problem.entity_set.tables}
        if name not in known:
            raise DataError(f"no table {name!r}", where=self._problem.name, found=known, fix="name one of these")
        return known[name]

    def _arrival(self) -> int:
        """The present; later than every arrival before, so that two versions of a key have an order."""
        self._last_us = max(self._now(), self._last_us + 1, self._lake.clock() or 0)
        return self._last_us
