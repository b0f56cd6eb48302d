"""Requests that two servers would cut apart differently: request smuggling.

A proxy in front that ends a request elsewhere than the API does lets an attacker put a request of his own into another
client's connection. So a request whose end can be read in two ways is refused, and nothing behind it is answered.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.security.target import Target
from tests.security.wire import END, exchange, statuses

pytestmark = [pytest.mark.security, pytest.mark.timeout(120)]

START = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
HIDDEN = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked"
CUT = b"0\r\n\r\n" + HIDDEN

#: How a request is ambiguous: its head after START, and what follows the head.
AMBIGUOUS = {
    "Content-Length and Transfer-Encoding (CL.TE)": (b"Content-Length: %d\r\n" % len(CUT) + CHUNKED, CUT),
    "Transfer-Encoding and Content-Length (TE.CL)": (CHUNKED + b"\r\nContent-Length: 4", CUT),
    "two lengths": (b"Content-Length: 2\r\nContent-Length: %d" % (2 + len(HIDDEN)), b"{}" + HIDDEN),
    "a list of lengths": (b"Content-Length: 2, %d" % (2 + len(HIDDEN)), b"{}" + HIDDEN),
    "a length with a sign": (b"Content-Length: +2", b"{}" + HIDDEN),
    "a length in hexadecimal": (b"Content-Length: 0x2", b"{}" + HIDDEN),
    "a length with an underscore": (b"Content-Length: 1_0", b"{}        " + HIDDEN),
    "a space before the colon": (b"Content-Length : 2", b"{}" + HIDDEN),
    "a header folded onto a second line": (b"X: y\r\n Content-Length: 2", b"{}" + HIDDEN),
    "a folded Transfer-Encoding": (b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 4", CUT),
    "Transfer-Encoding of another name": (b"Transfer-Encoding: xchunked\r\nContent-Length: 4", CUT),
    "Transfer-Encoding twice": (CHUNKED + b"\r\nTransfer-Encoding: identity", CUT),
    "Transfer-Encoding with a vertical tab": (b"Transfer-Encoding: \x0bchunked\r\nContent-Length: 4", CUT),
    "a chunk whose length is negative": (CHUNKED, b"-1\r\n{}\r\n" + CUT),
    "a chunk whose length overflows": (CHUNKED, b"fffffffffffffffff2\r\n{}\r\n" + CUT),
    "a chunk that ends without its line": (CHUNKED, b"2\r\n{}" + CUT),
    "lines that end in a bare line feed": (b"Content-Length: 2\nX: y", b"{}" + HIDDEN),
    "a zero byte in a header": (b"X: \x00\r\nContent-Length: 2", b"{}" + HIDDEN),
}


@pytest.mark.parametrize("how", AMBIGUOUS)
@pytest.mark.attack("a second request hidden behind {how}", target="prediction API")
def test_a_hidden_request_is_not_answered(target: Target, how: str, record_property: Any) -> None:
    head, rest = AMBIGUOUS[how]
    answer = exchange(target.ports["api"], START + head + END + rest)
    record_property("observed", f"answered with {statuses(answer)}")
    assert b'"status":"ok"' not in answer  # what the hidden request asks for
    assert len(statuses(answer)) <= 1
    assert not statuses(answer) or 400 <= statuses(answer)[0] < 500


@pytest.mark.attack("no Host, two Hosts, a Host of another name", target="prediction API")
def test_the_host_is_one_of_the_servers_own(target: Target, record_property: Any) -> None:
    heads = (
        b"",
        b"Host: evil.example\r\n",
        b"Host: localhost\r\nHost: evil.example\r\n",
        b"Host: localhost@evil.example\r\n",
    )
    found = [statuses(exchange(target.ports["api"], b"GET /model HTTP/1.1\r\n" + head + b"\r\n")) for head in heads]
    record_property("observed", f"answered with {found}")
    assert found == [[400]] * len(heads)
