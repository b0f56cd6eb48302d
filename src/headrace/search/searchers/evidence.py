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
from headrace.search.space import Config
from headrace.search.trial import Trial


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """X [n, d] as in `cube`; losses [n], lower is better; finished [n] is True where the loss is the trial's own."""

    X: Array
    losses: Array
    finished: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


def evidence(cube: Cube, history: Sequence[Trial]) -> Evidence:
    """All trials of a history. Empty where no trial has a loss: then nothing is known yet."""
    X = cube.encode(trial.config for trial in history)
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


def taken(cube: Cube, history: Sequence[Trial], pending: Sequence[Config]) -> set[bytes]:
    """The identities of all configs that were asked."""
    return cube.taken([trial.config for trial in history]) | cube.taken(pending)
