"""A RelBench folder as a problem: what is read, and what of its rules is kept."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from relbench import load_dataset

from headrace.core.errors import DataError, HeadraceError, NotFoundError
from headrace.pipeline.operations.predict_rows import cutoffs_of
from headrace.problems.catalogue import load_problem
from headrace.problems.relbench import relbench_problem
from headrace.problems.relbench.columns import alias_of
from headrace.problems.relbench.lookbacks import lookbacks_of
from headrace.schema import Problem
from headrace.synthesis.history.known_time import cutoff_instants, expression_instants
from tests.cli.command import headrace

DAY = 86_400_000_000


def rows_of(problem: Problem, name: str) -> pa.Table:
    return problem.entity_set.table(name).source.read()


def test_every_table_and_link_of_the_manifest_is_declared(formula_one: Path) -> None:
    problem = load_problem(f"{formula_one}#driver-position")
    assert {table.name for table in problem.entity_set.tables} == {
        *yaml.safe_load((formula_one / "manifest.yaml").read_text())["tables"],
        "driver_position",
    }
    links = {(item.parent, item.child) for item in problem.entity_set.relationships}
    assert ("drivers.driverId", "results.driverId") in links
    assert ("drivers.driverId", "driver_position.driverId") in links
    assert ("drivers.driverId", "drivers.mentorId") not in links  # of a table to itself
    assert (problem.metric, problem.label) == ("mae", "position")


def test_a_task_is_named_by_its_folder_too(formula_one: Path) -> None:
    by_folder = load_problem(str(formula_one / "tasks" / "driver-dnf"))
    assert by_folder == load_problem(f"{formula_one}#driver-dnf")
    assert (by_folder.metric, by_folder.label) == ("auc", "did_not_finish == 1")


def test_the_rows_are_those_of_the_label_tables_in_their_order(formula_one: Path) -> None:
    rows = rows_of(relbench_problem(formula_one, "driver-position"), "driver_position").to_pandas()
    task = load_dataset(formula_one).load_task("driver-position")
    expected = pd.concat([task.get_table(split, mask_input_cols=False).df for split in ("train", "val", "test")])
    assert rows["label_row"].tolist() == list(range(len(expected)))
    assert rows["driverId"].tolist() == expected["driverId"].tolist()
    assert rows["position"].tolist() == expected["position"].tolist()
    assert rows["date"].dt.tz_localize(None).tolist() == expected["date"].tolist()
    assert rows["split"].value_counts().to_dict() == {
        split: len(task.get_table(split).df) for split in ("train", "val", "test")
    }


def test_input_are_rows_up_to_the_cutoff_inclusive_and_the_label_is_known_at_its_end(formula_one: Path) -> None:
    problem = relbench_problem(formula_one, "driver-position")
    rows = rows_of(problem, "driver_position")
    at = rows["date"].cast(pa.int64()).to_numpy()
    assert (cutoff_instants(problem.spine_table, problem.cutoff, rows) == at + 1).all()
    known = problem.spine_table.column_known("position")
    assert known is not None
    assert (expression_instants(problem.spine_table, known, rows) == at + 60 * DAY).all()


def test_what_is_read_of_odd_columns(formula_one: Path) -> None:
    problem = relbench_problem(formula_one, "driver-position")
    drivers, results, circuits = (rows_of(problem, name) for name in ("drivers", "results", "circuits"))
    assert "numbers" not in drivers.column_names  # a list
    assert problem.entity_set.table("drivers").roles["biography"] == "text"
    assert results["constructorId"].type == pa.int64()
    assert results["constructorId"].null_count
    assert results["date"].null_count == 0  # the row without a time is left out, as RelBench does
    assert circuits["alt"].null_count == 1  # an infinite number
    assert problem.entity_set.table("qualifying").key == "qualifying_row"


def test_an_autocomplete_task_hides_its_column_and_gets_the_links_of_its_table(formula_one: Path) -> None:
    problem = relbench_problem(formula_one, "results-position")
    assert not {"position", "points", "positionOrder"} & set(rows_of(problem, "results").column_names)
    spine = rows_of(problem, "results_position").to_pandas()
    results = pd.read_parquet(formula_one / "db" / "results.parquet").set_index("resultId")
    assert {entity.name for entity in problem.all_entities} == {"resultId", "raceId", "driverId", "constructorId"}
    for name in ("raceId", "driverId", "constructorId"):
        np.testing.assert_array_equal(spine[name], results.loc[spine["resultId"], name])


def test_a_link_is_empty_where_the_entity_itself_comes_later(formula_one: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(formula_one, tmp_path / "copy")
    path = folder / "tasks" / "results-position" / "train.parquet"
    rows = pd.read_parquet(path)
    rows.loc[rows.index[0], "date"] -= pd.Timedelta(days=1)
    rows.to_parquet(path, index=False)
    spine = rows_of(relbench_problem(folder, "results-position"), "results_position")
    assert spine["driverId"].slice(0, 2).to_pylist()[0] is None
    assert spine["driverId"].slice(0, 2).to_pylist()[1] is not None


def test_links_that_close_a_circle_or_point_to_no_row_are_left_out(formula_one: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(formula_one, tmp_path / "copy")
    manifest = yaml.safe_load((folder / "manifest.yaml").read_text())
    manifest["tables"]["circuits"]["fkeys"] = {"best": "results"}
    circuits = pq.read_table(folder / "db" / "circuits.parquet")
    pq.write_table(circuits.append_column("best", pa.array([0] * 12)), folder / "db" / "circuits.parquet")
    results = pd.read_parquet(folder / "db" / "results.parquet")
    results.loc[results.index[0], "driverId"] = 99
    results.to_parquet(folder / "db" / "results.parquet", index=False)
    (folder / "manifest.yaml").write_text(yaml.safe_dump(manifest))
    problem = relbench_problem(folder, "driver-position")
    links = {(item.parent_table, item.child_table) for item in problem.entity_set.relationships}
    circle = {("results", "circuits"), ("circuits", "races"), ("races", "results")}
    assert len(circle - links) == 1
    assert rows_of(problem, "results")["driverId"][0].as_py() is None


def test_test_rows_without_labels_are_rows_to_predict(formula_one: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(formula_one, tmp_path / "copy")
    path = folder / "tasks" / "driver-position" / "test.parquet"
    pd.read_parquet(path).drop(columns="position").to_parquet(path, index=False)
    rows = rows_of(relbench_problem(folder, "driver-position"), "driver_position")
    assert rows.filter(pc.equal(rows["split"], "test"))["position"].null_count == (
        pc.sum(pc.equal(rows["split"], "test")).as_py()
    )


@pytest.mark.parametrize(
    ("task", "change", "message"),
    [
        ("driver-position", {"task_type": "recommendation"}, "tasks of type recommendation are not predicted"),
        ("driver-position", {"entity_table": "pilots"}, "no table 'pilots'"),
        ("driver-position", {"timedelta": "soon"}, "'soon' is no period"),
        ("driver-position", {"target_col": None}, "no 'target_col'"),
    ],
)
def test_a_wrong_manifest_is_an_error_that_says_what(
    formula_one: Path, tmp_path: Path, task: str, change: dict[str, str], message: str
) -> None:
    folder = shutil.copytree(formula_one, tmp_path / "copy")
    path = folder / "tasks" / task / "manifest.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **change}))
    with pytest.raises(HeadraceError, match=message):
        relbench_problem(folder, task)


def test_a_task_that_is_not_there_is_an_error_that_lists_the_tasks(formula_one: Path) -> None:
    with pytest.raises(NotFoundError, match="driver-dnf"):
        load_problem(str(formula_one))
    with pytest.raises(NotFoundError, match="no task 'podium'"):
        load_problem(f"{formula_one}#podium")


def test_a_table_without_a_file_is_an_error(formula_one: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(formula_one, tmp_path / "copy")
    (folder / "db" / "races.parquet").unlink()
    with pytest.raises(DataError, match="has no file"):
        relbench_problem(folder, "driver-dnf")


def test_names_become_identifiers_that_nothing_else_has() -> None:
    assert [alias_of(name) for name in ("a b", "_id", "2nd", "cutoff", "ok")] == [
        "a_b", "id", "column_2nd", "cutoff_column", "ok",
    ]  # fmt: skip


def test_lookbacks_are_multiples_of_the_period_within_the_history() -> None:
    assert lookbacks_of(30 * DAY, 1000) == ("30d", "120d", "480d", "1000d")
    assert lookbacks_of(30 * DAY, 100) == ("30d", "100d")
    assert lookbacks_of(365 * DAY, 100) == ("100d",)


def test_check_accepts_the_folder(formula_one: Path, tmp_path: Path) -> None:
    outcome = headrace("check", f"{formula_one}#driver-position", home=tmp_path)
    assert outcome.code == 0, outcome.out


def test_rows_of_test_parquet_are_rows_to_predict(formula_one: Path) -> None:
    """Cutoffs without a zone are UTC, and one microsecond is added as for the rows of training."""
    problem = relbench_problem(formula_one, "driver-position")
    rows = pq.read_table(formula_one / "tasks" / "driver-position" / "test.parquet")
    cutoffs = cutoffs_of(problem, rows)
    assert cutoffs.tolist() == (rows["date"].cast(pa.timestamp("us")).cast(pa.int64()).to_numpy() + 1).tolist()


def test_init_writes_a_problem_file_that_declares_the_task(formula_one: Path, tmp_path: Path) -> None:
    file = tmp_path / "task.py"
    arguments = ("init", str(formula_one), "--target", "driver-dnf", "--out", str(file))
    outcome = headrace(*arguments, home=tmp_path)
    assert outcome.code == 0, outcome.err
    assert load_problem(file) == load_problem(f"{formula_one}#driver-dnf")
    assert "the file exists" in headrace(*arguments, home=tmp_path).err


def test_a_table_in_batches_is_the_table(formula_one: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = relbench_problem(formula_one, "driver-position")
    whole = {table.name: table.source.read() for table in problem.entity_set.tables}
    monkeypatch.setattr("headrace.problems.relbench.sources._BATCH_ROWS", 7)
    for name in ("results", "qualifying", "drivers", "circuits"):
        batches = list(problem.entity_set.table(name).source.batches())
        assert len(batches) > 1
        assert pa.Table.from_batches(batches).equals(whole[name].combine_chunks())
