"""`headrace.synthesize` computes what the oracle computes, from frames as people have them, and refuses the rest."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headrace
from headrace.core.clock import BEFORE_ALL, to_us
from headrace.core.errors import HeadraceError
from headrace.lake.store import Lake
from headrace.library.synthesize import Features
from headrace.schema import Entity, EntitySet, GivenRows, Problem, Relationship, Table, each_row
from headrace.synthesis.candidates.enumerate import enumerate_candidates
from headrace.synthesis.engines import default_engine
from headrace.synthesis.language.definitions import row_columns, stored
from headrace.synthesis.matrix.matrix import feature_matrix
from headrace.synthesis.oracle.finish import finish_row
from headrace.synthesis.oracle.oracle import RowEvaluator
from headrace.synthesis.spine.build import build_spine

START = pd.Timestamp("2024-01-01")
SHOP: dict[str, Any] = {
    "keys": {"customers": "customer_id", "orders": "order_id"},
    "relationships": ["customers.customer_id -> orders.customer_id"],
    "times": {"orders": "placed"},
    "known_at": {"orders.refunded": "settled"},
}


def shop(seed: int, orders: int = 30) -> dict[str, pd.DataFrame]:
    """Customers and their orders, on a grid of hours so that ties and exact edges happen, with gaps."""
    rng = np.random.default_rng(seed)
    placed = START + pd.to_timedelta(rng.integers(0, 40, orders), unit="h")
    frames = {
        "customers": pd.DataFrame({"customer_id": list("abcd"), "city": ["Basel", None, "Chur", "Bern"]}),
        "orders": pd.DataFrame(
            {
                "order_id": rng.permutation(orders),
                "customer_id": rng.choice(list("abc"), orders),
                "placed": placed,
                "amount": np.where(rng.random(orders) < 0.2, np.nan, rng.choice([1.0, 2.5, 1e8, -3.0], orders)),
                "channel": rng.choice(np.array(["web", "app", None], dtype=object), orders),
                "refunded": rng.random(orders) < 0.4,
                "settled": placed + pd.to_timedelta(rng.integers(1, 20, orders), unit="h"),
            }
        ),
    }
    frames["orders"].loc[rng.random(orders) < 0.2, "settled"] = pd.NaT
    return frames


def cutoffs(seed: int, rows: int = 6) -> pd.DataFrame:
    rng = np.random.default_rng([seed, 1])
    times = START + pd.to_timedelta(rng.integers(0, 50, rows), unit="h")
    return pd.DataFrame({"customer_id": rng.choice(list("abcd"), rows), "cutoff": times})


def declared(spine: Any, frames: Mapping[str, pd.DataFrame], **options: Any) -> Problem:
    """The same declaration, by hand."""
    orders = Table(
        name="orders",
        key="order_id",
        time="placed",
        known_at={"refunded": "settled"},
        tz="UTC",
        source=frames["orders"],
    )
    return Problem(
        name="shop",
        entity_set=EntitySet(
            tables=(Table(name="customers", key="customer_id", source=frames["customers"]), orders),
            relationships=(Relationship("customers.customer_id", "orders.customer_id"),),
        ),
        spine=spine,
        label=None,
        **options,
    )


class PlainTables:
    """Frames as the oracle reads them: rows sorted by key, times in UTC, known since ever."""

    def __init__(self, frames: Mapping[str, pd.DataFrame], keys: Mapping[str, str]) -> None:
        self._frames, self._keys = frames, keys

    def table(self, name: str) -> pa.Table:
        rows = self._frames[name].sort_values(self._keys[name]).to_dict("records")
        plain = [
            {
                **{key: plain_value(value) for key, value in row.items()},
                "_arrival": BEFORE_ALL,
                "_order": number,
            }
            for number, row in enumerate(rows)
        ]
        return pa.Table.from_pylist(plain)


def plain_value(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime().replace(tzinfo=UTC)
    return None if value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value)) else value


def require_oracle_values(
    found: Features, problem: Problem, frames: Mapping[str, pd.DataFrame], queries: list[dict[str, Any]]
) -> None:
    """Every cell of a matrix is what the oracle computes for the row's key and cutoff."""
    evaluator = RowEvaluator(problem, PlainTables(frames, SHOP["keys"]))
    assert len(found.matrix) == len(queries)
    assert list(found.matrix) == [one.slug for one in found.definitions]
    for position, query in enumerate(queries):
        for definition in found.definitions:
            leaves = stored([definition])
            keys = [tuple(query[name] for name in problem.entity(one.entity).join_keys) for one in leaves]
            values = {
                one.slug: evaluator.stored_value(one, key, query["tick"]) for one, key in zip(leaves, keys, strict=True)
            }
            columns = {one.column: query[one.column] for one in row_columns([definition])}
            expected = finish_row(definition, values, columns, query["tick"])
            value = found.matrix[definition.slug].iloc[position]
            assert equal(value, expected), f"{definition.name} at {query}: {value}, not {expected}"


