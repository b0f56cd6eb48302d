"""Compound scaling of a network in depth, width and resolution (EfficientNet)."""

from headrace.networks.scaling.compound import Factors, Sizes3, grid, grown, scale, single_axis

__all__ = ["Factors", "Sizes3", "grid", "grown", "scale", "single_axis"]
