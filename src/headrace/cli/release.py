"""`headrace promote` and `headrace rollback`: a release by hand."""

from __future__ import annotations

from pathlib import Path

from headrace.app.context import context_of
from headrace.app.output import print_json
from headrace.pipeline.operations.release import Release, promote_by_hand, roll_back


def promote_version(problem: str, version: str, reason: str, home: Path | None, *, as_json: bool = False) -> None:
    """Make a version the champion."""
    context = context_of(problem, home)
    _show(context.problem.name, promote_by_hand(context, version, reason), as_json)


def roll_back_champion(problem: str, home: Path | None, *, as_json: bool = False) -> None:
    """Bring the previous champion back."""
    context = context_of(problem, home)
    _show(context.problem.name, roll_back(context), as_json)


def _show(problem: str, release: Release, as_json: bool) -> None:
    if as_json:
        print_json({"problem": problem, "champion": release.version, "notes": release.proposals})
        return
    print(f"{problem}: version {release.version} is champion; the API follows within a second")
    for proposal in release.proposals:
        print(f"note: {proposal}")
