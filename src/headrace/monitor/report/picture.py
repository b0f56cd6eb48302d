"""Draw what a window costs: the loss by day, of all rows and of the worst slice, and the slices that got worse; a PNG.

The picture stands beside the report's HTML file, and inside the page.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headrace.core.clock import from_us, iso
from headrace.core.files import write_bytes
from headrace.monitor.estimates.slices import DailyLoss, Slice
from headrace.monitor.estimates.window import WindowEstimates
from headrace.monitor.policy.decision import Decision

_MAX_SLICES, _LONGEST_NAME = 8, 42
_NOW, _BEFORE, _OTHER = "#c0392b", "#7f8c8d", "#2c5f8a"


def picture_file(root: Path, decision: Decision) -> Path:
    """Return the path of the picture of a decision's window."""
    return root / "reports" / decision.problem / f"{decision.id}.png"


def has_picture(estimates: WindowEstimates | None) -> bool:
    """Whether there is anything to draw: days with labels."""
    return estimates is not None and any(one.days_us for one in estimates.daily)


def draw_picture(estimates: WindowEstimates, decision: Decision, root: Path) -> Path:
    """Write the picture of a window, atomically, and return its path.

    Args:
        estimates: Of the window, with days that have labels.
        decision: The decision about the window.
        root: Home folder.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = 2 if estimates.slices else 1
    figure = Figure(figsize=(5.8 * panels + 0.6, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
    _draw_days(axes[0], estimates, decision)
    if estimates.slices:
        _draw_slices(axes[1], estimates.slices[:_MAX_SLICES], estimates.loss)
    image, path = io.BytesIO(), picture_file(root, decision)
    figure.savefig(image, format="png", dpi=130, metadata={"Software": None})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, image.getvalue())
    return path


def _draw_days(axes: Any, estimates: WindowEstimates, decision: Decision) -> None:
    """Draw the mean loss by day; dashed lines are the levels of the gate, the band is the monitored window."""
    axes.axvspan(from_us(decision.start_us), from_us(decision.end_us), color="#f4ecd8", zorder=0)
    for one, colour in zip(estimates.daily, (_OTHER, _NOW), strict=False):
        _draw_line(axes, one, colour)
    since = estimates.slices[0].since_us if estimates.slices else None
    if since is not None:
        axes.axvline(from_us(since), color=_NOW, linewidth=1, linestyle=":")
        axes.set_title(f"worse since {iso(since)[:10]}", fontsize=9, color=_NOW, loc="left")
    axes.set_ylabel(f"mean {estimates.loss} by day")
    axes.tick_params(axis="x", labelrotation=30, labelsize=8)
    highest = max((value for one in estimates.daily for value in (*one.loss, one.reference)), default=1.0)
    axes.set_ylim(0, 1.35 * highest)  # room for the legend
    axes.legend(fontsize=8, frameon=False, loc="upper left")


def _draw_line(axes: Any, one: DailyLoss, colour: str) -> None:
    days = [from_us(day) for day in one.days_us]
    axes.plot(days, one.loss, color=colour, marker="o", markersize=3, linewidth=1.2, label=_short(one.name))
    axes.axhline(one.reference, color=colour, linewidth=0.9, linestyle="--")


def _draw_slices(axes: Any, slices: Sequence[Slice], loss: str) -> None:
    """Draw the loss of each slice on the gate (grey) and in the window (red)."""
    for line, one in enumerate(reversed(slices)):
        axes.plot([one.reference_loss, one.loss], [line, line], color="#dddddd", linewidth=3, zorder=1)
        axes.scatter([one.reference_loss], [line], color=_BEFORE, s=28, zorder=2)
        axes.scatter([one.loss], [line], color=_NOW, s=28, zorder=2)
    names = [f"{_short(one.name)} ({one.rows:,})" for one in reversed(slices)]
    axes.set_yticks(range(len(slices)), names, fontsize=8)
    axes.set_ylim(-0.6, len(slices) - 0.4)
    axes.set_xlabel(f"mean {loss}: grey on the gate, red in the window")
    axes.set_title("slices that got worse (rows)", fontsize=9, loc="left")


def _short(name: str) -> str:
    """Shorten the column of a slice, so that its value stays readable."""
    column, equals, value = name.partition(" = ")
    room = max(_LONGEST_NAME - len(equals) - len(value), 12)
    return (column if len(column) <= room else column[: room - 1] + "\u2026") + equals + value
