"""The stage `publish`: publish the selected features to the feature store."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from headrace.core.errors import CorruptError, NotFoundError
from headrace.pipeline.context import Context
from headrace.pipeline.fence import require_token
from headrace.pipeline.production.definitions import DEFINITIONS, read_definitions
from headrace.pipeline.stage import Inputs, Stage
from headrace.pipeline.stages.select import SELECT


@dataclass(frozen=True, kw_only=True)
class PublishOutput:
    """service: the feature service that was published."""

    service: str


def _run(context: Context, inputs: Inputs, folder: Path) -> PublishOutput:
    from headrace.store.publish import publish

    selected = inputs[SELECT]
    service = selected.output.service
    definitions = read_definitions(selected.path(DEFINITIONS))
    require = partial(require_token, context)
    publish(context.root, context.problem, definitions, service, reference=context.reference, before_writing=require)
    return PublishOutput(service=service)


def _effects_exist(context: Context, output: PublishOutput) -> bool:
    """The service is among the published definitions, and Feast's registry knows it."""
    from headrace.store.feast_registry import is_registered
    from headrace.store.published import read_published

    try:
        published = read_published(context.root, context.problem.name)
    except (NotFoundError, CorruptError):
        return False
    known = output.service in published.services
    return known and is_registered(context.root, context.problem.name, output.service)


PUBLISH = Stage(
    name="publish",
    output=PublishOutput,
    run=_run,
    needs=(SELECT,),
    parameters=lambda context: {"reference": context.reference},
    effects_exist=_effects_exist,
)
