"""A pool of a study whose trials are evaluated by workers on other machines, through a shared folder.

The study is the only writer of its journal, so each trial is recorded once, whichever worker evaluated it. As many
trials run at a time as the living workers have slots; workers may come and go. Where a worker is lost, its trials are
offered again. A trial that has cost several workers their life is a failed trial, as a crash is in `ProcessPool`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from headrace.search.study.evaluation import OUT_OF_TIME, Objective, Task, failed_trial
from headrace.search.study.shared_folder import LEASE_S, Attempt, SharedFolder, WorkerState
from headrace.search.trial import Trial

#: Seconds between two looks at the folder.
_TICK = 0.1
#: Seconds after the deadline in which a trial may end by itself.
_GRACE = 1.0
#: Attempts at a trial; each but the last cost a worker its life.
MOST_ATTEMPTS = 3


@dataclass
class _Running:
    task: Task
    attempt: Attempt


@dataclass
class _Seen:
    state: WorkerState
    at: float


class SharedPool:
    """Offers tasks in a shared folder and collects their results.

    Args:
        objective: what the workers evaluate; they find its files at the same paths.
        folder: reached by the study and all workers.
        lease_s: seconds after which a worker that does not count is taken for dead.
        on_worker: called with a line of text when a worker comes or is lost.
        clock: seconds, monotonic, of this machine.
    """

    def __init__(
        self,
        objective: Objective,
        folder: Path,
        *,
        lease_s: float = LEASE_S,
        on_worker: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock, self._lease_s, self._on_worker = clock, lease_s, on_worker or (lambda line: None)
        self._shared = SharedFolder(folder)
        self._session = self._shared.begin(uuid.uuid4().hex, lease_s, objective)
        self._running: dict[int, _Running] = {}
        self._alive: dict[str, _Seen] = {}
        self._dead: dict[str, WorkerState] = dict(self._shared.workers())  # until they count again

    @property
    def free(self) -> bool:
        """Whether a worker can take another trial; one is always offered, for the worker that comes first."""
        slots = sum(seen.state.slots for seen in self._alive.values())
        return len(self._running) < max(slots, 1)

    @property
    def running(self) -> Sequence[Task]:
        return tuple(item.task for item in self._running.values())

    def start(self, task: Task) -> None:
        self._offer(task, Attempt(number=task.number, attempt=1))

    def ended(self) -> list[Trial]:
        time.sleep(_TICK)
        self._look()
        holders = self._session.holders()
        return [trial for item in list(self._running.values()) if (trial := self._result(item, holders)) is not None]

    def close(self) -> None:
        """End the study for the workers; their running trials are dropped."""
        self._shared.end()

    def _offer(self, task: Task, attempt: Attempt) -> None:
        self._running[task.number] = _Running(task, attempt)
        # An instant of this machine's clock means nothing on another: what is left of the time is sent.
        self._session.offer(attempt, replace(task, deadline=task.deadline - self._clock()))

    def _result(self, item: _Running, holders: dict[Attempt, str]) -> Trial | None:
        found = self._session.result(item.attempt)
        if found is not None:
            del self._running[item.task.number]
            return Trial.from_json(found)
        if self._clock() > item.task.deadline + _GRACE:
            return self._give_up(item, OUT_OF_TIME)
        holder = holders.get(item.attempt)
        if holder is None or holder in self._alive or not self._is_lost(holder):
            return None
        if item.attempt.attempt >= MOST_ATTEMPTS:
            return self._give_up(item, f"{MOST_ATTEMPTS} workers died while they evaluated it, the last was {holder}")
        self._session.withdraw(item.attempt)
        self._offer(item.task, replace(item.attempt, attempt=item.attempt.attempt + 1))
        return None

    def _give_up(self, item: _Running, reason: str) -> Trial:
        self._session.withdraw(item.attempt)
        del self._running[item.task.number]
        return failed_trial(item.task, 0.0, reason)

    def _is_lost(self, worker: str) -> bool:
        return worker in self._dead or worker not in self._shared.workers()

    def _look(self) -> None:
        """Note which workers have counted since the last look, and which have not for the time of a lease."""
        now, states = self._clock(), self._shared.workers()
        for name, state in states.items():
            if name in self._alive:
                if state != self._alive[name].state:
                    self._alive[name] = _Seen(state, now)
            elif self._dead.get(name) != state:
                self._dead.pop(name, None)
                self._alive[name] = _Seen(state, now)
                self._on_worker(f"worker {name} came: {state.slots} trials at a time")
        for name, seen in list(self._alive.items()):
            if name not in states:
                del self._alive[name]
                self._on_worker(f"worker {name} left")
            elif now - seen.at > self._lease_s:
                self._dead[name] = seen.state
                del self._alive[name]
                self._on_worker(f"worker {name} is lost: its trials are evaluated again")
