"""The features that an estimator computes for rows are those of the spine, for rows of a table and for a schedule."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from headrace.core.clock import to_us
from headrace.lake.store import Lake
from headrace.library.champion import RowFeatures
from headrace.pipeline.context import Context
from headrace.schema import EntitySet, Problem, Relationship, Table, each_row, every
from headrace.synthesis.candidates.enumerate import enumerate_definitions
from headrace.synthesis.engines import default_engine
from headrace.synthesis.matrix.matrix import feature_matrix
from headrace.synthesis.spine.build import build_spine

NOW = to_us(datetime(2024, 3, 1, tzinfo=UTC))
CUSTOMERS = Table(name="customers", key="customer", source="-")
ORDERS = Table(
    name="orders",
    key="order",
    time="placed",
    known="placed - 1d",
    known_at={"paid": "settled"},
    tz="Europe/Zurich",
    source="-",
)
SPINES: dict[str, dict[str, Any]] = {
    "rows": {"spine": each_row("orders", cutoff="placed - 1h"), "label": "paid > 5"},
    "schedule": {
        "spine": every("1d", "customers", active="orders", within="7d"),
        "label": 'count("orders", horizon="7d") > 0',
    },
}


def frames() -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(0)
    placed = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 40 * 24 * 60, 80), unit="min")
    orders = pd.DataFrame({"order": np.arange(80), "customer": rng.integers(1, 6, 80), "placed": placed})
    orders["amount"] = rng.normal(10, 3, 80).round(1)
    orders["paid"], orders["settled"] = orders["amount"], placed + pd.Timedelta("3h")
    orders.loc[::7, "amount"] = np.nan
    return {"customers": pd.DataFrame({"customer": [1, 2, 3, 4, 5], "city": list("abcab")}), "orders": orders}


@pytest.mark.parametrize("name", SPINES)
def test_features_of_rows_are_those_of_the_spine(name: str, tmp_path: Path) -> None:
    tables = EntitySet(
        tables=(CUSTOMERS, ORDERS), relationships=(Relationship("customers.customer", "orders.customer"),)
    )
    problem = Problem(name="shop", entity_set=tables, lookbacks=("1d", "7d"), tick="15min", **SPINES[name])
    lake, engine, given = Lake(tmp_path, "shop"), default_engine(), frames()
    for table in tables.tables:
        rows = pa.Table.from_pandas(given[table.name], preserve_index=False)
        lake.append(table, rows, arrival_us=NOW, bootstrap=True)
    snapshot = lake.snapshot()
    schemas = {table.name: snapshot.table(table.name).schema for table in tables.tables}
    definitions = enumerate_definitions(problem, schemas, snapshot)
    spine = build_spine(problem, snapshot, now_us=NOW, engine=engine)
    expected = feature_matrix(problem, definitions, spine, snapshot, engine).to_pandas()
    context = Context(problem=problem, reference="shop", root=tmp_path, tracking_uri="", engine=engine)
    features = RowFeatures(context, definitions)
    if name == "rows":
        found = features.matrix(given["orders"].set_index("order").loc[spine["order"].to_pylist()])
        assert set(features.columns) == {"customer", "placed", "amount"}
    else:
        cutoffs = pd.to_datetime(spine["cutoff"].to_numpy(), unit="us", utc=True)
        found = features.matrix(pd.DataFrame({"customer": spine["customer"].to_pandas(), "cutoff": cutoffs}))
        assert set(features.columns) == {"customer", "due"}
    assert len(expected) > 50
    pd.testing.assert_frame_equal(found, expected)
