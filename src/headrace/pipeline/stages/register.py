"""The stage `register`: register the bundle as a model version in MLflow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from headrace.pipeline.context import Context
from headrace.pipeline.stage import Inputs, Stage
from headrace.pipeline.stages.evaluate import EVALUATE
from headrace.pipeline.stages.refit import BUNDLE, REFIT
from headrace.pipeline.stages.select import SELECT
from headrace.pipeline.stages.track import TRACK
from headrace.pipeline.stages.training_set import TRAINING_SET
from headrace.registry.ledger import Ledger


@dataclass(frozen=True, kw_only=True)
class RegisterOutput:
    """version: of the registered model, new or known."""

    version: str


def _run(context: Context, inputs: Inputs, folder: Path) -> RegisterOutput:
    from headrace.registry.models import register

    version = register(
        inputs[REFIT].path(BUNDLE),
        problem=context.problem.name,
        metrics=inputs[EVALUATE].output.metrics,
        tracking_uri=context.tracking_uri,
        root=context.root,
        run_id=inputs[TRACK].output.run_id,
        tags={"train_set_sha": inputs[TRAINING_SET].output.sha256, "service": inputs[SELECT].output.service},
        known_versions=Ledger(context.root, context.problem.name).versions(),
    )
    return RegisterOutput(version=str(version))


def _effects_exist(context: Context, output: RegisterOutput) -> bool:
    from headrace.registry.models import version_exists

    return version_exists(context.problem.name, output.version, context.tracking_uri)


REGISTER = Stage(
    name="register",
    output=RegisterOutput,
    run=_run,
    needs=(REFIT, EVALUATE, TRACK, TRAINING_SET, SELECT),
    parameters=lambda context: {"store": context.store_identity},
    effects_exist=_effects_exist,
)
