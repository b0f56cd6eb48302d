"""Columns that are known no earlier than the label: found by their values and by where they are missing."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.proposal.reading import RawTable
from headrace.proposal.target import leaking_columns, read_target

ROWS = 2000


def flights() -> pa.Table:
    """Flights of which 5 % are cancelled: those have no delay, mostly no departure, and sometimes no tail number."""
    rng = np.random.default_rng(0)
    delay, cancelled = rng.normal(5, 30, ROWS), rng.random(ROWS) < 0.05
    number = rng.integers(0, 300, ROWS).astype(float)
    columns = {
        "arrival_delay": np.where(cancelled, np.nan, delay),
        "departure_delay": np.where(cancelled & (rng.random(ROWS) < 0.9), np.nan, delay + rng.normal(0, 20, ROWS)),
        "minutes_lost": np.where(cancelled, np.nan, delay * 1.001),
        "tail": np.where(cancelled & (rng.random(ROWS) < 0.2), np.nan, number),
        "gate": np.where(rng.random(ROWS) < 0.3, np.nan, number),
        "distance": rng.integers(100, 2000, ROWS),
    }
    return pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})


def told(table: pa.Table) -> dict[str, str]:
    raw = RawTable(name="flights", rows=table, source="flights.csv")
    return leaking_columns(raw, read_target("flights.arrival_delay >= 15", [raw], ["flights"], {"flights": ("day",)}))


def test_what_comes_with_the_label_is_known_no_earlier() -> None:
    assert told(flights()) == {
        "departure_delay": "is missing where the label is",
        "minutes_lost": "almost determines the label",
    }


def test_where_every_row_has_its_label_missing_values_say_nothing() -> None:
    table = flights()
    complete = table.filter(pc.is_valid(table["arrival_delay"]))
    assert told(complete) == {"minutes_lost": "almost determines the label"}
