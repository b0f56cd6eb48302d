"""Clients that never finish: what they cost a server in memory, and others in waiting."""

from __future__ import annotations

import json
import select
import socket
import time
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, kw_only=True)
class Cost:
    """growth_mb: the server's resident memory at its highest during the attack, above that before it. answered,
    slowest_s: requests of an honest client meanwhile. left: of the attackers' connections at the end."""

    growth_mb: float
    answered: int
    slowest_s: float
    left: int


def attack(port: int, openings: Sequence[bytes], trickle: bytes, *, seconds: float) -> Cost:
    """Open a connection for each opening, add the trickle to all of them for some seconds, and see what becomes of it.

    An honest client asks /healthz on a new connection in every turn.
    """
    server = _listener(port)
    _ask(port)
    before = highest = server.memory_info().rss
    answered, slowest = 0, 0.0
    with ExitStack() as opened:
        held = [opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30)) for _ in openings]
        for one, opening in zip(held, openings, strict=True):
            one.setblocking(False)
            _push(one, opening)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for one in held:
                _push(one, trickle)
            started = time.monotonic()
            _ask(port)
            slowest = max(slowest, time.monotonic() - started)
            answered += 1
            highest = max(highest, server.memory_info().rss)
            time.sleep(0.1)
        left = sum(not _is_ended(one) for one in held)
    return Cost(growth_mb=(highest - before) / 1e6, answered=answered, slowest_s=slowest, left=left)


def _listener(port: int) -> psutil.Process:
    """The process that listens on a port of this machine."""
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
            return psutil.Process(connection.pid)
    raise LookupError(f"nobody listens on port {port}")


def _ask(port: int) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=60) as answer:
        assert json.load(answer) == {"status": "ok"}


def _push(one: socket.socket, data: bytes) -> None:
    """Send what the server takes now."""
    with suppress(BlockingIOError, ConnectionError):
        one.send(data)


def _is_ended(one: socket.socket) -> bool:
    """Did the server end this connection?"""
    while select.select([one], [], [], 0)[0]:
        try:
            if not one.recv(65536):
                return True
        except ConnectionError:
            return True
    return False
