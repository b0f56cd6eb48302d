"""`headrace evaluate` on tasks on classes and sets of labels, with tables of RelBench's schemas."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.cli.command import headrace
from tests.relbench.shop_schemas import ARXIV, SALT
from tests.relbench.stand_ins import MadeDataset, write_dataset

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("made", "task", "metric"),
    [(SALT, "item-plant", "accuracy"), (ARXIV, "author-topics", "macro_average_precision")],
)
def test_classes_are_predicted_under_both_protocols(made: MadeDataset, task: str, metric: str, tmp_path: Path) -> None:
    folder, out = write_dataset(tmp_path / made.name, made, scale=0.2), tmp_path / "out"
    arguments = ("--task", task, "--out", str(out), "--json", "--minutes", "1")
    outcome = headrace("evaluate", str(folder), *arguments, home=tmp_path / "home")
    assert outcome.code == 0, outcome.err
    answer = json.loads(outcome.out)
    report = answer["report"]
    assert report["metric"] == metric
    assert [one["protocol"] for one in report["protocols"]] == ["fresh", "frozen"]
    for one in report["protocols"]:
        assert one["metrics"][metric] > report["constant"][metric]
    rows = pq.read_table(out / "predictions.parquet")
    assert rows.num_rows == report["protocols"][0]["rows"]
    assert {len(row) for row in rows["frozen"].to_pylist()} == {len(answer["classes"])}
