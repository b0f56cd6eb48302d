"""Consume events from a log of messages, as Kafka's consumers do, and append them through the gateway.

`Consumer` has the two calls of Kafka's clients that are needed, so that a thin adapter connects one. `MemoryLog` is a
log in this process, for tests and single-machine use. Delivery is at least once: offsets are committed after the rows
are in the lake, and a repeat of a key's newest row is dropped when the lake is read.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from headrace.core.errors import DataError, UnavailableError
from headrace.streaming.gateway import EventGateway, Receipt

_log = logging.getLogger(__name__)

#: Records that wait for the lake at a time; after them their offset is committed.
_AT_ONCE = 200


@dataclass(frozen=True, kw_only=True)
class Record:
    """A message: where it stands in the log, and a row's values by column."""

    topic: str
    offset: int
    value: Mapping[str, Any]


class Consumer(Protocol):
    """What is read from; one group of consumers, one partition per topic."""

    def poll(self, timeout_s: float) -> Sequence[Record]:
        """Return the next records, of any topics; none where nothing came within the time."""

    def commit(self, offsets: Mapping[str, int]) -> None:
        """Record per topic the offset that is read next after a restart."""


class MemoryLog:
    """A log of messages in this process, with a consumer's position in each topic."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._read = 0
        self._changed = threading.Condition()
        self.committed: dict[str, int] = {}

    def send(self, topic: str, value: Mapping[str, Any]) -> Record:
        """Append a message."""
        with self._changed:
            offset = sum(one.topic == topic for one in self._records)
            record = Record(topic=topic, offset=offset, value=value)
            self._records.append(record)
            self._changed.notify_all()
        return record

    def poll(self, timeout_s: float) -> Sequence[Record]:
        """Return the messages since the last poll."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._records) > self._read, timeout_s)
            found = self._records[self._read :]
            self._read = len(self._records)
        return found

    def commit(self, offsets: Mapping[str, int]) -> None:
        """Record the offsets that are read next."""
        self.committed |= offsets

    def restart(self) -> None:
        """Continue from the committed offsets, as a consumer that was killed does."""
        with self._changed:
            left = [one for one in self._records if one.offset >= self.committed.get(one.topic, 0)]
            self._read = len(self._records) - len(left)
            self._records = [*(one for one in self._records if one not in left), *left]


def consume(
    consumer: Consumer,
    gateway: EventGateway,
    tables: Mapping[str, str],
    stopped: threading.Event,
    *,
    poll_s: float = 0.2,
    refused: list[tuple[Record, DataError]] | None = None,
) -> None:
    """Append records to the lake until stopped.

    Args:
        consumer: where they come from.
        gateway: what appends them; started.
        tables: topic -> table.
        stopped: ends the loop.
        poll_s: how long one poll waits.
        refused: takes the records that are wrong, each with its error; they are logged and skipped.
    """
    while not stopped.is_set():
        records = consumer.poll(poll_s)
        for topic in dict.fromkeys(one.topic for one in records if one.topic in tables):
            own = [one for one in records if one.topic == topic]
            for start in range(0, len(own), _AT_ONCE):
                part = own[start : start + _AT_ONCE]
                if not _append(gateway, tables[topic], part, refused, stopped, poll_s):
                    return
                consumer.commit({topic: part[-1].offset + 1})


def _append(
    gateway: EventGateway,
    table: str,
    records: Sequence[Record],
    refused: list[tuple[Record, DataError]] | None,
    stopped: threading.Event,
    poll_s: float,
) -> bool:
    """Append records of one table in order; each by itself, so that a wrong one is known.

    Where too many events wait, it waits too. Returns whether all were appended or refused: not where it was stopped.
    """
    answers: list[tuple[Record, Future[Receipt]]] = []
    for record in records:
        answer = _submitted(gateway, table, record, stopped, poll_s)
        if answer is None:
            return False
        answers.append((record, answer))
    for record, answer in answers:
        try:
            answer.result()
        except DataError as error:
            _log.warning("record %d of %s is refused: %s", record.offset, record.topic, error)
            if refused is not None:
                refused.append((record, error))
    return True


def _submitted(
    gateway: EventGateway, table: str, record: Record, stopped: threading.Event, poll_s: float
) -> Future[Receipt] | None:
    """Hand over a record as soon as the gateway takes it; None where it was stopped before."""
    reason = ""
    while True:
        try:
            return gateway.submit(table, [record.value])
        except UnavailableError as error:
            if str(error) != reason:
                reason = str(error)
                _log.warning("record %d of %s waits: %s", record.offset, record.topic, reason)
        if stopped.wait(poll_s):
            return None
