"""Pages carry checksums: a value that changed in a file is an error that names it, however the file is read."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.core import parquet
from headrace.core.errors import CorruptError

TABLE = pa.table({"x": np.random.default_rng(0).normal(size=400), "y": [f"w{i % 9}" for i in range(400)]})

READS: tuple[Callable[[Path], pa.Table], ...] = (
    parquet.read,
    lambda path: parquet.read(path, memory_map=True),
    lambda path: parquet.ParquetFile(path).read(["x", "y"]),
)


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_what_was_written_is_read(tmp_path: Path, compression: str, read: Callable[[Path], pa.Table]) -> None:
    parquet.write(TABLE, tmp_path / "t.parquet", compression=compression)
    assert read(tmp_path / "t.parquet").equals(TABLE)
    assert parquet.read_schema(tmp_path / "t.parquet") == TABLE.schema


@pytest.mark.parametrize("read", READS)
def test_no_flipped_bit_of_a_page_is_another_value(tmp_path: Path, read: Callable[[Path], pa.Table]) -> None:
    path = tmp_path / "t.parquet"
    parquet.write(TABLE, path, compression="lz4")
    data, first = path.read_bytes(), pq.ParquetFile(path).metadata.row_group(0).column(0)
    for place in np.random.default_rng(1).integers(8 * first.total_compressed_size, size=40).tolist():
        changed = bytearray(data)
        changed[4 + place // 8] ^= 1 << place % 8  # after the magic number come the pages
        path.write_bytes(changed)
        with suppress(CorruptError):
            assert read(path).equals(TABLE)


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("data", [b"", b"{}", b"PAR1 and then nothing PAR1"])
def test_what_is_no_parquet_is_one_clear_error(tmp_path: Path, data: bytes, read: Callable[[Path], pa.Table]) -> None:
    (tmp_path / "t.parquet").write_bytes(data)
    with pytest.raises(CorruptError, match=r"t\.parquet: cannot be read as Parquet"):
        read(tmp_path / "t.parquet")
