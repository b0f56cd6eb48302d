"""What a run reports while it goes on: which stage starts, how far it is, how it ended, and damage that was found."""

from __future__ import annotations

import logging
from collections.abc import Sequence

_log = logging.getLogger(__name__)


class Progress:
    """Receives the events of a run. This one shows nothing but damage, in the log; others override what they show."""

    def run_started(self, stages: Sequence[str]) -> None:
        """A run of these stages starts.

        Args:
            stages: their names in order.
        """

    def stage_started(self, stage: str) -> None:
        """A stage starts, or is looked up."""

    def message(self, stage: str, text: str) -> None:
        """How far a stage is, in one line that takes the place of the last one."""

    def stage_finished(self, stage: str, seconds: float, state: str) -> None:
        """A stage has ended.

        Args:
            stage: its name.
            seconds: how long it took.
            state: "run", "cached" or "made again".
        """

    def damage(self, text: str) -> None:
        """What was found damaged, and what is done about it."""
        _log.warning("%s", text)
