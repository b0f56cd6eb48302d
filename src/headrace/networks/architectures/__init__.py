"""Spaces of architectures as plain data: what can be chosen, and what each choice costs."""

from headrace.networks.architectures.cost import Cost, Sizes, cost_of
from headrace.networks.architectures.image import IMAGE_OPERATIONS, image_space
from headrace.networks.architectures.space import ArchitectureSpace, Genotype, Slot
from headrace.networks.architectures.tabular import TABULAR_OPERATIONS, tabular_space

__all__ = [
    "IMAGE_OPERATIONS",
    "TABULAR_OPERATIONS",
    "ArchitectureSpace",
    "Cost",
    "Genotype",
    "Sizes",
    "Slot",
    "cost_of",
    "image_space",
    "tabular_space",
]
