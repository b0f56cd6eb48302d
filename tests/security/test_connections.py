"""Clients that never finish, and send more than they should.

Each attack holds two hundred connections for some seconds. Others are answered meanwhile, and what the attack holds in
the server's memory is bounded, whatever it sends.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.security.flood import attack
from tests.security.target import Target
from tests.security.wire import END, exchange, statuses

pytestmark = [pytest.mark.security, pytest.mark.timeout(300)]

CLIENTS = 200
SECONDS = 15.0
MOST_MB = 30.0
SLOWEST_S = 10.0  # cores may be busy; without limits nobody would be answered at all
POST = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"

#: What is held: how a connection is opened, and what is added to it over and over.
HELD = {
    "heads that never end": (b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"X: y\r\n"),
    "heads that grow without end": (b"POST /predict HTTP/1.1\r\n", b"X: " + b"y" * 5000 + b"\r\n"),
    "one header that grows without end": (b"POST /predict HTTP/1.1\r\nX: ", b"y" * 5000),
    "bodies of 2 MB that never end": (POST + b"Content-Length: 2000000" + END, b" " * 200_000),
    "bodies in chunks that never end": (
        POST + b"Transfer-Encoding: chunked" + END,
        b"8000\r\n" + b" " * 32_768 + b"\r\n",
    ),
    "bodies of 2 MB that nobody reads": (
        POST.replace(b"/predict", b"/x") + b"Content-Length: 2000000" + END,
        b" " * 200_000,
    ),
    "thousands of requests before the first answer": (
        b"GET /model HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 2000,
        b"\r\n",
    ),
    "connections that say nothing": (b"", b""),
}


#: The rest is left out of `make security QUICK=1`.
SHORT = ("bodies of 2 MB that never end",)


@pytest.mark.parametrize("what", [pytest.param(what, marks=[] if what in SHORT else pytest.mark.long) for what in HELD])
@pytest.mark.attack("200 connections hold {what}", target="prediction API")
def test_connections_that_are_held(target: Target, what: str, record_property: Any) -> None:
    opening, trickle = HELD[what]
    cost = attack(target.ports["api"], [opening] * CLIENTS, trickle, seconds=SECONDS)
    record_property(
        "observed",
        f"memory grew by {cost.growth_mb:.0f} MB; {cost.answered} other requests were answered, the slowest in"
        f" {cost.slowest_s:.1f} s; {cost.left} connections were left after {SECONDS:g} s",
    )
    assert cost.growth_mb < MOST_MB
    assert cost.slowest_s < SLOWEST_S
    assert cost.left < CLIENTS / 4


@pytest.mark.attack("a body of 3 MB, declared", target="prediction API")
def test_a_large_body(target: Target, record_property: Any) -> None:
    answer = exchange(target.ports["api"], POST + b"Content-Length: 3000000" + END + b" " * 100_000)
    record_property("observed", statuses(answer))
    assert statuses(answer) == [413]


@pytest.mark.attack("a body in chunks that says nothing of its 3 MB", target="prediction API")
def test_a_large_body_in_chunks(target: Target, record_property: Any) -> None:
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    answer = exchange(target.ports["api"], POST + b"Transfer-Encoding: chunked" + END + chunk * 46 + b"0\r\n\r\n")
    record_property("observed", statuses(answer))
    assert statuses(answer) == [413]


@pytest.mark.attack("a batch of ten thousand rows", target="prediction API")
def test_a_large_batch(target: Target, record_property: Any) -> None:
    body = b'{"rows": [' + b",".join([b'{"a": 1}'] * 10_000) + b"]}"
    head = POST.replace(b"/predict", b"/predict/batch") + b"Content-Length: %d" % len(body) + END
    answer = exchange(target.ports["api"], head + body)
    record_property("observed", statuses(answer))
    assert statuses(answer) == [422]
