"""What a wrong decision costs the user: for alerts and estimates in money."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.core.errors import DeclarationError
from headrace.schema.values import check_number


@dataclass(frozen=True, kw_only=True)
class Costs:
    """The costs of decisions that follow from predicted probabilities. A right decision costs nothing.

    Args:
        false_positive: cost of acting on a row whose label is false.
        false_negative: cost of not acting on a row whose label is true.
        threshold: probability from which a row is acted on. None: the one at which calibrated probabilities cost
            least, false_positive / (false_positive + false_negative) (Elkan 2001).
        currency: unit of the costs, such as "EUR".

    Raises:
        DeclarationError: for a value that cannot be used.
    """

    false_positive: float
    false_negative: float
    threshold: float | None = None
    currency: str = ""

    def __post_init__(self) -> None:
        for name in ("false_positive", "false_negative"):
            check_number(name, getattr(self, name), where="costs", low=0)
        if self.threshold is not None:
            check_number("threshold", self.threshold, where="costs", low=0, high=1)
        if not isinstance(self.currency, str):
            raise DeclarationError(f"currency={self.currency!r}", where="costs", fix='write it as "EUR"')

    @property
    def cheapest_threshold(self) -> float:
        """The threshold at which decisions by calibrated probabilities cost least."""
        return self.false_positive / (self.false_positive + self.false_negative)

    @property
    def decision_threshold(self) -> float:
        """The declared threshold, else the cheapest one."""
        return self.cheapest_threshold if self.threshold is None else self.threshold
