"""Requests written byte by byte, as no HTTP client would send them."""

from __future__ import annotations

import socket

END = b"\r\n\r\n"


def exchange(port: int, request: bytes, *, wait_s: float = 3.0) -> bytes:
    """What a server sends for some bytes, until it ends the connection or is silent for wait_s seconds."""
    found = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as opened:
        try:
            opened.sendall(request)
            while part := opened.recv(65536):
                found += part
                opened.settimeout(wait_s)
        except (TimeoutError, ConnectionError):
            pass
    return bytes(found)


def statuses(answer: bytes) -> list[int]:
    """The status of every response in an answer."""
    lines = [
        line for line in answer.replace(b"HTTP/1.1 ", b"\nHTTP/1.1 ").split(b"\n") if line.startswith(b"HTTP/1.1 ")
    ]
    return [int(line.split(b" ")[1]) for line in lines]


def get(path: str, port: int) -> bytes:
    """A GET of exactly this path; a client would clean it up."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode("latin-1")
