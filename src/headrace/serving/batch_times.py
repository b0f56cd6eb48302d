"""When the steps of a batch of calls ended: stored features read, rows scored, log written; for metrics and traces."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class BatchTimes:
    """Ends of the steps of a batch. Instants are nanoseconds since 1970.

    Attributes:
        started_ns: The batch was taken from the queue.
        read_ns: The stored features were read.
        scored_ns: The model had predicted.
        logged_ns: The rows were written to the log.
    """

    started_ns: int
    read_ns: int
    scored_ns: int
    logged_ns: int


class BatchClock:
    """Takes the time of a batch, from its creation on."""

    def __init__(self) -> None:
        self._ends_ns = [time.time_ns()]

    def step_ended(self) -> None:
        """Take the time: a step has ended."""
        self._ends_ns.append(time.time_ns())

    def times(self) -> BatchTimes:
        """Return the times of a batch whose last step ends now, the third."""
        started, read, scored = self._ends_ns
        return BatchTimes(started_ns=started, read_ns=read, scored_ns=scored, logged_ns=time.time_ns())
