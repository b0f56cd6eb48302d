"""Jensen-Shannon distance: the root of the mean divergence (bits) from the mixture of both samples, 0 to 1."""

from __future__ import annotations

import numpy as np

from headrace.monitor.drift_tests.samples import Counts, Floats
from headrace.monitor.drift_tests.table import TableTest


def _js(counts: Counts) -> Floats:
    """The divergence; its root is the distance. Empty cells need no smoothing: x ln x is 0 at 0."""
    shares = counts / counts.sum(axis=-1, keepdims=True)
    mixture = shares.mean(axis=-2, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(shares > 0, shares * np.log2(shares / mixture), 0.0)
    return np.asarray(terms.sum(axis=(-1, -2)) / 2, dtype=np.float64)


JS = TableTest(name="js", floor=0.10, statistic=_js, scale=8 * float(np.log(2)), root=True)
