"""Guarded connections: only public addresses and allowed networks are connected to, whatever a name resolves to."""

from __future__ import annotations

import http.client
import smtplib
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
import requests

from headrace.access.outbound import RefusedAddressError, guarded_connections, is_allowed, parse_networks
from headrace.core.errors import DeclarationError


class Inside(ThreadingHTTPServer):
    """A service of the private network. visits: how many requests it got; location: where it sends callers on to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.visits = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Inside

    def do_GET(self) -> None:
        self.server.visits += 1
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def inside() -> Iterator[Inside]:
    with Inside() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254",
        "169.254.170.2", "192.0.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1",
        "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
        "64:ff9b::7f00:1", "64:ff9b::169.254.169.254", "2002:7f00:1::1", "2002:a9fe:a9fe::", "localhost",
        "metadata.google.internal", "2130706433", "0x7f000001", "127.1", "",
    ],
)  # fmt: skip
def test_what_is_not_public_is_refused(host: str) -> None:
    assert not is_allowed(host)


@pytest.mark.parametrize("host", ["8.8.8.8", "2606:4700:4700::1111", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8"])
def test_public_addresses_are_allowed(host: str) -> None:
    assert is_allowed(host)


def test_allowed_networks_are_those_alone() -> None:
    networks = parse_networks("10.0.0.0/24, fd00::/8,", where="-")
    assert all(is_allowed(host, networks) for host in ("10.0.0.7", "::ffff:10.0.0.7", "fd12::1"))
    assert not any(is_allowed(host, networks) for host in ("10.0.1.1", "127.0.0.1"))
    with pytest.raises(DeclarationError, match=r"'10\.0\.0\.1/24' is no network"):
        parse_networks("10.0.0.1/24", where="HEADRACE_ALERT_NETWORKS")


def _requests(address: str) -> None:
    requests.get(f"http://{address}/", timeout=5)


def _httpx(address: str) -> None:
    with httpx.Client(trust_env=False) as client:
        client.get(f"http://{address}/")


def _urllib(address: str) -> None:
    urllib.request.urlopen(f"http://{address}/", timeout=5)


def _client(address: str) -> None:
    http.client.HTTPConnection(address, timeout=5).request("GET", "/")


def _smtp(address: str) -> None:
    host, _, port = address.partition(":")
    smtplib.SMTP(host, int(port), timeout=5)


def _unresolved(address: str) -> None:
    host, _, port = address.partition(":")
    with socket.socket() as one:
        one.connect((host, int(port)))


def _datagram(address: str) -> None:
    host, _, port = address.partition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(b"x", (host, int(port)))


_LIBRARIES = (_requests, _httpx, _urllib, _client, _smtp, _unresolved, _datagram)


@pytest.mark.parametrize("call", _LIBRARIES, ids=lambda call: call.__name__)
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_no_library_reaches_the_inside(inside: Inside, call: Callable[[str], None], name: str) -> None:
    with guarded_connections() as guard, pytest.raises((OSError, httpx.HTTPError)):
        call(f"{name}:{inside.server_port}")
    assert guard.refused
    assert inside.visits == 0


def test_a_name_that_is_rebound_after_a_look_is_refused_when_it_is_connected_to(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first answer of the name server is public, every later one is this machine (DNS rebinding)."""
    answers = iter(["8.8.8.8"])
    resolve = socket.getaddrinfo

    def rebinding(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        return resolve(next(answers, "127.0.0.1") if host == "hook.example" else host, port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    looked_up = socket.getaddrinfo("hook.example", 80)[0][4][0]
    assert is_allowed(str(looked_up))
    with guarded_connections() as guard, pytest.raises(requests.ConnectionError):
        requests.get(f"http://hook.example:{inside.server_port}/", timeout=5)
    assert guard.refused == ["127.0.0.1"]
    assert inside.visits == 0


def test_allowed_networks_are_reached_and_outside_the_block_nothing_is_checked(inside: Inside) -> None:
    with guarded_connections(parse_networks("127.0.0.0/8", where="-")) as guard:
        _requests(inside.address)
    assert guard.refused == []
    _requests(inside.address)
    with guarded_connections():
        other = threading.Thread(target=_requests, args=(inside.address,))  # another thread's work goes on
        other.start()
        other.join()
    assert inside.visits == 3


def test_sockets_of_this_machine_that_are_no_network_are_not_checked(tmp_path: Any) -> None:
    with guarded_connections() as guard, socket.socket(socket.AF_UNIX) as one, pytest.raises(FileNotFoundError):
        one.connect(str(tmp_path / "nothing"))
    assert guard.refused == []


def test_a_refusal_is_an_error_of_the_connection() -> None:
    with guarded_connections(), pytest.raises(RefusedAddressError, match=r"10\.0\.0\.1 is not a public address"):
        socket.create_connection(("10.0.0.1", 80), timeout=1)
