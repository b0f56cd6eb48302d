"""Guards against the collapse of DARTS: an early stop by curvature, and a limit on skip connections; in NumPy.

DARTS prefers skip connections late in a search, because they ease the training of the mixed network, until the cell
that it derives has nothing else. Zela et al. (2020) stop when the dominant eigenvalue of the validation loss by the
architecture weights grows; Liang et al. (2019) limit the skips of a cell.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headrace.networks.architectures.space import ArchitectureSpace, Genotype
from headrace.networks.architectures.tabular import EDGES, PARAMETER_FREE, edge_name


class CurvatureStop:
    """Stop when the dominant eigenvalue has grown: mean(last `window`) > ratio * mean(the `window` before them).

    Args:
        window: Values of a mean.
        ratio: Growth that ends a search; Zela et al. stop at 1 / 0.75.
    """

    def __init__(self, *, window: int = 3, ratio: float = 1 / 0.75) -> None:
        self.window, self.ratio = window, ratio
        self.values: list[float] = []

    def add(self, eigenvalue: float) -> bool:
        """Add a value; return whether the search must end, at the architecture weights of `window` values ago."""
        self.values.append(abs(eigenvalue))
        if len(self.values) < 2 * self.window:
            return False
        before = float(np.mean(self.values[-2 * self.window : -self.window]))
        return float(np.mean(self.values[-self.window :])) > self.ratio * before


def discretise(
    weights: NDArray[np.float64], operations: Sequence[str], *, max_skips: int | None = None
) -> tuple[str, ...]:
    """Return the operation of each edge: the one of largest weight, `none` excepted.

    Args:
        weights: Architecture weights [edges, operations].
        operations: Their names.
        max_skips: Most edges that may have a skip; the weakest of them take their next operation. None for no limit.
    """
    allowed = [at for at, name in enumerate(operations) if name != "none"]
    chosen = [max(allowed, key=lambda at: weights[edge, at]) for edge in range(len(weights))]
    skips = [edge for edge, at in enumerate(chosen) if operations[at] == "skip"]
    if max_skips is not None and len(skips) > max_skips:
        by_weight = sorted(skips, key=lambda edge: -weights[edge, chosen[edge]])
        others = [at for at in allowed if operations[at] not in PARAMETER_FREE]
        for edge in by_weight[max_skips:]:
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
