"""Pictures of the report as PNG bytes: course of the search, weights, and shap's plots of the Shapley values."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from headrace.automl.report.explanation import Explained, quiet_shap

_SHOWN = 15


def course(board: pd.DataFrame, metric: str) -> bytes:
    """Draw every configuration by the time at which it finished; members of the ensemble have a ring."""
    figure, axes = _figure(9.0, 4.2)
    complete = board[(board["status"] == "ok") & (board["trial"] >= 0)]
    for number, (family, part) in enumerate(complete.groupby("family", sort=True)):
        axes.scatter(part["finished_s"], part["value"], s=28, color=f"C{number}", label=str(family))
    chosen = complete[complete["weight"] > 0]
    axes.scatter(
        chosen["finished_s"], chosen["value"], s=60 + 500 * chosen["weight"], facecolors="none", edgecolors="#222222"
    )
    axes.axhline(float(board["value"].iloc[0]), color="#222222", linewidth=0.8, linestyle="--", label="ensemble")
    axes.set_xlabel("seconds from the start")
    axes.set_ylabel(f"{metric}, out of fold")
    if len(complete):
        values = complete["value"].to_numpy(dtype=np.float64)
        low, high = np.quantile(values, [0.1, 0.9]) if board["value"].iloc[0] > np.median(values) else (0.0, 0.0)
        if high > low:
            axes.set_ylim(bottom=float(low - 2 * (high - low)))
    axes.legend(fontsize=8, loc="best")
    return _png(figure)


def weights_by_step(board: pd.DataFrame) -> bytes:
    """Draw the weight of each family in the ensemble."""
    figure, axes = _figure(7.0, 2.6)
    shares = board[board["trial"] >= 0].groupby("family")["weight"].sum().sort_values()
    shares = shares[shares > 0]
    axes.barh([str(name) for name in shares.index], shares.to_numpy(), color="#4c78a8")
    axes.set_xlabel("weight in the ensemble")
    return _png(figure)


def shap_pictures(explained: Explained) -> dict[str, Callable[[], bytes]]:
    """Return what draws shap's beeswarm, bar, dependence of the first column, and the waterfall of the first row."""
    shap = quiet_shap()
    shown = shap.Explanation(
        values=explained.values,
        base_values=np.full(len(explained.rows), explained.base),
        data=_displayed(explained.rows),
        feature_names=[_plain(name) for name in explained.rows.columns],
    )
    first = int(np.argmax(explained.size))
    return {
        "beeswarm": partial(_drawn, lambda: shap.plots.beeswarm(shown, max_display=_SHOWN, show=False)),
        "bar": partial(_drawn, lambda: shap.plots.bar(shown, max_display=_SHOWN, show=False)),
        "dependence": partial(_drawn, lambda: _dependence(explained, first)),
        "waterfall": partial(_drawn, lambda: shap.plots.waterfall(shown[0], max_display=_SHOWN, show=False)),
    }


def _dependence(explained: Explained, position: int) -> None:
    import matplotlib.pyplot as plt

    name = explained.rows.columns[position]
    values = explained.rows[name]
    x = values if values.dtype.kind in "fM" else values.fillna("missing").map(_plain)
    _, axes = plt.subplots(figsize=(7, 4))
    axes.scatter(x, explained.values[:, position], s=14)
    axes.set_xlabel(_plain(name))
    axes.set_ylabel(_plain(f"Shapley value ({explained.unit})"))


def _plain(text: object) -> str:
    """Return a text for Matplotlib, which would read what stands between two dollar signs as a formula."""
    return str(text).replace("$", r"\$")


def _displayed(rows: pd.DataFrame) -> Any:
    """Return numbers as they are, dates as days, and the positions of texts in alphabetical order."""
    columns = []
    for name in rows.columns:
        values = rows[name]
        if values.dtype.kind == "M":
            columns.append(values.astype("int64").to_numpy() / 8.64e13)
        elif values.dtype.kind == "f":
            columns.append(values.to_numpy(dtype=np.float64))
        else:
            columns.append(pd.Categorical(values).codes.astype(np.float64))
    return np.stack(columns, axis=1)


def _drawn(draw: Callable[[], Any]) -> bytes:
    """Return what a function draws on pyplot's figure, without a display."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    plt.close("all")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            draw()
            return _png(plt.gcf())
    finally:
        plt.close("all")


def _figure(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight", metadata={"Software": None})
    return buffer.getvalue()
