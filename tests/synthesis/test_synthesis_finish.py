"""Finishing at read: transforms by hand-computed numbers, and the same answer from any container."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from headrace.core.clock import HOUR, NEVER, to_us
from headrace.core.errors import DataError
from headrace.synthesis.language.definitions import Aggregate, Definition, Direct, RowColumn, Transform
from headrace.synthesis.primitives.finish import finish

WHEN = RowColumn(column="at", kind="time")
NUMBER = RowColumn(column="x", kind="numeric")
INSTANT = datetime(2013, 3, 30, 23, 5, tzinfo=UTC)  # a Saturday


def run(
    definition: Definition, row: dict[str, object], stored: dict[str, object] | None = None, tick: int = 0
) -> list[object]:
    count = len(next(iter({**row, **(stored or {})}.values())))  # type: ignore[arg-type]
    ticks = np.full(count, tick, dtype=np.int64)
    result: list[object] = finish([definition], stored or {}, row, ticks, ticks)[definition.slug].to_pylist()
    return result


@pytest.mark.parametrize(
    ("primitive", "expected"),
    [
        ("hour", 23),
        ("minute_of_day", 1385),
        ("day", 30),
        ("month", 3),
        ("weekday", 5),
        ("is_weekend", 1),
        ("year", 2013),
    ],
)
def test_calendar(primitive: str, expected: float) -> None:
    definition = Transform(primitive=primitive, inputs=(WHEN,), kind="numeric")
    arrow = pa.array([INSTANT, None], type=pa.timestamp("us", tz="UTC"))
    assert run(definition, {"at": arrow}) == [expected, None]
    assert run(definition, {"at": np.array([to_us(INSTANT), NEVER])}) == [expected, None]


def test_log_and_root_of_what_is_not_negative() -> None:
    for primitive, expected in (("log", math.log(4)), ("square_root", math.sqrt(3))):
        definition = Transform(primitive=primitive, inputs=(NUMBER,), kind="numeric")
        assert run(definition, {"x": [3.0, -1.0, None]}) == [pytest.approx(expected), None, None]


def test_differences_of_numbers_and_of_instants_in_seconds() -> None:
    other = RowColumn(column="y", kind="numeric")
    assert run(
        Transform(primitive="difference", inputs=(NUMBER, other), kind="numeric"), {"x": [5, 1], "y": [2, None]}
    ) == [3.0, None]
    later = RowColumn(column="then", kind="time")
    spans = {"at": np.array([HOUR, NEVER]), "then": np.array([0, 0])}
    assert run(Transform(primitive="difference", inputs=(WHEN, later), kind="numeric"), spans) == [3600.0, None]


def test_haversine_of_jfk_and_lax() -> None:
    ends = [
        Direct(entity=e, table="airports", column=c, kind="numeric") for e in ("origin", "dest") for c in ("lat", "lon")
    ]
    distance = Transform(primitive="haversine", inputs=tuple(ends), kind="numeric")
    places = dict(
        zip((item.slug for item in ends), ([40.639751], [-73.778925], [33.942536], [-118.408075]), strict=True)
    )
    assert run(distance, {}, places)[0] == pytest.approx(3974.3, abs=0.5)


def test_time_since_runs_to_the_tick() -> None:
    anchor = Aggregate(
        entity="a", table="t", keys=("k",), column="", primitive="last_time", lookback_us=None, kind="time"
    )
    since = Transform(primitive="time_since", inputs=(anchor,), kind="numeric")
    assert run(since, {}, {anchor.slug: pa.array([HOUR, None])}, tick=3 * HOUR) == [7200.0, None]


def test_a_count_of_an_entity_without_a_stored_row_is_zero_and_a_mean_is_missing() -> None:
    for primitive, expected in (("count", 0.0), ("sum", 0.0), ("mean", None)):
        definition = Aggregate(
            entity="a", table="t", keys=("k",), column="x", primitive=primitive, lookback_us=None, kind="numeric"
        )
        assert run(definition, {}, {definition.slug: [None, 2.0]}) == [expected, 2.0]
        assert run(definition, {}, {definition.slug: pa.array([None], type=pa.float64())}) == [expected]


def test_what_is_not_given_is_named() -> None:
    with pytest.raises(DataError, match="request: no 'x'"):
        run(NUMBER, {"y": [1]})
    with pytest.raises(DataError, match="1 values for 2 rows"):
        finish([NUMBER], {}, {"x": [1]}, np.zeros(2, dtype=np.int64), np.zeros(2, dtype=np.int64))


def test_categories_are_strings_whatever_holds_them() -> None:
    definition = RowColumn(column="x", kind="categorical")
    for column in (
        pa.array(["a", None]),
        pa.array(["a", None]).dictionary_encode(),
        np.array(["a", None]),
        ["a", None],
    ):
        assert run(definition, {"x": column}) == ["a", None]
    assert run(definition, {"x": [7, None]}) == ["7", None]
