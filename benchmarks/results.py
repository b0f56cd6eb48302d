"""Rows of results: written as JSON for machines, and as a part of docs/benchmarks.md for people."""

from __future__ import annotations

import json
import operator
import re
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from headrace.core.files import write_bytes

FOLDER = Path(__file__).parent / "results"
PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
_WIDTH = 120
_MEETS = {">=": operator.ge, "<=": operator.le}


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What a value has to reach."""

    op: Literal[">=", "<="]
    value: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measurement; peer is what it is compared with in the same run, ratio is value / peer_value."""

    metric: str
    value: float
    unit: str
    goal: Goal | None = None
    peer: str | None = None
    peer_value: float | None = None
    command: str = ""

    @property
    def ratio(self) -> float | None:
        return self.value / self.peer_value if self.peer_value else None

    @property
    def verdict(self) -> str:
        """yes, no, or nothing where there is no goal."""
        if self.goal is None:
            return ""
        return "yes" if _MEETS[self.goal.op](self.value, self.goal.value) else "no"


def publish(name: str, title: str, rows: Sequence[Row], note: str = "") -> None:
    """Print the rows, write benchmarks/results/<name>.json, and replace that part of docs/benchmarks.md."""
    found = [{**asdict(row), "ratio": row.ratio} for row in rows]
    write_bytes(FOLDER / f"{name}.json", (json.dumps(found, indent=2) + "\n").encode())
    show(title, rows)
    part = f"<!-- {name} -->\n## {title}\n\n{_wrapped(note.strip())}\n\n{_markdown(rows)}\n<!-- end {name} -->\n"
    page = PAGE.read_text() if PAGE.exists() else "# Benchmarks\n\nEach part is written by the command in its rows.\n\n"
    pattern = re.compile(rf"<!-- {name} -->.*?<!-- end {name} -->\n", re.DOTALL)
    page = pattern.sub(lambda _: part, page) if pattern.search(page) else page + part
    write_bytes(PAGE, page.encode())


def _wrapped(note: str) -> str:
    """The note with lines of at most 120 characters; tables stay as they are."""
    blocks = note.split("\n\n")
    wide = [not block.startswith("|") and max(map(len, block.splitlines()), default=0) > _WIDTH for block in blocks]
    return "\n\n".join(
        textwrap.fill(block, _WIDTH, break_long_words=False, break_on_hyphens=False) if is_wide else block
        for block, is_wide in zip(blocks, wide, strict=True)
    )


def _cells(row: Row) -> tuple[str, ...]:
    goal = f"{row.goal.op} {row.goal.value:g}" if row.goal else ""
    peer = f"{row.peer}: {row.peer_value:.4g}" if row.peer and row.peer_value is not None else ""
    ratio = f"{row.ratio:.3g}" if row.ratio is not None else ""
    return (row.metric, f"{row.value:.4g} {row.unit}", goal, row.verdict, peer, ratio, f"`{row.command}`")


_HEAD = ("metric", "value", "goal", "met", "peer or floor", "ratio", "command")


def show(title: str, rows: Sequence[Row]) -> None:
    """Print the rows."""
    table = Table(*_HEAD[:-1], title=title)
    for row in rows:
        table.add_row(*_cells(row)[:-1])
    Console().print(table)


def _markdown(rows: Sequence[Row]) -> str:
    lines = [_HEAD, tuple("---" for _ in _HEAD), *(_cells(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
