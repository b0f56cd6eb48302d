"""Charts: ticks inside the range, values where the axes say, escaped texts, equal bytes of equal charts."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.charts.bars import Bar, bar_chart
from headrace.charts.lines import Axis, Series, line_chart
from headrace.charts.ticks import label, ticks

X, Y = Axis(label="x"), Axis(label="y")


@settings(deadline=None)
@given(low=st.floats(-1e6, 1e6), span=st.floats(1e-3, 1e6), count=st.integers(2, 8))
def test_ticks_are_inside_increasing_and_about_as_many_as_asked_for(low: float, span: float, count: int) -> None:
    high = low + span
    found = [tick.at for tick in ticks(low, high, "number", count)]
    assert all(low - 1e-6 * span <= at <= high + 1e-6 * span for at in found)
    assert found == sorted(set(found))
    assert len(found) <= count + 1


@pytest.mark.parametrize(
    ("value", "scale", "step", "text"),
    [(0.25, "share", 0.25, "25 %"), (0.125, "number", 0.025, "0.125"), (2000.0, "number", 500.0, "2,000"),
     (0.0, "date", None, "1970-01-01"), (0.5, "number", 0.1, "0.5"), (0.8576, "number", None, "0.8576")],
)  # fmt: skip
def test_labels(value: float, scale: str, step: float | None, text: str) -> None:
    assert label(value, scale, step) == text  # type: ignore[arg-type]


def test_a_point_is_where_the_axes_say() -> None:
    axis = Axis(label="x", low=0, high=10)
    drawn = line_chart("t", [Series(name="s", x=[0, 5, 10], y=[0, 5, 10])], x=axis, y=Axis(label="y", low=0, high=10))
    places = [(float(x), float(y)) for x, y in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', drawn)]
    assert places == [(52.0, 190.0), (231.0, 99.0), (410.0, 8.0)]


def test_a_gap_interrupts_the_line_and_is_empty_in_the_table() -> None:
    drawn = line_chart("t", [Series(name="s", x=[0, 1, 2, 3], y=[1.0, None, 2.0, 3.0])], x=X, y=Y)
    (path,) = re.findall(r'<path class="line main" d="([^"]+)"', drawn)
    assert path.count("M") == 2
    assert "<td></td>" in drawn


def test_texts_are_escaped_and_named_for_screen_readers() -> None:
    drawn = line_chart("<t>", [Series(name="<s>", x=[0], y=[1.0])] * 2, x=X, y=Y, description="<d>")
    assert "<t>" not in drawn
    assert "<s>" not in drawn
    assert "<desc" in drawn
    assert 'role="img"' in drawn
    (title,) = re.findall(r'<title id="([^"]+)">', drawn)
    assert title in drawn.split("aria-labelledby=")[1].split(">")[0]


def test_equal_charts_are_equal_bytes_and_different_ones_have_different_names() -> None:
    one, other = ([Series(name="s", x=[0, 1], y=[1.0, at])] for at in (2.0, 0.5))
    assert line_chart("t", one, x=X, y=Y) == line_chart("t", one, x=X, y=Y)
    names = {re.findall(r'<title id="([^"]+)">', line_chart("t", series, x=X, y=Y))[0] for series in (one, other)}
    assert len(names) == 2


def test_nothing_to_draw_is_a_sentence() -> None:
    assert "No values yet." in line_chart("t", [Series(name="s", x=[], y=[])], x=X, y=Y)
    assert "No values." in bar_chart("t", [])


def test_bars_are_in_proportion() -> None:
    drawn = bar_chart("t", [Bar(name="<a>", value=4.0, text="4"), Bar(name="b", value=-1.0, text="-1", note="n")])
    assert re.findall(r'width="([\d.]+)"', drawn) == ["100.0", "25.0"]
    assert "&lt;a&gt;" in drawn
