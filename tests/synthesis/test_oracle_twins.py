"""Every transform, and the finish, against their twins in plain Python, on random rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.clock import DAY, HOUR, to_us
from headrace.synthesis.language.definitions import Aggregate, Definition, Direct, Kind, RowColumn, Transform
from headrace.synthesis.language.values import arrow_type
from headrace.synthesis.oracle.aggregations import AGGREGATION_TWINS
from headrace.synthesis.oracle.finish import finish_row
from headrace.synthesis.oracle.transforms import TRANSFORM_TWINS
from headrace.synthesis.primitives import AGGREGATIONS, TRANSFORMS
from headrace.synthesis.primitives.finish import finish

CASES = [(name, kinds) for name, primitive in TRANSFORMS.items() for kinds in primitive.inputs]
START = to_us("1999-12-31T00:00:00+00:00")
TICK = START + 9_000 * DAY

NUMBERS = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, -2.5, 0.5, 45.0, -120.0, 1e8, 1e100, -1e100, math.inf, math.nan, 1e101]),
    st.floats(-180, 180),
    st.integers(-999, 999).map(float),
)
#: What engines store is finite, and not above what counts as missing.
STORED = NUMBERS.filter(lambda value: math.isfinite(value) and abs(value) <= 1e100)
INSTANTS = st.one_of(
    st.integers(START - 20_000 * DAY, TICK),
    st.integers(-50_000, 8_000).map(lambda days: START + days * DAY),
    st.integers(0, 90_000).map(lambda hours: START + hours * HOUR),
)
FORMS = [
    "ann@Mail.example.org",
    " bob@x.y ",
    "a@b",
    "a@.b",
    "a b@c.d",
    "a@b@c.d",
    "https://ann@Example.org:80/a?b",
    "ftp://x",
    "://x",
    "1a://x",
    "http://a@/b",
    "http://a.b c",
    "(40.64, -73.78)",
    "40.64,-73",
    "+1.5 , 2",
    "(1,2",
    "1.,2",
    "1,2,3",
    "((1,2))",
]
TEXTS = st.one_of(st.sampled_from(FORMS), st.text("aBß9 Ä\n\t.,-@:/!§€0", max_size=14))
VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    "numeric": NUMBERS,
    "boolean": st.sampled_from([0.0, 1.0]),
    "categorical": st.one_of(st.sampled_from(["a", "b", ""]), TEXTS),
    "text": TEXTS,
    "time": INSTANTS,
}


def rows_of(kinds: tuple[Kind, ...]) -> st.SearchStrategy[list[tuple[Any, ...]]]:
    return st.lists(st.tuples(*(st.none() | VALUES[kind] for kind in kinds)), min_size=1, max_size=12)


def assert_equal(engine: Any, twin: Any, name: str = "") -> None:
    if isinstance(engine, float) and isinstance(twin, float):
        if name == "bearing" and abs(engine - twin) > 359:  # north from either side
            engine, twin = engine % 359, twin % 359
        assert engine == pytest.approx(twin, rel=1e-9, abs=1e-3 if name in ("haversine", "manhattan") else 1e-9), name
    else:
        assert engine == twin, name


def test_every_primitive_has_a_twin() -> None:
    assert TRANSFORM_TWINS.keys() == TRANSFORMS.keys()
    assert AGGREGATION_TWINS.keys() == AGGREGATIONS.keys()


@pytest.mark.parametrize(("name", "kinds"), CASES, ids=[f"{name}-{'-'.join(kinds)}" for name, kinds in CASES])
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_a_transform_agrees_with_its_twin(name: str, kinds: tuple[Kind, ...], data: st.DataObject) -> None:
    rows = data.draw(rows_of(kinds))
    columns = tuple(RowColumn(column=f"x{i}", kind=kind) for i, kind in enumerate(kinds))
    definition = Transform(primitive=name, inputs=columns, kind=TRANSFORMS[name].result)
    ticks = np.full(len(rows), TICK, dtype=np.int64)
    given_columns = {f"x{i}": pa.array([row[i] for row in rows], arrow_type(kind)) for i, kind in enumerate(kinds)}
    finished = finish([definition], {}, given_columns, ticks, ticks)[definition.slug].to_pylist()
    for row, value in zip(rows, finished, strict=True):
        assert_equal(value, finish_row(definition, {}, {f"x{i}": x for i, x in enumerate(row)}, TICK), name)


def _stored(primitive: str, kind: Kind) -> Aggregate:
    return Aggregate(entity="a", table="t", keys=("k",), column="x", primitive=primitive, lookback_us=None, kind=kind)


SUM, LAST_TIME, MODE = (
    _stored("decayed_sum_7d", "numeric"),
    _stored("last_time", "time"),
    _stored("mode", "categorical"),
)
SEATS = Direct(entity="a", table="p", column="seats", kind="numeric")
AMOUNT, GIFT, CITY, AT = (
    RowColumn(column=column, kind=kind)
    for column, kind in (("amount", "numeric"), ("gift", "boolean"), ("city", "categorical"), ("at", "time"))
)


def _transform(name: str, *inputs: Definition) -> Transform:
    return Transform(primitive=name, inputs=inputs, kind=TRANSFORMS[name].result)


FINISHED: tuple[Definition, ...] = (
    *(SUM, MODE, SEATS, AMOUNT, GIFT, CITY),
    _transform("decay_7d", SUM, LAST_TIME),
    _transform("log", _transform("ratio", AMOUNT, SEATS)),
    _transform("and", GIFT, _transform("is_null", SUM)),
    _transform("same", MODE, CITY),
    _transform("square", _transform("exponential", _transform("time_since", AT))),
    _transform("difference", AT, LAST_TIME),
    _transform("num_characters", CITY),
)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            *(st.none() | values for values in (STORED, INSTANTS, TEXTS, STORED)),
            *(st.none() | VALUES[kind] for kind in ("numeric", "boolean", "categorical", "time")),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_the_finish_agrees_with_its_twin(rows: list[tuple[Any, ...]]) -> None:
    names = (SUM.slug, LAST_TIME.slug, MODE.slug, SEATS.slug, "amount", "gift", "city", "at")
    kinds = ("numeric", "time", "categorical", "numeric", "numeric", "boolean", "categorical", "time")
    columns = {
        name: pa.array([row[i] for row in rows], arrow_type(kind))
        for i, (name, kind) in enumerate(zip(names, kinds, strict=True))
    }
    ticks = np.full(len(rows), TICK, dtype=np.int64)
    table = finish(FINISHED, columns, columns, ticks, ticks)
    for number, row in enumerate(rows):
        values = dict(zip(names, row, strict=True))
        for definition in FINISHED:
            twin = finish_row(definition, values, values, TICK)
            assert_equal(table[definition.slug][number].as_py(), twin, definition.name)


def test_a_twin_can_disagree(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison above sees a transform that is wrong by one in the last place that counts."""
    monkeypatch.setitem(TRANSFORM_TWINS, "hour", lambda inputs, _tick_us: 25.0)
    with pytest.raises(AssertionError):
        assert_equal(5.0, finish_row(_transform("hour", AT), {}, {"at": 5 * HOUR}, 0))
