"""`headrace audit-log`: show and verify the chain of lines that record who changed what."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from rich.console import Console
from rich.table import Table

from headrace.access.opened import audit_log
from headrace.app.context import settings_of
from headrace.app.output import print_json


def show(home: Path | None, *, last: int, as_json: bool) -> None:
    """Print the last lines.

    Raises:
        CorruptError: A line cannot be read.
    """
    entries = deque(audit_log(settings_of(home)).entries(), maxlen=last)
    if as_json:
        print_json({"entries": list(entries)})
        return
    table = Table("number", "at", "who", "action", "what", "result")
    for entry in entries:
        table.add_row(str(entry.number), entry.at, entry.who, entry.action, entry.what, entry.result)
    Console().print(table)


def verify(home: Path | None, *, head: str | None, as_json: bool) -> None:
    """Check the chain, and print the hash of its last line.

    Raises:
        CorruptError: A line was changed, removed or inserted.
    """
    log = audit_log(settings_of(home))
    lines, last = log.verify(head)
    if as_json:
        print_json({"lines": lines, "head": last, "path": log.path})
        return
    print(f"{lines} lines, unchanged. Note this hash elsewhere, and give it to the next `verify --head`:\n{last}")
