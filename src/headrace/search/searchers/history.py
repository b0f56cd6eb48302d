"""Encode the history of a study as rows and losses, for searchers that fit a model.

A failed trial has no loss: it takes the worst measured loss. The loss of a stopped trial is that of a lower fidelity:
it is used, but not below the median loss of the finished trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headrace.search.searchers.cube import Array, Cube
from headrace.search.trial import Trial


@dataclass(frozen=True, kw_only=True)
class EncodedHistory:
    """A history as arrays.

    Attributes:
        X: Configs as in `cube` [n, d].
        losses: Lower is better [n].
        finished: True where the trial was evaluated at the full fidelity [n].
    """

    X: Array
    losses: Array
    finished: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


class HistoryEncoder:
    """Encode histories of one space.

    The rows of the last history are cached, so that a history with one more trial encodes one row. The result does not
    depend on the cache.
    """

    def __init__(self, cube: Cube) -> None:
        self._cube = cube
        self._trials: list[Trial] = []
        self._X = np.empty((0, cube.d))
        self._identities: list[bytes] = []

    def encode_history(self, history: Sequence[Trial]) -> EncodedHistory:
        """Encode all trials of a history; no rows where no trial has a loss."""
        self._update_cache(history)
        X = self._X[: len(history)]
        losses = np.array([np.nan if trial.loss is None else trial.loss for trial in history], dtype=np.float64)
        finished = np.array([trial.status == "ok" for trial in history], dtype=bool)
        measured = np.isfinite(losses)
        if not measured.any():
            return EncodedHistory(X=X[:0], losses=losses[:0], finished=finished[:0])
        if finished.any():
            floor = float(np.median(losses[finished]))
            losses = np.where(measured & ~finished, np.maximum(losses, floor), losses)
        losses = np.where(measured, losses, np.nanmax(losses))
        return EncodedHistory(X=X, losses=losses, finished=finished)

    def proposed_identities(self, history: Sequence[Trial], pending: Array) -> set[bytes]:
        """Return the identities of all configs proposed so far: of the history, and of the pending rows [k, d]."""
        self._update_cache(history)
        return {*self._identities[: len(history)], *self._cube.identities(pending)}

    def _update_cache(self, history: Sequence[Trial]) -> None:
        shared = min(len(history), len(self._trials))
        # The trials of a growing history are the same objects, and list equality checks identity first.
        if list(history[:shared]) != self._trials[:shared]:
            shared = 0
        if shared == len(history):
            return
        new_trials = list(history[shared:])
        X = self._cube.encode(trial.config for trial in new_trials)
        self._trials = [*self._trials[:shared], *new_trials]
        self._X = np.concatenate([self._X[:shared], X])
        self._identities = [*self._identities[:shared], *self._cube.identities(X)]
