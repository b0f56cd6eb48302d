"""The stage that takes the place of selection in a retrain: the champion's features stay, and its family.

Both on newer data are a plain refresh, which the gate asks only not to be worse by more than the margin. Other features
or another family are another recipe and have to be better for certain (docs/adr/0008). The search that comes later
reads the champion's config in this stage's facts: it begins with that, and stays in its family.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from headrace.core.errors import NotFoundError
from headrace.core.files import write_json
from headrace.models.bundle import Bundle
from headrace.pipeline.context import Context
from headrace.pipeline.production.feature_matrix import read_definitions
from headrace.pipeline.stage import Needs
from headrace.pipeline.stages.select import SELECT
from headrace.synthesis.language.definitions import to_json


def _keep(context: Context, needs: Needs, folder: Path) -> Mapping[str, Any]:
    """The champion's definitions and config; selected anew where there are none, or the declaration no longer makes
    them all."""
    made = read_definitions(needs["synthesise"].path("definitions.json"))
    bundle = _bundle_kept(context)
    if bundle is None or not set(bundle.definitions) <= set(made):
        return SELECT.run(context, needs, folder)
    write_json(folder / "definitions.json", [to_json(item) for item in bundle.definitions])
    return {
        "kept": len(bundle.definitions),
        "candidates": len(made),
        "service": bundle.service,
        "recipe_of": context.recipe_of,
        "config": dict(bundle.config),
    }


def _bundle_kept(context: Context) -> Bundle | None:
    from headrace.registry.models import download

    if context.recipe_of is None:
        return None
    try:
        folder = download(context.problem.name, context.recipe_of, context.tracking_uri, context.root)
    except NotFoundError:  # deleted by a person, and no copy of ours is left
        return None
    return Bundle.load(folder)


REFRESH = replace(
    SELECT,
    run=_keep,
    code=(*SELECT.code, "headrace.pipeline.stages.select"),
    parameters=lambda context: {
        **SELECT.parameters(context),
        "recipe_of": context.recipe_of,
        "store": context.store_identity,
    },
)
