"""Write the catalogue of primitives into a page: `python -m headrace.synthesis.primitives.page docs/features.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from headrace.synthesis.primitives import AGGREGATIONS, TRANSFORMS
from headrace.synthesis.primitives.running import RUNNING

BEGIN, END = "<!-- catalogue: made by headrace.synthesis.primitives.page -->", "<!-- end of the catalogue -->"


def catalogue() -> str:
    """Three tables: aggregations, group-by primitives, transforms."""
    aggregations = [
        (
            f"`{item.name}`" + (f", {item.outputs} outputs" if item.outputs > 1 else ""),
            item.description,
            ", ".join((*item.inputs, *(("row",) if item.rows else ()))),
            item.finish or "",
        )
        for item in AGGREGATIONS.values()
    ]
    running = [(f"`{item.name}`", item.description, ", ".join(item.inputs)) for item in RUNNING.values()]
    transforms = [
        (f"`{item.name}`", item.description, "; ".join(", ".join(kinds) for kinds in item.inputs))
        for item in TRANSFORMS.values()
    ]
    return "\n\n".join(
        (
            f"### Aggregations ({len(aggregations)})",
            _table(("name", "of the values in a lookback", "over", "finished at read by"), aggregations),
            f"### Group-by primitives ({len(running)})",
            _table(("name", "of a row and those of its key before it", "over"), running),
            f"### Transforms ({len(transforms)})",
            _table(("name", "of its inputs a, b, ...", "inputs"), transforms),
        )
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def rewritten(text: str) -> str:
    """The text of a page, with the catalogue brought up to date."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{catalogue()}\n\n{END}{after}"


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(rewritten(page.read_text()))
