"""The space of networks for small images (scikit-learn's digits, 8 x 8): cells of three nodes, stacked.

A 3 x 3 convolution makes the channels; cells of stride 1 follow; the mean over the image and a linear layer end it.
Edges are those of the tabular space. Every convolution is followed by a normalisation and a relu.
"""

from __future__ import annotations

from headrace.networks.architectures.space import ArchitectureSpace, Slot
from headrace.networks.architectures.tabular import EDGES, edge_name

IMAGE_OPERATIONS = ("none", "skip", "conv_3x3", "conv_5x5", "separable_3x3", "max_pool_3x3")
WIDTHS = (4, 8, 16, 32)
DEPTHS = (1, 2, 3)


def image_space() -> ArchitectureSpace:
    """Return the whole space: 6^3 cells x 4 widths x 3 depths = 2,592 genotypes."""
    return ArchitectureSpace(
        name="image",
        slots=(
            *(Slot(name=edge_name(edge), options=IMAGE_OPERATIONS) for edge in EDGES),
            Slot(name="width", options=WIDTHS, ordered=True),
            Slot(name="depth", options=DEPTHS, ordered=True),
        ),
    )
