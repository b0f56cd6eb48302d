"""The design matrix: by name, missing is NaN, unseen categories are missing."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.errors import DataError
from headrace.models import design as design_module
from headrace.models.design import Encoder

TRAINING = pa.table(
    {
        "delay": pa.array([1.5, None, math.inf, -3.0]),
        "carrier": pa.array(["UA", "AA", "UA", None]),
        "wet": pa.array([True, None, False, True]),
        "count": pa.array([1, None, 3, 4], pa.int64()),
        "never": pa.nulls(4),
    }
)


def _fit() -> Encoder:
    return Encoder.fit(TRAINING.drop_columns(["never"]))


def test_encodes_every_kind() -> None:
    design = _fit().encode(TRAINING)
    assert design.names == ("delay", "carrier", "wet", "count")
    assert design.categorical == (1,)
    expected = [[1.5, 0, 1, 1], [np.nan, 1, np.nan, np.nan], [np.nan, 0, 0, 3], [-3, np.nan, 1, 4]]
    np.testing.assert_array_equal(design.X, np.array(expected, dtype=np.float32))


def test_unseen_categories_are_missing_and_column_order_does_not_matter() -> None:
    rows = pa.table({"count": [1], "wet": [0.0], "carrier": ["ZZ"], "extra": [9.0], "delay": [2.0]})
    np.testing.assert_array_equal(_fit().encode(rows).X, np.array([[2, np.nan, 0, 1]], dtype=np.float32))


def test_a_column_that_is_all_null_now_is_missing() -> None:
    rows = TRAINING.set_column(0, "delay", pa.nulls(4)).set_column(1, "carrier", pa.nulls(4))
    X = _fit().encode(rows).X
    assert np.isnan(X[:, :2]).all()
    assert not np.isnan(X[:, 2]).all()


def test_categories_are_the_most_frequent_whatever_the_row_order() -> None:
    values = ["b"] * 3 + ["a"] * 3 + ["c"] * 5 + ["rare"]
    one = Encoder.fit(pa.table({"x": values}), max_categories=3)
    two = Encoder.fit(pa.table({"x": values[::-1]}), max_categories=3)
    assert one.categories["x"] == two.categories["x"] == ("c", "a", "b")


def test_dictionary_columns_are_texts() -> None:
    encoded = TRAINING.set_column(1, "carrier", TRAINING["carrier"].dictionary_encode())
    plain = _fit()
    assert Encoder.fit(encoded.drop_columns(["never"])) == plain
    np.testing.assert_array_equal(plain.encode(encoded).X, plain.encode(TRAINING).X)


@given(rows=st.integers(0, 40), size=st.integers(1, 9), index=st.lists(st.integers(0, 39), max_size=30))
def test_a_design_in_a_file_is_that_in_memory(
    tmp_path_factory: pytest.TempPathFactory, rows: int, size: int, index: list[int]
) -> None:
    folder, matrix = tmp_path_factory.mktemp("design"), TRAINING.take(pa.array(np.arange(rows) % 4))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(design_module, "SLICE_ROWS", size)
        expected, design = _fit().encode(matrix), _fit().encode_in_file(matrix, folder)
        np.testing.assert_array_equal(design.X, expected.X)
        chosen = np.array([n for n in index if n < rows], dtype=np.int64)
        for some in (chosen, np.sort(chosen), np.arange(rows // 3, rows), np.arange(rows)[::-1]):
            np.testing.assert_array_equal(design.rows(some).X, expected.rows(some).X)
            np.testing.assert_array_equal(design.rows(some).rows(np.arange(len(some))).X, expected.rows(some).X)
    assert design.names == expected.names
    assert design.categorical == expected.categorical
    assert list(folder.iterdir()) == []  # the files have no name


def test_json_round_trip() -> None:
    assert Encoder.from_json(_fit().to_json()) == _fit()


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)),
            st.one_of(st.none(), st.sampled_from("abcdefg")),
        ),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from([1, 1500]),
)
def test_rows_encode_alone_as_they_do_together(rows: list[tuple[float | None, str | None]], copies: int) -> None:
    """One row in serving equals the same row in training, through both code paths (few rows, many rows)."""
    table = pa.table(
        {
            "x": pa.array([row[0] for row in rows] * copies, pa.float64()),
            "c": pa.array([row[1] for row in rows] * copies, pa.string()),
        }
    )
    encoder = Encoder.fit(table, max_categories=3)
    together = encoder.encode(table).X
    for i in range(len(rows)):
        np.testing.assert_array_equal(encoder.encode(table.slice(i, 1)).X[0], together[i])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pa.table({}), "no columns"),
        (pa.table({"when": pa.array([1], pa.timestamp("us", "UTC"))}), r"when: a feature of type timestamp.*ignore it"),
        (pa.table([pa.array([1.0]), pa.array([2.0])], names=["x", "x"]), "share a name"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(table: pa.Table, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Encoder.fit(table)


def test_missing_or_mistyped_columns_are_refused_by_name() -> None:
    with pytest.raises(DataError, match=r"1 features are missing.*wet"):
        _fit().encode(TRAINING.drop_columns(["wet"]))
    with pytest.raises(DataError, match="delay: expected numbers, got string"):
        _fit().encode(TRAINING.set_column(0, "delay", pa.array(["a"] * 4)))
    with pytest.raises(DataError, match="carrier: expected texts, got double"):
        _fit().encode(TRAINING.set_column(1, "carrier", pa.array([1.0] * 4)))
