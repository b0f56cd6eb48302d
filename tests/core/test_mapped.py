"""Mapped files hold what was written into them, leave nothing behind, and say where the disk is full."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.mapped import mapped_array, mapped_table
from tests.full_disk import full_disk


@given(sizes=st.lists(st.integers(0, 5), max_size=6), columns=st.integers(0, 3))
def test_an_array_is_its_parts_one_after_the_other(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], columns: int
) -> None:
    folder = tmp_path_factory.mktemp("mapped")
    parts = [np.random.default_rng(size).normal(size=(size, columns)) for size in sizes]
    found = mapped_array(folder, parts, columns=columns, dtype=np.float64)
    np.testing.assert_array_equal(found, np.concatenate([np.empty((0, columns)), *parts]))
    assert list(folder.iterdir()) == []


def test_a_table_is_its_parts_one_after_the_other_each_with_its_own_dictionary(tmp_path: Path) -> None:
    parts = [
        pa.table({"x": pa.array([1, None]), "city": pa.array(cities).dictionary_encode()})
        for cities in (["Bern", "Chur"], ["Sion", None])
    ]
    found = mapped_table(tmp_path, parts[0].schema, parts)
    assert found.to_pylist() == pa.concat_tables(parts).to_pylist()
    assert found.schema == parts[0].schema
    assert list(tmp_path.iterdir()) == []


def test_what_is_mapped_cannot_be_written(tmp_path: Path) -> None:
    found = mapped_array(tmp_path, [np.ones((2, 2))], columns=2, dtype=np.float32)
    with pytest.raises(ValueError, match="read-only"):
        found[0, 0] = 2.0


def test_a_full_disk_is_an_error_before_anything_is_mapped(tmp_path: Path) -> None:
    with full_disk(), pytest.raises(OSError, match="too large"):
        mapped_array(tmp_path, [np.ones((100_000, 4))], columns=4, dtype=np.float64)
    with full_disk(), pytest.raises(OSError, match="too large"):
        mapped_table(tmp_path, pa.schema([("x", pa.int64())]), [pa.table({"x": range(100_000)})])
    assert list(tmp_path.iterdir()) == []
