"""The main job's flow: a run of the deployment replaces the one before, a run by hand replaces none."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from headrace.flows import pipeline as module
from headrace.pipeline.context import Context
from tests.tiny_problem import write_tiny_problem


@pytest.mark.parametrize(("deployed", "numbers"), [("d1", [1, 2]), (None, [None, None])])
def test_only_runs_of_the_deployment_replace_each_other(
    tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch, deployed: str | None, numbers: list[int | None]
) -> None:
    contexts: list[Context] = []

    class Run:
        def __init__(self, context: Context) -> None:
            contexts.append(context)

        def complete(self, *_: Any) -> Any:
            return SimpleNamespace(artifacts=())

    path = write_tiny_problem(tmp_path / "problem")
    monkeypatch.setattr(module, "deployment", SimpleNamespace(id=deployed))
    monkeypatch.setattr(module, "flow_run", SimpleNamespace(id="r1"))
    monkeypatch.setattr(module, "PipelineRun", Run)
    monkeypatch.setattr(module, "publish", lambda artifacts: None)
    for _ in numbers:
        module.pipeline.fn.__wrapped__(problem=str(path))
    assert [one.token.number if one.token is not None else None for one in contexts] == numbers
