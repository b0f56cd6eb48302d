"""A serving process sees a clock that another machine moved, also after the store was away."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.lake.store import Lake
from headrace.services.processes import wait_until
from headrace.serving.lake_follower import LakeFollower, local_copy


def test_a_clock_that_another_machine_moves_is_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "store").mkdir()
    address = f"file://{tmp_path}/store"
    other, copy = Lake(tmp_path / "other", "p", store=address), local_copy(tmp_path / "one", "p")
    other.advance_clock(1)
    assert copy.clock() is None
    follower = LakeFollower(Lake(tmp_path / "one", "p", store=address), period_s=0.01)
    follower.start()
    try:
        assert copy.clock() == 1
        other.advance_clock(2)
        assert wait_until(lambda: copy.clock() == 2, timeout_s=30)
        (tmp_path / "store").rename(tmp_path / "away")
        assert wait_until(lambda: "cannot be followed" in caplog.text, timeout_s=30)
        assert copy.clock() == 2
        (tmp_path / "away").rename(tmp_path / "store")
        other.advance_clock(3)
        assert wait_until(lambda: copy.clock() == 3, timeout_s=30)
    finally:
        follower.stop()
    assert caplog.text.count("cannot be followed") == 1


def test_a_lake_of_one_home_is_not_followed(tmp_path: Path) -> None:
    follower = LakeFollower(Lake(tmp_path, "p", store=""))
    follower.start()
    follower.stop()
    assert not (tmp_path / "lake").exists()
