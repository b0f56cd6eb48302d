"""A release by hand: a person makes a version the champion, or brings the previous champion back."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.core.errors import ConflictError, CorruptError, NotFoundError
from headrace.lake.store import Lake
from headrace.pipeline.context import Context
from headrace.pipeline.fence import ledger_of
from headrace.pipeline.production.champion import version_bundle
from headrace.pipeline.production.feed import current_tick
from headrace.registry.ledger import Ledger


@dataclass(frozen=True, kw_only=True)
class Release:
    """version: the champion now. proposals: aliases in MLflow that were moved by hand, for people."""

    version: str
    proposals: tuple[str, ...]


def promote_by_hand(context: Context, version: str, reason: str) -> Release:
    """Make a registered version the champion, whatever the gate says.

    Raises:
        NotFoundError: MLflow has no such version.
        ConflictError: another version became champion meanwhile.
    """
    from headrace.registry.models import version_exists
    from headrace.registry.recovery import recover

    name = context.problem.name
    if not version_exists(name, version, context.tracking_uri):
        raise NotFoundError(f"no registered version {version}", where=name, fix="look at the MLflow registry")
    recover(context.root, name, context.tracking_uri, manual=True)
    publish_features(context, version)
    ledger = Ledger(context.root, name)
    champion = ledger.champion()
    ledger.promote(
        version,
        expected_version=champion.version if champion else None,
        reason=reason,
        metrics={},
        at_us=Lake(context.root, name).clock() or 0,
        force=True,
    )
    return _mirrored(context, version)


def roll_back(context: Context, reason: str = "rolled back by hand", *, expected: str | None = None) -> Release:
    """Bring the previous champion back; the present one is barred from returning by itself.

    Args:
        context: of the problem.
        reason: for the ledger.
        expected: the version that becomes champion; whichever was before where None.

    Raises:
        NotFoundError: there was none before.
        ConflictError: another version than the expected one was champion before, or the champion changed meanwhile.
    """
    from headrace.registry.recovery import recover

    name = context.problem.name
    recover(context.root, name, context.tracking_uri)
    ledger = ledger_of(context)
    champion, previous = ledger.champion(), ledger.previous()
    if expected is not None and previous != expected:
        raise ConflictError(f"version {previous} was champion before, not {expected}", where=name)
    if previous is not None:
        publish_features(context, previous)
    record = ledger.rollback(
        Lake(context.root, name).clock() or 0, reason, expected=(champion.version if champion else None, previous)
    )
    return _mirrored(context, record.version)


def publish_features(context: Context, version: str) -> None:
    """Bring a version's features back into the store where they were retired, before the API follows the version."""
    from headrace.store.materialise import materialise
    from headrace.store.publish import publish
    from headrace.store.published import read_published

    try:
        bundle = version_bundle(context, version)
        published = read_published(context.root, context.problem.name)
    except (NotFoundError, CorruptError):
        return  # what is lost, serving says: a release by hand is the way out of many faults
    if bundle.service not in published.services:
        publish(context.root, context.problem, bundle.definitions, bundle.service, reference=context.reference)
        materialise(context.root, context.problem, current_tick(context))


def _mirrored(context: Context, version: str) -> Release:
    from headrace.registry.aliases import mirror

    proposals = mirror(context.root, context.problem.name, context.tracking_uri)
    return Release(version=version, proposals=tuple(map(str, proposals)))
