"""`headrace features`: the candidate features of the last selection, which were kept, and why the others were not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from headrace.app.context import settings_of
from headrace.app.output import print_json
from headrace.core.errors import NotFoundError
from headrace.core.files import read_json
from headrace.core.manifest import read_manifest
from headrace.problems.catalogue import load_problem

_SHOWN = 25


def show_features(reference: str, home: Path | None, *, everything: bool, as_json: bool) -> None:
    """Print the features of the last selection: the kept ones by contribution, and the reasons of the others.

    Raises:
        NotFoundError: Nothing was selected yet.
    """
    problem = load_problem(reference)
    ledger = read_ledger(settings_of(home).root, problem.name, reference)
    kept = sorted((item for item in ledger if item["kept"]), key=lambda item: -item["contribution"])
    rest = [item for item in ledger if not item["kept"]]
    if as_json:
        print_json([*kept, *rest])
        return
    console = Console(soft_wrap=True, highlight=False)
    title = f"{problem.name}: {len(kept)} of {len(ledger)} features kept"
    table = Table("feature", "contribution", "agreement", "missing", title=title)
    for item in kept if everything else kept[:_SHOWN]:
        agreement = "" if item.get("agreement") is None else f"{item['agreement']:.0%}"
        table.add_row(item["feature"], f"{item['contribution']:.4f}", agreement, f"{item['null_share']:.0%}")
    console.print(table)
    if len(kept) > _SHOWN and not everything:
        console.print(f"and {len(kept) - _SHOWN} more: --all lists them")
    for reason, count in Counter(item["reason"] for item in rest).most_common():
        console.print(f"left out, {reason}: {count}")
    if everything:
        for item in rest:
            console.print(f"{item['feature']}: {item['reason']}")
    console.print(f"`headrace explain-feature {reference} FEATURE --row KEY` explains a value")


def read_ledger(root: Path, name: str, reference: str) -> list[dict[str, Any]]:
    """Read the ledger of a problem's last selection: feature, contribution, agreement, null_share, kept, reason.

    Raises:
        NotFoundError: Nothing was selected yet.
    """
    folder = root / "stages" / name / "select"
    done = sorted(folder.glob("*/ledger.json"), key=lambda path: path.stat().st_mtime) if folder.is_dir() else []
    if not done:
        raise NotFoundError("no features were selected yet", where=name, fix=f"run `headrace run {reference}` first")
    ledger: list[dict[str, Any]] = read_json(read_manifest(done[-1].parent).path("ledger.json"))
    return ledger
