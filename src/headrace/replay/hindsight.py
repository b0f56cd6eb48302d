"""The best retrains in hindsight, for every number of retrains, by dynamic programming over the table of losses.

| symbol    | meaning                                                                                  |
|-----------|------------------------------------------------------------------------------------------|
| S(m, a, b) | loss of model m in the periods [a, b): a difference of cumulative sums                    |
| F_k(m)    | least loss of the periods before m, where model m starts at its fit as the k-th retrain    |

    F_0(first) = 0,   F_k(m) = min over j < m of F_(k-1)(j) + S(j, j, m),   best_k = min over m of F_k(m) + S(m, m, end)

O(retrains x periods^2). No policy can lose less with the same candidates and as many retrains: it is the scale on
which policies are compared, not one of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headrace.evaluate.metrics import Floats


@dataclass(frozen=True, kw_only=True)
class Optimum:
    """The best choice of at most so many retrains.

    Attributes:
        loss: Summed over the periods.
        retrains: Periods that begin with a new model, in order.
    """

    loss: float
    retrains: tuple[int, ...]


def hindsight(loss: Floats, first: int, most: int) -> tuple[Optimum, ...]:
    """Find the best retrains, for each number of them.

    Args:
        loss: Loss of each model in each period [m, m]; entries before a model's fit are not read.
        first: The first champion, which starts in the period of its number.
        most: Largest number of retrains.

    Returns:
        For 0 ... `most` retrains the least loss with at most so many.
    """
    end = len(loss)
    sums = np.concatenate([np.zeros((end, 1)), np.cumsum(np.where(np.isfinite(loss), loss, 0.0), axis=1)], axis=1)
    to_end = np.array([sums[model, end] - sums[model, model] for model in range(end)])
    least = np.full(end, np.inf)
    least[first] = 0.0
    paths: dict[int, tuple[int, ...]] = {first: ()}
    found = [Optimum(loss=float(to_end[first]), retrains=())]
    for _ in range(most):
        least, paths = _one_more(least, paths, sums, first)
        totals = least + to_end
        best = int(np.argmin(totals))
        one = Optimum(loss=float(totals[best]), retrains=paths.get(best, ()))
        found.append(one if one.loss < found[-1].loss else found[-1])
    return tuple(found)


def _one_more(
    least: Floats, paths: dict[int, tuple[int, ...]], sums: Floats, first: int
) -> tuple[Floats, dict[int, tuple[int, ...]]]:
    """Return F_k and the retrains that lead to each model, from those of k - 1."""
    following, longer = np.full(len(least), np.inf), dict[int, tuple[int, ...]]()
    for model in range(first + 1, len(least)):
        before = np.arange(first, model)
        totals = least[before] + sums[before, model] - sums[before, before]
        best = int(np.argmin(totals))
        if np.isfinite(totals[best]):
            following[model], longer[model] = totals[best], (*paths[int(before[best])], model)
    return following, longer
