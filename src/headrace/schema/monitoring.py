"""How production is watched: which window, by which drift tests, and against which reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headrace.core.clock import parse_duration
from headrace.core.errors import DeclarationError
from headrace.core.extensions import Handed, names_of
from headrace.schema.values import check_duration, check_number

REFERENCES = ("weekdays", "whole")


@dataclass(frozen=True, kw_only=True)
class Monitoring:
    """What a monitored window is, and from where on a difference counts as drift.

    Args:
        window: length of a monitored window on the production clock.
        every: windows end on whole multiples of it.
        reference: `"weekdays"` compares a window with the training rows of its own times of the week, which are all
            of them where the window is of whole weeks; `"whole"` compares with all of them always.
        drift_tests: the tests that decide, by name or as objects (`headrace.monitor.drift_tests.protocol.DriftTest`);
            each takes the kinds of columns that it is made for. None: the built-in choice for each kind.
        floors: drift test -> the effect, in the test's unit, below which a difference does not matter; tests that are
            not named keep their own floor.
        false_discovery_rate: share of windows, at most, in which a finding is raised although nothing drifted.
        performance_margin: how much worse the problem's metric must be on matured labels to count as a loss of
            quality: absolute for `auc` and `log_loss`, else a share of the reference's value. None: by metric.
        alert_channels: channels for alerts as objects (`headrace.monitor.alerts.channel.AlertChannel`), besides those
            of Apprise and of installed packages. Addresses stay a setting of the installation (HEADRACE_ALERT_URL).

    Raises:
        DeclarationError: for a value that cannot be used.
    """

    window: str = "7d"
    every: str = "1d"
    reference: str = "weekdays"
    drift_tests: tuple[Any, ...] | None = None
    floors: Mapping[str, float] = field(default_factory=dict)
    false_discovery_rate: float = 0.01
    performance_margin: float | None = None
    alert_channels: tuple[Any, ...] = ()
    handed: tuple[Handed, ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        check_duration("window", self.window, where="monitoring")
        check_duration("every", self.every, where="monitoring")
        if self.reference not in REFERENCES:
            raise DeclarationError(
                f"no reference {self.reference!r}", where="monitoring", found=REFERENCES, fix="name one of these"
            )
        check_number("false_discovery_rate", self.false_discovery_rate, where="monitoring", low=0, high=0.5)
        if self.performance_margin is not None:
            check_number("performance_margin", self.performance_margin, where="monitoring", low=0)
        if not isinstance(self.floors, Mapping):
            raise DeclarationError(f"floors={self.floors!r}", where="monitoring", fix='give {"psi": 0.2}')
        for test, floor in self.floors.items():
            check_number(f"floors[{test!r}]", floor, where="monitoring", low=0)
        if self.drift_tests is not None and not self.drift_tests:
            raise DeclarationError("drift_tests=() leaves no test", where="monitoring", fix="name one, or leave it out")
        names_of(self, "drift_tests", "drift_test", where="monitoring")
        names_of(self, "alert_channels", "alert_channel", where="monitoring")

    @property
    def window_us(self) -> int:
        return parse_duration(self.window)

    @property
    def every_us(self) -> int:
        return parse_duration(self.every)
