"""`headrace list`: the built-in problems, and the problems whose data are in this home, with champion and clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from headrace.app.context import settings_of
from headrace.app.output import print_json
from headrace.core.clock import iso
from headrace.core.errors import CorruptError, NotFoundError
from headrace.core.replicas import read_replicas
from headrace.lake.store import Lake
from headrace.problems.catalogue import CATALOGUE
from headrace.registry.ledger import Ledger


def list_problems(home: Path | None, *, as_json: bool) -> None:
    """Print the problems as a table or as JSON."""
    facts = gather(settings_of(home).root)
    if as_json:
        print_json(facts)
        return
    table = Table("problem", "declared in", "champion", "clock")
    for item in facts:
        table.add_row(item["problem"], item["reference"], item["champion"] or "none", item["clock"] or "no data yet")
    Console(soft_wrap=True).print(table)


def gather(root: Path) -> list[dict[str, Any]]:
    """Return {problem, reference, champion, clock} of each problem, built-in ones first; null where there is none."""
    references = {name: name for name in CATALOGUE}
    for path in sorted((root / "lake").glob("*/origin.json")):
        try:
            references[path.parent.name] = str(read_replicas(path)["reference"])
        except (CorruptError, NotFoundError, KeyError):
            references[path.parent.name] = "unknown: the record is damaged"
    return [_facts(root, name, reference) for name, reference in references.items()]


def _facts(root: Path, name: str, reference: str) -> dict[str, Any]:
    clock, record = None, None
    if (root / "lake" / name).is_dir():
        clock, record = Lake(root, name).clock(), Ledger(root, name).champion()
    return {
        "problem": name,
        "reference": reference,
        "champion": record.version if record is not None else None,
        "clock": iso(clock) if clock is not None else None,
    }
