"""Frames give the engine the rows that the lake gives it: the same types, versions and order."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.clock import to_us
from headrace.lake.store import Lake
from headrace.library.tables import FrameTables
from headrace.problems.sources.frames import FrameSource
from headrace.schema import EntitySet, GivenRows, Problem, Table

END = to_us(datetime(2024, 2, 1, tzinfo=UTC))


def visits(seed: int, *, versions: bool) -> pd.DataFrame:
    """Visits; with versions, a key may come again at another arrival, changed or not."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 25))
    hours = pd.to_timedelta(rng.integers(0, 30, n), unit="h")
    frame = pd.DataFrame(
        {
            "visit": rng.integers(0, 8, n) if versions else rng.permutation(n),
            "shop": rng.choice(["a", "b"], n),
            "at": pd.Timestamp("2024-01-01", tz="UTC") + hours,
            "spent": rng.choice([1.0, 2.0, np.nan], n),
            "empty": None,
        }
    )
    if not versions:
        return frame
    frame["_arrival"] = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(rng.integers(0, 5, n), unit="h")
    return frame.drop_duplicates(["visit", "shop", "_arrival"])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), versions=st.booleans(), composite=st.booleans())
def test_the_rows_are_the_lakes(seed: int, versions: bool, composite: bool) -> None:
    frame = visits(seed, versions=versions)
    key: Any = ("visit", "shop") if composite or versions else "visit"
    table = Table(name="visits", key=key, time="at", source=FrameSource.of(frame))
    shops = Table(name="shops", key="shop", source=FrameSource.of(pd.DataFrame({"shop": ["a", "b"]})))
    problem = Problem(
        name="visits", entity_set=EntitySet(tables=(table, shops)), spine=GivenRows(entity="shops"), label=None
    )
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder), "visits")
        lake.append(table, pa.Table.from_pandas(frame, preserve_index=False), arrival_us=END, bootstrap=not versions)
        expected = lake.snapshot().table("visits")
    found = FrameTables(problem).table("visits")
    assert found.select(expected.column_names).to_pydict() == expected.to_pydict()
    assert found.select(expected.column_names).schema.equals(expected.schema)
