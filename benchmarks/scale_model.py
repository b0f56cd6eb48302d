"""A cost model of synthesis: rows, cutoffs and features to processor seconds, fitted to measured runs.

    seconds = fixed + row * events + value * cutoffs * features

Fitted by least squares without negative coefficients, on relative errors: small runs count as much as large ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

#: What a core costs for an hour, in US dollars: of a general-purpose machine on demand, rounded up. An assumption.
CORE_HOUR = 0.05


@dataclass(frozen=True, kw_only=True)
class Run:
    """A measured run."""

    events: int
    cutoffs: int
    features: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class CostModel:
    """Processor seconds: fixed, a million events, and a million values (cutoffs x features)."""

    fixed: float
    per_million_events: float
    per_million_values: float

    def seconds(self, events: int, cutoffs: int, features: int) -> float:
        """Processor seconds of a run."""
        values = cutoffs * features
        return self.fixed + (self.per_million_events * events + self.per_million_values * values) / 1e6

    def dollars(self, events: int, cutoffs: int, features: int) -> float:
        """What its processor time costs, at `CORE_HOUR`."""
        return self.seconds(events, cutoffs, features) / 3_600 * CORE_HOUR


def fit(runs: Sequence[Run]) -> CostModel:
    """The model of some runs."""
    terms = np.array([[1.0, run.events / 1e6, run.cutoffs * run.features / 1e6] for run in runs])
    seconds = np.array([run.seconds for run in runs])
    found, _ = nnls(terms / seconds[:, None], np.ones(len(runs)))
    return CostModel(fixed=found[0], per_million_events=found[1], per_million_values=found[2])
