"""Parameters and FLOPs of a genotype from its choices alone, for budgets and for compound scaling.

| symbol | meaning                                                       |
|--------|---------------------------------------------------------------|
| w      | width of a node (features, or channels of an image)           |
| s      | pixels of an image, 1 of a row of a table                     |

FLOPs count a multiplication and an addition as two. Normalisations, biases in FLOPs, and activations are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headrace.core.errors import DeclarationError
from headrace.networks.architectures.space import ArchitectureSpace, Genotype, Option
from headrace.networks.architectures.tabular import EDGES, edge_name


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Sizes of the data that a network is for.

    Attributes:
        inputs: Columns of a table, channels of an image.
        outputs: Classes, or 1 of a number.
        side: Pixels of an image's side; 1 of a table.
    """

    inputs: int
    outputs: int
    side: int = 1


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Cost of one network: its parameters, and the FLOPs of one prediction."""

    parameters: int
    flops: int


def _multipliers(operation: str, w: int) -> tuple[int, int]:
    """Return (parameters, multiplications per pixel) of one operation at width w."""
    dense = w * w
    table = {
        "none": (0, 0),
        "skip": (0, 0),
        "linear": (dense + w, dense),
        "glu": (2 * (dense + w), 2 * dense),
        "gated": (dense + w, dense),
        "attention": (dense + w, dense),
        "residual": (2 * (dense + w), 2 * dense),
        "conv_3x3": (9 * dense + 2 * w, 9 * dense),
        "conv_5x5": (25 * dense + 2 * w, 25 * dense),
        "separable_3x3": (9 * w + dense + 2 * w, 9 * w + dense),
        "max_pool_3x3": (0, 0),
    }
    if operation not in table:
        raise DeclarationError(f"no operation {operation!r}", where="architecture", found=table)
    return table[operation]


def cost_of(space: ArchitectureSpace, genotype: Genotype, sizes: Sizes) -> Cost:
    """Return the cost of a genotype.

    Args:
        space: "tabular" or "image".
        genotype: One of the space.
        sizes: Of the data.
    """
    return choices_cost(space.choices(genotype), sizes)


def choices_cost(choices: Mapping[str, Option], sizes: Sizes) -> Cost:
    """Return the cost of choices by slot name; width, depth and resolution may lie between the space's options."""
    w, depth, pixels = int(choices["width"]), int(choices["depth"]), sizes.side**2
    resolution = max(1, int(choices.get("resolution", 1)))
    stem = 9 * sizes.inputs * w if sizes.side > 1 else sizes.inputs * resolution * w
    head = w * sizes.outputs
    cells = [_multipliers(str(choices[edge_name(edge)]), w) for edge in EDGES]
    parameters = stem + w + head + sizes.outputs + depth * sum(parameter for parameter, _ in cells)
    multiplications = pixels * (stem + depth * sum(product for _, product in cells)) + head
    return Cost(parameters=parameters, flops=2 * multiplications)
