"""The stage `retire`: take the feature services of versions that can no longer be champion out of the store.

A version can be champion as long as it is one, as a rollback may bring it back, or as it is compared with the champion.
Services of other versions, and columns and views that only they use, go, so that the store does not grow for ever.
A person who promotes such a version by hand has its service published again (`pipeline.operations.release`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from headrace.core.errors import CorruptError, NotFoundError
from headrace.pipeline.context import Context
from headrace.pipeline.production.champion import version_bundle
from headrace.pipeline.production.feed import current_tick
from headrace.pipeline.stage import Inputs, Stage
from headrace.pipeline.stages.promote import PROMOTE
from headrace.pipeline.stages.publish import PUBLISH
from headrace.registry.ledger import Ledger


@dataclass(frozen=True, kw_only=True)
class RetireOutput:
    """retained: the services that were left in the store. retired: those that were taken out of it."""

    retained: tuple[str, ...]
    retired: tuple[str, ...]


def _run(context: Context, inputs: Inputs, folder: Path) -> RetireOutput:
    from headrace.store.materialise import materialise
    from headrace.store.publish import retire

    published = _published_services(context)
    retained = published & (_needed_services(context, published) | {inputs[PUBLISH].output.service})
    if retired := published - retained:
        retire(context.root, context.problem, keep=retained)
        materialise(context.root, context.problem, current_tick(context))  # the views have other columns now
    return RetireOutput(retained=tuple(sorted(retained)), retired=tuple(sorted(retired)))


def _published_services(context: Context) -> set[str]:
    from headrace.store.published import read_published

    try:
        return set(read_published(context.root, context.problem.name).services)
    except (NotFoundError, CorruptError):  # the next publication makes it anew
        return set()


def _needed_services(context: Context, published: set[str]) -> set[str]:
    """The services of versions that can be champion; all of them where the bundle of one cannot be read."""
    try:
        versions = Ledger(context.root, context.problem.name).eligible()
        return {version_bundle(context, version).service for version in versions}
    except (NotFoundError, CorruptError):
        return published


def _effects_exist(context: Context, output: RetireOutput) -> bool:
    """No service has been published since."""
    return _published_services(context) <= set(output.retained)


RETIRE = Stage(name="retire", output=RetireOutput, run=_run, needs=(PUBLISH, PROMOTE), effects_exist=_effects_exist)
