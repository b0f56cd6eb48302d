"""kill -9 of Prefect, its worker and the retrain at work: what is left in Prefect's books keeps nobody waiting."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable

import pytest

# Prefect reads this when it is imported: the tests leave the home of whoever runs them alone.
os.environ.setdefault("PREFECT_HOME", tempfile.mkdtemp(prefix="headrace-tests-"))

from headrace.monitor.outbox.outbox import Outbox
from headrace.pipeline.monitoring.monitor_window import RETRAIN_EVENT, resource_of
from headrace.services.processes import wait_until
from tests.chaos.killing import begun
from tests.chaos.loop import PATIENCE_S, installed
from tests.pipeline.shop import Shop
from tests.pipeline.turned import wall_us

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1200)]

#: Prefect keeps the place of a run that was killed for five minutes, and cancels others that want it.
PLACE_S = 480.0


def test_a_retrain_killed_with_all_of_prefect_is_ended_by_reconcile(replica_path: Callable[[], Shop]) -> None:
    shop = replica_path()
    outbox = Outbox(shop.home, "shop")
    (open_retrains,) = outbox.open_retrains(wall_us())
    identity = open_retrains.decision.id
    with installed(shop.home, [shop.path]) as everything:
        payload = {"decision": identity}
        everything.emit(RETRAIN_EVENT, resource_of("shop"), payload)
        assert wait_until(lambda: begun("search")(shop.home), timeout_s=PATIENCE_S), everything.runs("shop-retrain")
        everything.kill("worker")
        everything.kill("Prefect")
        assert outbox.get(identity).outcome is None
        with outbox.write() as database:  # two minutes later the lease is over
            database.execute("UPDATE decision SET until_us = 0 WHERE id = ?", (identity,))
        everything.up()

        def ended() -> bool:
            everything.start("shop-reconcile")
            return wait_until(lambda: outbox.get(identity).outcome is not None, timeout_s=30)

        assert wait_until(ended, timeout_s=PLACE_S), everything.runs("shop-retrain")
        assert outbox.get(identity).outcome == "promoted"
        assert everything.champion("shop") == "2"
        assert shop.versions() == ["1", "2"]
