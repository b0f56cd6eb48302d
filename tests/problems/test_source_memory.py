"""A large source is read in chunks: memory grows by a few chunks, not by the source."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.slow

#: Times that a block of rows is repeated in the file: about 190 MB of rows in Arrow's memory.
TIMES = 12
ROWS = 200_000
CHUNK_MB = 8
#: What reading may add to the memory of the process, MB.
BOUND_MB = 130

READ = """
import resource, sys
from headrace.problems.sources.reading import SourceReader
from headrace.schema import EntitySet, Table
table = Table(name="rows", key="a", source=sys.argv[1])
reader = SourceReader(entity_set=EntitySet(tables=(table,)))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
if sys.argv[2] == "whole":
    rows, size = reader.rows(table).num_rows, 0
else:
    rows = size = 0
    for chunk in reader.chunks(table, size=int(sys.argv[2])):
        rows, size = rows + chunk.num_rows, max(size, chunk.nbytes)
print(rows, size, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.fixture(scope="module")
def block() -> pa.Table:
    rng = np.random.default_rng(0)
    return pa.table({name: rng.uniform(size=ROWS).round(9) for name in "abcdefghij"})


def write_parquet(path: Path, block: pa.Table) -> None:
    with pq.ParquetWriter(path, block.schema, use_dictionary=False, compression="none") as writer:
        for _ in range(TIMES):
            writer.write_table(block, row_group_size=50_000)


def write_csv(path: Path, block: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(block, sink)
    head, _, body = sink.getvalue().to_pybytes().partition(b"\n")
    with path.open("wb") as file:
        file.write(head + b"\n")
        for _ in range(TIMES):
            file.write(body)


def measured(path: Path, size: str) -> tuple[int, float, float]:
    """Rows, MB of the largest chunk, and MB that the process grew by."""
    done = subprocess.run([sys.executable, "-c", READ, str(path), size], capture_output=True, text=True, check=True)
    rows, chunk, grown = done.stdout.split()
    return int(rows), int(chunk) / 2**20, float(grown)


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_memory_is_bounded(tmp_path: Path, block: pa.Table, kind: str) -> None:
    path = tmp_path / f"rows.{kind}"
    (write_parquet if kind == "parquet" else write_csv)(path, block)
    rows, chunk, grown = measured(path, str(CHUNK_MB << 20))
    assert rows == TIMES * ROWS
    assert chunk < 2 * CHUNK_MB + 8
    assert grown < BOUND_MB, f"{grown:.0f} MB for {rows * 80 / 2**20:.0f} MB of rows"
