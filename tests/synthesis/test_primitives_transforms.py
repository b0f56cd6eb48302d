"""The conformance suite of transforms: every one in the catalogue inherits all of it, and has an example by hand."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headrace.core.clock import DAY, HOUR, to_us
from headrace.synthesis.language.definitions import RowColumn, Transform, from_json, to_json
from headrace.synthesis.language.values import arrow_type
from headrace.synthesis.primitives import TRANSFORMS, TransformPrimitive
from headrace.synthesis.primitives.finish import finish

EVERY = pytest.mark.parametrize("primitive", TRANSFORMS.values(), ids=list(TRANSFORMS))
CASES = [(p, kinds) for p in TRANSFORMS.values() for kinds in p.inputs]
EVERY_CASE = pytest.mark.parametrize(("primitive", "kinds"), CASES, ids=[f"{p.name}-{'-'.join(k)}" for p, k in CASES])
SATURDAY = to_us("2016-12-31T23:05:30+00:00")  # the last day of a leap year
TICK = SATURDAY + 2 * DAY
TEXT = "Hi Ann, hi Bob!\nIt is 4 o'clock"
IN_KM = ("haversine", "manhattan")
JFK, LAX = (40.6413, -73.7781), (33.9416, -118.4085)

#: Primitive -> inputs and what it gives.
EXAMPLES: dict[str, tuple[tuple[Any, ...], Any]] = {
    "second": ((SATURDAY,), 30),
    "minute": ((SATURDAY,), 5),
    "minute_of_day": ((SATURDAY,), 1385),
    "hour": ((SATURDAY,), 23),
    "day": ((SATURDAY,), 31),
    "day_of_year": ((SATURDAY,), 366),
    "days_in_month": ((to_us("2015-02-03"),), 28),
    "weekday": ((SATURDAY,), 5),
    "week": ((to_us("2021-01-03"),), 53),
    "month": ((SATURDAY,), 12),
    "quarter": ((SATURDAY,), 4),
    "year": ((SATURDAY,), 2016),
    "is_weekend": ((SATURDAY,), 1),
    "is_working_hours": ((to_us("2016-12-30T08:00:00+00:00"),), 1),
    "is_month_start": ((SATURDAY,), 0),
    "is_month_end": ((SATURDAY,), 1),
    "is_quarter_start": ((to_us("2016-04-01"),), 1),
    "is_quarter_end": ((SATURDAY,), 1),
    "is_year_start": ((to_us("2016-01-01"),), 1),
    "is_year_end": ((SATURDAY,), 1),
    "is_leap_year": ((SATURDAY,), 1),
    "part_of_day": ((SATURDAY,), "evening"),
    "hour_sine": ((to_us("2016-01-01T06:00:00+00:00"),), 1),
    "hour_cosine": ((to_us("2016-01-01T12:00:00+00:00"),), -1),
    "weekday_sine": ((to_us("2016-01-04"),), 0),  # a Monday
    "weekday_cosine": ((to_us("2016-01-04"),), 1),
    "day_sine": ((to_us("2015-02-08"),), 1),
    "day_cosine": ((to_us("2015-02-15"),), -1),
    "month_sine": ((to_us("2015-04-01"),), 1),
    "month_cosine": ((to_us("2015-07-31"),), -1),
    "day_of_year_sine": ((to_us("2015-01-01"),), 0),
    "day_of_year_cosine": ((to_us("2016-07-02"),), -1),
    "time_since": ((SATURDAY,), 172_800),
    "hours_since": ((SATURDAY,), 48),
    "days_since": ((SATURDAY,), 2),
    "age": ((TICK - 730 * DAY,), 2),
    "hours_between": ((SATURDAY, SATURDAY - 3 * HOUR), 3),
    "days_between": ((SATURDAY, SATURDAY + 36 * HOUR), -1.5),
    "same_day": ((SATURDAY, SATURDAY - 23 * HOUR), 1),
    "decay_1d": ((8.0, SATURDAY), 2),
    "decay_7d": ((8.0, TICK - 7 * DAY), 4),
    "decay_30d": ((8.0, TICK), 8),
    "log": ((math.e - 1,), 1),
    "signed_log": ((1 - math.e,), -1),
    "square_root": ((9.0,), 3),
    "cube_root": ((-27.0,), -3),
    "square": ((-3.0,), 9),
    "exponential": ((1.0,), math.e),
    "reciprocal": ((4.0,), 0.25),
    "logistic": ((0.0,), 0.5),
    "absolute": ((-2.0,), 2),
    "negate": ((2.0,), -2),
    "sign": ((-2.0,), -1),
    "sine": ((math.pi / 2,), 1),
    "cosine": ((math.pi,), -1),
    "tangent": ((math.pi / 4,), 1),
    "round": ((2.5,), 2),
    "floor": ((-2.5,), -3),
    "ceiling": ((-2.5,), -2),
    "fraction": ((-2.25,), 0.75),
    "bin_10": ((-2.5,), -10),
    "bin_100": ((250.0,), 200),
    "clip_0_1": ((1.5,), 1),
    "positive_part": ((-1.5,), 0),
    "is_positive": ((0.0,), 0),
    "is_negative": ((-1.0,), 1),
    "is_zero": ((-0.0,), 1),
    "difference": ((5.0, 2.0), 3),
    "sum": ((5.0, 2.0), 7),
    "product": ((5.0, 2.0), 10),
    "ratio": ((5.0, 2.0), 2.5),
    "relative_change": ((5.0, -2.0), 3.5),
    "share": ((1.0, 3.0), 0.25),
    "average": ((1.0, 4.0), 2.5),
    "smaller": ((1.0, 4.0), 1),
    "larger": ((1.0, 4.0), 4),
    "remainder": ((-7.0, 3.0), 2),
    "distance": ((1.0, 4.0), 3),
    "greater": ((1.0, 4.0), 0),
    "greater_or_equal": ((4.0, 4.0), 1),
    "less": ((1.0, 4.0), 1),
    "less_or_equal": ((4.0, 4.0), 1),
    "equal": ((4.0, 4.0), 1),
    "not_equal": ((4.0, 4.0), 0),
    "same": (("a", "a"), 1),
    "different": (("a", "b"), 1),
    "and": ((1.0, 0.0), 0),
    "or": ((1.0, 0.0), 1),
    "not": ((1.0,), 0),
    "is_null": ((1.0,), 0),
    "haversine": ((*JFK, *LAX), 3974.3),
    "manhattan": ((0.0, 0.0, 1.0, 1.0), 222.4),
    "bearing": ((0.0, 0.0, 0.0, 1.0), 90),
    "same_place": ((*JFK, *JFK), 1),
    "middle_latitude": ((1.0, 5.0, 3.0, 9.0), 2),
    "is_north": ((-1.0,), 0),
    "num_characters": ((TEXT,), 31),
    "num_words": ((TEXT,), 8),
    "num_unique_words": ((TEXT,), 7),
    **{f"hashed_words_{bucket}": (("Late late gate",), {5: 2 / 3, 4: 1 / 3}.get(bucket, 0)) for bucket in range(16)},
    "mean_characters_per_word": (("ab abcd",), 3),
    "num_digits": ((TEXT,), 1),
    "num_uppercase": (("ÄaB",), 2),
    "num_punctuation": ((TEXT,), 3),
    "num_whitespace": ((TEXT,), 7),
    "num_lines": ((TEXT,), 2),
    "num_title_words": (("BÄ De f",), 2),
    "percent_uppercase": (("Ab1!",), 0.5),
    "has_digits": ((TEXT,), 1),
    "is_empty_text": ((" \n",), 1),
    "email_domain": ((" ann@Mail.Example.org ",), "mail.example.org"),
    "is_email": (("ann@example",), 0),
    "url_domain": (("https://ann@Example.org:80/a?b",), "example.org"),
    "latitude": (("(40.64, -73.78)",), 40.64),
    "longitude": (("(40.64, -73.78)",), -73.78),
}


def run(primitive: TransformPrimitive, kinds: Any, rows: list[tuple[Any, ...]]) -> list[Any]:
    """What finish gives for rows of inputs."""
    inputs = tuple(RowColumn(column=f"x{i}", kind=kind) for i, kind in enumerate(kinds))
    definition = Transform(primitive=primitive.name, inputs=inputs, kind=primitive.result)
    ticks = np.full(len(rows), TICK, dtype=np.int64)
    given = {f"x{i}": pa.array([row[i] for row in rows], type=arrow_type(kind)) for i, kind in enumerate(kinds)}
    made = finish([definition], {}, given, ticks, ticks)[definition.slug]
    assert made.type == arrow_type(primitive.result)
    result: list[Any] = made.to_pylist()
    return result


def some(kind: str, n: int, rng: np.random.Generator) -> list[Any]:
    """Values of a kind, some missing."""
    made: list[Any] = {
        "numeric": [0.0, 1.0, -2.5, 1e8, 0.5],
        "boolean": [0.0, 1.0],
        "categorical": ["a", "b", "ann@x.org", "(1, 2)", ""],
        "text": [TEXT, "", "x", "ann@x.org"],
        "time": [SATURDAY, SATURDAY + HOUR, SATURDAY - 999 * DAY, -DAY],
    }[kind]
    return [None if rng.random() < 0.2 else made[int(rng.integers(len(made)))] for _ in range(n)]


@EVERY
def test_an_example_by_hand(primitive: TransformPrimitive) -> None:
    inputs, expected = EXAMPLES[primitive.name]
    [found] = run(primitive, primitive.inputs[0], [inputs])
    if isinstance(expected, str):
        assert found == expected
    else:
        assert found == pytest.approx(expected, abs=0.1 if primitive.name in IN_KM else 1e-12)


@EVERY_CASE
def test_nothing_gives_nothing_and_null_gives_null(primitive: TransformPrimitive, kinds: Any) -> None:
    assert run(primitive, kinds, []) == []
    for at in range(len(kinds)):
        rng = np.random.default_rng(3)
        row = [next(value for value in some(kind, 9, rng) if value is not None) for kind in kinds]
        row[at] = None
        expected: Any = 1.0 if primitive.name == "is_null" else None
        if primitive.name.startswith("decay_") and at == 1:
            expected = row[0]  # of nothing nothing is left: a count of 0 has no last instant
        assert run(primitive, kinds, [tuple(row)]) == [expected]


@EVERY_CASE
def test_a_row_is_finished_by_itself(primitive: TransformPrimitive, kinds: Any) -> None:
    rng = np.random.default_rng(7)
    rows = list(zip(*(some(kind, 20, rng) for kind in kinds), strict=True))
    together = run(primitive, kinds, rows)
    assert [run(primitive, kinds, [row])[0] for row in rows] == together
    assert all(isinstance(value, str | float | None) for value in together)
    if primitive.result == "boolean":
        assert set(together) <= {0.0, 1.0, None}


@EVERY
def test_the_catalogue_is_whole(primitive: TransformPrimitive) -> None:
    assert primitive.description
    assert primitive.cost > 0
    inputs = tuple(RowColumn(column=f"x{i}", kind=kind) for i, kind in enumerate(primitive.inputs[0]))
    definition = Transform(primitive=primitive.name, inputs=inputs, kind=primitive.result)
    assert from_json(json.loads(json.dumps(to_json(definition)))) == definition


def test_there_are_forty_and_each_has_an_example() -> None:
    assert len(TRANSFORMS) >= 40
    assert EXAMPLES.keys() == TRANSFORMS.keys()
