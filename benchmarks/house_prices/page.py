"""The page of the study: the answer, then configurations over time, Shapley values of the best, and conditions."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.house_prices import data
from benchmarks.house_prices.contestants import Result
from headrace.automl.report.pictures import shap_pictures
from headrace.core.files import write_bytes

Floats = NDArray[np.float64]
_RESAMPLES = 2_000
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#222;max-width:1080px;margin:1.2rem auto;padding:0 1.2rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .3rem}p{margin:.3rem 0}img{max-width:100%}
.answer{font-size:1.15rem;margin:.6rem 0}table{border-collapse:collapse;font-size:13.5px;margin:.6rem 0}
td,th{padding:.25rem .7rem;text-align:left;border-bottom:1px solid #ddd}td.n{text-align:right}
"""
_CAPTIONS = {
    "beeswarm": "Each dot is a house; its position is the contribution of the column to its price, in dollars.",
    "bar": "Mean absolute contribution of each column.",
    "dependence": "Contribution of the most important column, by its value.",
    "waterfall": "One house: from the mean price to its own.",
}


@dataclass(frozen=True, kw_only=True)
class Score:
    """A contestant's error on the test rows.

    Attributes:
        result: What it has written.
        rmsle: Root mean squared error of log(1 + price).
        low, high: 90 % interval, from resampled rows.
        behind: RMSLE minus that of the best, with its 90 % interval; rows are paired.
    """

    result: Result
    rmsle: float
    low: float
    high: float
    behind: tuple[float, float, float]


def scores(results: Sequence[Result], truth: Floats) -> list[Score]:
    """Return the scores of those that ran, best first."""
    ran = [result for result in results if result.predictions is not None]
    errors = [(np.log1p(np.maximum(result.predictions, 0)) - np.log1p(truth)) ** 2 for result in ran]
    rng = np.random.default_rng(0)
    rows = rng.integers(len(truth), size=(_RESAMPLES, len(truth)))
    values = [float(np.sqrt(error.mean())) for error in errors]
    drawn = [np.sqrt(error[rows].mean(axis=1)) for error in errors]
    if not ran:
        return []
    best = int(np.argmin(values))
    found = []
    for result, value, draws in zip(ran, values, drawn, strict=True):
        low, high = np.quantile(draws, [0.05, 0.95])
        gap_low, gap_high = np.quantile(draws - drawn[best], [0.05, 0.95])
        behind = (value - values[best], float(gap_low), float(gap_high))
        found.append(Score(result=result, rmsle=value, low=float(low), high=float(high), behind=behind))
    return sorted(found, key=lambda score: score.rmsle)


def write_page(path: Path, scored: Sequence[Score], results: Sequence[Result], *, conditions: Sequence[str]) -> Path:
    """Write the page.

    Args:
        path: File to write.
        scored: Contestants that ran, best first.
        results: All contestants.
        conditions: Lines about how it was run.
    """
    body = [
        "<h1>House prices: Headrace, XGBoost by hand, and three AutoML systems</h1>",
        f'<p class="answer">{html.escape(answer(scored))}</p>',
        _table(scored, results),
        "<h2>Configurations that were tried, over time</h2>",
        "<p>Each dot is a configuration by its validated error and the time at which it finished; its colour is the "
        "algorithm. A ring marks a part of the final model; a larger ring has more weight.</p>",
        *(_image(course(score.result)) for score in scored),
        *_explanation(scored),
        "<h2>Conditions</h2>",
        *(f"<p>{html.escape(line)}</p>" for line in conditions),
        "<h2>Columns</h2>",
        f"<p>{html.escape(columns_text())}</p>",
    ]
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>House prices</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )
    write_bytes(path, text.encode())
    return path


def answer(scored: Sequence[Score]) -> str:
    """Return the answer in one or two sentences."""
    if not scored:
        return "No contestant has finished."
    best = scored[0]
    text = f"{best.result.contestant.title} has the lowest error on the test rows: RMSLE {best.rmsle:.4f}."
    if len(scored) > 1:
        second, (gap, low, high) = scored[1], scored[1].behind
        sure = "the interval excludes 0" if low > 0 else "the interval includes 0, so the order may be luck"
        text += (
            f" {second.result.contestant.title} follows, {gap:.4f} behind (90 % interval {low:+.4f} to {high:+.4f}:"
            f" {sure})."
        )
    return text


