"""What the demo says while it happens, line by line, on the production clock."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from headrace.core.clock import from_us
from headrace.replay.story import Look, Measurement, Story

_COLOURS = {"nothing": "dim", "alert": "yellow", "retrain": "cyan"}
_OUTCOMES = {"promoted": "green", "refused": "red", "failed": "red"}


class Telling:
    """A console with the demo's few kinds of lines."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)

    def say(self, text: str, style: str = "") -> None:
        self.console.print(escape(text), style=style or None, soft_wrap=True)

    def on(self, at_us: int, who: str, text: str, style: str = "") -> None:
        """`12 May  monitor  ...`."""
        day = from_us(at_us).strftime("%d %b").lstrip("0").rjust(6)
        self.console.print(f"[bold]{day}[/]  {who:<8} {escape(text)}", style=style or None, soft_wrap=True)

    def lived(self, at_us: int, scored: int, answer: Mapping[str, Any] | None) -> None:
        """A day came, its rows were predicted, and the API was asked."""
        asked = "the API does not answer"
        if answer is not None:
            shown = answer.get("probability")
            said = f"{shown:.2f}" if isinstance(shown, float) else "no answer"
            asked = f"the API answers {said} by version {answer.get('model_version')}"
        self.on(at_us, "feed", f"{scored:,} predictions more; {asked}")

    def looked(self, look: Look, week: Measurement, metric: str) -> None:
        """A window was decided about."""
        value = "not measured yet" if week.value is None else f"{metric} {week.value:.3f} on {week.labelled:,} labels"
        also = f" and {', '.join(look.other)}" if look.other else ""
        self.on(look.at_us, "monitor", f"last 7 days: {value}; {look.features} features{also} drifted")
        style = _COLOURS.get(look.kind, "")
        self.on(look.at_us, "decision", f"{look.kind}: {look.reason}", style)

    def alerted(self, alert: Mapping[str, Any]) -> None:
        """An alert arrived at the webhook."""
        first = str(alert.get("message", "")).strip().split("\n")[0]
        self.console.print(f"        alert    received: {escape(str(alert.get('title')))}", style="yellow")
        self.console.print(f"                 {escape(first)}", style="dim", soft_wrap=True)

    def ended(self, at_us: int, outcome: str, version: str | None, reason: str) -> None:
        """A retrain ended."""
        named = f" version {version}" if version else ""
        self.on(at_us, "retrain", f"{outcome}{named}: {reason}", _OUTCOMES.get(outcome, ""))

    @contextmanager
    def stages(self) -> Iterator[None]:
        """The lines that flows log, while the block runs."""
        handler = _Lines(self)
        logger = logging.getLogger("headrace.flows")
        level = logger.level
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)

    def summary(self, story: Story) -> None:
        """Versions and decisions, as tables."""
        reigns = Table("version", "from", "until", f"gate {story.metric}", title=f"{story.problem}: champions")
        for reign in story.reigns:
            expected = "-" if reign.expected is None else f"{reign.expected:.3f}"
            reigns.add_row(reign.version, _day(reign.from_us), _day(reign.until_us), expected)
        self.console.print(reigns)
        decided = Table("window's end", "decision", "drifted", "outcome", title=f"{story.problem}: decisions")
        for look in story.looks:
            outcome = " ".join(part for part in (look.outcome, look.version) if part) or "-"
            decided.add_row(_day(look.at_us), look.kind, str(look.features + len(look.other)), outcome)
        self.console.print(decided)


class _Lines(logging.Handler):
    def __init__(self, telling: Telling) -> None:
        super().__init__()
        self._telling = telling

    def emit(self, record: logging.LogRecord) -> None:
        self._telling.say(f"                 {record.getMessage()}", "dim")


def _day(at_us: int) -> str:
    return from_us(at_us).strftime("%d %b")
