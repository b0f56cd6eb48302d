"""The report of `make security` says what it was told, as text."""

from __future__ import annotations

import json
from pathlib import Path

from tests.security.report import NOT_TRIED, SUCCEEDED, WITHSTOOD, Result, summary, write

RESULTS = (
    Result(group="A page", attack="asks", target="prefect", outcome=WITHSTOOD, observed="<script>alert(1)</script>"),
    Result(group="A page", attack="asks | again", target="api", outcome=SUCCEEDED),
    Result(group="Packages", attack="a hole", target="core.lock", outcome=NOT_TRIED, observed="not audited"),
)


def test_an_answer_is_shown_and_not_run(tmp_path: Path) -> None:
    write(RESULTS, tmp_path / "report")
    shown = (tmp_path / "report" / "report.html").read_text()
    assert "&lt;script&gt;alert(1)" in shown
    assert "<script>" not in shown
    assert shown.count("<h2>") == 2
    assert summary(RESULTS) in shown
    assert summary(RESULTS) == "3 attacks: 1 withstood, 1 SUCCEEDED, 1 not tried"
    assert "| asks \\| again | api | SUCCEEDED |" in (tmp_path / "report" / "report.md").read_text()
    assert [one["outcome"] for one in json.loads((tmp_path / "report" / "report.json").read_text())] == [
        one.outcome for one in RESULTS
    ]