def _table(scored: Sequence[Score], results: Sequence[Result]) -> str:
    head = ("contestant", "RMSLE", "90 % interval", "behind the best", "fit, s", "one row, ms", "final model")
    lines = []
    for score in scored:
        facts, (gap, low, high) = score.result.facts, score.behind
        behind = "" if score is scored[0] else f"{gap:+.4f} ({low:+.4f} to {high:+.4f})"
        title = f"{score.result.contestant.title} ({facts['version']})"
        model = facts["model"] + (f" ({facts['note']})" if facts.get("note") else "")
        cells = (title, f"{score.rmsle:.4f}", f"{score.low:.4f} to {score.high:.4f}", behind, f"{facts['fit_s']:.0f}",
                 f"{facts['row_ms']:.1f}", model)  # fmt: skip
        lines.append(cells)
    lines += [
        (one.contestant.title, "not run", "", "", "", "", one.facts["absent"])
        for one in results
        if "absent" in one.facts
    ]
    rows = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in line) + "</tr>" for line in lines)
    return f"<table><tr>{''.join(f'<th>{name}</th>' for name in head)}</tr>{rows}</table>"


def _explanation(scored: Sequence[Score]) -> list[str]:
    explained = next((score for score in scored if score.result.explained is not None), None)
    if explained is None or explained.result.explained is None:
        return ["<h2>Shapley values</h2><p>No contestant was explained.</p>"]
    title, values = explained.result.contestant.title, explained.result.explained
    which = "the best model" if explained is scored[0] else "the best model that could be explained in the time"
    parts = [f"<h2>Shapley values of {which}: {html.escape(title)}</h2>",
             f"<p>{len(values.rows)} test rows, by shap's permutation explainer.</p>"]  # fmt: skip
    for name, draw in shap_pictures(values).items():
        parts.append(f"<h3>{name}</h3><p>{_CAPTIONS[name]}</p>{_image(draw())}")
    return parts


def course(result: Result) -> bytes:
    """Draw the configurations of a contestant over time."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    numbers = dict.fromkeys(("finished_s", "loss", "weight"), float)  # a contestant may have finished none
    tried: Any = result.configurations.astype(numbers)
    kinds = tried["family"].str.replace(r"(_BAG_L\d+|_r\d+|_FULL).*", "", regex=True)
    for number, (family, part) in enumerate(tried.groupby(kinds, sort=True)):
        axes.scatter(part["finished_s"], part["loss"], s=22, color=f"C{number % 10}", label=str(family),
                     marker="os^Dv"[number // 10 % 5])  # fmt: skip
    chosen = tried[tried["weight"] > 0]
    axes.scatter(chosen["finished_s"], chosen["loss"], s=60 + 500 * chosen["weight"], facecolors="none",
                 edgecolors="#222222")  # fmt: skip
    if len(tried):
        low, high = float(tried["loss"].min()), float(tried["loss"].quantile(0.8))
        axes.set_ylim(low - 0.1 * (high - low) - 1e-3, high + 0.3 * (high - low) + 1e-3)
    axes.set_title(f"{result.contestant.title}: {len(tried)} configurations", loc="left", fontsize=10)
    axes.set_xlabel("seconds from the start")
    axes.set_ylabel("RMSLE, validated")
    axes.legend(fontsize=7, ncols=2)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    return buffer.getvalue()


def columns_text() -> str:
    """Return how the columns compare with Kaggle's."""
    columns = [name for name in data.ames().columns if name != data.TARGET]
    renamed = [f"{name} = {data.kaggle_name(name)}" for name in columns if data.kaggle_name(name) != name]
    return (
        f"{len(columns)} columns describe a house, as in Kaggle's House Prices; row and parcel number (Order, PID; "
        "Kaggle's Id) are left out. Kaggle has 1,460 and 1,459 of the 2,930 sales, divided otherwise, so errors "
        f"here are near those on Kaggle and not equal to them. Kaggle's names: {', '.join(renamed)}."
    )


def _image(picture: bytes) -> str:
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(picture).decode()}">'
