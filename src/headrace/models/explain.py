"""Explanation: Shapley values of a sample of rows, their mean size per feature, and the summary ("beeswarm") plot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.models.design import Design
from headrace.models.families.protocol import Fitted
from headrace.models.figures import saved_axes

_SHOWN = 20
_NAME_LENGTH = 70


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """plot: the PNG. table: {"feature", "slug", "mean_abs_shap"} per feature, the largest first. rows: how many."""

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
    """Explain predictions for a seeded sample of rows. names: slug -> display name."""
    if len(design) > rows:
        drawn = np.random.default_rng(seed).choice(len(design), rows, replace=False)
        design = design.rows(np.sort(drawn))
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


def _beeswarm(
    values: NDArray[np.float64],
    design: Design,
    labels: list[str],
    order: NDArray[np.int64],
    plot: Path,
    seed: int,
    unit: str,
) -> None:
    """One line of dots per feature: x is its contribution, colour its value within the feature (blue low, red high).

    Drawn here, not by shap.summary_plot, which works on pyplot's global figure and numpy's global random state.
    """
    rng = np.random.default_rng(seed)
    shown = order[:_SHOWN]
    with saved_axes(plot, width=11, height=1.5 + 0.32 * len(shown)) as axes:
        for line, feature in enumerate(shown):
            x = values[:, feature]
            y = len(shown) - 1 - line + _spread(x, rng)
            ordered = feature not in design.categorical  # the codes of categories are no order
            colour = _rank(design.X[:, feature]) if ordered else np.full(len(x), np.nan)
            known = np.isfinite(colour)
            axes.scatter(x[~known], y[~known], s=5, c="#999999", linewidths=0)
            axes.scatter(x[known], y[known], s=5, c=colour[known], cmap="coolwarm", vmin=0, vmax=1, linewidths=0)
        axes.axvline(0, color="#777777", linewidth=0.8, zorder=0)
        axes.set_yticks(range(len(shown)), [_short(label) for label in labels[: len(shown)]][::-1], fontsize=8)
        axes.set_xlabel(
            f"contribution to the prediction ({unit}); red: high value, blue: low, grey: missing or a category"
        )


def _spread(x: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Vertical jitter, wide where dots are dense."""
    counts, edges = np.histogram(x, bins=60)
    density = counts[np.clip(np.digitize(x, edges) - 1, 0, len(counts) - 1)] / max(counts.max(), 1)
    return np.asarray(rng.uniform(-0.4, 0.4, len(x)) * density, dtype=np.float64)


def _rank(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """0 .. 1 by rank, NaN for missing: one outlier must not paint all others the same colour."""
    known = np.isfinite(values)
    ranks = np.full(len(values), np.nan)
    distinct, position = np.unique(values[known], return_inverse=True)
    ranks[known] = position / max(len(distinct) - 1, 1)
    return ranks


def _short(name: str) -> str:
    return name if len(name) <= _NAME_LENGTH else name[: _NAME_LENGTH - 1] + "…"
