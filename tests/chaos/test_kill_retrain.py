"""kill -9 of a retrain in its stages: the next one that looks into the outbox finishes it, once."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.core.settings import settings
from headrace.monitor.outbox import Outbox
from headrace.pipeline.retraining import RETRAIN_STAGES, retrain
from headrace.registry.ledger import Ledger
from tests.pipeline.shop import Shop
from tests.pipeline.turned import context_of, live, look, wall_us, write_turned

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

DEADLINE_S = 120.0


@pytest.fixture(scope="module")
def owing(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop that owes a retrain. Read only."""
    folder = tmp_path_factory.mktemp("owing")
    shop = Shop(path=write_turned(folder / "problem"), home=folder / "home")
    shop.finish()
    live(context_of(shop), 17)
    assert look(context_of(shop)).owed
    return shop


def kill_in(stage: str, shop: Shop) -> None:
    """`headrace retrain` in a process of its own, killed as soon as the stage has begun."""
    begun = f"stages/shop/{stage}/.*.tmp"
    process = subprocess.Popen(
        [sys.executable, "-m", "headrace.cli", "retrain", str(shop.path), "--home", str(shop.home)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
    )
    deadline = time.monotonic() + DEADLINE_S
    try:
        while not list(shop.home.glob(begun)):
            assert process.poll() is None, "it ended before it was killed"
            assert time.monotonic() < deadline, "the moment never came"
            time.sleep(0.0005)  # lets the other process have the CPU; what is waited for is the moment
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


@pytest.fixture
def copy_of(owing: Shop, tmp_path: Path) -> Callable[[], Shop]:
    def make() -> Shop:
        shutil.copytree(owing.home, tmp_path / "home")
        return Shop(path=owing.path, home=tmp_path / "home")

    return make


@pytest.mark.parametrize("stage", [stage.name for stage in RETRAIN_STAGES if stage.name != "ingest"])
def test_a_killed_retrain_is_finished_once(stage: str, copy_of: Callable[[], Shop]) -> None:
    shop = copy_of()
    outbox = Outbox(shop.home, "shop")
    (owed,) = outbox.owed(wall_us())
    kill_in(stage, shop)
    assert outbox.get(owed.decision.id).attempts == 1
    assert outbox.get(owed.decision.id).outcome is None
    # by this clock, years later, the killed one's lease is over
    same = shop.run(
        trials=None, workers=settings().workers
    ).context  # as the command has it: the search is the same one
    report = retrain(same, owed.decision.id, holder="the next", now_us=wall_us)
    champion = Ledger(shop.home, "shop").champion()
    assert champion is not None
    assert (report.outcome, report.version, champion.version) == ("promoted", "2", "2")
    assert shop.versions() == ["1", "2"]
    assert [record.version for record in Ledger(shop.home, "shop").history()] == ["1", "2"]
    assert not outbox.owed(wall_us())
