"""A replay without a champion: the gate refused the first version, and the run still ends with its report."""

from __future__ import annotations

from pathlib import Path

from headrace.core.clock import to_us
from headrace.lake.store import Lake
from headrace.pipeline.stage import Inputs
from headrace.pipeline.stages.replay import REPLAY, ReplayOutput
from tests.pipeline.shop import Shop
from tests.pipeline.turned import context_of
from tests.tiny_problem import write_tiny_problem


def test_a_refused_first_version_is_not_replayed(tmp_path: Path) -> None:
    shop = Shop(path=write_tiny_problem(tmp_path / "problem", orders=20, replayed_days=1), home=tmp_path / "home")
    context = context_of(shop)
    Lake(shop.home, "shop").advance_clock(to_us("2024-02-11"))
    assert REPLAY.run(context, Inputs(), tmp_path) == ReplayOutput(metrics={}, quarantined=())
