"""One trial, run where it is called: whatever comes of it is a Trial."""

from __future__ import annotations

import json
import math
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from headrace.models.space import Config
from headrace.models.watch import Watch
from headrace.search.study.racing import Bounds
from headrace.search.trial import Trial

#: What a study minimises: config -> {"loss": lower is better, ...facts}. Picklable where it runs in other processes.
Objective = Callable[[Config], Mapping[str, Any]]

_ERROR_LENGTH = 4000
#: The reason that a trial carries which the study's end cut off. It is not journaled: with more time it is run again.
OUT_OF_TIME = "the study's time was up"


@runtime_checkable
class Raced(Protocol):
    """An objective that tells on the way how it is doing, and may be stopped there."""

    def raced(self, config: Config, watch: Watch) -> Mapping[str, Any]: ...


@dataclass(frozen=True, kw_only=True)
class Task:
    """A trial to run. deadline: the instant (time.monotonic) at which the study ends. bounds: of racing."""

    number: int
    config: Config
    deadline: float = math.inf
    bounds: Bounds = field(default_factory=Bounds)


class Stopped(Exception):
    """Raised inside an objective, through its watch, to end it."""


class Referee:
    """The watch of one trial: keeps what it reached, rung by rung, and stops it at the deadline or where it lost."""

    def __init__(self, task: Task, clock: Callable[[], float]) -> None:
        self._task = task
        self._clock = clock
        self.rungs: dict[str, float] = {}
        self.latest = math.inf

    def rung(self, name: str, loss: float) -> None:
        self.rungs[name] = loss
        if self._task.bounds.lost(name, loss):
            raise Stopped(f"lost at rung {name!r}")
        self.tick(loss)

    def tick(self, loss: float) -> None:
        self.latest = loss
        if self._clock() > self._task.deadline:
            raise Stopped(OUT_OF_TIME)


def evaluate(objective: Objective, task: Task, clock: Callable[[], float] = time.monotonic) -> Trial:
    """Run one trial. Whatever the objective raises, and a loss that is no number, is a failed trial."""
    started, cpu_started = clock(), time.process_time()
    referee = Referee(task, clock)
    try:
        status, loss, info, error = _outcome(objective, task, referee)
    except Exception:
        why = traceback.format_exc()[-_ERROR_LENGTH:]
        return failed(task, clock() - started, why, cpu_seconds=time.process_time() - cpu_started)
    if referee.rungs:
        info["rungs"] = referee.rungs
    seconds = clock() - started
    return Trial(
        number=task.number, config=task.config, status=status, loss=loss, seconds=seconds, info=info, error=error,
        cpu_seconds=time.process_time() - cpu_started,
    )  # fmt: skip


def _outcome(
    objective: Objective, task: Task, referee: Referee
) -> tuple[Literal["ok", "stopped"], float, dict[str, Any], str]:
    """(status, loss, info, why it was stopped)."""
    try:
        info = dict(objective.raced(task.config, referee) if isinstance(objective, Raced) else objective(task.config))
    except Stopped as stop:
        return "stopped", _finite(task.bounds.projected(referee.rungs, referee.latest)), {}, str(stop)
    loss = _finite(info.pop("loss"))
    json.dumps(info, allow_nan=False)  # what the journal could not hold fails here, as this trial
    return "ok", loss, info, ""


def _finite(value: Any) -> float:
    loss = float(value)
    if not math.isfinite(loss):
        raise ValueError(f"the loss is {loss}")
    return loss


def failed(task: Task, seconds: float, error: str, *, cpu_seconds: float | None = None) -> Trial:
    return Trial(
        number=task.number, config=task.config, status="failed", loss=None, seconds=seconds, error=error,
        cpu_seconds=cpu_seconds,
    )  # fmt: skip
