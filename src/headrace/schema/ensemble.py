"""An ensemble as a user declares it: how many configurations it is selected from, and how slow it may be to serve."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.schema.values import check_number, check_whole


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """The size and the cost of an ensemble; docs/automl.md describes its selection.

    Args:
        size: configurations of the study, the best of each family first, that members are selected from.
        slowdown: largest estimated time of one row's prediction, relative to the best single configuration.

    Raises:
        DeclarationError: for a size below 2, or a slowdown below 1.
    """

    size: int = 6
    slowdown: float = 3.0

    def __post_init__(self) -> None:
        check_whole("size", self.size, where="ensemble", least=2)
        check_number("slowdown", self.slowdown, where="ensemble", low=0.999)
