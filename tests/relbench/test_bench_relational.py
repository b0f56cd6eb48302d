"""The benchmark's export to other engines: a row of a table counts for them once all of it is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.bench_relational import asked
from benchmarks.relational_export import export
from benchmarks.relational_tasks import TASKS
from headrace.evaluate.fixed_splits import TEST, TRAIN, TUNE


def test_rows_are_exported_with_the_instant_at_which_they_are_whole(tmp_path: Path) -> None:
    task = asked("bilirubin", tmp_path / "home", 600)
    assert [int((task.window == one).sum() > 0) for one in (TRAIN, TUNE, TEST)] == [1, 1, 1]
    folder = tmp_path / "export"
    folder.mkdir()
    export(task, folder)
    rows, visits = (pq.read_table(folder / f"{name}.parquet").to_pandas() for name in ("asked", "visits"))
    assert json.loads((folder / "spec.json").read_text())["links"] == [["id", "visits", "id"]]
    np.testing.assert_array_equal(rows["label"], task.spine["label"].to_numpy())
    source = TASKS["bilirubin"]().entity_set.table("visits").source
    later = source.set_index("row")["next_at"].dt.tz_localize(None)
    assert (visits.set_index("row")["known_"] == later[visits["row"]].to_numpy()).all()
    assert pa.types.is_timestamp(pq.read_schema(folder / "visits.parquet").field("known_").type)
