"""Population stability index: the sum of (q - p) ln(q / p) over cells, p of the reference, q of the current rows."""

from __future__ import annotations

import numpy as np

from headrace.monitor.drift_tests.samples import Counts, Floats
from headrace.monitor.drift_tests.table import TableTest, smoothed


def _psi(counts: Counts) -> Floats:
    p, q = smoothed(counts)
    return np.asarray(((q - p) * np.log(q / p)).sum(axis=-1), dtype=np.float64)


PSI = TableTest(name="psi", floor=0.10, statistic=_psi, scale=1.0)
