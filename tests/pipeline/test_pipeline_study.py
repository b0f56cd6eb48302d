"""The study of a run: where its report is found, and that a larger budget goes on with the same study."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from rich.console import Console

from headrace.app.report import show_report
from headrace.core.files import read_json
from headrace.models.families.lightgbm import FittedLightGBM
from headrace.models.two_part import FittedTwoPart
from headrace.pipeline.stages.draw import STUDY_REPORT, explained_unit
from headrace.pipeline.stages.report import REPORT_FILE
from headrace.pipeline.stages.search import DURATION, SEARCH
from headrace.pipeline.walker import PipelineRun
from headrace.registry.client import connect
from headrace.registry.tracking import attach
from headrace.schema import EntitySet, Problem, Table, each_row
from headrace.serving.reports import report_file
from tests.pipeline.shop import Shop
from tests.tiny_problem import write_tiny_problem


def test_a_run_ends_with_the_metrics_of_the_replayed_window(tmp_path: Path) -> None:
    shop = Shop(path=write_tiny_problem(tmp_path / "problem", replayed_days=5), home=tmp_path / "home")
    printed, report = io.StringIO(), shop.finish()
    show_report(report, Console(file=printed, width=200))
    name, value = next((name, value) for name, value in report.replayed.items() if name.endswith("_auc"))
    window = name.removesuffix("_auc")
    assert f"replayed    {window}, predicted as in production: auc {value:.4f}" in printed.getvalue()
    assert report.as_json()["replayed"][name] == value


def test_a_run_ends_with_the_path_of_its_studys_report(copy: Shop) -> None:
    printed = io.StringIO()
    show_report(copy.finish(), Console(file=printed, width=60))
    (line,) = [line for line in printed.getvalue().splitlines() if line.startswith("study ")]
    path = Path(line.removeprefix("study").strip())
    assert path.is_relative_to(copy.home)
    assert "plotly.js v" in path.read_text()


@pytest.mark.parametrize(
    ("label", "two_parts", "unit"),
    [
        ("paid > 0", False, "log-odds"),
        ("paid", False, "paid"),
        ("paid", True, "log-odds of paid > 0, plus log(1 + paid)"),
    ],
)
def test_shap_values_have_the_unit_of_the_model(label: str, two_parts: bool, unit: str) -> None:
    visits = Table(name="visits", key="id", time="at", known_at={"paid": "at"}, source="-")
    problem = Problem(
        name="visits", entity_set=EntitySet(tables=(visits,)), spine=each_row("visits", cutoff="at"), label=label,
        metric="auc" if ">" in label else "mae",
    )  # fmt: skip
    part = FittedLightGBM(None)  # type: ignore[arg-type]  # no part is asked for anything
    model = FittedTwoPart(occurrence=part, amount=part, residuals=(), level=0.5) if two_parts else part
    assert explained_unit(problem, model) == unit


def test_mlflow_holds_the_same_page_with_the_study(ran: Shop, tmp_path: Path) -> None:
    client = connect(ran.tracking_uri)
    (study,) = ran.studies()
    assert STUDY_REPORT in [item.path for item in client.list_artifacts(study)]
    kept = Path(client.download_artifacts(study, STUDY_REPORT, str(tmp_path)))
    (written,) = (ran.home / "stages" / "shop" / "draw").glob(f"*/{STUDY_REPORT}")
    assert kept.read_bytes() == written.read_bytes()


def test_the_version_has_a_report_at_home_and_in_mlflow(ran: Shop) -> None:
    client, (study,) = connect(ran.tracking_uri), ran.studies()
    kept = Path(urlsplit(client.get_run(study).info.artifact_uri).path) / REPORT_FILE
    written = report_file(ran.home, "shop", "1").read_text()
    assert kept.read_text() == written
    for text in ("shop, version 1", "ROC curve", "Quality by slice", "What was tried", "train", "gate"):
        assert text in written, text


def test_a_copy_of_a_home_keeps_its_files_to_itself(copy: Shop, ran: Shop, tmp_path: Path) -> None:
    (study,) = ran.studies()
    theirs = Path(urlsplit(connect(ran.tracking_uri).get_run(study).info.artifact_uri).path)
    own = Path(urlsplit(connect(copy.tracking_uri).get_run(study).info.artifact_uri).path)
    assert own.is_relative_to(copy.home)
    (tmp_path / "figure.txt").write_text("of the copy")
    attach(copy.tracking_uri, study, [tmp_path / "figure.txt"])
    assert (own / "figure.txt").read_text() == "of the copy"
    assert not (theirs / "figure.txt").exists()


def test_a_report_that_was_removed_is_written_again(copy: Shop) -> None:
    file = report_file(copy.home, "shop", "1")
    before = file.read_bytes()
    file.unlink()
    run = copy.run()
    assert not run.run_stage("report").cached
    assert run.run_stage("register").cached
    assert file.read_bytes() == before


def test_the_studys_run_has_the_gates_metrics_and_the_searchs_duration(ran: Shop) -> None:
    client, (study,) = connect(ran.tracking_uri), ran.studies()
    run = client.get_run(study)
    assert {"tune_auc", "gate_auc"} <= set(run.data.metrics)
    (written,) = (ran.home / "stages" / "shop" / "search").glob(f"*/{DURATION}")
    seconds = read_json(written)["seconds"]
    assert seconds > 0
    assert run.info.end_time - run.info.start_time == int(seconds * 1000)
    names = {item.path for item in client.list_artifacts(study)}
    assert {"feature_importance.png", "hyperparameter_importance.png"} <= names


def test_a_longer_search_goes_on_from_the_trials_of_a_shorter_one(copy: Shop) -> None:
    shorter, longer = copy.run(trials=2), copy.run(trials=4)
    assert shorter.run_stage("search").cached
    assert not longer.run_stage("search").cached
    first, later = trials_of(shorter), trials_of(longer)
    assert later[:2] == first  # their seconds, too: nothing was evaluated again
    assert [trial["number"] for trial in later] == [0, 1, 2, 3]
    assert longer.output(SEARCH).key == shorter.output(SEARCH).key
    shutil.rmtree(shorter.folder(SEARCH))
    again = copy.run(trials=2)
    assert not again.run_stage("search").cached
    assert trials_of(again) == first


def test_a_search_of_so_many_trials_is_the_same_whether_it_went_on_or_not(copy: Shop) -> None:
    longer = copy.run(trials=3)
    went_on = configs(longer)
    for path in (copy.home / "stages" / "shop" / "search").iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert configs(copy.run(trials=3)) == went_on


def trials_of(run: PipelineRun) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read_json(run.folder(SEARCH) / "trials.json")
    return found


def configs(run: PipelineRun) -> list[tuple[Any, Any]]:
    return [(trial["config"], trial["loss"]) for trial in trials_of(run)]
