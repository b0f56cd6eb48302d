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

#: Prices of what the best ensemble costs, as multiples of the tolerated excess: the first and the last, how many;
#: additions at each price. High prices come first: they find the cheapest ensembles where time is short.
_PRICES, _PRICE_COUNT, _PRICED_STEPS = (30.0, 0.1), 7, 8
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


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Costs of predictions: of each model, and of preparations of rows, which models share.

    Attributes:
        models: Cost of each model [m].
        preparations: Cost of each preparation [p].
        preparation_of: Position of each model's preparation [m].
    """

    models: Floats
    preparations: Floats
    preparation_of: NDArray[np.int64]

    def total(self, chosen: NDArray[np.bool_]) -> float:
        """Return the cost of the ensemble of the chosen models, a mask [m]."""
        needed = np.unique(self.preparation_of[chosen])
        return float(self.models[chosen].sum() + self.preparations[needed].sum())

    def with_each(self, chosen: NDArray[np.bool_]) -> Floats:
        """Return the cost of the chosen models with each of all models [m] in turn."""
        present = np.isin(np.arange(len(self.preparations)), self.preparation_of[chosen])
        added = np.where(chosen, 0.0, self.models + np.where(present, 0.0, self.preparations)[self.preparation_of])
        return np.asarray(self.total(chosen) + added, dtype=np.float64)


def cheapest(
    predictions: Floats, costs: Costs, excess: Loss, *, best: Selection, tolerance: float, deadline: float = math.inf
) -> Selection:
    """Return the cheapest ensemble found that is worse than the best one by at most `tolerance`.

    Candidates are the best one, the models alone, and ensembles to which models are added greedily, as in `select`, by
    the excess plus a price of the cost: for each of several prices, the ensembles after every addition.

    Args:
        predictions: P.
        costs: Costs of the models.
        excess: How much worse a prediction [n, k] is than that of the best ensemble.
        best: The best ensemble.
        tolerance: Largest excess, not negative.
        deadline: Instant of `time.monotonic` after which no step begins.
    """
    models = np.eye(len(predictions))
    candidates = [_selection(weights, excess(model)) for weights, model in zip(models, predictions, strict=True)]
    spent = costs.total(best.weights > 0)
    if tolerance > 0 and spent > 0:
        for price in np.geomspace(*_PRICES, _PRICE_COUNT) * tolerance / spent:
            candidates += _priced(predictions, costs, excess, float(price), deadline)
    within = [best, *(candidate for candidate in candidates if candidate.loss <= tolerance)]
    return min(within, key=lambda candidate: (costs.total(candidate.weights > 0), candidate.loss))


def _selection(weights: Floats, loss: float) -> Selection:
    return Selection(weights=weights, loss=loss, trace=(loss,))


def _priced(predictions: Floats, costs: Costs, excess: Loss, price: float, deadline: float) -> list[Selection]:
    """Return the ensembles of 1, 2, ... additions, each of the model that adds least to the excess and the cost."""
    counts, total = np.zeros(len(predictions), dtype=np.int64), np.zeros(predictions.shape[1:])
    ensembles: list[Selection] = []
    for step in range(1, _PRICED_STEPS + 1):
        if time.monotonic() > deadline:
            break
        values = np.array([excess((total + model) / step) for model in predictions])
        added = int(np.argmin(values + price * costs.with_each(counts > 0)))
        total, counts = total + predictions[added], counts.copy()
        counts[added] += 1
        ensembles.append(_selection(counts / step, float(values[added])))
    return ensembles
