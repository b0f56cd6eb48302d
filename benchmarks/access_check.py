"""Measure the processor time that the check of an API key adds to a request: `python -m benchmarks.access_check`."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headrace.access.audit_log import AuditLog
from headrace.access.denials import Denials
from headrace.access.gate import Gate
from headrace.access.key_file import KeyFile
from headrace.access.key_ring import KeyRing
from headrace.access.keys import Key, digest_of
from headrace.access.rates import Rate
from headrace.access.scopes import Scope
from headrace.api.access.check import AccessCheck
from headrace.api.access.control import AccessControl

#: Keys in the file, calls of a round, rounds.
KEYS, CALLS, ROUNDS = 100, 20_000, 7


def main() -> None:
    """Print microseconds a request: the least of some rounds, for the machine may have other work."""
    with tempfile.TemporaryDirectory() as folder:
        file = KeyFile(path=Path(folder, "keys.json"))
        record = Key(id="", digest="", name="", scopes=frozenset(Scope), created_s=0)
        texts = [file.create(Key(**{**vars(record), "name": f"client {number}"}))[1] for number in range(KEYS)]
        gate = Gate(ring=KeyRing(file, time.monotonic), key_rate=Rate(count=10**8, period_s=1))
        control = AccessControl(gate=gate, denials=Denials(AuditLog(Path(folder)), lambda: 0))
        request = _request(texts[-1])
        with_check = _least_us(_driven(AccessCheck(_application, control, "shop"), request))
        without = _least_us(_driven(_application, request))
        hashed = _least_us(lambda: digest_of(texts[-1].encode()))
    print(f"check of a key: {with_check - without:.1f} us a request, of which its hash takes {hashed:.1f} us")


async def _application(scope: Any, receive: Any, send: Any) -> None:
    """Answer nothing."""


def _request(key: str) -> dict[str, Any]:
    headers = {"host": "localhost", "user-agent": "x", "accept": "*/*", "content-type": "application/json",
               "content-length": "99", "authorization": f"Bearer {key}"}  # fmt: skip
    return {
        "type": "http", "method": "POST", "path": "/predict", "root_path": "", "query_string": b"",
        "client": ("127.0.0.1", 1), "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip


def _driven(application: Any, request: dict[str, Any]) -> Callable[[], None]:
    def drive() -> None:
        try:
            application(request, None, None).send(None)
        except StopIteration:
            return

    return drive


def _least_us(call: Callable[[], Any]) -> float:
    rounds = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(CALLS):
            call()
        rounds.append((time.process_time() - started) / CALLS * 1e6)
    return min(rounds)


if __name__ == "__main__":
    main()
