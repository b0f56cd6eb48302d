"""`headrace promote` and `headrace rollback`: the ledger by hand, its mirror in MLflow after it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from headrace.app.context import context_of
from headrace.core.errors import NotFoundError
from headrace.lake.store import Lake
from headrace.registry.aliases import mirror
from headrace.registry.ledger import Ledger
from headrace.registry.models import version_exists
from headrace.registry.recovery import recover


def promote_version(problem: str, version: str, reason: str, home: Path | None) -> None:
    """Compare-and-set against the champion of this moment."""
    context = context_of(problem, home)
    if not version_exists(context.problem.name, version, context.tracking_uri):
        raise NotFoundError(
            f"no registered version {version}", where=context.problem.name, fix="look at the MLflow registry"
        )
    recover(context.root, context.problem.name, context.tracking_uri, manual=True)
    ledger = Ledger(context.root, context.problem.name)
    champion = ledger.champion()
    ledger.promote(
        version,
        expected_version=champion.version if champion else None,
        reason=reason,
        metrics={},
        at_us=Lake(context.root, context.problem.name).clock() or 0,
        force=True,
    )
    _print_champion(context.problem.name, version, mirror(context.root, context.problem.name, context.tracking_uri))


def roll_back(problem: str, home: Path | None) -> None:
    """The previous champion returns."""
    context = context_of(problem, home)
    recover(context.root, context.problem.name, context.tracking_uri)
    ledger = Ledger(context.root, context.problem.name)
    record = ledger.rollback(at_us=Lake(context.root, context.problem.name).clock() or 0)
    _print_champion(
        context.problem.name, record.version, mirror(context.root, context.problem.name, context.tracking_uri)
    )


def _print_champion(problem: str, version: str, proposals: Iterable[object]) -> None:
    print(f"{problem}: version {version} is champion; the API follows within a second")
    for proposal in proposals:
        print(f"note: {proposal}")
