"""The join of stored rows by time against a loop over all of them."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.errors import DataError
from headrace.store.asof import join_rows

KEYS = st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from([1, 2]))
ROWS = st.lists(st.tuples(KEYS, st.integers(-5, 5)), max_size=12)


def table(rows: list[tuple[tuple[str | None, int], int]]) -> pa.Table:
    return pa.table(
        {
            "k": pa.array([key[0] for key, _ in rows], pa.string()),
            "n": pa.array([key[1] for key, _ in rows], pa.int64()),
            "event_timestamp": pa.array([at for _, at in rows], pa.timestamp("us", tz="UTC")),
            "x": pa.array(range(len(rows)), pa.int64()),
        }
    )


@settings(max_examples=150, deadline=None)
@given(history=ROWS, spine=ROWS)
def test_the_last_row_at_or_before_the_instant(
    history: list[tuple[tuple[str | None, int], int]], spine: list[tuple[tuple[str | None, int], int]]
) -> None:
    found = join_rows(table(spine), table(history), keys=["k", "n"], columns=["x"])["x"].to_pylist()
    expected = []
    for key, at in spine:
        past = [(when, number) for number, (own, when) in enumerate(history) if own == key and when <= at]
        expected.append(max(past)[1] if past and key[0] is not None else None)
    assert found == expected


def test_a_column_that_is_not_there_is_named() -> None:
    rows = table([(("a", 1), 0)])
    with pytest.raises(DataError, match=r"spine: no column 'm'"):
        join_rows(rows, rows, keys=["m"], columns=["x"])
    with pytest.raises(DataError, match=r"history: no column 'y'"):
        join_rows(rows, rows, keys=["k"], columns=["y"])