def equal(value: Any, expected: Any) -> bool:
    if expected is None or (isinstance(expected, float) and math.isnan(expected)):
        return bool(pd.isna(value))
    if isinstance(expected, str):
        return bool(value == expected)
    return math.isclose(value, expected, rel_tol=1e-9, abs_tol=1e-9)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"depth": 2, "where": {"orders.channel": ("web",)}, "groupby": ("orders.channel",), "primitives": ("trend",)},
]


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10_000), options=st.sampled_from(OPTIONS))
def test_given_cutoffs_have_the_oracles_values(seed: int, options: dict[str, Any]) -> None:
    frames, at = shop(seed), cutoffs(seed)
    found = headrace.synthesize(frames, "customers", cutoffs=at, lookbacks=["6h", "1d"], **SHOP, **options)
    problem = declared(GivenRows(entity="customers"), frames, lookbacks=("6h", "1d"), **options)
    queries = [
        {"customer_id": row.customer_id, "tick": to_us(row.cutoff.tz_localize("UTC").to_pydatetime())}
        for row in at.itertuples()
    ]
    require_oracle_values(found, problem, frames, queries)
    assert len(found.definitions) > 20


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10_000), options=st.sampled_from(OPTIONS))
def test_rows_with_cutoffs_of_their_own_have_the_oracles_values(seed: int, options: dict[str, Any]) -> None:
    frames = shop(seed)
    pair = ("channel", "customer_id")
    found = headrace.synthesize(
        frames, "orders", cutoffs="placed + 1h", lookbacks=["6h", "1d"], entities={"pair": pair}, **SHOP, **options
    )
    entities = (Entity(name="pair", join_keys=pair),)
    problem = declared(
        each_row("orders", cutoff="placed + 1h"), frames, lookbacks=("6h", "1d"), entities=entities, **options
    )
    assert any(one.name.startswith("pair.MEAN(orders.amount") for one in found.definitions)
    hour = 3_600_000_000
    queries = []
    for row in frames["orders"].to_dict("records"):
        plain = {name: plain_value(value) for name, value in row.items()}
        queries.append({**plain, "tick": to_us(plain["placed"]) + hour})
    require_oracle_values(found, problem, frames, queries)
    assert {"amount", "channel"} <= set(found.matrix)
    assert not {"refunded", "settled"} & set(found.matrix)
    assert list(found.matrix.index.get_level_values("order_id")) == list(frames["orders"]["order_id"])


