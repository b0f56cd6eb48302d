"""The stage `register`: register the bundle as a model version in MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headrace.pipeline.context import Context
from headrace.pipeline.stage import Needs, Stage
from headrace.registry.ledger import Ledger


def _register(context: Context, needs: Needs, folder: Path) -> Mapping[str, Any]:
    from headrace.registry.models import register

    refit, evaluated = needs["refit"], needs["evaluate"]
    version = register(
        refit.path("bundle"),
        problem=context.problem.name,
        metrics=evaluated.facts["metrics"],
        tracking_uri=context.tracking_uri,
        root=context.root,
        run_id=needs["track"].facts["run_id"],
        tags={"train_set_sha": needs["training-set"].facts["sha256"], "service": needs["select"].facts["service"]},
        artifacts=[refit.path("shap_summary.png")],
        known_versions=Ledger(context.root, context.problem.name).versions(),
    )
    return {"version": str(version)}


def _registered(context: Context, facts: Mapping[str, Any]) -> bool:
    from headrace.registry.models import version_exists

    return version_exists(context.problem.name, facts["version"], context.tracking_uri)


REGISTER = Stage(
    name="register",
    run=_register,
    needs=("refit", "evaluate", "track", "training-set", "select"),
    code=("headrace.registry.models", "headrace.registry.packaged_code", "headrace.registry.pyfunc"),
    parameters=lambda context: {"store": context.store_identity},
    standing=_registered,
)
