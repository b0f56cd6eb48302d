"""The report: drawn from a bounded sample, showing our verdicts, seen by a UI that was up before it was made."""

from __future__ import annotations

import json
import os
import socket
import warnings
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pytest

from headrace.core.clock import DAY
from headrace.core.settings import Settings
from headrace.monitor.evidence.columns import ColumnEvidence
from headrace.monitor.evidence.window import WindowEvidence
from headrace.monitor.policy.decision import Decision, Window
from headrace.monitor.policy.policy import decide
from headrace.monitor.report import drawing
from headrace.monitor.report import page as report
from headrace.services.lifecycle import start_services, stop_services
from headrace.services.local import local_services
from headrace.services.processes import wait_until

pytestmark = pytest.mark.slow

KINDS = {
    "MEAN(flights.dep_delay, 7d)": "numeric",
    "distance": "numeric",
    "carrier": "categorical",
    "is_late": "boolean",
    "gone": "numeric",
    "words": "text",
}


def table(rows: int, seed: int, *, gone: bool = False) -> pa.Table:
    rng = np.random.default_rng(seed)
    columns = {
        "MEAN(flights.dep_delay, 7d)": rng.normal(size=rows),
        "distance": np.where(np.arange(rows) % 50, rng.normal(size=rows), np.inf),
        "carrier": [f"C{code}" for code in rng.integers(0, 400, rows)],
        "is_late": rng.random(rows) < 0.3,
        "gone": pa.nulls(rows, pa.float64()) if gone else rng.normal(size=rows),
        "words": ["text"] * rows,
        "_prediction": rng.random(rows),
        "_label": (rng.random(rows) < 0.3).astype(float),
    }
    return pa.table(columns)


def evidence(drifted: str) -> WindowEvidence:
    columns = tuple(
        ColumnEvidence(name=name, kind=kind, test="psi", effect=0.2, floor=0.1, drifted=name == drifted)
        for name, kind in KINDS.items()
    )
    return WindowEvidence(outcome="measured", columns=columns, drifted=(drifted,), rows=20_000)


def decision(problem: str = "flights") -> Decision:
    return decide(Window(problem=problem, start_us=0, end_us=7 * DAY, champion="3", judged=5, rows=20_000))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def page(home: Path) -> report.Page:
    """The page of two samples of one distribution, of which the evidence calls `distance` drifted."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = report.render(
            table(20_000, 0),
            table(6_000, 1, gone=True),
            KINDS,
            evidence=evidence("distance"),
            decision=decision(),
            root=home,
        )
    assert made is not None
    return made


def run_of(home: Path, page: report.Page) -> dict[str, object]:
    _, _, project, _, run = page.path.split("/")
    loaded: dict[str, object] = json.loads((home / "evidently" / project / "snapshots" / f"{run}.json").read_text())
    return loaded


def test_what_is_drawn_is_bounded_and_what_is_not_is_named(page: report.Page) -> None:
    assert page.rows == (2_000, 2_000)
    assert page.columns == 6
    assert page.left_out == {"gone": "no values in the window", "words": "columns of kind text are not drawn"}
    assert page.html.stat().st_size < 8_000_000
    assert b"(other)" in page.html.read_bytes()


def test_what_is_drawn_first_drifted_or_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few columns, of many: what people are told of first, and then what the model leans on."""
    found = replace(
        evidence("distance"),
        columns=(
            ColumnEvidence(name="still, matters", kind="numeric", test="psi", effect=0.0, floor=0.1),
            ColumnEvidence(name="still", kind="numeric", test="psi", effect=0.09, floor=0.1),
            ColumnEvidence(name="drifted far", kind="numeric", test="psi", effect=0.9, floor=0.1, drifted=True),
            ColumnEvidence(name="drifted, matters", kind="numeric", test="psi", effect=0.5, floor=0.1, drifted=True),
        ),
    )
    ranked = drawing._column_order(KINDS, found, {"drifted, matters": 0.3, "drifted far": 0.1, "still, matters": 0.5})
    assert ranked == ["drifted, matters", "drifted far", "still, matters", "still"]
    monkeypatch.setattr(drawing, "MAX_COLUMNS", 2)
    sides = table(60, 0), table(60, 1)
    drawn, left_out = drawing._columns(*sides, KINDS, ["carrier", "distance"])
    assert list(drawn) == ["_prediction", "_label"]
    assert left_out == dict.fromkeys(["carrier", "distance"], "only 2 columns are drawn")


def test_the_page_needs_no_network(page: report.Page) -> None:
    text = page.html.read_text()
    assert '<script src="http' not in text
    assert '<link rel="stylesheet" href="http' not in text


def test_the_verdicts_are_ours_and_the_drifted_come_first(home: Path, page: report.Page) -> None:
    run = run_of(home, page)
    widgets = json.dumps(run["widgets"])
    assert "nothing: no drift in 5 features" in widgets
    assert "Drift is detected for 16.667% of columns (1 out of 6)" in widgets
    assert "PSI, judged by Headrace" in widgets
    assert "Dataset Drift" not in widgets, "Evidently's own rule has no place on the page"
    (big,) = (widget for widget in run["widgets"] if widget["type"] == "big_table")  # type: ignore[attr-defined, index]
    rows = [(row["column_name"], row["data_drift"]) for row in big["params"]["data"]]
    assert [verdict for _, verdict in rows].count("Detected") == 1
    assert ("distance", "Detected") in rows
    assert rows[:2] == [("_prediction", "Not Detected"), ("_label", "Not Detected")]
    assert rows[2] == ("distance", "Detected")


