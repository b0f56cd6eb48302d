"""RelBench folders that RelBench's own tools do not write: times as texts, keys that are no positions, no test rows.

A folder of a user's own data may be so. It is read as meant, or refused with what is wrong.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from headrace.core.errors import DataError
from headrace.problems.relbench import relbench_problem
from headrace.problems.relbench.sources import as_time, key_bound
from headrace.recommendation.relbench_task import load_link_task
from headrace.schema import Problem
from tests.relbench.schemas import F1
from tests.relbench.stand_ins import write_dataset


def rows_of(problem: Problem, name: str) -> pa.Table:
    return problem.entity_set.table(name).source.read()


def rewrite(path: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    change(pd.read_parquet(path)).to_parquet(path, index=False)


def test_times_may_be_texts(formula_one: Path, tmp_path: Path) -> None:
    """A database and label tables whose times are texts give the rows of one whose times are timestamps."""
    folder = shutil.copytree(formula_one, tmp_path / "copy")
    for path in [*folder.glob("db/*.parquet"), *folder.glob("tasks/driver-position/*.parquet")]:
        if "date" in pq.read_schema(path).names:
            rewrite(path, lambda rows: rows.assign(date=rows["date"].astype("string")))
    ours, theirs = (relbench_problem(place, "driver-position") for place in (folder, formula_one))
    assert ours.lookbacks == theirs.lookbacks
    for name in ("races", "results", "driver_position"):
        assert rows_of(ours, name)["date"].equals(rows_of(theirs, name)["date"])


def test_a_text_that_is_no_time_is_an_error_that_shows_it() -> None:
    column = pa.chunked_array([["2020-01-01", "2020-01-02 03:04:05.5", "2020-01-02T03:04:05+01:00", None]])
    assert [str(value) for value in as_time(column, "x").to_pandas()] == [
        "2020-01-01 00:00:00+00:00", "2020-01-02 03:04:05.500000+00:00", "2020-01-02 02:04:05+00:00", "NaT",
    ]  # fmt: skip
    assert as_time(column.dictionary_encode(), "x").equals(as_time(column, "x"))
    with pytest.raises(DataError, match="soon"):
        as_time(pa.chunked_array([["2020-01-01", "soon"]]), "db/races.parquet")


def test_keys_that_are_no_positions_keep_their_links(formula_one: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(formula_one, tmp_path / "copy")
    shifted = {"drivers": "driverId", "results": "driverId", "standings": "driverId", "qualifying": "driverId"}
    for name, column in shifted.items():
        path = folder / "db" / f"{name}.parquet"
        rows = pq.read_table(path)
        keys = pa.array(rows[column].to_pandas() + 70_000)
        pq.write_table(rows.set_column(rows.column_names.index(column), column, keys), path)
    assert key_bound(folder / "db" / "drivers.parquet", "driverId") > 80_000
    assert key_bound(formula_one / "db" / "drivers.parquet", "driverId") == 16
    results = rows_of(relbench_problem(folder, "driver-position"), "results")["driverId"]
    assert results.null_count == 0
    assert min(results.to_pylist()) >= 70_000


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_split_without_rows_is_an_error_that_names_its_file(formula_one: Path, tmp_path: Path, split: str) -> None:
    folder = shutil.copytree(formula_one, tmp_path / "copy")
    rewrite(folder / "tasks" / "driver-position" / f"{split}.parquet", lambda rows: rows.iloc[:0])
    with pytest.raises(DataError, match=rf"{split}\.parquet has no row"):
        rows_of(relbench_problem(folder, "driver-position"), "driver_position")


@pytest.fixture(scope="module")
def circuits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recommendation task."""
    folder = write_dataset(tmp_path_factory.mktemp("links") / "rel-f1", F1, scale=0.05)
    return folder / "tasks" / "driver-circuit-compete"


def test_a_recommendation_task_without_test_rows_is_an_error(circuits: Path, tmp_path: Path) -> None:
    task = shutil.copytree(circuits.parents[1], tmp_path / "copy") / "tasks" / circuits.name
    rewrite(task / "test.parquet", lambda rows: rows.iloc[:0])
    with pytest.raises(DataError, match=r"test\.parquet has no row"):
        load_link_task(task)


def test_keys_of_texts_are_refused_where_items_are_recommended(circuits: Path, tmp_path: Path) -> None:
    task = shutil.copytree(circuits.parents[1], tmp_path / "copy") / "tasks" / circuits.name
    column = yaml.safe_load((task / "manifest.yaml").read_text())["src_entity_col"]
    rewrite(task / "val.parquet", lambda rows: rows.assign(**{column: "d" + rows[column].astype(str)}))
    with pytest.raises(DataError, match="must be positions of rows"):
        load_link_task(task)


def test_items_must_be_lists(circuits: Path, tmp_path: Path) -> None:
    task = shutil.copytree(circuits.parents[1], tmp_path / "copy") / "tasks" / circuits.name
    column = yaml.safe_load((task / "manifest.yaml").read_text())["dst_entity_col"]
    rewrite(task / "train.parquet", lambda rows: rows.assign(**{column: 1}))
    with pytest.raises(DataError, match="expected lists of keys, got int64"):
        load_link_task(task)
