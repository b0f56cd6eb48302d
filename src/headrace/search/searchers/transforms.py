"""Transforms of losses for models with normal errors: one very high loss does not set the scale of the others."""

from __future__ import annotations

import numpy as np

from headrace.search.searchers.cube import Array


def standardise(losses: Array) -> Array:
    """Scale losses [n] to mean 0 and standard deviation 1; zeros where all are equal."""
    largest = float(np.abs(losses).max())
    scaled = losses / largest if largest > 0 else losses
    deviation = float(scaled.std())
    centred: Array = scaled - scaled.mean()
    return centred / deviation if deviation > 1e-12 else np.zeros_like(losses)


def cap_high_losses(losses: Array, factor: float = 3.0) -> Array:
    """Cap losses [n] at median + factor x (median - minimum), then standardise."""
    largest = float(np.abs(losses).max())
    scaled = losses / largest if largest > 0 else losses
    median = float(np.median(scaled))
    return standardise(np.minimum(scaled, median + factor * (median - float(scaled.min()))))


def log_regret(losses: Array) -> Array:
    """Return the standardised logarithm of each loss's distance to a point just below the minimum [n]."""
    z = cap_high_losses(losses)
    scale = float(np.median(z) - z.min())
    return standardise(np.log(z - z.min() + 0.1 * scale)) if scale > 0 else z
