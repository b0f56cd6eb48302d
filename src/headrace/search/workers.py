"""Processes that evaluate an objective, and what happens when one of them dies.

Workers are spawned, not forked: a forked child of a process with threads (LightGBM's, Arrow's) can hang. A worker
watches its parent and leaves when the parent is gone, so a killed study leaves no process behind.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from headrace.models.space import Config
from headrace.search.trial import Trial

#: What a study minimises: config -> {"loss": lower is better, ...facts}. Picklable where workers > 1.
Objective = Callable[[Config], Mapping[str, Any]]

_ERROR_LENGTH = 4000


def evaluate(objective: Objective, number: int, config: Config) -> Trial:
    """Run one trial. Whatever the objective raises, and a loss that is no number, is a failed trial."""
    started = time.perf_counter()
    try:
        result = dict(objective(config))
        loss = float(result.pop("loss"))
        if not math.isfinite(loss):
            raise ValueError(f"the loss is {loss}")
        json.dumps(result, allow_nan=False)  # what the journal could not hold fails here, as this trial
    except Exception:
        return _failed(number, config, time.perf_counter() - started, traceback.format_exc()[-_ERROR_LENGTH:])
    seconds = time.perf_counter() - started
    return Trial(number=number, config=config, status="ok", loss=loss, seconds=seconds, info=result)


def _failed(number: int, config: Config, seconds: float, error: str) -> Trial:
    return Trial(number=number, config=config, status="failed", loss=None, seconds=seconds, error=error)


class Workers:
    """Evaluates batches: in this process where there is one worker, else in a pool that is mended when it breaks."""

    def __init__(self, objective: Objective, count: int) -> None:
        self._objective = objective
        self._count = count
        self._pool: ProcessPoolExecutor | None = None

    def run(self, batch: Mapping[int, Config]) -> Iterator[Trial]:
        """Trials of numbered configs, as they finish."""
        if self._count == 1:
            yield from (evaluate(self._objective, number, config) for number, config in batch.items())
            return
        broken: dict[int, Config] = {}
        for number, trial in self._submit(batch, self._count):
            if trial is None:
                broken[number] = batch[number]
            else:
                yield trial
        # One dead worker breaks the pool for its neighbours too: run each again by itself to tell who it was.
        for number, config in broken.items():
            ((_, trial),) = self._submit({number: config}, self._count)
            yield trial or _failed(number, config, 0.0, "the worker process was killed (out of memory?)")

    def _submit(self, batch: Mapping[int, Config], count: int) -> Iterator[tuple[int, Trial | None]]:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(count, mp_context=context, initializer=_prepare_worker)
        numbers: dict[Future[Trial], int] = {}
        lost: list[int] = []
        for number, config in batch.items():
            try:
                numbers[self._pool.submit(evaluate, self._objective, number, config)] = number
            except BrokenProcessPool:
                lost.append(number)
        for future in as_completed(numbers):
            try:
                yield numbers[future], future.result()
            except BrokenProcessPool:
                lost.append(numbers[future])
        if lost:
            self.close()
        yield from ((number, None) for number in sorted(lost))

    def close(self) -> None:
        """Stop the processes; trials that have not started are dropped."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


def _prepare_worker() -> None:
    """One thread per worker for BLAS and OpenMP, and no life after the parent's."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    threadpool_limits(1)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
