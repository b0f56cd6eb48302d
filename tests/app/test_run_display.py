"""The progress of a run: lines that change in place on a terminal, and one line a stage in the log elsewhere."""

from __future__ import annotations

import io
import logging

import pytest
from rich.console import Console

from headrace.app.progress import LOG, RunDisplay, print_log
from headrace.pipeline.progress import Progress


def two_stages(progress: Progress) -> None:
    progress.run_started(("ingest", "search"))
    progress.stage_started("ingest")
    progress.stage_finished("ingest", 0.2, "cached")
    progress.stage_started("search")
    for number in range(3):
        progress.message("search", f"{number} of 3 trials [best]")
    progress.damage("search: a file is gone")
    progress.stage_finished("search", 12.0, "run")


def break_off(progress: Progress) -> None:
    progress.run_started(("ingest",))
    progress.stage_started("ingest")
    raise ValueError("broken")


def shown(*, terminal: bool) -> str:
    text = io.StringIO()
    with RunDisplay(Console(file=text, force_terminal=terminal, width=100, legacy_windows=False)) as progress:
        two_stages(progress)
    return text.getvalue()


def test_without_a_terminal_the_log_has_one_line_a_stage(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger=LOG.name):
        assert shown(terminal=False) == ""
    assert [record.getMessage() for record in caplog.records] == [
        "ingest             0.2 s  cached",
        "damaged: search: a file is gone",
        "search            12.0 s  run",
    ]


def test_on_a_terminal_each_stage_has_a_line_that_ends_with_its_state() -> None:
    last = shown(terminal=True).split("\x1b[2K")  # a line is erased before it is drawn anew
    final = "".join(last[-2:])
    assert "ingest" in final
    assert "cached" in final
    assert "search" in final
    assert "trials" not in final
    assert "damaged: search: a file is gone" in shown(terminal=True)


def test_a_failed_run_leaves_the_terminal_as_it_was() -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=100)
    with pytest.raises(ValueError, match="broken"), RunDisplay(console) as progress:
        break_off(progress)
    assert text.getvalue().endswith("\x1b[?25h")  # the cursor is shown again


def test_messages_of_a_stage_that_was_not_started_are_left_out() -> None:
    with RunDisplay(Console(file=io.StringIO(), force_terminal=True)) as progress:
        progress.message("synthesise", "1 of 4 groups")


def test_the_log_is_printed_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(LOG, "handlers", [])
    level = LOG.level
    try:
        print_log()
        print_log()
        with RunDisplay(Console(file=io.StringIO())) as progress:
            two_stages(progress)
        assert capsys.readouterr().err.splitlines()[0] == "ingest             0.2 s  cached"
        assert len(LOG.handlers) == 1
    finally:
        LOG.setLevel(level)
