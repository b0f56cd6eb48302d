"""What a drift test is: a score of two samples, how likely chance is to give it, and what remains without chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from headrace.monitor.drift_tests.samples import Kind, Pair


@dataclass(frozen=True, kw_only=True)
class Measure:
    """score: as the literature defines it; higher is more drift. effect: the score less what chance alone gives."""

    score: float
    p_value: float
    effect: float


class DriftTest(Protocol):
    """floor: effects below it do not matter, however significant; all floors are about a shift of a quarter of a
    standard deviation. Asked only for pairs with values on both sides (`Pair.effective` > 0).
    """

    @property
    def name(self) -> str: ...

    @property
    def kinds(self) -> frozenset[Kind]: ...

    @property
    def floor(self) -> float: ...

    def score(self, pair: Pair) -> float: ...

    def measure(self, pair: Pair, *, seed: int) -> Measure: ...
