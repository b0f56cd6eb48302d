"""`headrace evaluate` on a recommendation task: what it writes is what the package relbench scores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from relbench.submit import evaluate_task

from tests.cli.command import headrace
from tests.relbench.schemas import F1
from tests.relbench.stand_ins import write_dataset

pytestmark = pytest.mark.slow


def test_relbench_scores_the_lists_as_we_do(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "rel-f1", F1, scale=0.3)
    out = tmp_path / "out"
    outcome = headrace(
        "evaluate", str(folder), "--task", "driver-circuit-compete", "--out", str(out), "--json", home=tmp_path / "home"
    )
    assert outcome.code == 0, outcome.err
    report = json.loads(outcome.out)["report"]
    assert (report["metric"], report["k"]) == ("map", 10)
    for protocol in report["protocols"]:
        (file,) = (out / f"relbench-{protocol['protocol']}").iterdir()
        scored = evaluate_task(f"{folder}/driver-circuit-compete", file)
        assert scored["map"] == pytest.approx(protocol["metrics"]["map"])
    assert "races.circuitId" in " ".join(report["kinds"])
