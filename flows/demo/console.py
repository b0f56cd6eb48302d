"""Print the events of the demo as they happen, each with the day of the production clock."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from headrace.app.progress import LOG
from headrace.core.clock import from_us
from headrace.replay.history import Measurement, ProductionHistory, WindowDecision

_COLOURS = {"nothing": "dim", "alert": "yellow", "retrain": "cyan"}
_OUTCOMES = {"promoted": "green", "refused": "red", "failed": "red"}


class DemoConsole:
    """A console with one method for each kind of line that the demo prints."""

    def __init__(self, console: Console | None = None) -> None:
        self.rich = console or Console(highlight=False)

    def line(self, text: str, style: str = "") -> None:
        self.rich.print(escape(text), style=style or None, soft_wrap=True)

    def event(self, at_us: int, source: str, text: str, style: str = "") -> None:
        """Print `12 May  monitor  ...`."""
        day = from_us(at_us).strftime("%d %b").lstrip("0").rjust(6)
        self.rich.print(f"[bold]{day}[/]  {source:<8} {escape(text)}", style=style or None, soft_wrap=True)

    def day(self, at_us: int, scored: int, answer: Mapping[str, Any] | None) -> None:
        """Print how many rows of a day were predicted, and a prediction of the API."""
        response = "the API does not respond"
        if answer is not None:
            value = answer.get("probability")
            shown = f"{value:.2f}" if isinstance(value, float) else "nothing"
            response = f"the API predicts {shown} by version {answer.get('model_version')}"
        self.event(at_us, "feed", f"{scored:,} more predictions; {response}")

    def window(self, decision: WindowDecision, week: Measurement, metric: str) -> None:
        """Print the evidence of a window and the decision."""
        value = "not measured yet" if week.value is None else f"{metric} {week.value:.3f} on {week.labelled:,} labels"
        also = f" and {', '.join(decision.other)}" if decision.other else ""
        self.event(decision.at_us, "monitor", f"last 7 days: {value}; {decision.features} features{also} drifted")
        style = _COLOURS.get(decision.kind, "")
        self.event(decision.at_us, "decision", f"{decision.kind}: {decision.reason}", style)

    def alert(self, alert: Mapping[str, Any]) -> None:
        """Print an alert that the webhook received."""
        first = str(alert.get("message", "")).strip().split("\n")[0]
        self.rich.print(f"        alert    received: {escape(str(alert.get('title')))}", style="yellow")
        self.rich.print(f"                 {escape(first)}", style="dim", soft_wrap=True)

    def retrain(self, at_us: int, outcome: str, version: str | None, reason: str) -> None:
        """Print the outcome of a retrain."""
        named = f" version {version}" if version else ""
        self.event(at_us, "retrain", f"{outcome}{named}: {reason}", _OUTCOMES.get(outcome, ""))

    @contextmanager
    def log_stages(self) -> Iterator[None]:
        """Print what the stages of a run log while the block runs."""
        handler = _Lines(self)
        level = LOG.level
        LOG.addHandler(handler)
        LOG.setLevel(logging.INFO)
        try:
            yield
        finally:
            LOG.removeHandler(handler)
            LOG.setLevel(level)

    def summary(self, history: ProductionHistory) -> None:
        """Print the versions and the decisions as tables."""
        champions = Table("version", "from", "until", f"gate {history.metric}", title=f"{history.problem}: champions")
        for champion in history.champions:
            expected = "-" if champion.expected is None else f"{champion.expected:.3f}"
            champions.add_row(champion.version, _day(champion.from_us), _day(champion.until_us), expected)
        self.rich.print(champions)
        decided = Table("window's end", "decision", "drifted", "outcome", title=f"{history.problem}: decisions")
        for decision in history.decisions:
            outcome = " ".join(part for part in (decision.outcome, decision.version) if part) or "-"
            decided.add_row(_day(decision.at_us), decision.kind, str(decision.features + len(decision.other)), outcome)
        self.rich.print(decided)


class _Lines(logging.Handler):
    def __init__(self, console: DemoConsole) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.line(f"                 {record.getMessage()}", "dim")


def _day(at_us: int) -> str:
    return from_us(at_us).strftime("%d %b")
