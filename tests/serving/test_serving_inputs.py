"""Model inputs as arrays: the same values as by the Arrow table, and never older than the store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.clock import DAY, HOUR, NEVER
from headrace.models.design import Encoder
from headrace.serving.entity_rows import EntityRows, StoredRows
from headrace.serving.inputs import InputPlan
from headrace.serving.kept_rows import KeptRows
from headrace.serving.request import ARROW_TYPES
from headrace.store.online import OnlineStore
from headrace.synthesis.language.definitions import (
    Aggregate,
    Definition,
    Direct,
    Kind,
    RowColumn,
    Transform,
    row_columns,
    stored,
)
from headrace.synthesis.language.values import arrow_type
from headrace.synthesis.primitives.finish import finish
from tests.serving_fixtures import DEFINITIONS, MEAN, NOW, PROBLEM, SERVICE, TICK, VIEW, write_store


def direct(column: str, kind: Kind) -> Direct:
    return Direct(entity="customer_id", table="customers", column=column, kind=kind)


def aggregate(primitive: str, kind: Kind = "numeric") -> Aggregate:
    return Aggregate(
        entity="customer_id", table="orders", keys=("customer_id",), column="amount", primitive=primitive,
        lookback_us=7 * DAY, kind=kind,
    )  # fmt: skip


def transformed(primitive: str, *inputs: Definition, kind: Kind = "numeric") -> Transform:
    return Transform(primitive=primitive, inputs=inputs, kind=kind)


AMOUNT, PLACED = RowColumn(column="amount", kind="numeric"), RowColumn(column="placed", kind="time")
CHANNEL, NOTE = RowColumn(column="channel", kind="categorical"), RowColumn(column="note", kind="text")
LAST, CITY, COUNT, MEAN_OF = (
    aggregate("last_time", "time"),
    direct("city", "categorical"),
    *map(aggregate, ("count", "mean")),
)
DIFFERENCE = transformed("difference", AMOUNT, MEAN_OF)
#: A feature of each way to be computed: stored, requested, transforms on one and several levels, of texts and instants.
FEATURES: tuple[Definition, ...] = (
    CITY, COUNT, MEAN_OF, direct("vip", "boolean"), AMOUNT, RowColumn(column="gift", kind="boolean"), CHANNEL,
    DIFFERENCE, transformed("difference", AMOUNT, COUNT), transformed("difference", COUNT, MEAN_OF),
    transformed("log", DIFFERENCE), transformed("ratio", DIFFERENCE, COUNT), transformed("hour", PLACED),
    transformed("month_sine", PLACED), transformed("time_since", LAST), transformed("time_since", PLACED),
    transformed("difference", PLACED, LAST), transformed("same", CITY, CHANNEL, kind="boolean"),
    transformed("num_words", NOTE), transformed("num_characters", CHANNEL),
    transformed("part_of_day", PLACED, kind="categorical"), transformed("is_null", CITY, kind="boolean"),
    transformed("decay_7d", MEAN_OF, LAST), transformed("greater", AMOUNT, MEAN_OF, kind="boolean"),
)  # fmt: skip
ENCODER = Encoder(
    names=tuple(reversed([item.slug for item in FEATURES])),
    categories={item.slug: ("Bern", "web", "night") for item in FEATURES if item.kind in ("categorical", "text")},
)
_INSTANTS = st.integers(NOW - 400 * DAY, NOW + 400 * DAY)
_VALUES: Mapping[Kind, st.SearchStrategy[Any]] = {
    "numeric": st.none() | st.floats(-1e6, 1e6) | st.sampled_from([0.0, -0.0, 1e-40, 1e39, 1e99, 1e101, -1e300]),
    "boolean": st.none() | st.booleans(),
    "categorical": st.none() | st.sampled_from(["Bern", "web", "Genf", "", "ü"]),
    "text": st.none() | st.text(max_size=12),
    "time": st.none() | _INSTANTS,
}


@st.composite
def rows(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """For up to four rows, the stored values by slug and the request's columns."""
    n = draw(st.integers(1, 4))
    stored_rows = [{item.slug: draw(_VALUES[item.kind]) for item in stored(FEATURES)} for _ in range(n)]
    request = [{item.column: draw(_VALUES[item.kind]) for item in row_columns(FEATURES)} for _ in range(n)]
    return stored_rows, request


