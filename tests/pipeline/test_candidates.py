"""A matrix kept as parts reads as the one that was written, whatever rows came, changed and went."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.pipeline.stages.candidate_matrix import SINGLE_FILE, Candidates, write_carried
from headrace.synthesis.matrix.incremental import Carried, Past
from headrace.synthesis.matrix.written import COMPRESSION


def matrix(rows: np.ndarray) -> pa.Table:
    """Rows told apart by a number and a word; a missing one among them."""
    words = pa.array([None if row % 7 == 0 else f"w{row}" for row in rows.tolist()], pa.string())
    return pa.table({"number": rows.astype(np.float64), "word": words})


def carried(folder: Path, rows: np.ndarray, fresh: np.ndarray, whole: pa.Table | None = None) -> Carried:
    """From a matrix in a folder to other rows: those that it has are taken over, but for the fresh ones."""
    before = Candidates(folder)
    there = {int(row): place for place, row in enumerate(before["number"].to_pylist())}
    number = {int(row): before.num_rows + place for place, row in enumerate(fresh.tolist())}
    past = Past(definitions=(), spine=pa.table({"row": pa.array(range(before.num_rows))}), matrix=before)
    source = np.array([number[row] if row in number else there[row] for row in rows.tolist()], dtype=np.int64)
    return Carried(definitions=(), past=past, fresh=matrix(fresh), source=source, whole=whole or pa.table({}))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_any_history_of_batches(seed: int) -> None:
    rng = np.random.default_rng(seed)
    with TemporaryDirectory() as root:
        rows, known = np.arange(20), 20
        folder = Path(root) / "0"
        folder.mkdir()
        pq.write_table(matrix(rows), folder / SINGLE_FILE, compression=COMPRESSION)
        for step in range(1, 9):
            new = np.arange(known, known + rng.integers(0, 9))
            changed = rows[rng.random(len(rows)) < rng.choice([0.0, 0.0, 0.3])]
            kept = rows[rng.random(len(rows)) < rng.choice([1.0, 1.0, 0.7])]
            now = np.concatenate([kept, new])
            now = now if rng.random() < 0.5 else np.sort(rng.permutation(now))
            fresh = np.intersect1d(now, np.concatenate([changed, new]))
            after = Path(root) / str(step)
            after.mkdir()
            write_carried(after, carried(folder, now, fresh), Candidates(folder))
            found = Candidates(after)
            assert found.table().equals(matrix(now))
            assert found["word"].equals(found.table()["word"])
            slices = list(found.slices(["word"], 7))
            assert pa.concat_tables(slices).to_pylist() == found.table().select(["word"]).to_pylist()
            assert max(part.num_rows for part in slices) <= 7
            assert all(long >= 2 * short for long, short in zip(found.sizes, found.sizes[1:], strict=False))
            rows, known, folder = now, known + len(new), after


def test_a_batch_writes_its_own_rows_and_links_the_others(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    pq.write_table(matrix(np.arange(1000)), first / SINGLE_FILE, compression=COMPRESSION)
    write_carried(second, carried(first, np.arange(1010), np.arange(1000, 1010)), Candidates(first))
    found = Candidates(second)
    assert found.sizes == (1000, 10)
    assert found.paths[0].samefile(first / SINGLE_FILE)
    for path in first.iterdir():  # each matrix stands alone
        path.unlink()
    assert Candidates(second).table().equals(matrix(np.arange(1010)))


def test_other_columns_are_written_anew(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    pq.write_table(matrix(np.arange(50)).append_column("gone", pa.array(range(50))), first / SINGLE_FILE)
    fresh = carried(first, np.arange(50), np.empty(0, dtype=np.int64))
    write_carried(second, fresh, Candidates(first))
    assert [path.name for path in second.iterdir()] == [SINGLE_FILE]
