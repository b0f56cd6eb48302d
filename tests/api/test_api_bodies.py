"""Bodies while they arrive: their size, their time, and what all of them hold together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastapi import Request

from headrace.api.bodies import BodyReader
from headrace.api.errors import RequestRefused

Receive = Callable[[], Awaitable[dict[str, Any]]]


def request(receive: Receive, **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": raw}, receive)  # type: ignore[arg-type]


def chunks(*parts: bytes, ended: bool = True) -> Receive:
    """Messages of a body; one that is not ended waits for ever after them."""
    left = list(parts)

    async def receive() -> dict[str, Any]:
        if left:
            part = left.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(left) or not ended}
        return await asyncio.Future()

    return receive


def refusal(reader: BodyReader, received: Receive, **headers: str) -> RequestRefused:
    with pytest.raises(RequestRefused) as caught:
        asyncio.run(reader.read(request(received, **headers)))
    return caught.value


def test_a_body_is_read_whole() -> None:
    assert asyncio.run(BodyReader(max_bytes=5).read(request(chunks(b"ab", b"", b"cde")))) == b"abcde"


@pytest.mark.parametrize("length", ["6", "9" * 50, "-1", "x"])
def test_a_length_beyond_the_limit_is_refused_unread(length: str) -> None:
    error = refusal(BodyReader(max_bytes=5), chunks(ended=False), content_length=length)
    assert (error.status_code, error.code) == (413, "too_large")


def test_a_body_beyond_the_limit_is_refused_as_soon_as_it_is() -> None:
    error = refusal(BodyReader(max_bytes=5), chunks(b"abc", b"def", ended=False))
    assert (error.status_code, error.code) == (413, "too_large")


def test_a_body_that_does_not_arrive_in_time_ends_with_its_connection() -> None:
    error = refusal(BodyReader(arrival_s=0.01), chunks(b"abc", ended=False))
    assert (error.status_code, error.code, error.headers) == (408, "too_slow", {"Connection": "close"})
    assert error.found == ("3 bytes came in 0.01 s",)


def test_a_client_that_goes_away_is_no_fault_of_ours() -> None:
    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    assert refusal(BodyReader(), gone).status_code == 400


def test_the_largest_unfinished_bodies_make_room_and_small_ones_are_read() -> None:
    async def run() -> list[Any]:
        reader = BodyReader(max_bytes=100, max_arriving_bytes=250, arrival_s=30)
        held = [asyncio.create_task(reader.read(request(chunks(b"x" * size, ended=False)))) for size in (90, 80, 60)]
        await asyncio.sleep(0)
        read = [await reader.read(request(chunks(b"y" * 30))) for _ in range(3)]
        done, _ = await asyncio.wait(held, return_when=asyncio.FIRST_COMPLETED)
        ended = [task in done for task in held]
        for task in held:
            task.cancel()
        errors = await asyncio.gather(*held, return_exceptions=True)
        return [read, ended, errors[0]]

    read, ended, error = asyncio.run(run())
    assert read == [b"y" * 30] * 3
    assert ended == [True, False, False]
    assert isinstance(error, RequestRefused)
    assert (error.status_code, error.code, error.headers) == (503, "busy", {"Connection": "close"})
