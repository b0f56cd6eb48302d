"""Progress of a study as one line: finished trials, best metric value, stopped and failed trials, remaining time."""

from __future__ import annotations

import time
from collections.abc import Callable

from headrace.evaluate.metrics import Metric
from headrace.search.trial import Trial


class Progress:
    """Counts the finished trials of a study; pass `add` as `on_trial`.

    The remaining time is the rest of the time budget, or the remaining trials at the average pace so far, whichever is
    shorter.

    Args:
        metric: In its direction the best value is shown.
        trials: Trial budget, None for no limit.
        seconds: Time budget, None for no limit.
        clock: Seconds, monotonic.
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
        self._best_loss: float | None = None

    def add(self, trial: Trial) -> str:
        """Count a finished trial and return the new line."""
        self._ended[trial.status] += 1
        if trial.status == "ok" and trial.loss is not None:
            self._best_loss = trial.loss if self._best_loss is None else min(self._best_loss, trial.loss)
        return self.line()

    def line(self) -> str:
        n_finished = sum(self._ended.values())
        parts = [f"{n_finished} of {self._trials} trials" if self._trials is not None else f"{n_finished} trials"]
        if self._best_loss is not None:
            parts.append(f"best {self._metric.name} {-self._metric.sign * self._best_loss:.4f}")
        parts += [f"{self._ended[status]} {status}" for status in ("stopped", "failed") if self._ended[status]]
        remaining_s = self.remaining_s()
        if remaining_s is not None:
            parts.append(f"about {remaining_s:.0f} s left")
        return ", ".join(parts)

    def remaining_s(self) -> float | None:
        elapsed = self._clock() - self._started
        n_finished = sum(self._ended.values())
        estimates = []
        if self._seconds is not None:
            estimates.append(self._seconds - elapsed)
        if self._trials is not None and n_finished:
            estimates.append(elapsed / n_finished * (self._trials - n_finished))
        return max(0.0, min(estimates)) if estimates else None
