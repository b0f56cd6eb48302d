"""The stage `report`: write the report of the registered version into the home folder and to its run in MLflow.

Where nothing was searched (a shadow that becomes champion), the explanation is computed here and no trials are shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.core import parquet
from headrace.core.files import read_json, write_bytes
from headrace.evaluate.metrics import METRICS
from headrace.evaluate.report.page import FeatureUse, ModelReport, render_report, template_digest
from headrace.models.bundle import LABEL, PREDICTION, Bundle
from headrace.models.explain import explain, model_figures
from headrace.models.importance import permutation_importance
from headrace.pipeline.context import Context
from headrace.pipeline.stage import Inputs, Stage
from headrace.pipeline.stages.draw import DRAW, SHAP_PLOT, SHAP_TABLE, explained_unit
from headrace.pipeline.stages.evaluate import EVALUATE, GATE
from headrace.pipeline.stages.refit import BUNDLE, REFIT
from headrace.pipeline.stages.register import REGISTER
from headrace.pipeline.stages.search import LEADERBOARD, SEARCH
from headrace.pipeline.stages.track import TRACK
from headrace.serving.reports import report_file
from headrace.synthesis.explanation.description import words

#: The report, as MLflow has it at the study's run.
REPORT_FILE = "model_report.html"
_FEATURES_SHOWN, _SLICED_FEATURES, _IMPORTANCE_ROWS = 15, 6, 2_000


@dataclass(frozen=True, kw_only=True)
class ReportOutput:
    """version: whose report was written."""

    version: str


def _run(context: Context, inputs: Inputs, folder: Path) -> ReportOutput:
    from headrace.registry.tracking import attach

    version = inputs[REGISTER].output.version
    page = render_report(model_report(context, inputs, folder, version)).encode()
    write_bytes(folder / REPORT_FILE, page)
    metrics = inputs[EVALUATE].output.metrics
    attach(context.tracking_uri, inputs[TRACK].output.run_id, [folder / REPORT_FILE], metrics=metrics)
    write_bytes(report_file(context.root, context.problem.name, version), page)
    return ReportOutput(version=version)


def model_report(context: Context, inputs: Inputs, folder: Path, version: str) -> ModelReport:
    """Gather what the report of a version shows. folder: for pictures that are drawn on the way."""
    evaluated, bundle = inputs[EVALUATE], Bundle.load(inputs[REFIT].path(BUNDLE))
    gate = parquet.read(evaluated.path(GATE))
    label, predicted = (gate[name].to_numpy() for name in ("label", "prediction"))
    metric = METRICS[context.problem.metric]
    table, picture = _explanation(context, inputs, bundle, folder)
    sample = bundle.read_held_out()
    return ModelReport(
        problem=context.problem.name,
        version=version,
        label=str(context.problem.label),
        metric=metric.name,
        metrics=evaluated.output.metrics,
        baseline=metric.value(label, np.full(len(label), evaluated.output.baseline)),
        y=label,
        p=predicted,
        cutoffs_us=gate["cutoff"].to_numpy(),
        slices=_sliced_columns(bundle, table, sample),
        sample_y=np.empty(0) if sample is None else sample[LABEL].to_numpy(),
        sample_p=np.empty(0) if sample is None else sample[PREDICTION].to_numpy(),
        windows=evaluated.output.windows,
        features=_features(context, bundle, table, sample),
        family=bundle.family,
        config=evaluated.output.config,
        facts={
            "rows of the last fit": f"{inputs[REFIT].output.rows:,}",
            "boosting rounds": evaluated.output.rounds or "–",
        },
        tried=tuple(read_json(inputs[SEARCH].path(LEADERBOARD))) if _has(inputs, SEARCH) else (),
        trials=_trials(inputs),
        picture=picture.read_bytes(),
        figures=_figures(bundle),
    )  # fmt: skip


def _figures(bundle: Bundle) -> tuple[tuple[str, str, bytes], ...]:
    """What the model draws of itself, on the rows of its reference profile."""
    names, categories = {item.slug: item.name for item in bundle.definitions}, bundle.encoder.categories
    found = model_figures(bundle.fitted, bundle.encoder.encode(bundle.read_reference()), names, categories)
    return tuple((figure.title, figure.caption, figure.png) for figure in found)


def _has(inputs: Inputs, stage: Stage[Any]) -> bool:
    return stage.name in inputs.finished


def _trials(inputs: Inputs) -> dict[str, int]:
    if not _has(inputs, SEARCH):
        return {}
    found = inputs[SEARCH].output
    return {"trials": found.trials, "stopped": found.stopped, "failed": found.failed}


def _explanation(
    context: Context, inputs: Inputs, bundle: Bundle, folder: Path
) -> tuple[list[Mapping[str, Any]], Path]:
    """Mean |SHAP| by feature, the largest first, and the beeswarm plot."""
    if _has(inputs, DRAW):
        return list(read_json(inputs[DRAW].path(SHAP_TABLE))), inputs[DRAW].path(SHAP_PLOT)
    names, picture = {item.slug: item.name for item in bundle.definitions}, folder / SHAP_PLOT
    design = bundle.encoder.encode(bundle.read_reference().select(list(bundle.encoder.names)))
    unit = explained_unit(context.problem, bundle.fitted)
    found = explain(bundle.fitted, design, names, picture, seed=context.seed, unit=unit)
    return list(found.table), picture


def _sliced_columns(bundle: Bundle, table: list[Mapping[str, Any]], sample: pa.Table | None) -> dict[str, list[object]]:
    """Values of the features that the model uses most, for slices."""
    if sample is None:
        return {}
    names = {item.slug: item.name for item in bundle.definitions}
    used = [row["slug"] for row in table[:_SLICED_FEATURES] if row["slug"] in sample.column_names]
    return {names[slug]: sample[slug].to_pylist() for slug in used}


def _features(
    context: Context, bundle: Bundle, table: list[Mapping[str, Any]], sample: pa.Table | None
) -> tuple[FeatureUse, ...]:
    """The features that the model uses most, with their share of SHAP and their permutation importance."""
    total = sum(row["mean_abs_shap"] for row in table) or 1.0
    in_words = {item.slug: words(item) for item in bundle.definitions}
    shown = table[:_FEATURES_SHOWN]
    importance = _importance(context, bundle, [row["slug"] for row in shown], sample)
    return tuple(
        FeatureUse(
            name=row["feature"],
            words=in_words.get(row["slug"], ""),
            shap=row["mean_abs_shap"] / total,
            importance=importance.get(row["slug"]),
        )
        for row in shown
    )


def _importance(context: Context, bundle: Bundle, slugs: list[str], sample: pa.Table | None) -> dict[str, float]:
    """Permutation importance on gate rows; none where the metric is not defined on them.

    The registered model has seen these rows, so the values are high rather than low; their order is what counts.
    """
    metric = METRICS[context.problem.metric]
    if sample is None:
        return {}
    rows = sample.slice(0, _IMPORTANCE_ROWS)
    label = rows[LABEL].to_numpy()
    if not len(label) or (metric.ranks and len(np.unique(label)) < 2):
        return {}
    design = bundle.encoder.encode(rows.select(list(bundle.encoder.names)))
    return permutation_importance(bundle.fitted, design, label, metric, slugs, seed=context.seed)


def _effects_exist(context: Context, output: ReportOutput) -> bool:
    return report_file(context.root, context.problem.name, output.version).exists()


REPORT = Stage(
    name="report",
    output=ReportOutput,
    run=_run,
    needs=(SEARCH, TRACK, EVALUATE, REFIT, DRAW, REGISTER),
    parameters=lambda context: {"store": context.store_identity, "template": template_digest()},
    effects_exist=_effects_exist,
)

#: Of a shadow that becomes champion: nothing was searched or drawn.
SHADOW_REPORT = Stage(
    name=REPORT.name,
    output=ReportOutput,
    run=_run,
    needs=(TRACK, EVALUATE, REFIT, REGISTER),
    parameters=REPORT.parameters,
    effects_exist=_effects_exist,
)
