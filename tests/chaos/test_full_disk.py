"""A full disk and a read-only one: one clear line, nothing half-written, and the same results once there is room."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.chaos.damage.case import Seen
from tests.chaos.damage.disks import Disk, disk_with
from tests.chaos.damage.matrix import Matrix

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

#: Bytes left free: none; too few for a page of a database; enough to begin.
ROOMS = (0, 8_192, 100_000)


@pytest.fixture
def disk(matrix: Matrix) -> Iterator[Disk]:
    assert matrix.undamaged["run"].result
    with disk_with(matrix.prepared.whole, matrix.prepared.home) as mounted:
        yield mounted


def refused(seen: Mapping[str, Seen]) -> list[str]:
    """Readers that ended with an error; each of them said what to do."""
    assert not [f"{name}: {one.trace}" for name, one in seen.items() if one.trace]
    assert not [f"{name}: {one.error or one.said}" for name, one in seen.items() if one.code and not one.fix]
    return [name for name, one in seen.items() if one.code]


def half_written(home: Path) -> list[Path]:
    return list(home.rglob(".*.tmp"))


@pytest.mark.parametrize("room", ROOMS)
def test_a_run_on_a_full_disk_is_refused_and_ends_as_it_would_once_there_is_room(
    matrix: Matrix, disk: Disk, room: int
) -> None:
    for stage in ("training-set", "evaluate", "refit"):
        shutil.rmtree(disk.folder / "stages" / "shop" / stage)
    disk.leave(room)
    assert "run" in refused(matrix.read(("status", "run")))
    assert not half_written(disk.folder)
    disk.enlarge()
    after = matrix.read(("run",))["run"]
    assert not after.code, after
    known = {name: value for name, value in after.result.items() if name != "training sets"}
    whole = matrix.undamaged["run"].result
    assert known == {name: whole[name] for name in known}
    assert set(after.result["training sets"]) <= set(whole["training sets"])


@pytest.mark.parametrize("room", ROOMS)
def test_a_day_that_comes_to_a_full_disk_is_lived_once_there_is_room(matrix: Matrix, disk: Disk, room: int) -> None:
    disk.leave(room)
    assert refused(matrix.read(("advance",))) or room
    assert not half_written(disk.folder)
    disk.enlarge()
    whole = matrix.undamaged["advance"].result
    after = matrix.read(("run",))["run"].result
    if after["clock"] < whole["clock"]:
        after = matrix.read(("advance",))["advance"].result
    assert after == whole


def test_predictions_are_refused_on_a_full_disk_and_given_again(matrix: Matrix, disk: Disk) -> None:
    disk.leave(0)
    assert refused(matrix.read(("serving",))) == ["serving"]
    disk.enlarge()
    assert matrix.read(("serving",))["serving"].result == matrix.undamaged["serving"].result


def test_a_read_only_home_can_be_looked_at_and_nothing_else(matrix: Matrix, disk: Disk) -> None:
    disk.protect()
    assert refused(matrix.read(("shown", "serving", "run", "advance"))) == ["serving", "run", "advance"]
