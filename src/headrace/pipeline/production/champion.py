"""The champion's model bundle, read from the registry."""

from __future__ import annotations

from headrace.core.errors import NotFoundError
from headrace.models.bundle import Bundle
from headrace.pipeline.context import Context
from headrace.registry.ledger_tables import Record


def champion_bundle(context: Context, champion: Record) -> Bundle:
    """The champion's bundle, from the registry, its manifest checked."""
    from headrace.registry.models import download

    name = context.problem.name
    try:
        return Bundle.load(download(name, champion.version, context.tracking_uri, context.root))
    except NotFoundError:
        raise NotFoundError(
            f"the champion, version {champion.version}, is neither in MLflow nor in registry/{name}/ any more",
            where=f"ledger {name}",
            fix="restore a backup, or put another version in its place: `headrace promote VERSION`",
        ) from None
