"""One figure of production: quality over time, evidence of drift below it, versions as bands, decisions as marks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headrace.core.clock import DAY
from headrace.core.files import write_bytes
from headrace.replay.history import Measurement, ProductionHistory, WindowDecision

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BANDS = ("#eaf1f8", "#f7efe4", "#eaf5ec", "#f4eaf3")
_BLUE, _RED, _GREEN, _GREY = "#2f6299", "#c44e52", "#3f8f5b", "#9aa3ad"
#: Mark -> shape, colour, label.
_MARKS = {
    "alert": ("^", "#d9902f", "people were alerted"),
    "promoted": ("o", _GREEN, "retrained: promoted"),
    "refused": ("X", _RED, "retrained: refused"),
    "not comparable": ("X", "#d0a96b", "retrained: not comparable yet"),
    "failed": ("X", "#555555", "retrain failed"),
    "superseded": ("d", _GREY, "retrain superseded"),
    "open": ("o", "#ffffff", "retrain not finished"),
}


def draw_history(history: ProductionHistory, path: Path, *, dpi: int = 100) -> Path:
    """Draw a history as a PNG.

    Args:
        history: of a problem's production.
        path: of the file, which is written in one step.
        dpi: resolution.

    Returns:
        The path.
    """
    import io

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.2), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1.4])
    _quality(above, history)
    _evidence(below, history)
    figure.suptitle(f"{history.problem}: quality, drift and versions over the replayed feed", fontsize=12)
    written = io.BytesIO()
    figure.savefig(written, format="png", dpi=dpi)
    write_bytes(path, written.getvalue())
    return path


def mark_of(decision: WindowDecision) -> str | None:
    """The mark of a decision; None where nothing was decided."""
    if decision.kind == "retrain":
        return decision.outcome or "open"
    return "alert" if decision.kind == "alert" else None


def _quality(axes: Axes, history: ProductionHistory) -> None:
    days, weeks = ([one for one in many if one.value is not None] for many in (history.days, history.weeks))
    axes.scatter(_dates([one.end_us for one in days]), _values(days), s=13, color=_GREY, label="a day", zorder=2)
    axes.plot(
        _dates([one.end_us for one in weeks]), _values(weeks), color=_BLUE, lw=2, label="the last 7 days", zorder=3
    )
    for index, champion in enumerate(history.champions):
        start, end = _dates([champion.from_us, max(champion.until_us, champion.from_us + DAY // 2)]).tolist()
        axes.axvspan(start, end, color=_BANDS[index % len(_BANDS)], lw=0, zorder=0)
        axes.text(start, 1.005, f" version {champion.version}", transform=axes.get_xaxis_transform(), va="bottom")
        if champion.expected is not None:
            label = "on its gate window" if index == 0 else ""
            axes.hlines(champion.expected, start, end, color=_BLUE, lw=1, ls=(0, (4, 3)), label=label, zorder=1)
    _marks(axes, history, weeks)
    axes.set_ylabel(f"{history.metric} of the predictions")
    axes.legend(frameon=False, fontsize=8, ncols=3, loc="lower left")
    _tidy(axes)


def _marks(axes: Axes, history: ProductionHistory, weeks: Sequence[Measurement]) -> None:
    """Mark each decision on the line of quality, at the end of its window."""
    at = np.array([one.end_us for one in weeks], dtype=np.float64)
    values = np.array(_values(weeks), dtype=np.float64)
    labelled: set[str] = set()
    for decision in history.decisions:
        mark = mark_of(decision)
        if mark is None or not len(at):
            continue
        shape, colour, meaning = _MARKS.get(mark, _MARKS["open"])
        y = float(np.interp(decision.at_us, at, values))
        options: dict[str, Any] = {"color": colour, "edgecolors": "#333333", "linewidths": 0.8, "zorder": 4}
        axes.scatter(
            _dates([decision.at_us]), [y], marker=shape, s=75, label=None if mark in labelled else meaning, **options
        )
        labelled.add(mark)


def _evidence(axes: Axes, history: ProductionHistory) -> None:
    decisions = [decision for decision in history.decisions if decision.measured]
    days = _dates([decision.at_us for decision in decisions])
    counts = [decision.features for decision in decisions]
    axes.bar(days, counts, width=1.6, color=_GREY, label="features that drifted")
    top = max([*counts, 1])
    for row, name in enumerate(_others(decisions)):
        where = [day for day, decision in zip(days, decisions, strict=True) if name in decision.other]
        axes.scatter(where, [top * (1.15 + 0.2 * row)] * len(where), marker="s", s=18, label=f"{name} too")
    axes.set_ylim(0, top * (1.35 + 0.2 * len(_others(decisions))))
    axes.set_ylabel("drifted")
    axes.legend(frameon=False, fontsize=8, ncols=3, loc="upper left")
    _tidy(axes)


def _others(decisions: Sequence[WindowDecision]) -> list[str]:
    return list(dict.fromkeys(name for decision in decisions for name in decision.other))


def _dates(instants_us: Sequence[int]) -> NDArray[np.float64]:
    """[n] days since the epoch: Matplotlib's dates."""
    return np.array(instants_us, dtype=np.float64) / DAY


def _values(measured: Sequence[Measurement]) -> list[float]:
    return [one.value for one in measured if one.value is not None]


def _tidy(axes: Axes) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e3e6ea", lw=0.6, zorder=0)
