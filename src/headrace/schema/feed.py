"""A feed replayed from history, as a user declares it."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.core.clock import parse_duration, to_us
from headrace.core.errors import DeclarationError


@dataclass(frozen=True, kw_only=True)
class Replay:
    """A feed replayed from history: rows up to `start` are the bootstrap load, then one batch per `step`.

    The production clock of a replayed problem starts at `start`, and each scheduled ingest moves it by one step.

    Args:
        start: instant in ISO form; a bare date is its midnight in UTC.
        step: period of one batch.
        steps: how many steps the main job replays after deployment, to measure the model in production.

    Raises:
        DeclarationError: for a start that is no instant, or a wrong step.
    """

    start: str
    step: str = "1d"
    steps: int = 31

    def __post_init__(self) -> None:
        try:
            self.start_us, self.step_us  # noqa: B018  validates both
        except (ValueError, TypeError, AttributeError):
            raise DeclarationError(
                f"start={self.start!r} is no instant",
                where="feed",
                fix='write it as "2024-02-01" or "2024-02-01T06:00:00Z"',
            ) from None
        if not isinstance(self.steps, int) or self.steps < 0:
            raise DeclarationError(f"steps={self.steps!r}", where="feed", fix="give how many steps are replayed")

    @property
    def start_us(self) -> int:
        return to_us(self.start)

    @property
    def step_us(self) -> int:
        return parse_duration(self.step)

    @property
    def end_us(self) -> int:
        """Where the main job's replay ends."""
        return self.start_us + self.steps * self.step_us
