"""Deferred SIGINT for the study loop: Ctrl-C sets a flag that the loop checks between trials; a second one raises."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any


class Interrupts:
    """Context manager in which SIGINT sets `requested` instead of raising.

    Outside the main thread it has no effect, because Python handles signals in the main thread only.
    """

    def __init__(self) -> None:
        self.requested = False
        self._immediate = False
        self._previous_handler: Any = None

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._previous_handler = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._previous_handler is not None:
            signal.signal(signal.SIGINT, self._previous_handler)

    @contextmanager
    def immediate(self) -> Iterator[None]:
        """Let SIGINT raise inside the block and catch it at its end: for waiting, and for work that can be repeated."""
        self._immediate = True
        try:
            yield
        except KeyboardInterrupt:
            if not self.requested:
                raise
        finally:
            self._immediate = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        repeated, self.requested = self.requested, True
        if repeated or self._immediate:
            raise KeyboardInterrupt
