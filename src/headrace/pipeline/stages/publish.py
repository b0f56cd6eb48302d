"""The stage `publish`: publish the selected features to the feature store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headrace.core.errors import CorruptError, NotFoundError
from headrace.pipeline.context import Context
from headrace.pipeline.production.feature_matrix import read_definitions
from headrace.pipeline.stage import Needs, Stage


def _publish(context: Context, needs: Needs, folder: Path) -> Mapping[str, Any]:
    from headrace.store.publish import publish

    selected = needs["select"]
    service = selected.facts["service"]
    publish(
        context.root,
        context.problem,
        read_definitions(selected.path("definitions.json")),
        service,
        reference=context.reference,
    )
    return {"service": service}


def _published(context: Context, facts: Mapping[str, Any]) -> bool:
    from headrace.store.feast_registry import is_registered
    from headrace.store.published import read_published

    try:
        published = read_published(context.root, context.problem.name)
    except (NotFoundError, CorruptError):
        return False
    service = facts["service"]
    return service in published.services and is_registered(context.root, context.problem.name, service)


PUBLISH = Stage(
    name="publish",
    run=_publish,
    needs=("select",),
    code=("headrace.store",),
    parameters=lambda context: {"reference": context.reference},
    standing=_published,
)
