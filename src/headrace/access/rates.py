"""Limit how many requests one key or one address may send: token buckets (Turner, 1986), in the memory of a process.

A rate `N/s`, `N/min` or `N/h` is a bucket of N tokens that fills evenly in that period. A request takes one token.
Without one it is refused, with the time until there is one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from headrace.core.errors import DeclarationError

_PERIODS_S = {"s": 1, "min": 60, "h": 3600}
_RATE = re.compile(r"([1-9][0-9]{0,8})/(s|min|h)")
#: Buckets in memory: of more addresses than these, the one that has not been used for longest is forgotten.
MAX_BUCKETS = 10_000


@dataclass(frozen=True, kw_only=True)
class Rate:
    """At most `count` requests at once, and as many in each `period_s` seconds after that."""

    count: int
    period_s: int

    def __str__(self) -> str:
        unit = next(unit for unit, seconds in _PERIODS_S.items() if seconds == self.period_s)
        return f"{self.count}/{unit}"

    @classmethod
    def parse(cls, text: str, *, where: str) -> Rate:
        """Return the rate of a text such as `100/s`, `600/min` or `5000/h`.

        Raises:
            DeclarationError: It is none.
        """
        found = _RATE.fullmatch(text.strip())
        if found is None:
            raise DeclarationError(f"{text!r} is no rate", where=where, fix="write it as 100/s, 600/min or 5000/h")
        return cls(count=int(found[1]), period_s=_PERIODS_S[found[2]])


class Buckets:
    """The buckets of many clients. Of one thread.

    Args:
        max_buckets: Most clients in memory.
    """

    def __init__(self, max_buckets: int = MAX_BUCKETS) -> None:
        self._max_buckets = max_buckets
        #: Client -> tokens, and when they were counted (s); the one used last is the last one.
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait_s(self, client: str, rate: Rate, now_s: float) -> float:
        """Take a token of a client's bucket.

        Args:
            client: Key or address.
            rate: The client's limit.
            now_s: A clock that only goes forward, seconds.

        Returns:
            0.0 where there was a token, else the seconds until there is one.
        """
        per_s = rate.count / rate.period_s
        tokens, counted_s = self._buckets.pop(client, (float(rate.count), now_s))
        tokens = min(float(rate.count), tokens + max(0.0, now_s - counted_s) * per_s)
        taken = tokens >= 1.0
        self._buckets[client] = (tokens - 1.0 if taken else tokens, now_s)
        if len(self._buckets) > self._max_buckets:
            del self._buckets[next(iter(self._buckets))]
        return 0.0 if taken else (1.0 - tokens) / per_s
