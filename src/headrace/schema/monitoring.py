"""How production is watched: which window, how often a new one begins, and what it is held to."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.core.clock import parse_duration
from headrace.core.errors import DeclarationError

REFERENCES = ("weekdays", "whole")


@dataclass(frozen=True, kw_only=True)
class Monitoring:
    """window: how much of the production clock one look takes. every: windows end on whole multiples of it.

    reference: "weekdays" holds a window to the training rows of its own times of the week, which are all of them where
    it is of whole weeks; "whole" to all of them always.
    """

    window: str = "7d"
    every: str = "1d"
    reference: str = "weekdays"

    def __post_init__(self) -> None:
        self.window_us, self.every_us  # noqa: B018  validates both
        if self.reference not in REFERENCES:
            raise DeclarationError(
                f"no reference {self.reference!r}", where="monitoring", found=REFERENCES, fix="name one of these"
            )

    @property
    def window_us(self) -> int:
        return parse_duration(self.window)

    @property
    def every_us(self) -> int:
        return parse_duration(self.every)
