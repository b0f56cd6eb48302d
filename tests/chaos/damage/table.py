"""The table of docs/reliability.md: what each damage to each kind of file comes to, made from the matrix's cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.chaos.damage.damages import DAMAGES
from tests.chaos.damage.kinds import KINDS
from tests.chaos.damage.verdict import Cell

PAGE = Path(__file__).parents[3] / "docs" / "reliability.md"
BEGIN, END = "<!-- damage matrix: begin -->", "<!-- damage matrix: end -->"
_COLUMNS = {"next run": ("run",), "a day of production": ("advance",), "serving": ("serving",), "looking": ("status",)}


def table(cells: Sequence[Cell]) -> str:
    """Markdown: a row for each kind, a column for each reader."""
    lines = [f"| files | {' | '.join(_COLUMNS)} |", "|---" * (len(_COLUMNS) + 1) + "|"]
    for kind in KINDS:
        own = [cell for cell in cells if cell.kind == kind.name]
        if own:
            shown = [_summary(cell for cell in own if cell.reader in readers) for readers in _COLUMNS.values()]
            lines.append(f"| {kind.name} | {' | '.join(shown)} |")
    return "\n".join(lines)


def _summary(cells: Iterable[Cell]) -> str:
    """The verdicts with their damages; one that holds for all damages without them."""
    found: dict[str, list[str]] = {}
    for cell in cells:
        damages = found.setdefault(cell.verdict, [])
        if cell.damage not in damages:
            damages.append(cell.damage)
    if len(found) == 1:
        return next(iter(found))
    usual = max(found, key=lambda verdict: len(found[verdict]))
    others = [f"{verdict}: {', '.join(damages)}" for verdict, damages in found.items() if verdict != usual]
    return f"{usual}; {'; '.join(others)}"


def write(cells: Sequence[Cell]) -> None:
    """Put the table and its counts into the page."""
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    cases = len({(cell.kind, cell.damage, cell.case) for cell in cells})
    counts: dict[str, int] = {}
    for cell in cells:
        counts[cell.verdict] = counts.get(cell.verdict, 0) + 1
    told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items(), key=lambda item: -item[1]))
    head = f"{cases} cases of {len(DAMAGES)} damages to {len({cell.kind for cell in cells})} kinds of files: {told}."
    PAGE.write_text(f"{before}{BEGIN}\n{head}\n\n{table(cells)}\n{END}{after}")
