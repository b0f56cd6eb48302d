"""The loop by Prefect's schedules alone: days, windows and retrains follow from the clock, nobody calls anything."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

# Prefect reads this when it is imported: the tests leave the home of whoever runs them alone.
os.environ.setdefault("PREFECT_HOME", tempfile.mkdtemp(prefix="headrace-tests-"))

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.client.schemas.objects import FlowRun

from headrace.lake.store import Lake
from headrace.monitor.outbox.outbox import Entry, Outbox
from headrace.services.processes import wait_until
from tests.chaos.loop import Installation, installed
from tests.chaos.test_loop import ROW
from tests.pipeline.shop import Shop
from tests.pipeline.turned import context_of, live, look, write_turned

pytestmark = [pytest.mark.chaos, pytest.mark.server, pytest.mark.timeout(2700)]

#: A flow takes some seconds to start; a run that is still active makes the next one of its deployment pass.
_EVERY_S = 15.0
_PATIENCE_S = 1200.0
_TITLE = "Headrace shop: version 2 is champion"


def _runs(installation: Installation, deployment: str) -> list[FlowRun]:
    chosen = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[installation.deployments[deployment]]))
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(flow_run_filter=chosen, limit=200)
    return [run for run in found if run.state is not None and run.state.is_completed()]


def test_the_loop_closes_by_schedules_alone(tmp_path: Path) -> None:
    """The world has turned, and its labels come in the next days. From here on only the schedules move anything."""
    shop = Shop(path=write_turned(tmp_path / "shop"), home=tmp_path / "home")
    shop.finish()
    live(context_of(shop), 4)
    look(context_of(shop))
    live(context_of(shop), 11)
    before = Lake(shop.home, "shop").clock()
    assert before is not None
    assert [entry.decision.kind for entry in Outbox(shop.home, "shop").history()].count("retrain") == 0
    with installed(shop.home, [shop.path], every_s=_EVERY_S) as installation:
        outbox = Outbox(shop.home, "shop")
        seen = wait_until(lambda: bool(_promoted(outbox)), timeout_s=_PATIENCE_S, pause_s=1)
        assert seen, [(entry.decision.kind, entry.decision.reason, entry.outcome) for entry in outbox.history()]
        version = _promoted(outbox)[0].version
        assert version == installation.champion("shop") == "2"
        assert wait_until(lambda: installation.predicted_by(ROW) == version, timeout_s=60)
        ended = wait_until(lambda: bool(_runs(installation, "shop-retrain")), timeout_s=_PATIENCE_S, pause_s=1)
        assert ended, installation.runs("shop-retrain")
        scheduled = {name: _runs(installation, f"shop-{name}") for name in ("advance", "monitor")}
        (retrained, *_) = _runs(installation, "shop-retrain")
        told = wait_until(lambda: _TITLE in installation.receiver.titles(), timeout_s=_PATIENCE_S, pause_s=1)
        assert told, installation.receiver.titles()
    assert (Lake(shop.home, "shop").clock() or 0) > before
    assert all(run.auto_scheduled for runs in scheduled.values() for run in runs)
    assert all(scheduled.values())
    assert retrained.created_by is not None
    assert retrained.created_by.type in {"AUTOMATION", "DEPLOYMENT"}, "by the event, or by reconcile where it was lost"
    assert installation.receiver.titles().count(_TITLE) == 1


def _promoted(outbox: Outbox) -> list[Entry]:
    return [entry for entry in outbox.history() if entry.decision.kind == "retrain" and entry.outcome == "promoted"]
