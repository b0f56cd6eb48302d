"""Fields of the present request or run, such as its id, for every log line and span that is written meanwhile.

A field follows the code of its request through awaits and into threads that copy the context; requests that are
answered at the same time do not see each other's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

#: What a client may name its request: it is written to logs and sent back.
_VALID_ID = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")

_fields: ContextVar[Mapping[str, str]] = ContextVar("headrace_fields", default=MappingProxyType({}))
#: Id of the present request; empty outside of one. A variable of its own, because every request sets it.
REQUEST_ID: ContextVar[str] = ContextVar("headrace_request_id", default="")


@contextmanager
def log_fields(**fields: str) -> Iterator[None]:
    """Add fields to everything that is logged inside the block."""
    token = _fields.set({**_fields.get(), **fields})
    try:
        yield
    finally:
        _fields.reset(token)


def current_fields() -> dict[str, str]:
    """Return the fields of the present request or run; `request_id` is one of them inside a request."""
    request_id = REQUEST_ID.get()
    return {**_fields.get(), **({"request_id": request_id} if request_id else {})}


def request_id_of(given: bytes | None) -> str:
    """Return the id of a request: the client's X-Request-ID where it is valid, else a new one of 32 hexadecimal digits.

    Args:
        given: The header's value; None where there is none.
    """
    if given is not None and _VALID_ID.fullmatch(given):
        return given.decode("ascii")
    return os.urandom(16).hex()
