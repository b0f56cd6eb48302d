"""Compound scaling (Tan & Le, 2019): depth, width and resolution grow together, as the cost doubles with each step.

| symbol              | meaning                                                                    |
|---------------------|----------------------------------------------------------------------------|
| alpha, beta, gamma  | factors of depth, width and resolution of one step; each at least 1         |
| phi                 | number of steps                                                            |

FLOPs grow like depth * width^2 * resolution^2, so alpha * beta^2 * gamma^2 = 2 doubles them with each step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from headrace.core.errors import DeclarationError

#: Values of phi that `grown` tries.
_LARGEST_PHI, _PHI_STEP = 16.0, 0.05


@dataclass(frozen=True, kw_only=True)
class Factors:
    """Factors of one step."""

    alpha: float
    beta: float
    gamma: float

    @property
    def cost(self) -> float:
        """Growth of the FLOPs of one step."""
        return self.alpha * self.beta**2 * self.gamma**2


@dataclass(frozen=True, kw_only=True)
class Sizes3:
    """Depth (cells), width (channels) and resolution (side of the image) of a network."""

    depth: int
    width: int
    resolution: int


def grid(
    alphas: Sequence[float] = (1.0, 1.1, 1.2, 1.3, 1.4),
    betas: Sequence[float] = (1.0, 1.05, 1.1, 1.15, 1.2, 1.3, 1.4),
    gammas: Sequence[float] = (1.0, 1.05, 1.1, 1.15, 1.2, 1.3, 1.4),
    *,
    cost: float = 2.0,
    tolerance: float = 0.1,
) -> list[Factors]:
    """Return the factors whose cost is within a tolerance, relative, of the given one.

    Raises:
        DeclarationError: A factor is below 1.
    """
    if min(*alphas, *betas, *gammas) < 1:
        raise DeclarationError("a network is never scaled down", where="compound scaling", fix="give factors from 1")
    every = (Factors(alpha=a, beta=b, gamma=g) for a in alphas for b in betas for g in gammas)
    return [factors for factors in every if abs(factors.cost / cost - 1) <= tolerance]


def scale(base: Sizes3, factors: Factors, phi: float) -> Sizes3:
    """Return the sizes after phi steps, rounded to whole numbers."""
    return Sizes3(
        depth=max(1, round(base.depth * factors.alpha**phi)),
        width=max(1, round(base.width * factors.beta**phi)),
        resolution=max(1, round(base.resolution * factors.gamma**phi)),
    )


def grown(base: Sizes3, factors: Factors, flops: float, flops_of: Callable[[Sizes3], float]) -> Sizes3:
    """Return the sizes on the path of some factors whose FLOPs are closest to a number of FLOPs.

    The law above holds for images; the FLOPs of other networks grow otherwise, so phi is searched.

    Args:
        base: Sizes at phi = 0.
        factors: Direction in which they grow.
        flops: FLOPs to reach.
        flops_of: Sizes -> FLOPs.
    """
    path = dict.fromkeys(scale(base, factors, phi) for phi in np.arange(0, _LARGEST_PHI, _PHI_STEP))
    return min(path, key=lambda sizes: abs(np.log(flops_of(sizes) / flops)))


def single_axis(axis: str, *, cost: float = 2.0) -> Factors:
    """Return the factors that grow one axis alone at the same cost.

    Args:
        axis: "depth", "width" or "resolution".
        cost: Growth of the FLOPs of one step.
    """
    root = float(np.sqrt(cost))
    choices = {
        "depth": Factors(alpha=cost, beta=1, gamma=1),
        "width": Factors(alpha=1, beta=root, gamma=1),
        "resolution": Factors(alpha=1, beta=1, gamma=root),
    }
    if axis not in choices:
        raise DeclarationError(f"no axis {axis!r}", where="compound scaling", found=choices)
    return choices[axis]
