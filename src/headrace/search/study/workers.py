"""Where trials run: in this process, or each in one of several that are watched and replaced when they die.

A worker process is spawned, not forked: a forked child of a process with threads (LightGBM's, Arrow's) can hang. It
ignores Ctrl-C, which a terminal sends to all: the study decides. It leaves when its parent is gone, so a killed study
leaves no process behind. One trial at a time is sent to it, so that whatever happens to it happened to that trial.
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
from headrace.search.study.evaluation import OUT_OF_TIME, Objective, Task, evaluate, failed
from headrace.search.trial import Trial

#: How often limits are looked at, s.
_TICK = 0.1
#: What a trial is given after the deadline to notice it by itself, s.
_GRACE = 1.0
_MB = 1e6
#: Processes that die one after another before they take up a task: after so many it is no accident.
_STILLBORN = 3
#: What a worker process says when it takes up a task: what it imports before is no trial's time.
_BEGUN = "begun"


class Pool(Protocol):
    """Runs tasks. `start` only while `free`; `ended` waits a moment and hands back what has ended, perhaps nothing."""

    @property
    def free(self) -> bool: ...

    @property
    def running(self) -> Sequence[Task]: ...

    def start(self, task: Task) -> None: ...

    def ended(self) -> list[Trial]: ...

    def close(self) -> None: ...


def pool_of(objective: Objective, count: int, limits: Limits, *, isolated: bool) -> Pool:
    """Where to run. isolated: in processes even where there is one worker, so that trials can be killed."""
    return Processes(objective, count, limits) if isolated or count > 1 or limits.any else Here(objective)


class Here:
    """This process. A trial that hangs, hangs the study; one that kills its process kills it."""

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
        trial = evaluate(self._objective, self._task)
        self._task = None
        return [trial]

    def close(self) -> None:
        self._task = None


@dataclass
class _Worker:
    process: Any
    connection: Connection
    task: Task | None = None
    started: float = math.inf  # of the task; until the process has said that it begins, it has not
    fresh: bool = True


class Processes:
    """Up to `count` worker processes, made when they are first needed and again after one died."""

    def __init__(self, objective: Objective, count: int, limits: Limits) -> None:
        self._objective = objective
        self._limits = limits
        self._count = count
        self._workers: list[_Worker] = []
        self._stillborn = 0

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
        except OSError:  # it died with nothing to do
            self._discard(idle)
            return self.start(task)
        idle.task, idle.started = task, math.inf
        return None

    def ended(self) -> list[Trial]:
        busy = [worker for worker in self._workers if worker.task is not None]
        wait([item for worker in busy for item in (worker.connection, worker.process.sentinel)], timeout=_TICK)
        return [trial for worker in busy if (trial := self._result(worker)) is not None]

    def close(self) -> None:
        """Kill the processes; what they were doing is dropped."""
        for worker in list(self._workers):
            self._discard(worker)

    def _result(self, worker: _Worker) -> Trial | None:
        """What has come of a worker's task; None while it goes on."""
        task = worker.task
        assert task is not None
        dead = not worker.process.is_alive()  # looked at first: what it said before it died is read below
        while (received := _received(worker)) is not None:
            if isinstance(received, Trial):
                worker.task, worker.fresh = None, False
                return received
            worker.started, self._stillborn = time.monotonic(), 0
        spent = max(0.0, time.monotonic() - worker.started)
        if dead and math.isinf(worker.started):
            self._again(worker, task)
            return None
        if dead:
            reason = f"the worker process died ({_death(worker.process.exitcode)})"
        else:
            reason = self._over_limit(worker, task, spent)
        if not reason:
            return None
        self._discard(worker)
        return failed(task, spent, reason)

    def _again(self, worker: _Worker, task: Task) -> None:
        """Another process for a task that has not begun: its worker died idle, or before it was ready, which is no
        trial's result. Where none can start at all, the study stops with nothing about it in its journal."""
        reason = _death(worker.process.exitcode)
        self._stillborn += worker.fresh
        self._discard(worker)
        if self._stillborn >= _STILLBORN:
            raise HeadraceError(
                f"{self._stillborn} worker processes in a row died before they could take up a trial ({reason})",
                where="study",
                fix="what they wrote above says why: a missing package, too little memory; then run it again",
            )
        self.start(task)

    def _over_limit(self, worker: _Worker, task: Task, spent: float) -> str:
        limits = self._limits
        if time.monotonic() > task.deadline + _GRACE:
            return OUT_OF_TIME
        if limits.seconds is not None and spent > limits.seconds:
            return f"it took longer than {limits.seconds:g} s and was killed"
        if limits.memory_mb is not None:
            held = _private_mb(worker.process.pid)
            if held > limits.memory_mb:
                return f"out of memory: it held {held:.0f} MB, more than {limits.memory_mb:g} MB, and was killed"
        return ""

    def _discard(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.process.kill()
        worker.process.join()
        worker.process.close()
        worker.connection.close()


def _spawn(objective: Objective) -> _Worker:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, objective), daemon=True)
    # Blocked until the child has said that it ignores it: a Ctrl-C while it starts would end it with a traceback.
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
        there.close()
    return _Worker(process=process, connection=here)


def _received(worker: _Worker) -> Trial | str | None:
    try:
        return worker.connection.recv() if worker.connection.poll() else None
    except (EOFError, OSError):
        worker.process.join()  # its end of the pipe is closed: it is dying
        return None


def _death(code: int | None) -> str:
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


def _serve(connection: Connection, objective: Objective) -> None:
    """The life of a worker process: one thread for BLAS and OpenMP, task after task until the pipe is closed."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    threadpool_limits(1)
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        connection.send(_BEGUN)
        connection.send(evaluate(objective, task))


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
