"""Count what a challenger does beside the champion: requests, failures, scoring times; decide whether to roll it back.

Both guards are tests that may be looked at at any time (`evaluate.sequential.share`). The latency guard compares a
challenger's scoring time with a multiple of the champion's 99th percentile: if the challenger is no slower than that
multiple, at most one time in a hundred is longer. Times of both are measured on the same rows, one after the other, in
the same thread.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

import numpy as np

from headrace.evaluate.sequential.share import exceeds
from headrace.schema import Rollout

#: Probability, at most, that a guard ever rolls a challenger back whose errors or times are within the limits.
ERROR = 0.001
#: Scoring times of the champion that its percentile is computed from, and the least number of them.
TIMES, LEAST_TIMES = 2_000, 200
#: Share of scoring times that may be longer than the limit; twice that of a 99th percentile, which is an estimate.
SLOW_SHARE = 0.02
#: Differences below this do not matter, seconds.
FLOOR_S = 0.001


@dataclass(frozen=True, kw_only=True)
class CountValues:
    """The counts of one rollout in one process.

    Attributes:
        requests: Rows that the challenger scored or failed to score.
        answered: Rows among them that it answered.
        errors: Rows that it failed to score.
        dropped: Rows that were not scored beside the answer, because too many waited.
        timed: Comparisons of scoring times.
        slow: Times of the challenger beyond the limit.
        last_error: The last failure, for people.
        champion_p99_s, challenger_p99_s: 99th percentiles of scoring times, seconds; None while too few are known.
    """

    requests: int
    answered: int
    errors: int
    dropped: int
    timed: int
    slow: int
    last_error: str
    champion_p99_s: float | None
    challenger_p99_s: float | None


class RolloutCounts:
    """Counts of one rollout in one process. Thread-safe.

    Args:
        rules: Limits of errors and latency.
    """

    def __init__(self, rules: Rollout) -> None:
        self._rules = rules
        self._lock = threading.Lock()
        self._requests = self._answered = self._errors = self._dropped = self._timed = self._slow = 0
        self._last_error = ""
        self._times: tuple[deque[float], deque[float]] = (deque(maxlen=TIMES), deque(maxlen=TIMES))
        self._limit_s: float | None = None

    def scored(self, rows: int, *, answered: bool = False) -> None:
        """Count rows that the challenger scored."""
        with self._lock:
            self._requests += rows
            self._answered += rows if answered else 0

    def failed(self, rows: int, error: Exception) -> None:
        """Count rows that the challenger failed to score, although the champion scored them."""
        with self._lock:
            self._requests += rows
            self._errors += rows
            self._last_error = f"{type(error).__name__}: {getattr(error, 'what', error)}"[:200]

    def dropped(self, rows: int) -> None:
        """Count rows that were not scored beside the answer."""
        with self._lock:
            self._dropped += rows

    def timed(self, champion_s: float, challenger_s: float) -> None:
        """Record the scoring times of the same rows by both versions, seconds."""
        with self._lock:
            known, own = self._times
            if self._limit_s is not None:
                self._timed += 1
                self._slow += challenger_s > self._limit_s
            known.append(champion_s)
            own.append(challenger_s)
            if len(known) >= LEAST_TIMES and (self._limit_s is None or len(known) % 50 == 0):
                self._limit_s = self._rules.latency * float(np.quantile(known, 0.99)) + FLOOR_S

    def values(self) -> CountValues:
        """Return the present counts."""
        with self._lock:
            champion, challenger = (
                float(np.quantile(times, 0.99)) if len(times) >= LEAST_TIMES else None for times in self._times
            )
            return CountValues(
                requests=self._requests, answered=self._answered, errors=self._errors, dropped=self._dropped,
                timed=self._timed, slow=self._slow, last_error=self._last_error, champion_p99_s=champion,
                challenger_p99_s=challenger,
            )  # fmt: skip

    def fault(self) -> str:
        """Return why the challenger has to be rolled back now; empty where it need not."""
        now = self.values()
        if exceeds(now.errors, now.requests, self._rules.errors, ERROR):
            return (
                f"{now.errors} of {now.requests} requests failed, more than {self._rules.errors:.1%} "
                f"(the last: {now.last_error})"
            )
        if exceeds(now.slow, now.timed, SLOW_SHARE, ERROR):
            times = (now.champion_p99_s, now.challenger_p99_s)
            champion_ms, own_ms = (float("nan") if one is None else one * 1000 for one in times)
            return (
                f"its scoring takes {own_ms:.2f} ms (99th percentile), more than {self._rules.latency:g} times the "
                f"champion's {champion_ms:.2f} ms"
            )
        return ""
