"""A load of HTTP requests on keep-alive connections, with as little processor time of its own as can be.

Every connection sends its next request when its last was answered (a closed loop), so that the rate is what the server
can do. One process, asyncio, and an HTTP client of ten lines: httpx takes as long for a request as the server does.
"""

from __future__ import annotations

import asyncio
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, kw_only=True)
class Load:
    """What a load measured. latencies_s: of each request, sorted. server_cpu_s: processor time of the server."""

    connections: int
    seconds: float
    latencies_s: tuple[float, ...]
    server_cpu_s: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.latencies_s) / self.seconds

    @property
    def cpu_ms(self) -> float:
        """The server's processor time for one request, ms."""
        return self.server_cpu_s / len(self.latencies_s) * 1000

    def percentile_ms(self, share: float) -> float:
        """The latency that this share of the requests did not exceed, ms."""
        return self.latencies_s[min(len(self.latencies_s) - 1, int(share * len(self.latencies_s)))] * 1000


def http_request(path: str, body: bytes, port: int) -> bytes:
    """A POST of a JSON body as it goes over the wire."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def measure(
    port: int, pid: int, requests: Sequence[bytes], *, connections: int, seconds: float, pause_s: float = 0.0
) -> Load:
    """Send the requests in turn, over and over, for so many seconds. RuntimeError for an answer that is not 200.

    pause_s: of a connection between an answer and its next request.
    """
    before = _cpu_s(pid)
    started = time.perf_counter()
    latencies = asyncio.run(_all(port, requests, connections, started + seconds, pause_s))
    ended = time.perf_counter()
    return Load(
        connections=connections,
        seconds=ended - started,
        latencies_s=tuple(sorted(latencies)),
        server_cpu_s=_cpu_s(pid) - before,
    )


def memory_mb(pid: int) -> float:
    """Resident memory of a process and its children, MB."""
    return sum(process.memory_info().rss for process in _family(pid)) / 2**20


def _cpu_s(pid: int) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in _family(pid))


def _family(pid: int) -> list[psutil.Process]:
    server = psutil.Process(pid)
    return [server, *server.children(recursive=True)]


async def _all(port: int, requests: Sequence[bytes], connections: int, until: float, pause_s: float) -> list[float]:
    shares = [_one(port, requests[at:] + requests[:at], until, pause_s) for at in range(connections)]
    return [latency for share in await asyncio.gather(*shares) for latency in share]


async def _one(port: int, requests: Sequence[bytes], until: float, pause_s: float) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    latencies: list[float] = []
    sent = 0
    while time.perf_counter() < until:
        started = time.perf_counter()
        writer.write(requests[sent % len(requests)])
        await _read_answer(reader)
        latencies.append(time.perf_counter() - started)
        sent += 1
        if pause_s:
            await asyncio.sleep(pause_s)
    writer.close()
    return latencies


async def _read_answer(reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = next(line for line in head.split("\r\n") if line.startswith("content-length:"))
    body = await reader.readexactly(int(length.partition(":")[2]))
    if " 200 " not in head.partition("\r\n")[0]:
        raise RuntimeError(f"the server answered {head.partition(chr(13))[0]}: {body[:500]!r}")


def wait_until_ready(port: int, timeout_s: float = 120.0, path: str = "/readyz") -> None:
    """Return once a path answers 200. Raises TimeoutError."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10):
                return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(f"no server on port {port} was ready within {timeout_s:g} s")
