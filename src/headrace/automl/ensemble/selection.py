"""Ensemble selection (Caruana et al., 2004): add models greedily, with replacement, while the loss falls.

| symbol | meaning                                                | shape     |
|--------|--------------------------------------------------------|-----------|
| P      | out-of-fold predictions of the models                  | [m, n, k] |
| c      | how often each model was added                         | [m]       |
| S      | sum of the added predictions; the ensemble is S / sum c | [n, k]    |

A step adds the model whose addition gives the least loss; the first model is the best one. Selection ends after `steps`
steps. The result is the shortest prefix of least loss, so that more steps never give a worse out-of-fold loss.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headrace.automl.task.task import Floats

#: Loss of predictions [n, k]; lower is better.
Loss = Callable[[Floats], float]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """A selected ensemble.

    Attributes:
        weights: Weights of the models [m]; they sum to 1.
        loss: Out-of-fold loss.
        trace: Loss after each step.
    """

    weights: Floats
    loss: float
    trace: tuple[float, ...]


def select(
    predictions: Floats,
    loss: Loss,
    *,
    steps: int = 40,
    deadline: float = math.inf,
    costs: Sequence[float] | None = None,
    limit: float = math.inf,
    first: int | None = None,
) -> Selection:
    """Select an ensemble.

    Args:
        predictions: P; m is at least 1.
        loss: Loss of a prediction [n, k].
        steps: Number of additions.
        deadline: Instant of `time.monotonic` after which no step begins.
        costs: Cost of each model [m], None for 0.
        limit: Largest total cost of the different models; the first one is admitted at any cost.
        first: The model to begin with; the best one where None.
    """
    m = len(predictions)
    cost = np.zeros(m) if costs is None else np.asarray(costs, dtype=np.float64)
    counts, best_counts = np.zeros(m, dtype=np.int64), np.zeros(m, dtype=np.int64)
    total = np.zeros(predictions.shape[1:])
    trace: list[float] = []
    for step in range(1, steps + 1):
        if step > 1 and (m == 1 or time.monotonic() > deadline):
            break
        admitted = (counts > 0) | (cost[counts > 0].sum() + cost <= limit) if step > 1 else np.ones(m, dtype=bool)
        if step == 1 and first is not None:
            admitted = np.arange(m) == first
        losses = [
            loss((total + model) / step) if allowed else math.inf
            for model, allowed in zip(predictions, admitted, strict=True)
        ]
        added = int(np.argmin(losses))
        total, counts = total + predictions[added], counts.copy()
        counts[added] += 1
        if not trace or losses[added] < min(trace):
            best_counts = counts
        trace.append(float(losses[added]))
    return Selection(weights=best_counts / best_counts.sum(), loss=min(trace), trace=tuple(trace))


def cheapest(
    predictions: Floats, costs: Sequence[float], loss: Loss, *, tolerance: float, deadline: float = math.inf
) -> Selection:
    """Return the cheapest ensemble whose loss is within a tolerance of the best one.

    The models are limited to those below a cost, for each cost that occurs, and to one, two, four ... additions; an
    ensemble costs the sum of its models.

    Args:
        predictions: P.
        costs: Cost of a prediction of each model [m].
        loss: Loss of a prediction [n, k].
        tolerance: Tolerated loss relative to the gap between the worst model and the best ensemble.
        deadline: Instant of `time.monotonic` after which no further ensemble is tried.
    """
    costs_of = np.asarray(costs, dtype=np.float64)
    best = select(predictions, loss, deadline=deadline)
    worst = max(loss(model) for model in predictions)
    limit = best.loss + tolerance * max(worst - best.loss, 0.0)
    candidates = [best]
    for cost in np.unique(costs_of):
        if time.monotonic() > deadline:
            break
        allowed = np.flatnonzero(costs_of <= cost)
        for steps in (1, 2, 4, 8):
            part = select(predictions[allowed], loss, steps=steps, deadline=deadline)
            candidates.append(_expanded(part, allowed, len(predictions)))
    within = [candidate for candidate in candidates if candidate.loss <= limit]
    return min(within, key=lambda candidate: (float(costs_of[candidate.weights > 0].sum()), candidate.loss))


def _expanded(selection: Selection, allowed: NDArray[np.int64], m: int) -> Selection:
    weights = np.zeros(m)
    weights[allowed] = selection.weights
    return Selection(weights=weights, loss=selection.loss, trace=selection.trace)