def as_stored_rows(plan: InputPlan, values: list[dict[str, Any]]) -> StoredRows:
    columns = plan.columns
    return StoredRows(
        numbers=np.array([[row[slug] for slug in columns.numbers] for row in values], dtype=np.float64),
        instants=np.array(
            [[NEVER if row[slug] is None else row[slug] for slug in columns.instants] for row in values], dtype=np.int64
        ),
        texts=[[row[slug] for slug in columns.texts] for row in values],
        ages=[{} for _ in values],
    )


@given(rows(), st.integers(-HOUR, HOUR))
@settings(max_examples=60, deadline=None)
def test_inputs_are_those_of_the_arrow_table(drawn: tuple[list[dict[str, Any]], list[dict[str, Any]]], at: int) -> None:
    values, request = drawn
    tick_us = NOW + at
    plan = InputPlan.of(FEATURES, ENCODER)
    assert plan is not None
    inputs = plan.compute(as_stored_rows(plan, values), request, tick_us)

    kinds = {item.slug: item.kind for item in stored(FEATURES)}
    columns = {
        slug: pa.array([row[slug] if kind != "boolean" or row[slug] is None else float(row[slug]) for row in values],
                       type=arrow_type(kind))
        for slug, kind in kinds.items()
    }  # fmt: skip
    own = {
        item.column: pa.array([row[item.column] for row in request], type=ARROW_TYPES[item.kind])
        for item in row_columns(FEATURES)
    }
    ticks = np.full(len(request), tick_us, dtype=np.int64)
    table = finish(FEATURES, columns, own, ticks, ticks)
    assert [repr(row) for row in inputs.features] == [repr(row) for row in table.to_pylist()]
    expected = ENCODER.encode(table)
    np.testing.assert_array_equal(inputs.design.X.view(np.int32), expected.X.view(np.int32))
    assert (inputs.design.names, inputs.design.categorical) == (expected.names, expected.categorical)


def test_features_that_are_instants_have_no_plan() -> None:
    encoder = Encoder(names=(PLACED.slug,))
    assert InputPlan.of((PLACED,), encoder) is None
    assert InputPlan.of((AMOUNT,), encoder) is None


def means(reader: EntityRows, *customers: str | None) -> list[float]:
    return reader.read([{"customer_id": name} for name in customers], NOW).numbers[:, 0].tolist()


def reader_of(root: Path) -> EntityRows:
    plan = InputPlan(DEFINITIONS, Encoder(names=()))
    assert plan.columns.numbers == (MEAN,)
    return EntityRows(OnlineStore(root, PROBLEM), SERVICE, plan.columns)


def test_rows_in_memory_are_read_again_after_a_refresh(tmp_path: Path) -> None:
    write_store(tmp_path)
    reader = reader_of(tmp_path)
    assert means(reader, "c1", "c2", "c1") == [30.0, 50.0, 30.0]
    write_store(tmp_path, means={"c1": 31.0, "c2": 51.0})
    assert means(reader, "c2", "c1") == [51.0, 31.0]


def test_ages_are_those_of_the_store(tmp_path: Path) -> None:
    write_store(tmp_path)
    reader, online = reader_of(tmp_path), OnlineStore(tmp_path, PROBLEM)
    keys = [{"customer_id": name} for name in ("c1", "nobody", None)]
    for now_us in (NOW, NOW + TICK, NOW + 10 * TICK):
        read = reader.read(keys, now_us)
        assert [dict(ages) for ages in read.ages] == [row.ages for row in online.read(SERVICE, keys, now_us)]
    assert [ages[VIEW].status for ages in read.ages] == ["STALE", "MISSING", "MISSING"]


def test_known_rows_are_not_read_again(tmp_path: Path, monkeypatch: Any) -> None:
    write_store(tmp_path)
    reader = reader_of(tmp_path)
    means(reader, "c1")
    asked: list[Any] = []
    read = OnlineStore.view_rows
    monkeypatch.setattr(
        OnlineStore, "view_rows", lambda self, service, keys: asked.extend(keys) or read(self, service, keys)
    )
    assert means(reader, "c1", "c2") == [30.0, 50.0]
    assert means(reader, "c1", "c2") == [30.0, 50.0]
    assert asked == [{"customer_id": "c2"}]


