"""Limits of a connection, on a real socket: whoever is slow, silent, endless or many ends, and others are answered."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
import uvicorn

from headrace.api.connections import LimitedProtocol, Limits

GOOD = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Quick(LimitedProtocol):
    """Limits that a test can wait for."""

    limits: ClassVar[Limits] = Limits(head_s=0.3, request_s=0.3, answer_s=0.3, head_bytes=4096, connections=5)
    waiting: ClassVar[dict[LimitedProtocol, None]] = {}


async def read_all(scope: Any, receive: Any, send: Any) -> None:
    """An application that reads the whole body, however long that takes."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        if not message.get("more_body"):
            break
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(read_all, http=Quick, ws="none", lifespan="off", log_level="critical")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield int(listener.getsockname()[1])
    server.should_exit = True
    thread.join(30)


@pytest.fixture
def client(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as opened:
        yield opened


def all_of(client: socket.socket) -> bytes:
    """What the server sends until it ends the connection."""
    found = bytearray()
    try:
        while part := client.recv(65536):
            found += part
    except ConnectionResetError:
        pass
    return bytes(found)


def error_in(answer: bytes) -> tuple[int, str]:
    """Status and code of an error in our form."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    return int(head.split(b" ")[1]), json.loads(body)["error"]["code"]


def is_answered(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as honest:
        honest.sendall(GOOD)
        return honest.recv(4096).startswith(b"HTTP/1.1 200")


def test_a_silent_connection_ends(client: socket.socket) -> None:
    assert all_of(client) == b""


@pytest.mark.parametrize("sent", [b"G", GOOD[:-2], b"GET / HTTP/1.1\r\nX: " + b"x" * 100])
def test_an_unfinished_head_ends(client: socket.socket, sent: bytes) -> None:
    client.sendall(sent)
    assert error_in(all_of(client)) == (408, "too_slow")


def test_a_head_that_trickles_in_ends_all_the_same(client: socket.socket) -> None:
    # More lines than fit in the time for a head, each sent as soon as the last was taken.
    client.sendall(b"GET / HTTP/1.1\r\n")
    client.settimeout(0.05)
    answer = b""
    while not answer:
        try:
            client.sendall(b"X: y\r\n")
            answer = client.recv(4096)
        except TimeoutError:
            continue
    assert error_in(answer) == (408, "too_slow")


def test_an_unfinished_body_ends(client: socket.socket) -> None:
    client.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc")
    assert all_of(client) == b""


def test_an_idle_connection_whose_next_request_never_ends_ends(client: socket.socket) -> None:
    client.sendall(GOOD)
    assert client.recv(4096).startswith(b"HTTP/1.1 200")
    client.sendall(b"\r\n")
    assert all_of(client) in (b"", b"ok")


def test_a_head_without_end_is_refused(client: socket.socket) -> None:
    client.sendall(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 1000)
    assert error_in(all_of(client)) == (431, "too_large")


def test_what_is_no_http_is_refused_in_our_form(client: socket.socket) -> None:
    client.sendall(b"\x16\x03\x01\x02\x00 not HTTP\r\n\r\n")
    assert error_in(all_of(client)) == (400, "bad_request")


def test_a_thousand_requests_at_once_end_the_connection(client: socket.socket) -> None:
    client.sendall(GOOD * 1000)
    assert all_of(client).count(b"HTTP/1.1 200") < 20


def test_a_finished_request_has_no_deadline_and_the_connection_is_kept(client: socket.socket) -> None:
    for _ in range(3):
        client.sendall(GOOD)
        assert client.recv(4096).startswith(b"HTTP/1.1 200")


def test_the_longest_wait_makes_room_for_a_new_connection(port: int) -> None:
    held = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(20)]
    for one in held:
        one.sendall(b"GET / HTTP/1.1\r\n")
    assert all(is_answered(port) for _ in range(5))
    for one in held:
        all_of(one)
        one.close()
