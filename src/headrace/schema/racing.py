"""Racing as a user declares it: how readily a search stops a trial that is behind."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.schema.values import check_number, check_whole


@dataclass(frozen=True, kw_only=True)
class Racing:
    """The error level and the start of racing; `headrace.search.study.racing` has the test and its source.

    Args:
        error: probability, at most, that a trial which would have become the incumbent is stopped. The default is far
            above what happens: on measured curves 1 to 6 % of such trials are stopped (docs/search.md).
        least: trials that are evaluated in full before any trial is stopped; 3 is the least that shows a scatter.

    Raises:
        DeclarationError: for an error outside of (0, 0.5), or a `least` below 3.
    """

    error: float = 0.4
    least: int = 3

    def __post_init__(self) -> None:
        check_number("error", self.error, where="racing", low=0, high=0.5)
        check_whole("least", self.least, where="racing", least=3)
