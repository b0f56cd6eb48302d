"""Engines that compute stored definitions. This module is the front: nothing outside imports what is below.

`engine_of` chooses the engine of a problem; callers hand it on as an argument. An engine of a user's own is an object
that a problem hands over, or an entry point of an installed package; each passes `headrace.testing.engines`.
"""

from __future__ import annotations

from collections.abc import Callable

from headrace.core.extensions import Catalogue
from headrace.core.settings import settings
from headrace.schema import Problem
from headrace.synthesis.engines.local import LocalEngine
from headrace.synthesis.engines.memory.limited import MemoryLimitedEngine
from headrace.synthesis.engines.shuffle.engine import PartitionedLocalEngine
from headrace.synthesis.engines.shuffle.spark import SparkEngine
from headrace.synthesis.language.engine import Engine

__all__ = [
    "ENGINES",
    "LocalEngine",
    "MemoryLimitedEngine",
    "PartitionedLocalEngine",
    "SparkEngine",
    "default_engine",
    "engine_of",
]

#: Engines by name.
ENGINES: Catalogue[Engine] = Catalogue(
    "engine", {"local": LocalEngine(), "partitioned": PartitionedLocalEngine(), "spark": SparkEngine()}
)


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


def engine_of(
    problem: Problem,
    *,
    threads: int = 2,
    max_memory: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> Engine:
    """The engine that a problem names.

    Args:
        problem: names the engine.
        threads, max_memory, progress: of the built-in engines (see `default_engine`); another one is used as it is.

    Raises:
        DeclarationError: for an unknown name.
    """
    if problem.engine == "local":
        return default_engine(threads=threads, max_memory=max_memory, progress=progress)
    if problem.engine == "partitioned":
        return PartitionedLocalEngine(threads=threads, max_memory=max_memory, progress=progress)
    if problem.engine == "spark":
        chosen = settings()
        return SparkEngine(
            threads=threads, max_memory=max_memory, progress=progress,
            master=chosen.spark_master, remote=chosen.spark_remote, folder=chosen.spark_folder,
        )  # fmt: skip
    return ENGINES.named(problem.engine, where=f"{problem.name}: engine")
