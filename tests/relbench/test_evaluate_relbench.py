"""`headrace evaluate` on a RelBench task: what it writes is what the package relbench scores."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from relbench import load_dataset
from relbench.submit import evaluate_task
from sklearn.metrics import mean_absolute_error

from tests.cli.command import Outcome, headrace

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def evaluated(formula_one: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """The folder that was written, and what was printed."""
    home = tmp_path_factory.mktemp("evaluate")
    out = home / "out"
    task = f"{formula_one}#driver-position"
    outcome = headrace(
        "evaluate", task, "--trials", "1", "--one-model", "--out", str(out), "--json", home=home / "home"
    )
    assert outcome.code == 0, outcome.err
    return out, outcome


def test_both_protocols_are_printed_with_their_rows(evaluated: tuple[Path, Outcome], formula_one: Path) -> None:
    report = json.loads(evaluated[1].out)["report"]
    n_test = len(load_dataset(formula_one).load_task("driver-position").get_table("test").df)
    assert [(one["protocol"], one["rows"], one["labelled"]) for one in report["protocols"]] == [
        ("fresh", n_test, n_test),
        ("frozen", n_test, n_test),
    ]
    fresh, frozen = (one["metrics"]["mae"] for one in report["protocols"])
    assert fresh < report["constant"]["mae"]
    assert fresh != frozen


@pytest.mark.parametrize("protocol", ["fresh", "frozen"])
def test_relbench_scores_what_was_written(evaluated: tuple[Path, Outcome], formula_one: Path, protocol: str) -> None:
    (file,) = (evaluated[0] / f"relbench-{protocol}").iterdir()
    assert file.name == "rel-formula__driver-position.csv"
    scored = evaluate_task(f"{formula_one}/driver-position", file)
    report = json.loads(evaluated[1].out)["report"]
    ours = next(one["metrics"]["mae"] for one in report["protocols"] if one["protocol"] == protocol)
    task = load_dataset(formula_one).load_task("driver-position")
    assert scored["nmae"] * task.nmae_std == pytest.approx(ours)


def test_predictions_stand_beside_keys_and_labels(evaluated: tuple[Path, Outcome]) -> None:
    rows = pq.read_table(evaluated[0] / "predictions.parquet").to_pandas()
    report = json.loads((evaluated[0] / "evaluation.json").read_text())
    for one in report["protocols"]:
        assert mean_absolute_error(rows["label"], rows[one["protocol"]]) == pytest.approx(one["metrics"]["mae"])
    assert {"label_row", "driverId", "cutoff"} < set(rows.columns)


def test_the_first_cutoff_is_the_same_under_both_protocols(evaluated: tuple[Path, Outcome]) -> None:
    rows = pq.read_table(evaluated[0] / "predictions.parquet").to_pandas()
    first = rows[rows["cutoff"] == rows["cutoff"].min()]
    np.testing.assert_array_equal(first["fresh"], first["frozen"])


def test_the_report_is_one_page(evaluated: tuple[Path, Outcome]) -> None:
    text = (evaluated[0] / "report.html").read_text()
    assert "frozen" in text
    assert ">mae</th>" in text
    assert "<script" not in text


def test_labels_of_the_test_window_change_no_frozen_prediction(
    evaluated: tuple[Path, Outcome], formula_one: Path, tmp_path: Path
) -> None:
    """Other labels and other rows after the test timestamp: the frozen predictions are the same to the last bit."""
    import shutil

    folder = shutil.copytree(formula_one, tmp_path / "copy")
    path = folder / "tasks" / "driver-position" / "test.parquet"
    rows = pd.read_parquet(path)
    rows["position"] = rows["position"].to_numpy()[::-1]
    rows.to_parquet(path, index=False)
    results = pd.read_parquet(folder / "db" / "results.parquet")
    results.loc[results["date"] > pd.Timestamp("2010-01-01"), ["grid", "points", "positionOrder"]] = 7
    results.to_parquet(folder / "db" / "results.parquet", index=False)
    task = f"{folder}#driver-position"
    outcome = headrace(
        "evaluate", task, "--trials", "1", "--one-model", "--out", str(tmp_path / "out"), home=tmp_path / "home"
    )
    assert outcome.code == 0, outcome.err
    before, after = (
        pq.read_table(place / "predictions.parquet").to_pandas() for place in (evaluated[0], tmp_path / "out")
    )
    np.testing.assert_array_equal(before["frozen"], after["frozen"])
    assert (before["fresh"] != after["fresh"]).any()
