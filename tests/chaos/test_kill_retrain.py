"""kill -9 of a retrain in its stages: the next one that looks into the outbox finishes it, once.

The command is killed, and the flow as Prefect runs it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator

import pytest

# Prefect reads this when it is imported: the tests leave the home of whoever runs them alone.
os.environ.setdefault("PREFECT_HOME", tempfile.mkdtemp(prefix="headrace-tests-"))

from prefect.settings import PREFECT_API_URL, temporary_settings

from headrace.core.settings import Settings, settings
from headrace.flows import retrain as module
from headrace.monitor.outbox.outbox import Entry, Outbox
from headrace.pipeline.catalogue import RETRAIN_STAGES
from headrace.pipeline.operations.retraining import retrain
from headrace.registry.ledger import Ledger
from headrace.services.lifecycle import start_services, stop_services
from headrace.services.local import local_services
from tests.chaos.killing import begun, killed_at
from tests.chaos.loop import ROOT, free_ports
from tests.pipeline.shop import Shop
from tests.pipeline.turned import wall_us

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

STAGES = [stage.name for stage in RETRAIN_STAGES]
FLOW = "import sys; from headrace.flows.retrain import retrain; retrain(problem=sys.argv[1], decision=sys.argv[2])"


@pytest.fixture(scope="module")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prefect server."""
    home = tmp_path_factory.mktemp("server")
    (home / "prefect").mkdir()
    (port,) = free_ports(1)
    chosen = Settings(home=home, prefect_port=port, PREFECT_API_URL=None)  # type: ignore[call-arg]
    try:
        start_services(home, [one for one in local_services(chosen) if one.name == "Prefect"])
        yield f"http://127.0.0.1:{port}/api"
    finally:
        stop_services(home)


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_retrain_is_finished_once(stage: str, replica_path: Callable[[], Shop]) -> None:
    shop = replica_path()
    (open_retrains,) = Outbox(shop.home, "shop").open_retrains(wall_us())
    command = ("-m", "headrace.cli", "retrain", str(shop.path), "--home", str(shop.home))
    assert killed_at(begun(stage), shop.home, command)
    undone(shop, open_retrains)
    # as the command has it: the search is the same one; by this clock, years later, the killed one's lease is over
    same = shop.run(trials=None, workers=settings().workers).context
    report = retrain(same, open_retrains.decision.id, holder="the next", now_us=wall_us)
    assert (report.outcome, report.version) == ("promoted", "2")
    done_once(shop, open_retrains)


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_flow_is_finished_once_by_another(
    stage: str, replica_path: Callable[[], Shop], prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = replica_path()
    (open_retrains,) = Outbox(shop.home, "shop").open_retrains(wall_us())
    monkeypatch.setenv("HEADRACE_HOME", str(shop.home))
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    monkeypatch.setattr(module, "wall_us", wall_us)
    flow = ("-c", FLOW, str(shop.path), open_retrains.decision.id)
    assert killed_at(begun(stage), shop.home, flow, folder=ROOT)
    undone(shop, open_retrains)
    settings.cache_clear()
    try:
        with temporary_settings({PREFECT_API_URL: prefect_api}):
            assert module.retrain(problem=str(shop.path), decision=open_retrains.decision.id) == "promoted"
    finally:
        settings.cache_clear()
    done_once(shop, open_retrains)


def undone(shop: Shop, open_retrains: Entry) -> None:
    """It was begun, and no more."""
    found = Outbox(shop.home, "shop").get(open_retrains.decision.id)
    assert (found.attempts, found.outcome) == (1, None)


def done_once(shop: Shop, open_retrains: Entry) -> None:
    """One new version, one change of champion, and nothing that is owed or half written."""
    outbox = Outbox(shop.home, "shop")
    assert outbox.get(open_retrains.decision.id).outcome == "promoted"
    assert not outbox.open_retrains(wall_us())
    assert shop.versions() == ["1", "2"]
    assert [record.version for record in Ledger(shop.home, "shop").history()] == ["1", "2"]
    assert list(shop.home.rglob(".*.tmp")) == []
