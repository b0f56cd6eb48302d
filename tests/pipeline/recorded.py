"""What a run reports, recorded."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.pipeline.progress import Progress


class Recorded(Progress):
    """Keeps every event."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.messages: list[tuple[str, str]] = []
        self.finished: list[tuple[str, str]] = []
        self.damages: list[str] = []

    def run_started(self, stages: Sequence[str]) -> None:
        self.stages = tuple(stages)

    def stage_started(self, stage: str) -> None:
        self.started.append(stage)

    def message(self, stage: str, text: str) -> None:
        self.messages.append((stage, text))

    def stage_finished(self, stage: str, seconds: float, state: str) -> None:
        self.finished.append((stage, state))

    def damage(self, text: str) -> None:
        self.damages.append(text)
