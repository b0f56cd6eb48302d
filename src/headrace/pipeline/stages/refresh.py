"""The stage that takes the place of selection in a retrain: the champion's features stay, and its family.

Both on newer data are a plain refresh, which the gate asks only not to be worse by more than the margin. Other features
or another family are another recipe and must be significantly better (docs/adr/0008). The search that comes later
reads the champion's config and its study's trials in this stage's output: it starts from them, and stays in the
champion's family.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headrace.core.errors import NotFoundError
from headrace.core.files import write_json
from headrace.models.bundle import Bundle
from headrace.pipeline.context import Context
from headrace.pipeline.production.definitions import DEFINITIONS, read_definitions, write_definitions
from headrace.pipeline.stage import Inputs, Stage
from headrace.pipeline.stages.select import KNOWN, SELECT, SelectOutput, select_features, select_parameters
from headrace.pipeline.stages.synthesise import SYNTHESISE


def _run(context: Context, inputs: Inputs, folder: Path) -> SelectOutput:
    """Retain the champion's definitions and config.

    Features are selected anew where there is no champion, or where the declaration no longer makes all of its features.
    """
    candidates = read_definitions(inputs[SYNTHESISE].path(DEFINITIONS))
    bundle = _retained_bundle(context)
    if bundle is None or not set(bundle.definitions) <= set(candidates):
        return select_features(context, inputs, folder)
    known = _champion_study(context)
    write_definitions(folder / DEFINITIONS, bundle.definitions)
    write_json(folder / KNOWN, known)
    return SelectOutput(
        features=len(bundle.definitions),
        candidates=len(candidates),
        service=bundle.service,
        recipe_of=context.recipe_of,
        champion_config=dict(bundle.config),
        champion_families=bundle.families,
        known_trials=len(known),
    )


def _retained_bundle(context: Context) -> Bundle | None:
    from headrace.registry.models import download

    if context.recipe_of is None:
        return None
    try:
        folder = download(context.problem.name, context.recipe_of, context.tracking_uri, context.root)
    except NotFoundError:  # deleted by a person, and no copy of ours is left
        return None
    return Bundle.load(folder)


def _champion_study(context: Context) -> list[dict[str, Any]]:
    from headrace.registry.known_study import read_study

    if context.recipe_of is None:
        return []
    return list(read_study(context.problem.name, context.recipe_of, context.tracking_uri))


REFRESH = Stage(
    name=SELECT.name,
    output=SelectOutput,
    run=_run,
    needs=SELECT.needs,
    parameters=lambda context: {
        **select_parameters(context),
        "recipe_of": context.recipe_of,
        "store": context.store_identity,
    },
)
