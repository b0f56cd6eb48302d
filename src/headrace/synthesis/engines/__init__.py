"""Engines that compute stored definitions. This module is the front: nothing outside imports what is below.

`default_engine` chooses the engine of a run; callers hand it on as an argument.
"""

from __future__ import annotations

from collections.abc import Callable

from headrace.synthesis.engines.local import LocalEngine
from headrace.synthesis.engines.memory.limited import MemoryLimitedEngine
from headrace.synthesis.language.engine import Engine

__all__ = ["LocalEngine", "MemoryLimitedEngine", "default_engine"]


def default_engine(
    *, threads: int = 2, max_memory: int | None = None, progress: Callable[[str], None] | None = None
) -> Engine:
    """The engine that computes in this process.

    Args:
        threads: how many groups of features it computes at a time.
        max_memory: bytes that the process may hold in all while it computes; None: no limit.
        progress: called with a line of text now and then.
    """
    engine = LocalEngine(threads=threads, progress=progress)
    return engine if max_memory is None else MemoryLimitedEngine(engine=engine, max_memory=max_memory)
