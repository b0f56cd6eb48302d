"""Ctrl-C as a wish: noted when it comes, acted on where nothing is half done. A second one is not so patient."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any


class Interrupts:
    """While it is entered, SIGINT sets `seen` instead of raising. In other threads than the main one it does nothing,
    for Python takes signals in the main thread only."""

    def __init__(self) -> None:
        self.seen = False
        self._inside = False
        self._before: Any = None

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    @contextmanager
    def raised_here(self) -> Iterator[None]:
        """Inside, Ctrl-C raises at once, and what it raises ends here: for waiting, and for work that can be lost."""
        self._inside = True
        try:
            yield
        except KeyboardInterrupt:
            if not self.seen:
                raise
        finally:
            self._inside = False

    def _take(self, number: int, frame: FrameType | None) -> None:
        again, self.seen = self.seen, True
        if again or self._inside:
            raise KeyboardInterrupt
