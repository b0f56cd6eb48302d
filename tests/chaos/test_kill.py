"""kill -9 anywhere, run again: the same training set, the same search, one version, nothing twice, nothing half."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from tests.chaos.conftest import Undisturbed
from tests.chaos.killing import TRIALS, Home, Moment, begun, clock_moved, grown, there, tried

pytestmark = pytest.mark.chaos


@dataclass(frozen=True, kw_only=True)
class Kill:
    """When a run is killed, and the state that it starts from: before ingest, search or track."""

    name: str
    start: str
    moment: Moment


KILLS = (
    Kill(name="ingest begun", start="ingest", moment=begun("ingest")),
    Kill(name="one table ingested", start="ingest", moment=there("lake/shop/tables/*/0*")),
    Kill(name="synthesise begun", start="ingest", moment=begun("synthesise")),
    Kill(name="synthesise half written", start="ingest", moment=there("stages/shop/synthesise/.*.tmp/*.parquet")),
    Kill(name="publish begun", start="ingest", moment=begun("publish")),
    Kill(name="search begun", start="search", moment=begun("search")),
    Kill(name="one trial journalled", start="search", moment=tried(1)),
    Kill(name="five trials journalled", start="search", moment=tried(5)),
    Kill(name="track begun", start="track", moment=begun("track")),
    Kill(name="figures logged", start="track", moment=there("mlflow/artifacts/*/artifacts/history.png")),
    Kill(name="register begun", start="track", moment=begun("register")),
    Kill(name="model half logged", start="track", moment=there("mlflow/artifacts/models/*/artifacts/*")),
    Kill(name="version made", start="track", moment=there("registry/shop/versions/*.json")),
    Kill(name="promote begun", start="track", moment=begun("promote")),
    Kill(name="ledger written", start="track", moment=there("ledger/shop.db-wal")),
    Kill(name="two days replayed", start="track", moment=clock_moved(2)),
    Kill(name="predictions begun", start="track", moment=there("predictions/shop.db")),
    Kill(name="materialise begun", start="track", moment=begun("materialise")),
    Kill(name="online store written", start="track", moment=there("store/shop/watermark.json")),
)


@pytest.mark.parametrize("kill", KILLS, ids=lambda kill: kill.name)
def test_a_killed_run_is_finished_by_the_next(
    kill: Kill, undisturbed: Undisturbed, home_before: Callable[[str], Home]
) -> None:
    home = home_before(kill.start)
    assert home.run_and_kill(kill.moment), "it ended before it was killed: this moment is no test"
    assert home.finish() == undisturbed.outcome


def test_the_undisturbed_run_is_worth_comparing_with(undisturbed: Undisturbed) -> None:
    outcome = undisturbed.outcome
    assert all(outcome["stages"].values())
    assert outcome["versions"] == ["1"]
    assert outcome["studies"] == [TRIALS]
    assert outcome["changes"] == 1
    assert 20 < len(outcome["predictions"]) < 100  # ten orders a day, five days
    assert outcome["champion"][1]["2024-02-10--2024-02-14_auc"] > 0.5
    assert outcome["half-written"] == []
    assert not outcome["online"][0]


def test_a_run_killed_again_and_again(undisturbed: Undisturbed, home_before: Callable[[str], Home]) -> None:
    home = home_before("ingest")
    steps = np.random.default_rng(7).integers(3, undisturbed.paths // 4, size=4)
    killed = [home.run_and_kill(grown(home.root, int(step))) for step in steps]
    assert any(killed)
    assert home.finish() == undisturbed.outcome


def test_two_processes_at_once_do_the_work_once(undisturbed: Undisturbed, home_before: Callable[[str], Home]) -> None:
    home = home_before("track")
    processes = [home.start(), home.start()]
    assert [process.wait(timeout=200) for process in processes] == [0, 0], home.said
    assert home.outcome() == undisturbed.outcome
