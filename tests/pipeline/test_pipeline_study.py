"""Where the report of a run's search is found: at the end of what is printed, and in MLflow."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from headrace.app.report import show_report
from headrace.pipeline.stages.search import STUDY_REPORT
from headrace.registry.client import connect
from tests.pipeline.shop import Shop


def test_a_run_ends_with_the_path_of_its_studys_report(copy: Shop) -> None:
    printed = io.StringIO()
    show_report(copy.finish(), Console(file=printed, width=60))
    (line,) = [line for line in printed.getvalue().splitlines() if line.startswith("study: ")]
    path = Path(line.removeprefix("study: "))
    assert path.is_relative_to(copy.home)
    assert "plotly.js v" in path.read_text()


def test_mlflow_holds_the_same_page_with_the_study(ran: Shop, tmp_path: Path) -> None:
    client = connect(ran.tracking_uri)
    (study,) = ran.studies()
    assert STUDY_REPORT in [item.path for item in client.list_artifacts(study)]
    kept = Path(client.download_artifacts(study, STUDY_REPORT, str(tmp_path)))
    (written,) = (ran.home / "stages" / "shop" / "search").glob(f"*/{STUDY_REPORT}")
    assert kept.read_bytes() == written.read_bytes()
