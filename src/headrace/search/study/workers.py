"""Pools in which a study evaluates its trials: the calling process, or worker processes with limits.

Workers are spawned, not forked: a forked child of a process with threads (LightGBM's, Arrow's) can deadlock. They
ignore SIGINT, which a terminal sends to the whole process group, so that the study decides what Ctrl-C does. They exit
with their parent, so a killed study leaves no process behind. A worker has one trial at a time, so that a crash is the
result of that trial.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

import psutil

from headrace.core.errors import DeclarationError, HeadraceError
from headrace.search.study.budget import Limits
from headrace.search.study.evaluation import OUT_OF_TIME, Objective, Task, failed_trial, run_trial
from headrace.search.trial import Trial

#: Interval at which limits are checked, s.
_TICK = 0.1
#: Time after the deadline in which a trial may end by itself before its process is killed, s.
_GRACE = 1.0
_MB = 1e6
#: Consecutive worker processes that may exit before their first task; then the study fails.
_MAX_FAILED_STARTS = 3
#: How the error of a trial begins that was killed because it took longer than a trial may.
TOO_LONG = "the trial took longer than"
#: Message of a worker that starts a task: its imports before that are not part of the trial's time.
_STARTED = "begun"


class Pool(Protocol):
    """Runs tasks. Call `start` only while `free`. `ended` waits up to 0.1 s and returns the trials that finished."""

    @property
    def free(self) -> bool: ...

    @property
    def running(self) -> Sequence[Task]: ...

    def start(self, task: Task) -> None: ...

    def ended(self) -> list[Trial]: ...

    def close(self) -> None: ...


def make_pool(objective: Objective, count: int, limits: Limits, *, isolated: bool) -> Pool:
    """Return the pool for a study: worker processes where `isolated`, several workers or limits ask for them."""
    return ProcessPool(objective, count, limits) if isolated or count > 1 or limits.any else InProcessPool(objective)


class InProcessPool:
    """Evaluates in the calling process. A trial that hangs or crashes does the same to the study."""

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self._task: Task | None = None

    @property
    def free(self) -> bool:
        return self._task is None

    @property
    def running(self) -> Sequence[Task]:
        return () if self._task is None else (self._task,)

    def start(self, task: Task) -> None:
        self._task = task

    def ended(self) -> list[Trial]:
        assert self._task is not None
        trial = run_trial(self._objective, self._task)
        self._task = None
        return [trial]

    def close(self) -> None:
        self._task = None


@dataclass
class _Worker:
    process: Any
    connection: Connection
    task: Task | None = None
    started: float = math.inf  # instant at which the process reported the task's start
    fresh: bool = True


class ProcessPool:
    """Up to `count` worker processes, spawned on demand and replaced when one exits."""

    def __init__(self, objective: Objective, count: int, limits: Limits) -> None:
        self._objective = objective
        self._limits = limits
        self._count = count
        self._workers: list[_Worker] = []
        self._failed_starts = 0

    @property
    def free(self) -> bool:
        return len(self.running) < self._count

    @property
    def running(self) -> Sequence[Task]:
        return tuple(worker.task for worker in self._workers if worker.task is not None)

    def start(self, task: Task) -> None:
        idle = next((worker for worker in self._workers if worker.task is None), None)
        if idle is None:
            idle = _spawn(self._objective)
            self._workers.append(idle)
        try:
            idle.connection.send(task)
        except OSError:  # it exited while it was idle
            self._discard(idle)
            return self.start(task)
        idle.task, idle.started = task, math.inf
        return None

    def ended(self) -> list[Trial]:
        busy = [worker for worker in self._workers if worker.task is not None]
        wait([item for worker in busy for item in (worker.connection, worker.process.sentinel)], timeout=_TICK)
        return [trial for worker in busy if (trial := self._result(worker)) is not None]

    def close(self) -> None:
        """Kill the processes; their running trials are dropped."""
        for worker in list(self._workers):
            self._discard(worker)

    def _result(self, worker: _Worker) -> Trial | None:
        """Return the result of a worker's task; None while it runs."""
        task = worker.task
        assert task is not None
        dead = not worker.process.is_alive()  # checked first: messages sent before its exit are read below
        while (received := _receive(worker)) is not None:
            if isinstance(received, Trial):
                worker.task, worker.fresh = None, False
                return received
            worker.started, self._failed_starts = time.monotonic(), 0
        elapsed = max(0.0, time.monotonic() - worker.started)
        if dead and math.isinf(worker.started):
            self._restart(worker, task)
            return None
        if dead:
            reason = f"the worker process died ({_exit_reason(worker.process.exitcode)})"
        else:
            reason = self._exceeded_limit(worker, task, elapsed)
        if not reason:
            return None
        self._discard(worker)
        return failed_trial(task, elapsed, reason)

    def _restart(self, worker: _Worker, task: Task) -> None:
        """Start a task in a new process because its worker exited before it began.

        Raises:
            HeadraceError: Several workers in a row exited before their first task; the journal stays unchanged.
        """
        reason = _exit_reason(worker.process.exitcode)
        self._failed_starts += worker.fresh
        self._discard(worker)
        if self._failed_starts >= _MAX_FAILED_STARTS:
            raise HeadraceError(
                f"{self._failed_starts} worker processes in a row exited before their first trial ({reason})",
                where="study",
                fix="see their output above, such as a missing package or too little memory; then run it again",
            )
        self.start(task)

    def _exceeded_limit(self, worker: _Worker, task: Task, elapsed: float) -> str:
        limits = self._limits
        if time.monotonic() > task.deadline + _GRACE:
            return OUT_OF_TIME
        if limits.seconds is not None and elapsed > limits.seconds:
            return f"{TOO_LONG} {limits.seconds:g} s and was killed"
        if limits.memory_mb is not None:
            used_mb = _private_mb(worker.process.pid)
            if used_mb > limits.memory_mb:
                return (
                    f"out of memory: the trial used {used_mb:.0f} MB, more than {limits.memory_mb:g} MB, and was killed"
                )
        return ""

    def _discard(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.process.kill()
        worker.process.join()
        worker.process.close()
        worker.connection.close()


def _spawn(objective: Objective) -> _Worker:
    context = multiprocessing.get_context("spawn")
    parent_end, child_end = context.Pipe()
    process = context.Process(target=_worker_loop, args=(child_end, objective), daemon=True)
    # SIGINT stays blocked until the child ignores it: a Ctrl-C during its start would end it with a traceback.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise DeclarationError(
            f"the objective cannot be sent to a worker process ({error})",
            where="study",
            fix="define it at the top level of a module, or run one worker without limits",
        ) from None
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        child_end.close()
    return _Worker(process=process, connection=parent_end)


def _receive(worker: _Worker) -> Trial | str | None:
    try:
        return worker.connection.recv() if worker.connection.poll() else None
    except (EOFError, OSError):
        worker.process.join()  # its end of the pipe is closed, so it is exiting
        return None


def _exit_reason(code: int | None) -> str:
    if code is not None and code < 0:
        hint = ": out of memory?" if -code == signal.SIGKILL else ""
        return f"killed by {signal.Signals(-code).name}{hint}"
    return f"exit code {code}"


def _private_mb(pid: int) -> float:
    try:
        memory = psutil.Process(pid).memory_info()
    except psutil.Error:
        return 0.0
    return float(memory.rss - getattr(memory, "shared", 0)) / _MB


def _worker_loop(connection: Connection, objective: Objective) -> None:
    """Main function of a worker process: one BLAS and OpenMP thread, task after task until the pipe closes."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    threadpool_limits(1)
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        connection.send(_STARTED)
        connection.send(run_trial(objective, task))


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
