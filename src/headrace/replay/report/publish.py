"""Write and publish what a replay found: report, picture, an MLflow run, and artifacts for an orchestrator."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from headrace.pipeline.context import Context
from headrace.pipeline.report import Artifact, artifact_key
from headrace.replay.report.charts import draw_losses
from headrace.replay.report.page import write_page
from headrace.replay.result import ReplayResult, result_path


def write_files(context: Context, result: ReplayResult) -> tuple[Path, ...]:
    """Write the report, the picture and the figures.

    Returns:
        The paths, the report first.
    """
    data = result_path(context.root, result.problem, result.plan)
    picture = draw_losses(result, data.with_suffix(".png"))
    return write_page(result, data.with_suffix(".html")), picture, data


def log_run(context: Context, result: ReplayResult, files: tuple[Path, ...]) -> str:
    """Log the replay to MLflow as one run; the same replay again completes the same run.

    Returns:
        The id of the run.
    """
    from headrace.registry.tracking import log_study

    metrics: dict[str, float] = {"cpu_s": result.cpu_s, "seconds": result.seconds}
    for one in result.outcomes:
        name = re.sub(r"[^\w.]+", "_", one.name.replace("%", "percent"))  # the characters that MLflow takes
        metrics |= {f"{name}/loss": one.loss, f"{name}/retrains": one.retrains, f"{name}/cost": one.cost}
        metrics[f"{name}/{result.metric}"] = one.metric
    order = "shuffled" if result.plan.shuffled else "history"
    params: dict[str, Any] = {
        "period": result.period,
        **{f"recipe.{key}": value for key, value in result.recipe.items()},
    }
    return log_study(
        context.tracking_uri,
        result.problem,
        key=f"replay-{result.folder.name}-{order}",
        study_name=f"replay {result.period}",
        trials=(),
        params=params,
        metrics=metrics,
        tags={
            "headrace.kind": "replay",
            "headrace.recommended": result.recommendation.name,
            "headrace.cause": result.cause.verdict,
        },
        artifacts=files,
    )


def artifacts(result: ReplayResult) -> tuple[Artifact, ...]:
    """Return what a flow publishes: the table of policies, and what was found in sentences."""
    text = "\n\n".join((f"## {result.problem}: when to retrain", result.period, *result.conclusions()))
    return (
        Artifact(
            key=artifact_key(result.problem, "replay"),
            kind="markdown",
            data=text,
            description=f"Recommended: {result.recommendation.name}",
        ),
        Artifact(
            key=artifact_key(result.problem, "replay-policies"),
            kind="table",
            data=result.rows(),
            description=f"Retraining policies of {result.problem}, replayed",
        ),
    )
