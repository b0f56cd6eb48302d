"""A worker of studies on other machines: take trials from a shared folder, evaluate them, write their results."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from headrace.search.study.budget import Limits
from headrace.search.study.shared_folder import Attempt, SessionFolder, SharedFolder, WorkerState
from headrace.search.study.workers import ProcessPool

#: Seconds between two looks for trials while none run.
_IDLE_S = 0.2


@dataclass
class _Study:
    session: str
    folder: SessionFolder
    lease_s: float
    pool: ProcessPool
    taken: dict[int, Attempt]


class SharedWorker:
    """Evaluates trials until it is stopped, of one study after the other.

    Args:
        folder: shared with the studies.
        slots: trials at a time, each in a process of its own.
        limits: of each trial.
        name: unique among all workers.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        folder: Path,
        *,
        slots: int = 1,
        limits: Limits | None = None,
        name: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name or f"{socket.gethostname().split('.')[0]}-{os.getpid()}"
        self.evaluated = 0
        self._shared, self._slots, self._limits = SharedFolder(folder), slots, limits or Limits()
        self._clock, self._count, self._counted = clock, 0, -float("inf")
        self._study: _Study | None = None

    def run(self, *, idle_s: float | None = None) -> None:
        """Work until interrupted, or until there was nothing to do for some seconds."""
        busy = self._clock()
        try:
            while idle_s is None or self._clock() - busy < idle_s:
                if self.step():
                    busy = self._clock()
                else:
                    time.sleep(_IDLE_S)
        finally:
            self._leave_study()
            self._shared.leave(self.name)

    def step(self) -> bool:
        """Count, take trials while there is room, collect what ended; whether any trial runs or ended."""
        self._follow()
        study = self._study
        self._count_up(study.lease_s / 6 if study is not None else 5.0)
        if study is None:
            return False
        while study.pool.free and (taken := study.folder.take(self.name)) is not None:
            attempt, task = taken
            study.taken[attempt.number] = attempt
            study.pool.start(replace(task, deadline=self._clock() + task.deadline))
        if not study.pool.running:
            return False
        for trial in study.pool.ended():
            study.folder.finish(study.taken.pop(trial.number), self.name, trial.to_json())
            self.evaluated += 1
        return True

    def _follow(self) -> None:
        """Join the study that runs now, where it is another one than before."""
        announced = self._shared.session()
        session = None if announced is None else announced["session"]
        if self._study is not None and self._study.session != session:
            self._leave_study()
        if announced is None or self._study is not None:
            return
        folder = SessionFolder(self._shared.path / str(session))
        try:
            objective = folder.objective()
        except FileNotFoundError:  # it has ended meanwhile
            return
        pool = ProcessPool(objective, self._slots, self._limits)
        self._study = _Study(
            session=str(session), folder=folder, lease_s=float(announced["lease_s"]), pool=pool, taken={}
        )

    def _leave_study(self) -> None:
        """Stop its trials and offer them to other workers."""
        if self._study is None:
            return
        self._study.pool.close()
        for attempt in self._study.taken.values():
            self._study.folder.give_back(attempt, self.name)
        self._study = None

    def _count_up(self, every_s: float) -> None:
        if self._clock() - self._counted >= every_s:
            self._count, self._counted = self._count + 1, self._clock()
            self._shared.report(self.name, WorkerState(slots=self._slots, count=self._count))
