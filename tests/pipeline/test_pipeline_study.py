"""The study of a run: where its report is found, and that a larger budget goes on with the same study."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

from rich.console import Console

from headrace.app.report import show_report
from headrace.core.files import read_json
from headrace.pipeline.stages.draw import STUDY_REPORT
from headrace.pipeline.stages.search import SEARCH
from headrace.pipeline.walker import PipelineRun
from headrace.registry.client import connect
from tests.pipeline.shop import Shop


def test_a_run_ends_with_the_path_of_its_studys_report(copy: Shop) -> None:
    printed = io.StringIO()
    show_report(copy.finish(), Console(file=printed, width=60))
    (line,) = [line for line in printed.getvalue().splitlines() if line.startswith("study ")]
    path = Path(line.removeprefix("study").strip())
    assert path.is_relative_to(copy.home)
    assert "plotly.js v" in path.read_text()


def test_mlflow_holds_the_same_page_with_the_study(ran: Shop, tmp_path: Path) -> None:
    client = connect(ran.tracking_uri)
    (study,) = ran.studies()
    assert STUDY_REPORT in [item.path for item in client.list_artifacts(study)]
    kept = Path(client.download_artifacts(study, STUDY_REPORT, str(tmp_path)))
    (written,) = (ran.home / "stages" / "shop" / "draw").glob(f"*/{STUDY_REPORT}")
    assert kept.read_bytes() == written.read_bytes()


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
