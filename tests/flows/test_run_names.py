"""Runs are named by flow and problem in Prefect's pages, whatever file the problem was named by."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.flows import names
from headrace.flows.names import run_name
from tests.tiny_problem import write_tiny_problem


class Run:
    """What Prefect says of the run that is being named."""

    def __init__(self, **parameters: object) -> None:
        self.parameters = parameters


@pytest.fixture
def problem(tmp_path: Path) -> str:
    return str(write_tiny_problem(tmp_path / "a folder", orders=20))


def test_a_path_is_named_by_its_problem(problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "flow_run", Run(problem=problem, decision="d1"))
    assert run_name("pipeline")() == "pipeline shop"
    assert run_name("retrain", "decision")() == "retrain shop d1"
    monkeypatch.setattr(names, "flow_run", Run(problem="flights", decision=""))
    assert run_name("retrain", "decision")() == "retrain flights"


def test_a_file_that_cannot_be_loaded_is_named_by_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "flow_run", Run(problem="/no/such/place/houses.py"))
    assert run_name("monitor")() == "monitor houses"
