"""Fixed splits through the pipeline: what trains, what is held out, and the two protocols beside obvious twins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from headrace.app.context import context_of
from headrace.core.clock import NEVER, to_us
from headrace.core.errors import DeclarationError
from headrace.lake.store import Lake
from headrace.pipeline.catalogue import EVALUATION_STAGES
from headrace.pipeline.context import Context
from headrace.pipeline.holdout import protocols as module
from headrace.pipeline.holdout.protocols import Holdout, measure_holdout
from headrace.pipeline.production.offline_scoring import frozen_at
from headrace.pipeline.stages.synthesise import SPINE, SYNTHESISE
from headrace.pipeline.walker import PipelineRun
from headrace.synthesis.candidates.enumerate import enumerate_definitions
from headrace.synthesis.language.definitions import Aggregate
from headrace.synthesis.matrix.matrix import feature_matrix
from headrace.synthesis.spine.build import build_spine
from tests.tiny_problem import write_tiny_problem

pytestmark = pytest.mark.slow

SPLITS = 'splits=Splits(tune="2024-01-31", test="2024-02-15"),'
TEST = to_us("2024-02-15")


def declare(folder: Path, splits: str) -> Path:
    path = write_tiny_problem(folder)
    text = path.read_text().replace("Relationship, Table", "Relationship, Splits, Table")
    path.write_text(text.replace("    trials=4,", f"    trials=1,\n    {splits}"))
    return path


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    folder = tmp_path_factory.mktemp("holdout")
    return context_of(str(declare(folder / "problem", SPLITS)), folder / "home", workers=1)


@pytest.fixture(scope="module")
def holdout(context: Context) -> Holdout:
    return measure_holdout(context)


def test_every_order_of_the_window_is_predicted_once(context: Context, holdout: Holdout) -> None:
    orders = context.problem.entity_set.table("orders").source.read()
    placed = orders["placed"].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
    expected = np.asarray(orders["order_id"].to_pylist())[placed + 1_000_000 >= TEST]
    assert sorted(holdout.predictions["order_id"].to_pylist()) == sorted(expected.tolist())
    assert all(one.rows == len(expected) for one in holdout.report.protocols)


def test_nothing_known_in_the_window_trains(context: Context, holdout: Holdout) -> None:
    spine = pq.read_table(PipelineRun(context, EVALUATION_STAGES).path(SYNTHESISE, SPINE))
    assert max(spine["label_known"].to_pylist()) <= TEST
    assert holdout.report.train_rows == spine.num_rows


def test_the_metric_is_that_of_scikit_learn(holdout: Holdout) -> None:
    rows = holdout.predictions
    for one in holdout.report.protocols:
        expected = roc_auc_score(rows["label"].to_numpy(), rows[one.protocol].to_numpy())
        assert one.metrics["auc"] == pytest.approx(expected)
    assert holdout.report.protocols[0].metrics["auc"] > 0.6


def test_frozen_features_are_those_of_a_lake_without_later_rows(context: Context, holdout: Holdout) -> None:
    """The twin: drop all rows that became known in the test window, and compute at the tick of the freeze."""
    problem = context.problem
    snapshot = Lake(context.root, problem.name).snapshot()
    spine = build_spine(problem, snapshot, start_us=TEST, now_us=NEVER - 1, engine=context.engine)
    schemas = {table.name: snapshot.table(table.name).schema for table in problem.entity_set.tables}
    definitions = [item for item in enumerate_definitions(problem, schemas) if isinstance(item, Aggregate)]
    frozen = frozen_at(spine, TEST, problem.tick_us)
    ours = feature_matrix(problem, definitions, frozen, snapshot, context.engine)

    class Past:
        def table(self, name: str) -> pa.Table:
            rows = snapshot.table(name)
            if name != "orders":
                return rows
            return rows.filter(pa.array(rows["placed"].cast(pa.int64()).to_numpy() < TEST))

    assert len(definitions) > 5
    assert ours.equals(feature_matrix(problem, definitions, frozen, Past(), context.engine))
    assert not ours.equals(feature_matrix(problem, definitions, spine, snapshot, context.engine))


def test_a_time_limit_ends_the_search_and_not_the_result(context: Context, holdout: Holdout) -> None:
    limited = measure_holdout(context, minutes=0.01)
    assert limited.report.protocols[0].rows == holdout.report.protocols[0].rows


def test_a_second_model_is_trained_on_features_as_old_as_frozen_ones(context: Context, holdout: Holdout) -> None:
    both = measure_holdout(context, frozen_model=True)
    np.testing.assert_array_equal(both.predictions["fresh"], holdout.predictions["fresh"])
    assert (both.predictions["frozen"].to_numpy() != holdout.predictions["frozen"].to_numpy()).any()
    assert any("second model" in note for note in both.report.notes)
    folders = (context.root / "stages" / "shop" / "synthesise").glob(f"*/{SPINE}")
    ages = [(one["cutoff"].to_numpy() - one["tick"].to_numpy()).max() for one in map(pq.read_table, folders)]
    assert max(ages) > 10 * 86_400_000_000 > 900_000_000 >= min(ages)


def test_a_search_that_finishes_no_trial_leaves_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time ends within the first trial: a hundredth of a second is a search of several trials here."""
    monkeypatch.setattr(module, "_LEAST_SEARCH_S", 0.001)
    monkeypatch.setattr(module, "_SEARCH_SHARE", 1e6)
    path = declare(tmp_path / "problem", SPLITS + "search_seconds=0.01,")
    found = measure_holdout(context_of(str(path), tmp_path / "home", workers=1), minutes=1.0)
    assert found.report.protocols[0].metrics["auc"] > 0.6


