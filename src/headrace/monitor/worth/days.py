"""Sum the losses of champion and shadow by day: the blocks in which rows may depend on each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headrace.core.clock import DAY
from headrace.evaluate.metrics import Floats


@dataclass(frozen=True, kw_only=True)
class DayLosses:
    """Losses of the same rows by two models, summed by day.

    Attributes:
        start_us: Start of each day that has rows [d], ascending, microseconds UTC.
        rows: Rows of each day [d].
        champion: Sum of the champion's losses of each day [d].
        shadow: Sum of the shadow's losses of each day [d].
    """

    start_us: NDArray[np.int64]
    rows: Floats
    champion: Floats
    shadow: Floats

    @property
    def gain(self) -> Floats:
        """Sum of the loss that the shadow saves on each day [d]."""
        return self.champion - self.shadow

    def between(self, start_us: int, end_us: int) -> DayLosses:
        """Return the days that start in [start_us, end_us)."""
        inside = (self.start_us >= start_us) & (self.start_us < end_us)
        return DayLosses(
            start_us=self.start_us[inside],
            rows=self.rows[inside],
            champion=self.champion[inside],
            shadow=self.shadow[inside],
        )


def day_losses(champion: Floats, shadow: Floats, cutoffs_us: NDArray[np.int64]) -> DayLosses:
    """Sum row losses by day.

    Args:
        champion: Losses of the champion [n].
        shadow: Losses of the shadow that was newest at each row's cutoff [n].
        cutoffs_us: Cutoffs [n], microseconds UTC.
    """
    days, day = np.unique(np.asarray(cutoffs_us, dtype=np.int64) // DAY, return_inverse=True)
    rows, champion_sums, shadow_sums = (
        np.bincount(day, weights=weights, minlength=len(days)).astype(np.float64)
        for weights in (None, champion, shadow)
    )
    return DayLosses(start_us=days * DAY, rows=rows, champion=champion_sums, shadow=shadow_sums)
