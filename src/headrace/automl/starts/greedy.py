"""Choose configurations one after another, each for its largest gain on the data sets of a matrix.

A portfolio is chosen with equal weights of the data sets (Feurer et al., 2022, "Auto-Sklearn 2.0"; Salinas and
Erickson, 2024, "TabRepo"); a warm start with larger weights of those that resemble the user's data.

| symbol | meaning                                                            | shape  |
|--------|--------------------------------------------------------------------|--------|
| R      | loss of configuration c on data set t, 0 the best and 1 the median | [t, c] |
| w      | weights of the data sets                                           | [t]    |
| b      | least R of the configurations chosen so far; 1 before the first    | [t]    |

A step chooses the configuration of largest sum_t w_t max(b_t - R_tc, 0) / cost_c ** `cost_power`. The gain is
submodular, so the greedy choice at equal costs has at least 63 % of the best possible gain (Krause and Golovin, 2014).
A power of 1 is the greedy choice of Streeter and Golovin (2008), which is near the best one at every budget.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headrace.automl.task.task import Floats

#: A gain below this share is noise.
_LEAST_GAIN = 1e-6


def greedy_choice(
    losses: Floats, size: int, *, weights: Floats | None = None, costs: Floats | None = None,
    cost_power: float = 0.0, chosen: Sequence[int] = (),
) -> tuple[int, ...]:  # fmt: skip
    """Choose configurations.

    Args:
        losses: R, without missing values.
        size: Number of configurations at most.
        weights: w; None for equal weights.
        costs: Cost of each configuration [c]; None for equal costs.
        cost_power: 0 to ignore costs, 1 for the gain per cost.
        chosen: Configurations that were evaluated before.

    Returns:
        Positions of the configurations in the order of the choice. Where no configuration has a gain, those of least
        weighted loss follow.
    """
    n_tables, n_configs = losses.shape
    w = np.full(n_tables, 1 / n_tables) if weights is None else weights / weights.sum()
    price = np.ones(n_configs) if costs is None else np.maximum(costs, 1e-9) ** cost_power
    best = losses[:, list(chosen)].min(axis=1) if len(chosen) else np.ones(n_tables)
    taken, found = set(chosen), []
    for _ in range(min(size, n_configs - len(taken))):
        gains = w @ np.maximum(best[:, None] - losses, 0.0)
        score = gains / price if gains.max() > _LEAST_GAIN else -(w @ losses)
        score[list(taken)] = -np.inf
        added = int(np.argmax(score))
        taken.add(added)
        found.append(added)
        best = np.minimum(best, losses[:, added])
    return tuple(found)
