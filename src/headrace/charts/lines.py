"""Draw lines and points over one horizontal axis as SVG, with the values as a table below.

Colours are classes of `charts.style`, so that one drawing serves light and dark pages. Series differ by dash as well as
by colour. A screen reader gets title and description, and the table.
"""

from __future__ import annotations

import html
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from headrace.charts.ticks import Scale, label, ticks

_WIDTH, _HEIGHT = 420, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 10, 8, 40
_MAX_TABLE = 60


@dataclass(frozen=True, kw_only=True)
class Series:
    """One series of a chart.

    Attributes:
        name: Shown in the key and in the table.
        x, y: Values; None in y is a gap.
        tone: Colour: main, other or soft.
        kind: A line with points, a line alone, points alone, or steps.
        dashed: Whether its line is dashed.
        low, high: Limits of a band around y, of the same length; empty for none.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    tone: Literal["main", "other", "soft"] = "main"
    kind: Literal["both", "line", "points"] = "both"
    dashed: bool = False
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()


@dataclass(frozen=True, kw_only=True)
class Axis:
    """An axis: its label, how its values are written, and its range (that of the values where None)."""

    label: str
    scale: Scale = "number"
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """Ranges of the axes, and the positions of values in the drawing."""

    x: tuple[float, float]
    y: tuple[float, float]

    def left(self, value: float) -> float:
        return _LEFT + (value - self.x[0]) / (self.x[1] - self.x[0]) * (_WIDTH - _LEFT - _RIGHT)

    def top(self, value: float) -> float:
        return _HEIGHT - _BOTTOM - (value - self.y[0]) / (self.y[1] - self.y[0]) * (_HEIGHT - _TOP - _BOTTOM)


def line_chart(title: str, series: Sequence[Series], *, x: Axis, y: Axis, description: str = "") -> str:
    """Draw a chart as an HTML figure.

    Args:
        title: Caption.
        series: What to draw; those without a value are left out.
        x, y: Axes.
        description: What the chart shows, in a sentence, for people who do not see it.

    Returns:
        HTML; a sentence in place of the drawing where there are no values.
    """
    drawn = [one for one in series if any(value is not None for value in one.y)]
    if not drawn:
        return f'<figure class="chart"><figcaption>{_text(title)}</figcaption><p>No values yet.</p></figure>'
    frame = _frame(drawn, x, y)
    body = [*_grid(frame, x, y), *(part for one in drawn for part in _series(one, frame))]
    return (
        f'<figure class="chart"><figcaption>{_text(title)}{_key(drawn)}</figcaption>'
        f"{_svg(title, description, body)}{_table(drawn, x, y)}</figure>"
    )


def _svg(title: str, description: str, body: Sequence[str], *, height: float = _HEIGHT) -> str:
    number = zlib.crc32("".join((title, *body)).encode())  # equal drawings have equal bytes
    names = f"chart-{number}-title chart-{number}-text" if description else f"chart-{number}-title"
    text = f'<desc id="chart-{number}-text">{_text(description)}</desc>' if description else ""
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height:g}" role="img" aria-labelledby="{names}">'
        f'<title id="chart-{number}-title">{_text(title)}</title>{text}{"".join(body)}</svg>'
    )


def _frame(series: Sequence[Series], x: Axis, y: Axis) -> _Frame:
    across = [value for one in series for value in one.x]
    up = [value for one in series for values in (one.y, one.low, one.high) for value in values if value is not None]
    return _Frame(x=_range(across, x, 0.0), y=_range(up, y, 0.08))


def _range(values: Sequence[float], axis: Axis, margin: float) -> tuple[float, float]:
    low = min(values) if axis.low is None else axis.low
    high = max(values) if axis.high is None else axis.high
    if not high > low:
        around = (86_400.0 if axis.scale == "date" else abs(high) * 0.1) or 1.0
        return low - around, high + around
    pad = (high - low) * margin
    return (low - pad if axis.low is None else low), (high + pad if axis.high is None else high)


def _grid(frame: _Frame, x: Axis, y: Axis) -> list[str]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = []
    for tick in ticks(*frame.y, y.scale, 4):
        at = frame.top(tick.at)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{_text(tick.label)}</text>')
    for tick in ticks(*frame.x, x.scale, 3 if x.scale == "date" else 5):
        at = frame.left(tick.at)
        anchor = "end" if at > right - 20 else "middle"
        parts.append(f'<line class="axis" x1="{at:.1f}" x2="{at:.1f}" y1="{bottom}" y2="{bottom + 4}"/>')
        parts.append(f'<text x="{at:.1f}" y="{bottom + 17}" text-anchor="{anchor}">{_text(tick.label)}</text>')
    parts.append(f'<line class="axis" x1="{_LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>')
    parts.append(f'<text x="{right}" y="{_HEIGHT - 6}" text-anchor="end">{_text(x.label)}</text>')
    parts.append(f'<text x="{_LEFT - 46}" y="{_HEIGHT - 6}">{_text("up: " + y.label)}</text>')
    return parts


def _series(one: Series, frame: _Frame) -> list[str]:
    points = [
        (frame.left(x), None if y is None or not math.isfinite(y) else frame.top(y))
        for x, y in zip(one.x, one.y, strict=True)
    ]
    parts = []
    if one.low and one.high:
        parts.append(_band(one, frame))
    if one.kind != "points":
        dash = " dashed" if one.dashed else ""
        parts.append(f'<path class="line {one.tone}{dash}" d="{_path(points)}"/>')
    if one.kind != "line":
        parts += [
            f'<circle class="point {one.tone}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in points if y is not None
        ]
    return parts


def _band(one: Series, frame: _Frame) -> str:
    rows = [
        (frame.left(x), frame.top(low), frame.top(high))
        for x, low, high in zip(one.x, one.low, one.high, strict=True)
        if low is not None and high is not None
    ]
    forth = " L".join(f"{x:.1f},{low:.1f}" for x, low, _ in rows)
    back = " L".join(f"{x:.1f},{high:.1f}" for x, _, high in reversed(rows))
    return f'<path class="band {one.tone}" d="M{forth} L{back} Z"/>' if rows else ""


def _path(points: Sequence[tuple[float, float | None]]) -> str:
    """Return the SVG path through points, with a gap where there is no value."""
    parts, pen_is_down = [], False
    for x, y in points:
        if y is not None:
            parts.append(f"{'L' if pen_is_down else 'M'}{x:.1f},{y:.1f}")
        pen_is_down = y is not None
    return " ".join(parts)


def _key(series: Sequence[Series]) -> str:
    if len(series) == 1:
        return ""
    signs = "".join(
        f'<span class="sign"><svg viewBox="0 0 28 14" aria-hidden="true">{_sign(one)}</svg></span>{_text(one.name)}'
        for one in series
    )
    return f'<span class="key">{signs}</span>'


def _sign(one: Series) -> str:
    dash = " dashed" if one.dashed else ""
    line = f'<path class="line {one.tone}{dash}" d="M0,7 L28,7"/>' if one.kind != "points" else ""
    return line + (f'<circle class="point {one.tone}" cx="14" cy="7" r="4"/>' if one.kind != "line" else "")


def _table(series: Sequence[Series], x: Axis, y: Axis) -> str:
    """Return the values as a table behind a summary; of more than 60 rows an even selection."""
    places = sorted({value for one in series for value in one.x})
    if len(places) > _MAX_TABLE:
        places = [places[round(i * (len(places) - 1) / (_MAX_TABLE - 1))] for i in range(_MAX_TABLE)]
    columns = [dict(zip(one.x, one.y, strict=True)) for one in series]
    head = "".join(f'<th scope="col">{_text(one.name)}</th>' for one in series)
    rows = "".join(
        f'<tr><th scope="row">{_text(label(place, x.scale))}</th>'
        + "".join(f"<td>{_cell(column.get(place), y.scale)}</td>" for column in columns)
        + "</tr>"
        for place in places
    )
    return (
        f'<details><summary>Values as a table</summary><div class="scroll" tabindex="0" role="group" '
        f'aria-label="Values"><table><thead><tr><th scope="col">{_text(x.label)}</th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></details>"
    )


def _cell(value: float | None, scale: Scale) -> str:
    return "" if value is None else _text(f"{value:.1%}" if scale == "share" else label(value, scale))


def _text(text: str) -> str:
    return html.escape(text)
