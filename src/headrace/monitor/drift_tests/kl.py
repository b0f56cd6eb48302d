"""Kullback-Leibler divergence of the current rows from the reference, nats: the sum of q ln(q / p) over cells."""

from __future__ import annotations

import numpy as np

from headrace.monitor.drift_tests.samples import Counts, Floats
from headrace.monitor.drift_tests.table import TableTest, smoothed


def _kl(counts: Counts) -> Floats:
    p, q = smoothed(counts)
    return np.asarray((q * np.log(q / p)).sum(axis=-1), dtype=np.float64)


KL = TableTest(name="kl", floor=0.05, statistic=_kl, scale=2.0)
