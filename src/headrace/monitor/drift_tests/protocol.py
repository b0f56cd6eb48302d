"""The protocol of drift tests: a drift score of two samples, its p-value, and the effect beyond the null's mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from headrace.monitor.drift_tests.samples import Kind, Pair


@dataclass(frozen=True, kw_only=True)
class Measure:
    """The result of a drift test.

    Attributes:
        score: As the literature defines it; higher is more drift.
        p_value: Probability of a score at least as high without drift, for both sample sizes.
        effect: The score less its mean without drift, in the same unit.
    """

    score: float
    p_value: float
    effect: float


class DriftTest(Protocol):
    """A drift test of one column. Called only for pairs with values on both sides (`Pair.effective` > 0).

    Attributes:
        name: Name in the catalogue.
        kinds: Kinds of columns that it takes.
        floor: Smallest effect that matters; the built-in floors correspond to a shift of a quarter of a standard
            deviation.
    """

    @property
    def name(self) -> str: ...

    @property
    def kinds(self) -> frozenset[Kind]: ...

    @property
    def floor(self) -> float: ...

    def score(self, pair: Pair) -> float: ...

    def measure(self, pair: Pair, *, seed: int) -> Measure: ...