def test_the_pipeline_computes_the_same(tmp_path: Path) -> None:
    frames = shop(3, orders=200)
    found = headrace.synthesize(frames, "orders", tick="15min", lookbacks=["6h", "1d"], **SHOP)
    problem = declared(each_row("orders", cutoff="placed"), frames, lookbacks=("6h", "1d"), tick="15min")
    lake = Lake(tmp_path, "shop")
    for table in problem.entity_set.tables:
        rows = pa.Table.from_pandas(frames[table.name], preserve_index=False)
        lake.append(table, rows, arrival_us=to_us(datetime(2024, 2, 1, tzinfo=UTC)), bootstrap=True)
    snapshot, engine = lake.snapshot(), default_engine()
    schemas = {table.name: snapshot.table(table.name).schema for table in problem.entity_set.tables}
    spine = build_spine(problem, snapshot, now_us=to_us(datetime(2024, 2, 1, tzinfo=UTC)), engine=engine)
    offered = enumerate_candidates(problem, schemas, snapshot)
    matrix = feature_matrix(problem, offered.definitions, spine, snapshot, engine).to_pandas()
    assert found.definitions == offered.definitions
    by_key = found.matrix.reset_index(drop=True).assign(key=found.matrix.index.get_level_values("order_id"))
    expected = matrix.assign(key=spine["order_id"].to_pandas()).set_index("key").sort_index()
    by_key = by_key.set_index("key").sort_index()
    for name in expected:
        assert by_key[name].astype(object).where(by_key[name].notna(), None).tolist() == (
            expected[name].astype(object).where(expected[name].notna(), None).tolist()
        )


def test_nothing_at_or_after_a_cutoff_matters() -> None:
    frames, at = shop(5, orders=60), cutoffs(5)
    at["cutoff"] = at["cutoff"].clip(upper=START + pd.Timedelta("30h"))
    before = headrace.synthesize(frames, "customers", cutoffs=at, lookbacks=["1d"], **SHOP)
    changed = {name: frame.copy() for name, frame in frames.items()}
    late = changed["orders"]["placed"] >= at["cutoff"].max()
    assert late.any()
    changed["orders"].loc[late, "amount"] *= 7
    unsettled = ~(changed["orders"]["settled"] < at["cutoff"].max())
    changed["orders"].loc[unsettled, "refunded"] = ~changed["orders"]["refunded"]
    after = headrace.synthesize(changed, "customers", cutoffs=at, lookbacks=["1d"], **SHOP)
    pd.testing.assert_frame_equal(before.matrix, after.matrix)
    early = changed["orders"]["placed"] < at["cutoff"].max()
    changed["orders"].loc[early, "amount"] *= 7
    other = headrace.synthesize(changed, "customers", cutoffs=at, lookbacks=["1d"], **SHOP)
    assert not other.matrix.equals(after.matrix)


def test_the_same_features_for_new_rows() -> None:
    first = headrace.synthesize(shop(1), "customers", cutoffs=cutoffs(1), exclude=["*.SKEW(*"], **SHOP)
    again = headrace.synthesize(shop(2), "customers", cutoffs=cutoffs(2), definitions=first.definitions, **SHOP)
    assert again.definitions == first.definitions
    assert list(again.matrix) == list(first.matrix)


def test_one_instant_for_all_rows_and_the_end_of_the_data() -> None:
    frames = shop(4)
    at = headrace.synthesize(frames, "customers", cutoffs=datetime(2024, 1, 2, tzinfo=UTC), **SHOP).matrix
    assert list(at.index.get_level_values("customer_id")) == list("abcd")
    end = headrace.synthesize(frames, "customers", lookbacks=["365d"], **SHOP).matrix
    counts = frames["orders"]["customer_id"].value_counts().reindex(list("abcd"), fill_value=0)
    name = next(name for name in end if "count_orders_365d" in name)
    assert list(end[name]) == [float(count) for count in counts]


def test_tables_without_any_time() -> None:
    parents = pd.DataFrame({"house": [1, 2], "area": [80.0, 120.0]})
    rooms = pd.DataFrame({"room": [1, 2, 3], "house": [1, 1, 2], "windows": [1.0, 2.0, 4.0]})
    found = headrace.synthesize(
        {"houses": parents, "rooms": rooms},
        "houses",
        keys={"houses": "house", "rooms": "room"},
        relationships=[("houses.house", "rooms.house")],
    )
    assert list(found.matrix["house_mean_rooms_windows_by_house"]) == [1.5, 4.0]
    assert list(found.matrix["house_houses_area"]) == [80.0, 120.0]


