"""The stages of a shadow: the champion's recipe, fitted on what was known at an instant. No search, no selection.

They take the place of stages of a retrain, under the same names, so that a shadow that wins is registered and promoted
by the other stages as they are. A shadow has the champion's features, family, configuration and boosting rounds. As a
retrain does, it is measured on the gate window by a fit before that window, and then fitted on all rows.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow.compute as pc

from headrace.core import parquet
from headrace.core.errors import DataError
from headrace.models.bundle import Bundle
from headrace.models.recipe import Recipe
from headrace.pipeline.context import Context
from headrace.pipeline.production.champion import version_bundle
from headrace.pipeline.production.definitions import DEFINITIONS, write_definitions
from headrace.pipeline.stage import Inputs, Stage
from headrace.pipeline.stages.evaluate import EVALUATE, EvaluateOutput, measure_recipe
from headrace.pipeline.stages.ingest import INGEST, training_snapshot
from headrace.pipeline.stages.select import SELECT, SelectOutput
from headrace.pipeline.stages.synthesise import SPINE, SYNTHESISE, SynthesiseOutput
from headrace.pipeline.stages.table_digest import table_digest
from headrace.pipeline.stages.track import TRACK, TrackOutput
from headrace.pipeline.stages.training_rows import load_training_rows
from headrace.pipeline.stages.training_set import TRAINING_SET
from headrace.pipeline.stages.windows import window_shares
from headrace.synthesis.history.labels import require_two_values
from headrace.synthesis.spine.build import build_spine
from headrace.synthesis.spine.staleness import with_stale_ticks


def _spine(context: Context, inputs: Inputs, folder: Path) -> SynthesiseOutput:
    """Write the spine of training rows; the champion's features alone are computed, when the training set is read."""
    problem, until = context.problem, inputs[INGEST].output.until_us
    spine = build_spine(problem, training_snapshot(context, inputs), end_us=until, now_us=until, engine=context.engine)
    training = with_stale_ticks(problem, spine.filter(spine["mature"]))
    require_two_values(problem, training["label"].to_numpy())
    parquet.write(training, folder / SPINE)
    return SynthesiseOutput(
        rows=training.num_rows,
        censored=int(pc.sum(spine["censored"]).as_py() or 0),
        candidates=0,
        warnings=(),
        spine_digest=table_digest(training.select(["cutoff", "label"])),
    )


def _features(context: Context, inputs: Inputs, folder: Path) -> SelectOutput:
    bundle = _champion(context)
    write_definitions(folder / DEFINITIONS, bundle.definitions)
    return SelectOutput(
        features=len(bundle.definitions),
        candidates=len(bundle.definitions),
        service=bundle.service,
        recipe_of=context.recipe_of,
        champion_config=dict(bundle.config),
        champion_families=bundle.families,
    )


def _evaluate(context: Context, inputs: Inputs, folder: Path) -> EvaluateOutput:
    bundle = _champion(context)
    data = load_training_rows(context, inputs, bundle.families)
    if "recipe" not in bundle.facts:
        raise DataError(
            f"version {context.recipe_of} does not name its recipe",
            where=context.problem.name,
            fix="retrain: `headrace retrain`",
        )
    recipe = Recipe.from_json(bundle.facts["recipe"])
    return measure_recipe(context, inputs, folder, data, recipe=recipe, config=bundle.config)


def _track(context: Context, inputs: Inputs, folder: Path) -> TrackOutput:
    """Write a run without trials to MLflow, from which the version is registered."""
    from headrace.registry.known_study import RECIPE_OF
    from headrace.registry.tracking import experiment_of, log_study

    evaluated, rows = inputs[EVALUATE].output, inputs[TRAINING_SET].output
    run_id = log_study(
        context.tracking_uri,
        context.problem.name,
        key=f"shadow-{rows.sha256}",
        study_name=f"shadow of version {context.recipe_of}",
        trials=(),
        params={"family": evaluated.recipe.family, "rounds": evaluated.recipe.rounds, "rows": rows.rows},
        metrics=evaluated.metrics,
        # the search that a later retrain starts from is that of the recipe's version
        tags={"headrace.train_set_sha": rows.sha256, RECIPE_OF: str(context.recipe_of)},
    )
    return TrackOutput(run_id=run_id, experiment_id=experiment_of(context.tracking_uri, context.problem.name))


def _champion(context: Context) -> Bundle:
    if context.recipe_of is None:
        raise DataError("a shadow is of a version, and none is named", where=context.problem.name)
    return version_bundle(context, context.recipe_of)


SHADOW_SPINE = Stage(name=SYNTHESISE.name, output=SynthesiseOutput, run=_spine, needs=(INGEST,))

#: Needs nothing, so that the features of all shadows of a champion are published once.
SHADOW_FEATURES = Stage(
    name=SELECT.name,
    output=SelectOutput,
    run=_features,
    parameters=lambda context: {"recipe_of": context.recipe_of, "store": context.store_identity},
)

SHADOW_EVALUATE = Stage(
    name=EVALUATE.name,
    output=EvaluateOutput,
    run=_evaluate,
    needs=(INGEST, SYNTHESISE, SELECT, TRAINING_SET),
    parameters=lambda context: {
        "recipe_of": context.recipe_of,
        "store": context.store_identity,
        "seed": context.seed,
        "workers": context.workers,
        "shares": window_shares(context),
    },
)

SHADOW_TRACK = Stage(
    name=TRACK.name,
    output=TrackOutput,
    run=_track,
    needs=(EVALUATE, TRAINING_SET),
    parameters=TRACK.parameters,
    effects_exist=TRACK.effects_exist,
)
