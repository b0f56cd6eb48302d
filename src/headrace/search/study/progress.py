"""How far a study is, in one line: trials done, best so far, stopped and failed ones, and the time left."""

from __future__ import annotations

import time
from collections.abc import Callable

from headrace.evaluate.metrics import Metric
from headrace.search.trial import Trial


class Progress:
    """Made as a study starts, told of each trial as it ends (`on_trial`).

    The time left is the rest of the budget, or that of the trials at the pace so far, whichever is shorter.
    """

    def __init__(
        self,
        metric: Metric,
        *,
        trials: int | None,
        seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metric = metric
        self._trials = trials
        self._seconds = seconds
        self._clock = clock
        self._started = clock()
        self._ended = {"ok": 0, "stopped": 0, "failed": 0}
        self._best: float | None = None

    def add(self, trial: Trial) -> str:
        """The line after this trial."""
        self._ended[trial.status] += 1
        if trial.status == "ok" and trial.loss is not None:
            self._best = trial.loss if self._best is None else min(self._best, trial.loss)
        return self.line()

    def line(self) -> str:
        done = sum(self._ended.values())
        parts = [f"{done} of {self._trials} trials" if self._trials is not None else f"{done} trials"]
        if self._best is not None:
            parts.append(f"best {self._metric.name} {-self._metric.sign * self._best:.4f}")
        parts += [f"{self._ended[status]} {status}" for status in ("stopped", "failed") if self._ended[status]]
        left = self.seconds_left()
        if left is not None:
            parts.append(f"about {left:.0f} s left")
        return ", ".join(parts)

    def seconds_left(self) -> float | None:
        spent = self._clock() - self._started
        done = sum(self._ended.values())
        found = []
        if self._seconds is not None:
            found.append(self._seconds - spent)
        if self._trials is not None and done:
            found.append(spent / done * (self._trials - done))
        return max(0.0, min(found)) if found else None
