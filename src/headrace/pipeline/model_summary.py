"""What a run's model is, for people: its windows, its metrics on the gate, and the features that it uses most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from headrace.core import parquet
from headrace.core.files import read_json
from headrace.evaluate.metrics import METRICS
from headrace.pipeline.context import Context
from headrace.pipeline.production.definitions import DEFINITIONS, read_definitions
from headrace.pipeline.stage import Inputs
from headrace.pipeline.stages.draw import DRAW, SHAP_TABLE
from headrace.pipeline.stages.evaluate import EVALUATE, GATE
from headrace.pipeline.stages.select import SELECT
from headrace.synthesis.explanation.description import words

_FEATURES_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class UsedFeature:
    """A feature of the model.

    Attributes:
        name: Of its definition.
        words: The definition in words.
        share: Of the sum of mean absolute SHAP values over all features, 0 to 1.
    """

    name: str
    words: str
    share: float


@dataclass(frozen=True, kw_only=True)
class ModelSummary:
    """The model of a run, whether it was promoted or not.

    Attributes:
        metric: That the problem optimises.
        metrics: Name of a metric -> value on the gate window, for the recipe fitted before the gate.
        baseline: The metric of the constant that is best for the rows before the gate, on the gate window.
        windows: As `Windows.describe` gives them.
        candidates: Number of features that the selection chose from.
        kept: Number of features of the model.
        features: The features that the model uses most, by share.
    """

    metric: str
    metrics: Mapping[str, float]
    baseline: float
    windows: Mapping[str, str | int]
    candidates: int
    kept: int
    features: tuple[UsedFeature, ...]

    def as_json(self) -> dict[str, Any]:
        """The summary as JSON."""
        return asdict(self)


def model_summary(context: Context, finished: Inputs) -> ModelSummary:
    """Gather the model summary of a finished run of the main job."""
    evaluated, selected = finished[EVALUATE].output, finished[SELECT].output
    return ModelSummary(
        metric=context.problem.metric,
        metrics={
            name: evaluated.metrics[f"gate_{name}"]
            for name in dict.fromkeys((context.problem.metric, *METRICS))
            if f"gate_{name}" in evaluated.metrics
        },
        baseline=_baseline(context, finished),
        windows=evaluated.windows,
        candidates=selected.candidates,
        kept=selected.features,
        features=_used_most(finished),
    )


def _baseline(context: Context, finished: Inputs) -> float:
    label = parquet.read(finished[EVALUATE].path(GATE))["label"].to_numpy()
    return METRICS[context.problem.metric].value(label, np.full(len(label), finished[EVALUATE].output.baseline))


def _used_most(finished: Inputs) -> tuple[UsedFeature, ...]:
    """The first features of the SHAP table, which is ordered by mean absolute value."""
    table = read_json(finished[DRAW].path(SHAP_TABLE))
    total = sum(item["mean_abs_shap"] for item in table) or 1.0
    in_words = {item.slug: words(item) for item in read_definitions(finished[SELECT].path(DEFINITIONS))}
    return tuple(
        UsedFeature(name=item["feature"], words=in_words[item["slug"]], share=item["mean_abs_shap"] / total)
        for item in table[:_FEATURES_SHOWN]
    )
