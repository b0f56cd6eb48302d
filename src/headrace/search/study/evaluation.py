"""Run one trial in the calling process and return its result; a failure is a result too."""

from __future__ import annotations

import json
import math
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from headrace.models.callback import TrialCallback
from headrace.models.space import Config
from headrace.search.study.racing import Bounds
from headrace.search.trial import Trial

#: What a study minimises: config -> {"loss": lower is better, ...info}. Picklable where it runs in other processes.
Objective = Callable[[Config], Mapping[str, Any]]

_ERROR_LENGTH = 4000
#: The error of a trial that the study's deadline ended. It is not journaled, so that a resumed study repeats it.
OUT_OF_TIME = "the study's time was up"


@runtime_checkable
class RungObjective(Protocol):
    """An objective that reports intermediate losses to a callback, which may stop it."""

    def evaluate_rungs(self, config: Config, callback: TrialCallback) -> Mapping[str, Any]: ...


@dataclass(frozen=True, kw_only=True)
class Task:
    """A trial to run.

    Attributes:
        number: Number of the trial.
        config: Its parameters.
        deadline: Instant of `time.monotonic` at which the study ends.
        bounds: Losses above which racing stops the trial, by rung.
    """

    number: int
    config: Config
    deadline: float = math.inf
    bounds: Bounds = field(default_factory=Bounds)


class TrialStopped(Exception):
    """Raised through the callback, inside the objective, to end a trial."""


class RacingCallback:
    """The callback of one trial: records its losses by rung; stops it at the deadline or above a racing bound."""

    def __init__(self, task: Task, clock: Callable[[], float]) -> None:
        self._task = task
        self._clock = clock
        self.rungs: dict[str, float] = {}
        self.latest = math.inf

    def on_rung(self, name: str, loss: float) -> None:
        self.rungs[name] = loss
        if self._task.bounds.should_stop(name, loss):
            raise TrialStopped(f"stopped by racing at rung {name!r}")
        self.on_round(loss)

    def on_round(self, loss: float) -> None:
        self.latest = loss
        if self._clock() > self._task.deadline:
            raise TrialStopped(OUT_OF_TIME)


def run_trial(objective: Objective, task: Task, clock: Callable[[], float] = time.monotonic) -> Trial:
    """Run one trial in this process.

    Args:
        objective: What to evaluate; with `evaluate_rungs` where it is a RungObjective.
        task: The config, the deadline and the racing bounds.
        clock: Seconds, monotonic.

    Returns:
        The trial. An exception of the objective, or a loss that is not finite, makes it a failed one.
    """
    started, cpu_started = clock(), time.process_time()
    callback = RacingCallback(task, clock)
    try:
        status, loss, info, error = _outcome(objective, task, callback)
    except Exception:
        trace = traceback.format_exc()[-_ERROR_LENGTH:]
        return failed_trial(task, clock() - started, trace, cpu_seconds=time.process_time() - cpu_started)
    if callback.rungs:
        info["rungs"] = callback.rungs
    seconds = clock() - started
    return Trial(
        number=task.number, config=task.config, status=status, loss=loss, seconds=seconds, info=info, error=error,
        cpu_seconds=time.process_time() - cpu_started,
    )  # fmt: skip


def _outcome(
    objective: Objective, task: Task, callback: RacingCallback
) -> tuple[Literal["ok", "stopped"], float, dict[str, Any], str]:
    """Return (status, loss, info, why it was stopped)."""
    try:
        info = dict(
            objective.evaluate_rungs(task.config, callback)
            if isinstance(objective, RungObjective)
            else objective(task.config)
        )
    except TrialStopped as stop:
        return "stopped", _finite(task.bounds.projected_loss(callback.rungs, callback.latest)), {}, str(stop)
    loss = _finite(info.pop("loss"))
    json.dumps(info, allow_nan=False)  # Info that the journal cannot store fails this trial, not the study.
    return "ok", loss, info, ""


def _finite(value: Any) -> float:
    loss = float(value)
    if not math.isfinite(loss):
        raise ValueError(f"the loss is {loss}")
    return loss


def failed_trial(task: Task, seconds: float, error: str, *, cpu_seconds: float | None = None) -> Trial:
    return Trial(
        number=task.number, config=task.config, status="failed", loss=None, seconds=seconds, error=error,
        cpu_seconds=cpu_seconds,
    )  # fmt: skip
