"""Where commands find state and servers."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from headrace.app.addresses import tracking_uri
from headrace.core.clock import to_us
from headrace.core.settings import Settings, settings
from headrace.pipeline.context import Context
from headrace.pipeline.walker import open_run


def settings_of(home: Path | None) -> Settings:
    """The settings, with the state folder that the option names."""
    return settings() if home is None else settings().model_copy(update={"home": home})


def context_of(problem: str, home: Path | None) -> Context:
    """The context of a command about one problem."""
    chosen = settings_of(home)
    return open_run(
        problem, chosen.root, tracking_uri=tracking_uri(chosen), workers=chosen.workers, max_memory=chosen.max_memory
    ).context


def wall_us() -> int:
    """The wall clock: of claims, tries and deliveries. What a problem's data say has the production clock."""
    return to_us(datetime.now(UTC))
