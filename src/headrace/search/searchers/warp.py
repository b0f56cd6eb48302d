"""Losses as a model of normal errors can use them: no configuration's disaster decides the scale of the rest."""

from __future__ import annotations

import numpy as np

from headrace.search.searchers.cube import Array


def standardised(losses: Array) -> Array:
    """Mean 0 and standard deviation 1; zeros where all losses are equal. Any scale that a float holds."""
    largest = float(np.abs(losses).max())
    scaled = losses / largest if largest > 0 else losses
    deviation = float(scaled.std())
    centred: Array = scaled - scaled.mean()
    return centred / deviation if deviation > 1e-12 else np.zeros_like(losses)


def cut(losses: Array, times: float = 3.0) -> Array:
    """What lies further above the median than `times` the best lies below it is brought there; then standardised."""
    largest = float(np.abs(losses).max())
    scaled = losses / largest if largest > 0 else losses
    middle = float(np.median(scaled))
    return standardised(np.minimum(scaled, middle + times * (middle - float(scaled.min()))))


def logarithm(losses: Array) -> Array:
    """log of the distance to just below the best, standardised."""
    z = cut(losses)
    spread = float(np.median(z) - z.min())
    return standardised(np.log(z - z.min() + 0.1 * spread)) if spread > 0 else z
