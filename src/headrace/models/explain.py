"""Explain a fitted model: Shapley values of a sample of rows, mean |SHAP| per feature, and the beeswarm plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.models.design import Design
from headrace.models.families.protocol import Fitted
from headrace.models.figures import ModelFigure, saved_axes

_MAX_FEATURES = 20
_NAME_LENGTH = 70


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """The explanation of a model.

    Attributes:
        plot: File of the beeswarm plot (PNG).
        table: {"feature", "slug", "mean_abs_shap"} of each feature, the largest first.
        rows: Number of rows of the sample.
    """

    plot: Path
    table: tuple[dict[str, Any], ...]
    rows: int


def explain(
    fitted: Fitted,
    design: Design,
    names: Mapping[str, str],
    plot: Path,
    *,
    rows: int = 2000,
    seed: int = 0,
    unit: str = "log-odds",
) -> Explanation:
    """Explain the predictions for a sample of rows.

    Args:
        fitted: The model.
        design: Rows [n, d].
        names: Slug of a feature -> display name.
        plot: PNG file to write.
        rows: Size of the sample.
        seed: Of the sample and of the plot's jitter.
        unit: Unit of the contributions, for the plot's axis.
    """
    if len(design) > rows:
        sampled = np.random.default_rng(seed).choice(len(design), rows, replace=False)
        design = design.rows(np.sort(sampled))
    values = fitted.contributions(design)
    size = np.abs(values).mean(axis=0)
    order = np.argsort(-size, kind="stable")
    table = tuple(
        {
            "feature": names.get(design.names[i], design.names[i]),
            "slug": design.names[i],
            "mean_abs_shap": float(size[i]),
        }
        for i in order
    )
    _beeswarm(values, design, [row["feature"] for row in table], order, plot, seed, unit)
    return Explanation(plot=plot, table=table, rows=len(design))


def model_figures(
    fitted: Any, design: Design, names: Mapping[str, str], categories: Mapping[str, Sequence[str]]
) -> list[ModelFigure]:
    """Return the figures that a model draws of itself (its method `figures`), those of the members for an ensemble.

    Args:
        fitted: The model; most draw none.
        design: A sample of rows [n, d].
        names: Column of the design -> name to show.
        categories: Category column -> its texts by code.
    """
    models = [member.fitted for member in getattr(fitted, "members", ())] or [fitted]
    drawing = [model for model in models if hasattr(model, "figures")]
    return [figure for model in drawing for figure in model.figures(design, names, categories)]


def plot_features(table: Sequence[Mapping[str, Any]], plot: Path, *, unit: str) -> Path:
    """Plot mean |SHAP| of the features that the model uses most as bars, the largest on top.

    Args:
        table: As `Explanation.table`.
        plot: PNG file to write.
        unit: Unit of the contributions, for the axis.
    """
    bars = list(table[:_MAX_FEATURES])[::-1]
    with saved_axes(plot, width=11, height=1.5 + 0.3 * max(len(bars), 4)) as axes:
        axes.barh(range(len(bars)), [row["mean_abs_shap"] for row in bars], color="#4878a8")
        axes.set_yticks(range(len(bars)), [_short(row["feature"]) for row in bars], fontsize=8)
        axes.set_xlabel(f"mean contribution to a prediction, up or down ({unit})")
    return plot


def _beeswarm(
    values: NDArray[np.float64],
    design: Design,
    labels: list[str],
    order: NDArray[np.int64],
    plot: Path,
    seed: int,
    unit: str,
) -> None:
    """Draw one row of dots per feature: x is the contribution, colour the rank of the value (blue low, red high).

    shap.summary_plot would draw the same on pyplot's global figure, with numpy's global random state.
    """
    rng = np.random.default_rng(seed)
    features = order[:_MAX_FEATURES]
    with saved_axes(plot, width=11, height=1.5 + 0.32 * len(features)) as axes:
        for line, feature in enumerate(features):
            x = values[:, feature]
            y = len(features) - 1 - line + _jitter(x, rng)
            numeric = feature not in design.categorical  # the codes of categories are no order
            colour = _rank(design.X[:, feature]) if numeric else np.full(len(x), np.nan)
            finite = np.isfinite(colour)
            axes.scatter(x[~finite], y[~finite], s=5, c="#999999", linewidths=0)
            axes.scatter(x[finite], y[finite], s=5, c=colour[finite], cmap="coolwarm", vmin=0, vmax=1, linewidths=0)
        axes.axvline(0, color="#777777", linewidth=0.8, zorder=0)
        axes.set_yticks(range(len(features)), [_short(label) for label in labels[: len(features)]][::-1], fontsize=8)
        axes.set_xlabel(
            f"contribution to the prediction ({unit}); red: high value, blue: low, grey: missing or a category"
        )


def _jitter(x: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return vertical jitter [n], proportional to the density of the dots."""
    counts, edges = np.histogram(x, bins=60)
    density = counts[np.clip(np.digitize(x, edges) - 1, 0, len(counts) - 1)] / max(counts.max(), 1)
    return np.asarray(rng.uniform(-0.4, 0.4, len(x)) * density, dtype=np.float64)


def _rank(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return dense ranks [n] scaled to 0 .. 1, NaN for missing: an outlier then does not compress the colour scale."""
    from scipy.stats import rankdata

    finite = np.isfinite(values)
    ranks = np.full(len(values), np.nan)
    if finite.any():
        dense = rankdata(values[finite], method="dense") - 1
        ranks[finite] = dense / max(dense.max(), 1)
    return ranks


def _short(name: str) -> str:
    return name if len(name) <= _NAME_LENGTH else name[: _NAME_LENGTH - 1] + "…"
