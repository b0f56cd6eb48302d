"""What a history tells a model: rows and losses, with a number for trials that have no loss of their own.

A failed trial counts as the worst that was measured: it is no config to go near, and how bad it is nobody knows. A
stopped one was hopeless when racing stopped it, and its loss is that of a lower fidelity: it counts as that loss, but
as no better than the median of the finished ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headrace.search.searchers.cube import Array, Cube
from headrace.search.trial import Trial


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """X [n, d] as in `cube`; losses [n], lower is better; finished [n] is True where the loss is the trial's own."""

    X: Array
    losses: Array
    finished: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


class Reader:
    """Turns histories of one space into evidence.

    It remembers the rows of the last history, so that one which has grown by a trial costs one row: a memo, not a
    state, for what is remembered is what would be worked out again.
    """

    def __init__(self, cube: Cube) -> None:
        self._cube = cube
        self._trials: list[Trial] = []
        self._X = np.empty((0, cube.d))
        self._identities: list[bytes] = []

    def read(self, history: Sequence[Trial]) -> Evidence:
        """All trials of a history. Empty where no trial has a loss: then nothing is known yet."""
        self._remember(history)
        X = self._X[: len(history)]
        losses = np.array([np.nan if trial.loss is None else trial.loss for trial in history], dtype=np.float64)
        finished = np.array([trial.status == "ok" for trial in history], dtype=bool)
        measured = np.isfinite(losses)
        if not measured.any():
            return Evidence(X=X[:0], losses=losses[:0], finished=finished[:0])
        if finished.any():
            floor = float(np.median(losses[finished]))
            losses = np.where(measured & ~finished, np.maximum(losses, floor), losses)
        losses = np.where(measured, losses, np.nanmax(losses))
        return Evidence(X=X, losses=losses, finished=finished)

    def taken(self, history: Sequence[Trial], waiting: Array) -> set[bytes]:
        """The identities of all configs that were asked: a history's, and the rows of those still waited for."""
        self._remember(history)
        return {*self._identities[: len(history)], *self._cube.identities(waiting)}

    def _remember(self, history: Sequence[Trial]) -> None:
        shared = min(len(history), len(self._trials))
        # trials of a growing history are the very same objects, which lists look at first
        if list(history[:shared]) != self._trials[:shared]:
            shared = 0
        if shared == len(history):
            return
        more = list(history[shared:])
        X = self._cube.encode(trial.config for trial in more)
        self._trials = [*self._trials[:shared], *more]
        self._X = np.concatenate([self._X[:shared], X])
        self._identities = [*self._identities[:shared], *self._cube.identities(X)]
