"""Guards against the collapse of DARTS: early stop by curvature, limit on operations without weights; in NumPy.

DARTS prefers operations without weights, because they ease the training of the mixed network, until the cell that it
derives has nothing else. Zela et al. (2020) stop when the dominant eigenvalue of the validation loss by the
architecture weights grows; Liang et al. (2019) limit the skip connections of a cell. On images a max pool collapses a
cell as a skip connection does, so the limit here counts every operation without weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headrace.networks.architectures.space import ArchitectureSpace, Genotype
from headrace.networks.architectures.tabular import EDGES, PARAMETER_FREE, edge_name


class CurvatureStop:
    """Stop when the dominant eigenvalue has grown: mean(last `window`) > ratio * mean(the `window` before them).

    Both means are of values after the warm-up. The curvature grows at the start of every search, because the weights of
    the network are still far from a minimum; there the criterion would end a search that has learned nothing.

    Args:
        window: Values of a mean; Zela et al. take one value an epoch, and five of them.
        ratio: Growth that ends a search; Zela et al. stop at 1 / 0.75.
        warm_up: Values that are recorded and not judged.
    """

    def __init__(self, *, window: int = 5, ratio: float = 1 / 0.75, warm_up: int = 0) -> None:
        self.window, self.ratio, self.warm_up = window, ratio, warm_up
        self.values: list[float] = []

    def add(self, eigenvalue: float) -> bool:
        """Add a value; return whether the search must end, at the architecture weights of `window` values ago."""
        self.values.append(abs(eigenvalue))
        judged = self.values[self.warm_up :]
        if len(judged) < 2 * self.window:
            return False
        before = float(np.mean(judged[-2 * self.window : -self.window]))
        return float(np.mean(judged[-self.window :])) > self.ratio * before


def discretise(
    weights: NDArray[np.float64], operations: Sequence[str], *, max_parameter_free: int | None = None
) -> tuple[str, ...]:
    """Return the operation of each edge: the one of largest weight, `none` excepted.

    Args:
        weights: Architecture weights [edges, operations].
        operations: Their names.
        max_parameter_free: Most edges whose operation may be without weights; the weakest of them take their best
            operation with weights. None for no limit.
    """
    allowed = [at for at, name in enumerate(operations) if name != "none"]
    chosen = [max(allowed, key=lambda at: weights[edge, at]) for edge in range(len(weights))]
    free = [edge for edge, at in enumerate(chosen) if operations[at] in PARAMETER_FREE]
    if max_parameter_free is not None and len(free) > max_parameter_free:
        by_weight = sorted(free, key=lambda edge: -weights[edge, chosen[edge]])
        others = [at for at in allowed if operations[at] not in PARAMETER_FREE]
        for edge in by_weight[max_parameter_free:]:
            chosen[edge] = max(others, key=lambda at: weights[edge, at])
    return tuple(operations[at] for at in chosen)


def collapsed(space: ArchitectureSpace, genotype: Genotype) -> bool:
    """Whether no operation with weights lies on a way from the cell's input to its output."""
    choices = space.choices(genotype)
    operation = {edge: str(choices[edge_name(edge)]) for edge in EDGES}
    direct = operation[0, 2] not in PARAMETER_FREE
    both = (operation[0, 1], operation[1, 2])
    detour = "none" not in both and any(name not in PARAMETER_FREE for name in both)
    return not (direct or detour)