def test_drawn_again_it_replaces_itself_and_leaves_nothing_behind(home: Path, page: report.Page) -> None:
    again = report.render(
        table(100, 0), table(90, 1), KINDS, evidence=evidence("carrier"), decision=decision(), root=home
    )
    assert again is not None
    assert (again.html, again.path, again.rows) == (page.html, page.path, (100, 90))
    files = [path.name for path in (home / "evidently").rglob("*") if path.is_file() and path.name != ".lock"]
    assert sorted(files) == sorted(["dashboard.json", "metadata.json", page.path.rsplit("/", 1)[1] + ".json"])
    assert [path.name for path in (home / "reports" / "flights").iterdir()] == [page.html.name]


def test_only_the_last_reports_of_a_problem_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "MAX_REPORTS", 2)
    another = tmp_path / "reports" / "houses" / "old.html"
    another.parent.mkdir(parents=True)
    another.touch()
    sides = [table(60, seed).select(["distance", "_prediction"]) for seed in (0, 1)]
    for name in ("z", "m", "a"):
        asked = replace(decision(), id=name)
        page = report.render(*sides, KINDS, evidence=evidence("distance"), decision=asked, root=tmp_path)
        assert page is not None
        os.utime(page.html, ns=(1, 1 + "zma".index(name)))  # in the order they were drawn, however coarse the clock
    assert sorted(path.stem for path in (tmp_path / "reports" / "flights").iterdir()) == ["a", "m"]
    runs = {path.stem for path in (tmp_path / "evidently").rglob("snapshots/*.json")}
    assert runs == {report.page_path(replace(decision(), id=name)).rsplit("/", 1)[1] for name in ("a", "m")}
    assert another.exists()


def test_links_are_known_before_the_page_is_made(home: Path, page: report.Page) -> None:
    assert report.page_path(decision()) == page.path
    assert report.page_file(home, decision()) == page.html
    assert report.page_path(replace(decision(), id="other")) != page.path


def test_nothing_to_draw_is_no_page(tmp_path: Path) -> None:
    empty = table(100, 0).slice(0, 0)
    assert (
        report.render(table(100, 0), empty, KINDS, evidence=evidence("x"), decision=decision(), root=tmp_path) is None
    )
    assert list(tmp_path.iterdir()) == []


def test_the_sample_keeps_every_stretch_of_time() -> None:
    drawn = drawing._sample(pa.table({"row": np.arange(50_000)}), seed=0)["row"].to_numpy()
    assert len(drawn) == drawing.MAX_ROWS
    assert (np.diff(drawn) > 0).all()
    assert np.diff(drawn).max() < 50


@pytest.mark.server
def test_a_ui_that_is_up_sees_new_problems_and_new_runs(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    chosen = Settings(home=tmp_path, evidently_port=port)
    (tmp_path / "evidently").mkdir()
    (ui,) = (service for service in local_services(chosen) if service.name == "Evidently")
    try:
        start_services(tmp_path, [ui])
        with httpx.Client(trust_env=False, base_url=ui.url, timeout=10) as client:
            assert client.get("/api/projects").json() == []
            for problem in ("flights", "houses"):
                asked = decision(problem)
                made = report.render(
                    table(60, 0), table(60, 1), KINDS, evidence=evidence("carrier"), decision=asked, root=tmp_path
                )
                assert made is not None
                _, _, project, _, run = made.path.split("/")
                assert wait_until(
                    lambda project=project, run=run: run in client.get(f"/api/projects/{project}/reports").text,  # type: ignore[misc]
                    timeout_s=20,
                ), f"{problem}: {client.get('/api/projects').text}"
            assert {one["name"] for one in client.get("/api/projects").json()} == {"flights", "houses"}
    finally:
        stop_services(tmp_path)


def test_the_picture_stands_in_the_page_and_beside_it(tmp_path: Path) -> None:
    from headrace.monitor.estimates.slices import DailyLoss, Slice
    from headrace.monitor.estimates.window import WindowEstimates
    from headrace.monitor.report.picture import draw_picture, has_picture, picture_file
    from headrace.monitor.report.rendering import _picture_widgets

    days = tuple(day * DAY for day in range(10))
    daily = DailyLoss(name="all rows", days_us=days, loss=(0.5,) * 10, reference=0.4)
    worst = Slice(
        column="origin", value="JFK", rows=90, reference_rows=80, loss=1.2, reference_loss=0.4, low=0.5, p_value=1e-6,
        since_us=4 * DAY,
    )  # fmt: skip
    estimates = WindowEstimates(rows=100, daily=(daily, replace(daily, name="origin = JFK")), slices=(worst,))
    assert has_picture(estimates)
    assert not has_picture(WindowEstimates())
    decision = Decision(
        id="abc", problem="flights", kind="alert", reason="", start_us=3 * DAY, end_us=10 * DAY, champion="1"
    )
    path = draw_picture(estimates, decision, tmp_path)
    assert path == picture_file(tmp_path, decision)
    image = path.read_bytes()
    assert image.startswith(b"\x89PNG")
    assert len(image) < 150_000
    assert draw_picture(estimates, decision, tmp_path).read_bytes() == image  # same arguments, same bytes
    (widget,) = _picture_widgets(image)
    assert "data:image/png;base64," in widget.json()
    assert _picture_widgets(None) == []
