"""Model bundles of registered versions, the champion's above all."""

from __future__ import annotations

from headrace.core.errors import NotFoundError
from headrace.models.bundle import Bundle
from headrace.pipeline.context import Context
from headrace.registry.ledger_tables import Record


def version_bundle(context: Context, version: str) -> Bundle:
    """The bundle of a version, from the registry, its manifest checked.

    Raises:
        NotFoundError: neither MLflow nor this home has it.
    """
    from headrace.registry.models import download

    return Bundle.load(download(context.problem.name, version, context.tracking_uri, context.root))


def champion_bundle(context: Context, champion: Record) -> Bundle:
    """The champion's bundle.

    Raises:
        NotFoundError: neither MLflow nor this home has it.
    """
    name = context.problem.name
    try:
        return version_bundle(context, champion.version)
    except NotFoundError:
        raise NotFoundError(
            f"the champion, version {champion.version}, is neither in MLflow nor in registry/{name}/ any more",
            where=f"ledger {name}",
            fix="restore a backup, or put another version in its place: `headrace promote PROBLEM VERSION`",
        ) from None
