"""Decide about one request: whose key it carries, whether the key may do this, and whether it comes too often.

Nothing here knows HTTP: the API translates a `DeniedError` to a status (`headrace.api.access`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from headrace.access.key_ring import KeyRing
from headrace.access.keys import Key
from headrace.access.rates import Buckets, Rate
from headrace.access.scopes import Scope

Reason = Literal[
    "missing", "ambiguous", "in_address", "unknown", "expired", "revoked",
    "scope", "problem", "key_rate", "address_rate",
]  # fmt: skip
#: Failed authentications of one address; beyond them it is told to wait.
FAILURES = Rate(count=60, period_s=60)


class DeniedError(Exception):
    """A request that may not be.

    Attributes:
        reason: Why.
        key: The record of its key, where the key is known.
        wait_s: Seconds after which it may be sent again; 0.0 where waiting does not help.
    """

    def __init__(self, *, reason: Reason, key: Key | None = None, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.key = key
        self.wait_s = wait_s


@dataclass(kw_only=True)
class Gate:
    """The checks of a server. Of one thread.

    Attributes:
        ring: Accepted keys.
        key_rate: Limit of keys that have none of their own; None for no limit.
        address_rate: Limit of each address; None for no limit.
        clock_s: A clock that only goes forward, seconds, for the limits.
        wall_s: Wall clock, seconds since 1970, for the ends of keys.
    """

    ring: KeyRing
    key_rate: Rate | None = None
    address_rate: Rate | None = None
    clock_s: Callable[[], float] = time.monotonic
    wall_s: Callable[[], float] = time.time
    _keys: Buckets = field(default_factory=Buckets)
    _addresses: Buckets = field(default_factory=Buckets)
    _failures: Buckets = field(default_factory=Buckets)

    def arrive(self, address: str) -> None:
        """Count a request of an address.

        Raises:
            DeniedError: The address sends too many.
        """
        if self.address_rate is not None:
            wait_s = self._addresses.wait_s(address, self.address_rate, self.clock_s())
            if wait_s:
                raise DeniedError(reason="address_rate", wait_s=wait_s)

    def admit(self, presented: bytes, scopes: frozenset[Scope], problem: str | None) -> Key:
        """Return the record of a key that may do what a request asks for.

        Args:
            presented: What should be a key.
            scopes: All that the request needs.
            problem: The problem that it is about; None for none in particular.

        Raises:
            DeniedError: It may not.
        """
        key = self.ring.find(presented)
        if key is None:
            raise DeniedError(reason="unknown")
        state = key.state(self.wall_s())
        if state != "active":
            raise DeniedError(reason="revoked" if state == "revoked" else "expired", key=key)
        rate = key.rate or self.key_rate
        if rate is not None:
            wait_s = self._keys.wait_s(key.id, rate, self.clock_s())
            if wait_s:
                raise DeniedError(reason="key_rate", key=key, wait_s=wait_s)
        if problem is not None and not key.allows(problem):
            raise DeniedError(reason="problem", key=key)
        if not scopes <= key.scopes:
            raise DeniedError(reason="scope", key=key)
        return key

    def fail(self, address: str) -> float:
        """Count a failed authentication of an address; return how long it has to wait, s, 0.0 for not yet."""
        return self._failures.wait_s(address, FAILURES, self.clock_s())