def test_zones_and_dates() -> None:
    frames = shop(6)
    zoned = {**frames, "orders": frames["orders"].assign(placed=frames["orders"]["placed"].dt.tz_localize("UTC"))}
    zoned["orders"]["settled"] = zoned["orders"]["settled"].dt.tz_localize("UTC")
    at = cutoffs(6).assign(cutoff=lambda frame: frame["cutoff"].dt.tz_localize("UTC"))
    one = headrace.synthesize(frames, "customers", cutoffs=cutoffs(6), **SHOP).matrix
    pd.testing.assert_frame_equal(one, headrace.synthesize(zoned, "customers", cutoffs=at, **SHOP).matrix)
    dates = pd.DataFrame({"n": [1], "customer_id": ["a"], "day": [datetime(2024, 1, 2)], "x": [1.0]})
    options: dict[str, Any] = {
        "keys": {"customers": "customer_id", "days": "n"},
        "relationships": ["customers.customer_id -> days.customer_id"],
        "times": {"days": "day"},
        "lookbacks": ["30d"],
    }
    tables = {"customers": frames["customers"], "days": dates}
    for cutoff, count in (("2024-01-02T23:00", 0.0), ("2024-01-03T00:01", 1.0)):  # a date is known at its end
        query = pd.DataFrame({"customer_id": ["a"], "cutoff": [pd.Timestamp(cutoff)]})
        found = headrace.synthesize(tables, "customers", cutoffs=query, **options)
        assert found.matrix["customer_id_count_days_30d_by_customer_id"].iloc[0] == count


def test_an_entity_set_in_place_of_frames() -> None:
    frames = shop(7)
    problem = declared(each_row("orders", cutoff="placed"), frames)
    one = headrace.synthesize(problem.entity_set, "customers", cutoffs=cutoffs(7)).matrix
    pd.testing.assert_frame_equal(one, headrace.synthesize(frames, "customers", cutoffs=cutoffs(7), **SHOP).matrix)
    with pytest.raises(HeadraceError, match="leave them out"):
        headrace.synthesize(problem.entity_set, "customers", keys={"orders": "order_id"})


def test_a_join_that_half_of_the_rows_miss_is_a_warning() -> None:
    frames = shop(8)
    frames["orders"].loc[:14, "customer_id"] = "elsewhere"
    with pytest.warns(UserWarning, match=r"50% of the rows of orders \(15 of 30\) find no row in customers"):
        headrace.synthesize(frames, "customers", **SHOP)


def changed(frames: dict[str, pd.DataFrame], table: str, **columns: Any) -> dict[str, Any]:
    return {**frames, table: frames[table].assign(**columns)}


