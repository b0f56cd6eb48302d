"""Drift to alert to retraining to swap, with every part real: what is promised of the loop, seen from outside."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Prefect reads this when it is imported: the tests leave the home of whoever runs them alone.
os.environ.setdefault("PREFECT_HOME", tempfile.mkdtemp(prefix="headrace-tests-"))

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactCollectionFilterKey

from headrace.flows.automations import ensure_automations
from headrace.flows.triggers import triggers_for
from headrace.monitor.outbox.outbox import Outbox
from headrace.pipeline.monitoring.monitor_window import RETRAIN_EVENT, resource_of
from headrace.problems.catalogue import load_problem
from headrace.registry.client import connect
from headrace.registry.links import REPORT
from headrace.services.processes import wait_until
from tests.chaos.loop import PATIENCE_S, Installation, installed
from tests.pipeline.shop import Shop
from tests.pipeline.turned import context_of, live, look, wall_us, write_mistaught, write_turned

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

ROW = {"customer_id": "c03", "placed": "2024-02-28T21:40:00Z", "amount": 425.0, "channel": "web"}


def named(path: Path, name: str) -> Path:
    """The problem of a file under another name."""
    path.write_text(path.read_text().replace('name="shop"', f'name="{name}"'))
    return path


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Three problems in one home. shop, late: their worlds turned, and one window of theirs was looked at before that
    was known for certain. dull: whoever learns from its last weeks is worse."""
    folder = tmp_path_factory.mktemp("loop")
    problems = {
        "shop": write_turned(folder / "shop"),
        "late": named(write_turned(folder / "late"), "late"),
        "dull": named(write_mistaught(folder / "dull"), "dull"),
    }
    for name, path in problems.items():
        shop = Shop(path=path, home=folder / "home")
        shop.finish()
        live(context_of(shop), 4)
        if name != "dull":
            look(context_of(shop))
        live(context_of(shop), 13)
    with installed(folder / "home", list(problems.values())) as everything:
        yield everything


def test_a_drifted_window_ends_in_a_version_that_the_api_serves(installation: Installation) -> None:
    assert installation.predicted_by(ROW) == "1"
    installation.start("shop-monitor")
    outbox = Outbox(installation.settings.root, "shop")
    (decision,) = [entry.decision for entry in outbox.history() if entry.decision.kind == "retrain"]
    for _ in range(9):
        payload = {"decision": decision.id}
        installation.emit(RETRAIN_EVENT, resource_of("shop"), payload)
    promoted = wait_until(lambda: installation.champion("shop") == "2", timeout_s=PATIENCE_S)
    assert promoted, installation.runs("shop-retrain")
    assert wait_until(lambda: installation.predicted_by(ROW) == "2", timeout_s=10)  # the API was not restarted

    def all_over() -> bool:
        states = installation.runs("shop-retrain")
        return len(states) == 10 and set(states) <= {"Completed", "Cancelled"}

    assert wait_until(all_over, timeout_s=PATIENCE_S), installation.runs("shop-retrain")
    assert installation.champion("shop") == "2"
    assert outbox.get(decision.id).outcome == "promoted"
    told = installation.receiver.titles()
    assert told.count("Headrace shop: retraining") == 1
    assert told.count("Headrace shop: version 2 is champion") == 1
    (drift,) = [alert for alert in installation.receiver.received if alert["title"] == "Headrace shop: retraining"]
    assert "auc" in drift["message"]
    assert f"http://127.0.0.1:{installation.settings.evidently_port}/projects/" in drift["message"]
    assert (installation.settings.root / "reports" / "shop" / f"{decision.id}.html").exists()
    page = decision.links["report"]
    with get_client(sync_client=True) as client:
        (artifact,) = client.read_latest_artifacts(
            artifact_filter=ArtifactCollectionFilter(key=ArtifactCollectionFilterKey(any_=["shop-monitor-report"]))
        )
    assert page in str(artifact.data)
    assert connect(installation.settings.mlflow_store).get_model_version("shop", "1").tags[REPORT] == page


def test_an_event_that_was_lost_is_made_up_for(installation: Installation) -> None:
    """The decision was written, and whoever wrote it was gone before any event."""
    late = Shop(path=installation.settings.root.parent / "late" / "problem.py", home=installation.settings.root)
    decision = look(context_of(late)).decision
    assert decision.kind == "retrain"
    assert installation.runs("late-retrain") == []
    installation.start("late-reconcile")
    outbox = Outbox(installation.settings.root, "late")
    assert wait_until(lambda: outbox.get(decision.id).outcome is not None, timeout_s=PATIENCE_S)
    assert outbox.get(decision.id).outcome == "promoted"
    assert installation.champion("late") == "2"
    installation.start("late-reconcile")
    assert len(installation.runs("late-retrain")) == 1
    assert not outbox.open_retrains(wall_us())


def test_a_challenger_that_is_worse_is_refused_and_a_person_is_asked(installation: Installation) -> None:
    dull = Shop(path=installation.settings.root.parent / "dull" / "problem.py", home=installation.settings.root)
    installation.start("dull-retrain")
    live(context_of(dull), 1)
    installation.start("dull-retrain")
    ended = [entry for entry in Outbox(installation.settings.root, "dull").history() if entry.outcome]
    assert [entry.outcome for entry in ended] == ["refused", "refused"]
    assert all("worse than the champion by more than the margin" in entry.outcome_reason for entry in ended)
    assert installation.champion("dull") == "1"
    told = installation.receiver.titles()
    assert told.count("Headrace dull: the challenger was refused") == 2
    assert told.count("Headrace dull: retraining does not help, a person is needed") == 1


def test_deploying_again_makes_no_second_automation(installation: Installation) -> None:
    path = str(installation.settings.root.parent / "shop" / "problem.py")
    with get_client(sync_client=True) as client:
        (before,) = client.read_automations_by_name("shop-retrain-on-drift")
        client.pause_automation(before.id)
        ensure_automations(triggers_for(load_problem(path)))
        (after,) = client.read_automations_by_name("shop-retrain-on-drift")
    assert after.id == before.id
    assert not after.enabled