def test_a_store_that_changes_while_it_is_read_gives_rows_of_one_state(tmp_path: Path, monkeypatch: Any) -> None:
    write_store(tmp_path)
    reader = reader_of(tmp_path)
    means(reader, "c1")
    read, writes = OnlineStore.view_rows, iter([31.0, 32.0, 33.0])

    def read_then_write(self: OnlineStore, service: str, keys: Any) -> Any:
        found = read(self, service, keys)
        if (mean := next(writes, None)) is not None:
            write_store(tmp_path, means={"c1": mean, "c2": mean})
        return found

    monkeypatch.setattr(OnlineStore, "view_rows", read_then_write)
    first, second = means(reader, "c1", "c2")
    assert first == second
    assert means(reader, "c1", "c2") == [33.0, 33.0]


def kept_of(root: Path) -> KeptRows:
    plan, online = InputPlan(DEFINITIONS, Encoder(names=(MEAN,))), OnlineStore(root, PROBLEM)
    return KeptRows(online, EntityRows(online, SERVICE, plan.columns), plan, max_rows=4)


@given(st.lists(st.one_of(st.lists(st.sampled_from(["c1", "c2", "c3", None]), min_size=1, max_size=4), st.booleans())))
@settings(max_examples=25, deadline=None)
def test_kept_rows_are_those_of_the_store_whatever_was_read_before(asked: list[list[str | None] | bool]) -> None:
    """A truth value is a refresh of the store, or a later tick."""
    with TemporaryDirectory() as folder:
        root, now_us = Path(folder), NOW
        write_store(root)
        kept, plan = kept_of(root), InputPlan(DEFINITIONS, Encoder(names=(MEAN,)))
        for at, step in enumerate(asked):
            if isinstance(step, bool):
                if step:
                    write_store(root, means={"c1": float(at), "c3": float(-at)})
                else:
                    now_us += TICK
                continue
            keys = [{"customer_id": name} for name in step]
            read, ages = kept.read(keys, now_us, now_us)
            stored_rows = EntityRows(OnlineStore(root, PROBLEM), SERVICE, plan.columns).read(keys, now_us)
            fresh = plan.prepare(stored_rows, now_us)
            for name in ("numbers", "instants", "features", "design"):
                np.testing.assert_array_equal(getattr(read, name), getattr(fresh, name))
            assert (read.texts, ages) == (fresh.texts, stored_rows.ages)
            read.features[:] = read.design[:] = -1.0  # a caller's arrays are its own


def test_a_store_that_changes_while_kept_rows_are_read_gives_rows_of_one_state(
    tmp_path: Path, monkeypatch: Any
) -> None:
    write_store(tmp_path)
    kept = kept_of(tmp_path)
    read, writes = OnlineStore.view_rows, iter([31.0, 32.0, 33.0, 34.0])

    def read_then_write(self: OnlineStore, service: str, keys: Any) -> Any:
        found = read(self, service, keys)
        if (mean := next(writes, None)) is not None:
            write_store(tmp_path, means={"c1": mean, "c2": mean})
        return found

    keys = [{"customer_id": name} for name in ("c1", "c2")]
    kept.read(keys[:1], NOW, NOW)
    monkeypatch.setattr(OnlineStore, "view_rows", read_then_write)
    first, second = kept.read(keys, NOW, NOW)[0].numbers[:, 0].tolist()
    assert first == second
    assert kept.read(keys, NOW, NOW)[0].numbers[:, 0].tolist() == [34.0, 34.0]


@given(st.lists(st.tuples(st.sampled_from([NOW - HOUR, NOW, NOW + DAY, None]), st.integers(0, 2)), max_size=6))
@settings(max_examples=30, deadline=None)
def test_remembered_times_are_those_of_their_tick(asked: list[tuple[int | None, int]]) -> None:
    features = (transformed("time_since", PLACED), transformed("hour", PLACED))
    encoder = Encoder(names=tuple(item.slug for item in features))
    plan = InputPlan(features, encoder)
    for placed, ticks in asked:
        stored_rows, request = as_stored_rows(plan, [{}, {}]), [{"placed": placed}, {"placed": NOW + ticks}]
        known = plan.compute(stored_rows, request, NOW + ticks * TICK)
        fresh = InputPlan(features, encoder).compute(stored_rows, request, NOW + ticks * TICK)
        np.testing.assert_array_equal(known.design.X, fresh.design.X)
