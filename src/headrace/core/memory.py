"""Measure this process's resident memory and its peak, and release unused memory to the operating system."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType

import psutil
import pyarrow as pa

#: Seconds between two looks of a Watch.
_SAMPLE_INTERVAL_S = 0.005


def resident_bytes() -> int:
    """Return the resident memory of the process in bytes, libraries included."""
    return int(psutil.Process().memory_info().rss)


def release_unused_memory() -> None:
    """Release unused memory of Arrow's pool and of the C library (on Linux with glibc) to the operating system."""
    pa.default_memory_pool().release_unused()
    trim = _TRIM
    if trim is not None:
        trim(0)


#: The memory limit of the work at hand.
_LIMIT: ContextVar[int | None] = ContextVar("memory_limit", default=None)


@contextmanager
def memory_limit(limit: int | None) -> Iterator[None]:
    """Context manager in which `current_limit` is a limit in bytes; None: there is none."""
    token = _LIMIT.set(limit)
    try:
        yield
    finally:
        _LIMIT.reset(token)


def current_limit() -> int | None:
    """Return how many bytes the process may hold during the work at hand, for code that libraries call back."""
    return _LIMIT.get()


def _find_trim() -> ctypes._NamedFuncPointer | None:
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)


_TRIM = _find_trim()


class PeakMemory:
    """Context manager that measures the peak resident memory of its block, sampled every few milliseconds."""

    def __init__(self) -> None:
        self.peak = resident_bytes()
        self._finished = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def _sample(self) -> None:
        while not self._finished.wait(_SAMPLE_INTERVAL_S):
            self.peak = max(self.peak, resident_bytes())

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finished.set()
        self._thread.join()
        self.peak = max(self.peak, resident_bytes())
