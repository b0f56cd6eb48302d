"""The stage `draw`: the report of the study and the explanation of the model, for people, also in MLflow.

Only the report of the version reads what this stage draws, so that another colour in a plot trains nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from headrace.core.files import write_json
from headrace.evaluate.metrics import METRICS
from headrace.models.bundle import Bundle
from headrace.models.explain import explain, plot_features
from headrace.models.families.protocol import Fitted
from headrace.models.two_part import FittedTwoPart
from headrace.pipeline.context import Context
from headrace.pipeline.stage import Inputs, Stage
from headrace.pipeline.stages.refit import BUNDLE, REFIT
from headrace.pipeline.stages.search import SEARCH, read_trials
from headrace.pipeline.stages.select import SELECT
from headrace.pipeline.stages.study_plan import study_plan
from headrace.pipeline.stages.track import TRACK
from headrace.pipeline.stages.training_rows import read_training_set, training_design
from headrace.pipeline.stages.training_set import TRAINING_SET
from headrace.schema import Problem
from headrace.search.report.page import write_report
from headrace.search.report.plots import plot_history, plot_importances

#: The report of the study.
STUDY_REPORT = "report.html"
#: Mean absolute SHAP value of each feature of the model, the largest first.
SHAP_TABLE = "shap.json"
_HISTORY, _PARAMETERS, _FEATURES = "history.png", "hyperparameter_importance.png", "feature_importance.png"
#: The beeswarm plot of SHAP values.
SHAP_PLOT = "shap_summary.png"


@dataclass(frozen=True, kw_only=True)
class DrawOutput:
    """figures: names of the files that were drawn, which MLflow has at the study's run."""

    figures: tuple[str, ...]


def _run(context: Context, inputs: Inputs, folder: Path) -> DrawOutput:
    from headrace.registry.tracking import attach

    _draw_study(context, inputs, folder)
    _draw_explanation(context, inputs, folder)
    figures = (STUDY_REPORT, _HISTORY, _PARAMETERS, _FEATURES, SHAP_PLOT)
    attach(context.tracking_uri, inputs[TRACK].output.run_id, [folder / name for name in figures])
    return DrawOutput(figures=figures)


def _draw_study(context: Context, inputs: Inputs, folder: Path) -> None:
    problem, trials = context.problem, read_trials(inputs[SEARCH])
    metric, plan = METRICS[problem.metric], study_plan(problem.families, inputs[SELECT])
    plot_history(trials, folder / _HISTORY, metric=metric.name, greater_is_better=metric.greater_is_better)
    importances = plot_importances(plan.space, trials, folder / _PARAMETERS, seed=context.seed)
    title = f"Study of {problem.name}: {len(trials)} trials by {problem.searcher}"
    write_report(
        plan.space, trials, folder / STUDY_REPORT, metric=metric, title=title, importances=importances, note=plan.note,
        known=plan.known,
    )  # fmt: skip


def _draw_explanation(context: Context, inputs: Inputs, folder: Path) -> None:
    bundle = Bundle.load(inputs[REFIT].path(BUNDLE))
    matrix, _ = read_training_set(context, inputs)
    names = {item.slug: item.name for item in bundle.definitions}
    unit, design = explained_unit(context.problem, bundle.fitted), training_design(context, bundle.encoder, matrix)
    explanation = explain(bundle.fitted, design, names, folder / SHAP_PLOT, seed=context.seed, unit=unit)
    plot_features(explanation.table, folder / _FEATURES, unit=unit)
    write_json(folder / SHAP_TABLE, list(explanation.table))


def explained_unit(problem: Problem, fitted: Fitted) -> str:
    """The unit of a model's SHAP values."""
    label = problem.label_expression
    if isinstance(fitted, FittedTwoPart):
        return f"log-odds of {label.column} > 0, plus log(1 + {label.column})"
    return "log-odds" if label.binary else label.column


DRAW = Stage(
    name="draw",
    output=DrawOutput,
    run=_run,
    needs=(SELECT, TRAINING_SET, SEARCH, TRACK, REFIT),
)
