"""`headrace promote` and `headrace rollback`: a release by hand."""

from __future__ import annotations

from pathlib import Path

from headrace.app.context import context_of
from headrace.pipeline.operations.release import Release, promote_by_hand, roll_back


def promote_version(problem: str, version: str, reason: str, home: Path | None) -> None:
    """Make a version the champion."""
    context = context_of(problem, home)
    _show(context.problem.name, promote_by_hand(context, version, reason))


def roll_back_champion(problem: str, home: Path | None) -> None:
    """Bring the previous champion back."""
    context = context_of(problem, home)
    _show(context.problem.name, roll_back(context))


def _show(problem: str, release: Release) -> None:
    print(f"{problem}: version {release.version} is champion; the API follows within a second")
    for proposal in release.proposals:
        print(f"note: {proposal}")