def wrong() -> dict[str, tuple[dict[str, Any], str]]:
    frames = shop(9)
    zoned = frames["orders"]["settled"].dt.tz_localize("Europe/Zurich", nonexistent="shift_forward", ambiguous="NaT")
    return {
        "no key": ({"keys": {"orders": "order_id"}}, "customers: the table has no key. found: unique: customer_id"),
        "key of no column": ({"keys": {**SHOP["keys"], "orders": "id"}}, "keys: orders: no column 'id'"),
        "key of no table": ({"keys": {**SHOP["keys"], "order": "x"}}, "keys: no table 'order'.*did you mean 'orders'"),
        "no target": ({"target": "clients"}, "no table 'clients'. found: customers, orders"),
        "half a relationship": ({"relationships": ["customers.customer_id"]}, "is no relationship"),
        "known_at without table": ({"known_at": {"refunded": "settled"}}, "'refunded' is not table.column"),
        "known_at of no column": ({"known_at": {"orders.refund": "settled"}}, "no column 'refund'.*mean 'refunded'"),
        "no frame": ({"frames": {**frames, "orders": [1, 2]}}, "orders: a list is no data frame"),
        "a mixed column": ({"frames": changed(frames, "orders", amount=[1, "x"] * 15)}, "orders: a column holds"),
        "some zones": ({"frames": changed(frames, "orders", settled=zoned)}, "orders.placed: has no time zone, and"),
        "a key twice": ({"frames": changed(frames, "orders", order_id=1)}, "orders: 1 duplicate key"),
        "a null key": (
            {"frames": changed(frames, "customers", customer_id=[None, *"bcd"])},
            "customers.customer_id: 1 rows have no key",
        ),
        "no parent": (
            {"frames": changed(frames, "orders", customer_id=lambda f: f["customer_id"].str.upper())},
            "no row of orders finds its row in customers.*agree in lower case",
        ),
        "cutoffs without key": ({"cutoffs": cutoffs(9)[["cutoff"]]}, "cutoffs: no column 'customer_id'"),
        "cutoffs without time": ({"cutoffs": cutoffs(9)[["customer_id"]]}, "cutoffs: no column of times"),
        "an instant as text": (
            {"cutoffs": "2024-02-15T00:00:00Z"},
            "cutoffs: one instant for all rows is given as a datetime.*datetime.fromisoformat\\('2024-02-15T00:00:00Z'",
        ),
        "a missing cutoff": ({"cutoffs": cutoffs(9).assign(cutoff=pd.NaT)}, "rows have no cutoff"),
        "cutoffs of others": (
            {"cutoffs": cutoffs(9).assign(customer_id="A")}, "cutoffs.customer_id: no key is one of the target's"
        ),
        "cutoffs of a composite key": (
            {"target": "orders", "cutoffs": cutoffs(9), "keys": {**SHOP["keys"], "orders": ["order_id", "channel"]}},
            "orders: cutoffs for a table whose key has several columns",
        ),
        "entities of given rows": (
            {"entities": {"pair": ["customer_id"]}}, "entities: entities where the key and the cutoff are given"
        ),
        "a cutoff of no time": ({"cutoffs": 3}, "cutoffs: 3 is no cutoff"),
        "no primitive": ({"primitives": ["mena"]}, "mena"),
        "no lookback": ({"lookbacks": ["1 fortnight"]}, "'1 fortnight' is not a"),
        "no depth": ({"depth": 9}, "depth=9"),
    }  # fmt: skip


@pytest.mark.parametrize("case", wrong())
def test_what_is_wrong_is_said(case: str) -> None:
    given, message = wrong()[case]
    options: dict[str, Any] = {"frames": shop(9), "target": "customers", **SHOP, **given}
    with pytest.raises(HeadraceError, match=f"(?s){message}") as raised:
        headrace.synthesize(options.pop("frames"), options.pop("target"), **options)
    assert "Traceback" not in str(raised.value)


class Foreign:
    """A data frame of another library: Arrow's C stream interface, and texts as views, as polars has them."""

    def __init__(self, frame: pd.DataFrame) -> None:
        rows = pa.Table.from_pandas(frame, preserve_index=False)
        kinds = [pa.string_view() if pa.types.is_string(one.type) else one.type for one in rows.schema]
        self._rows = rows.cast(pa.schema(list(zip(rows.column_names, kinds, strict=True))))

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._rows.__arrow_c_stream__(requested_schema)


def test_other_libraries_frames_are_frames_too() -> None:
    frames = shop(2)
    arrow = {name: pa.Table.from_pandas(frame, preserve_index=False) for name, frame in frames.items()}
    indexed = {**frames, "customers": frames["customers"].set_index("customer_id")}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = headrace.synthesize(frames, "customers", **SHOP).matrix
        foreign = {name: Foreign(frame) for name, frame in frames.items()}
        for other in (arrow, indexed, foreign):
            pd.testing.assert_frame_equal(one, headrace.synthesize(other, "customers", **SHOP).matrix)
