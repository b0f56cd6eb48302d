"""The main job's flow, around a run that only pretends: one task a stage, artifacts, and errors as they were raised."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterKey,
    FlowRunFilter,
    FlowRunFilterName,
    TaskRunFilter,
    TaskRunFilterFlowRunId,
)
from prefect.client.schemas.objects import FlowRun

from headrace.core.errors import DataError
from headrace.core.settings import Settings
from headrace.flows import observed
from headrace.flows import pipeline as module
from headrace.pipeline.report import Artifact, RunReport
from headrace.pipeline.stage import StageReport
from headrace.pipeline.walker import Execute
from headrace.services.processes import wait_until

pytestmark = [pytest.mark.server, pytest.mark.timeout(180)]

SHOWN = (
    Artifact(key="fake-leaderboard", kind="table", data=[{"trial": 1, "auc": 0.8}]),
    Artifact(key="fake-promotion", kind="markdown", data="## promoted"),
    Artifact(key="fake-study", kind="link", data="http://127.0.0.1/study"),
)


@dataclass
class FakeRun:
    """A run of three stages; `broken` fails."""

    broken: str = ""
    stage_names: tuple[str, ...] = ("ingest", "search", "promote")
    ran: list[str] = field(default_factory=list)

    def complete(self, execute: Execute, addresses: Mapping[str, str]) -> RunReport:
        for name in self.stage_names:
            execute(name, partial(self.run_stage, name))
        return RunReport(
            problem="fake", reference="fake", seconds=1.0, stages=(), champion={}, addresses=addresses, artifacts=SHOWN
        )

    def run_stage(self, name: str) -> StageReport:
        self.ran.append(name)
        if name == self.broken:
            raise DataError("duplicate keys", where="orders.order_id")
        return StageReport(name=name, seconds=0.5, cached=name == "ingest")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, prefect_server: Settings) -> FakeRun:
    run = FakeRun()

    monkeypatch.setattr(module, "context_of", lambda *_, **__: None)
    monkeypatch.setattr(module, "PipelineRun", lambda _: run)
    monkeypatch.setattr(module, "settings", lambda: prefect_server)
    monkeypatch.setattr(observed, "settings", lambda: prefect_server)
    return run


def only_run(name: str) -> FlowRun:
    with get_client(sync_client=True) as client:
        (found,) = client.read_flow_runs(flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[name])))
    return found


def tasks_of(run: FlowRun) -> list[tuple[str, str | None]]:
    """(name, state) of a flow run's tasks, as they started."""
    chosen = TaskRunFilter(flow_run_id=TaskRunFilterFlowRunId(any_=[run.id]))
    with get_client(sync_client=True) as client:
        tasks = client.read_task_runs(task_run_filter=chosen)
    return [(one.name, one.state_name) for one in sorted(tasks, key=lambda one: str(one.start_time))]


def expect_tasks(run: FlowRun, expected: list[tuple[str, str]]) -> None:
    # The server learns of tasks by events, a moment after they end.
    assert wait_until(lambda: tasks_of(run) == expected, timeout_s=20), tasks_of(run)


def test_every_stage_is_a_task_in_order(fake: FakeRun) -> None:
    report = module.pipeline(problem="good")
    assert fake.ran == ["ingest", "search", "promote"]
    assert set(report.addresses) == {"Prefect", "MLflow", "API"}
    expect_tasks(only_run("pipeline good"), [(name, "Completed") for name in fake.stage_names])


def test_artifacts_are_published(fake: FakeRun) -> None:
    module.pipeline(problem="shown")
    keys = [one.key for one in SHOWN]
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=keys)))
    by_key = {one.key: one for one in found}
    assert set(by_key) == set(keys)
    assert json.loads(str(by_key["fake-leaderboard"].data)) == [{"trial": 1, "auc": 0.8}]
    assert by_key["fake-promotion"].data == "## promoted"
    assert "http://127.0.0.1/study" in str(by_key["fake-study"].data)


def test_a_failing_stage_fails_the_flow_with_its_own_error(fake: FakeRun) -> None:
    fake.broken = "search"
    with pytest.raises(DataError, match=r"orders\.order_id: duplicate keys"):
        module.pipeline(problem="bad")
    assert fake.ran == ["ingest", "search"]
    run = only_run("pipeline bad")
    assert run.state_name == "Failed"
    expect_tasks(run, [("ingest", "Completed"), ("search", "Failed")])
