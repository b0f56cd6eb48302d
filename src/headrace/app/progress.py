"""The progress of a run, for people: a line per stage, which changes in place on a terminal and is logged elsewhere.

The log's lines reach whoever listens to it: standard error (`print_log`), or Prefect's pages of a flow run.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import Progress as Bars
from rich.progress import SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from headrace.pipeline.progress import Progress

LOG = logging.getLogger("headrace.progress")


class RunDisplay(Progress):
    """Shows a run. On a terminal use it as a context manager, which leaves the terminal as it was.

    Args:
        console: where to show it; standard error if left out.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._bars = Bars(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.description:<14}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[text]}", markup=False),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._lines: dict[str, TaskID] = {}

    def run_started(self, stages: Sequence[str]) -> None:
        """Start to draw."""
        self._bars.start()

    def stage_started(self, stage: str) -> None:
        """Draw another line."""
        self._lines[stage] = self._bars.add_task(stage, total=1, text="")

    def message(self, stage: str, text: str) -> None:
        """Draw the stage's line anew."""
        LOG.debug("%s: %s", stage, text)
        if stage in self._lines:
            self._bars.update(self._lines[stage], text=text)

    def stage_finished(self, stage: str, seconds: float, state: str) -> None:
        """Draw the stage's line for the last time, and log it."""
        LOG.info("%-14s %7.1f s  %s", stage, seconds, state)
        self._bars.update(self._lines[stage], completed=1, text=state)

    def damage(self, text: str) -> None:
        """Print a line above those of the stages."""
        if self._console.is_terminal:
            self._console.print(f"damaged: {text}", highlight=False, markup=False, soft_wrap=True)
        else:
            LOG.warning("damaged: %s", text)

    def __enter__(self) -> RunDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()


def print_log() -> None:
    """Print the log's lines on standard error, for a process whose standard error is no terminal."""
    LOG.setLevel(logging.INFO)
    if not sys.stderr.isatty() and not LOG.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        LOG.addHandler(handler)