def test_without_a_test_window_there_is_nothing_to_measure(tmp_path: Path) -> None:
    path = declare(tmp_path / "problem", 'splits=Splits(tune="2024-02-01"),')
    with pytest.raises(DeclarationError, match="no test window"):
        measure_holdout(context_of(str(path), tmp_path / "home", workers=1))


def test_a_column_names_the_windows_and_is_no_feature(tmp_path: Path) -> None:
    path = declare(tmp_path / "problem", 'splits=Splits(column="part", tune="tune", test="test", max_train_rows=200),')
    orders = path.with_name("orders.csv")
    header, *lines = orders.read_text().splitlines()
    parts = [
        "test" if line.split(",")[2] >= "2024-02-15" else "tune" if line.split(",")[2] >= "2024-01-31" else "train"
        for line in lines
    ]
    orders.write_text("\n".join([f"{header},part", *(f"{a},{b}" for a, b in zip(lines, parts, strict=True))]) + "\n")
    context = context_of(str(path), tmp_path / "home", workers=1)
    holdout = measure_holdout(context)
    assert holdout.report.protocols[0].rows == parts.count("test")
    spine = pq.read_table(PipelineRun(context, EVALUATION_STAGES).path(SYNTHESISE, SPINE))
    assert {value: spine["part"].to_pylist().count(value) for value in ("train", "test")} == {"train": 200, "test": 0}
    definitions = (context.root / "stages" / "shop").glob("select/*/definitions.json")
    assert all("part" not in one.read_text() for one in definitions)


def test_a_tune_window_of_one_class_is_reported_and_replaced(tmp_path: Path) -> None:
    path = declare(tmp_path / "problem", SPLITS)
    orders = pd.read_csv(path.parent / "orders.csv")
    inside = orders["placed"].between("2024-01-31", "2024-02-15")
    orders.loc[inside, "refunded_amount"] = orders.loc[inside, "refunded_amount"] * 0
    orders.to_csv(path.parent / "orders.csv", index=False)
    report = measure_holdout(context_of(str(path), tmp_path / "home", workers=1)).report
    (note,) = [note for note in report.notes if "declared tune window" in note]
    assert "newest training rows" in note
    assert report.metrics["tune_auc"] > 0
    assert report.train_rows > 300, "the model is fitted on the rows of both windows"
