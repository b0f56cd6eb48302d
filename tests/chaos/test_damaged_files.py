"""One random bit of every file that stages, lake and bundles keep: the next run ends with the same results.

The stages that read a file are taken away, so that it is read. (`tests.chaos.damage` has every other way to damage a
file, and every other file.)
"""

from __future__ import annotations

import shutil
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.pipeline.catalogue import STAGES
from headrace.pipeline.stage import Stage
from tests.pipeline.shop import Shop
from tests.pipeline.test_pipeline_damage import results, run_again
from tests.tiny_problem import write_tiny_problem

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1800)]

FLIPS = 2


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("damaged")
    shop = Shop(path=write_tiny_problem(folder / "problem"), home=folder / "home")
    shop.finish()
    return shop


def flip(path: Path, number: int) -> None:
    data = bytearray(path.read_bytes())
    drawn = np.random.default_rng([zlib.crc32(path.name.encode()), number])
    place = int(drawn.integers(8 * len(data)))
    data[place // 8] ^= 1 << place % 8
    path.write_bytes(data)


def depends(stage: Stage[Any], on: str) -> bool:
    known = {one.name: one for one in STAGES}
    return any(needed.name == on or depends(known[needed.name], on) for needed in stage.needs)


@pytest.mark.parametrize("number", range(FLIPS))
@pytest.mark.parametrize("stage", [stage.name for stage in STAGES])
def test_a_bit_of_each_file_of_a_stage(done: Shop, tmp_path: Path, stage: str, number: int) -> None:
    expected = results(done.run())
    files = [path.relative_to(done.home) for path in (done.home / "stages/shop" / stage).rglob("*") if path.is_file()]
    for place, file in enumerate(path for path in files if not path.name.endswith(".lock")):
        shop = Shop(path=done.path, home=tmp_path / str(place))
        shutil.copytree(done.home, shop.home)
        flip(shop.home / file, number)
        if file.name not in ("stage.json", "manifest.json"):
            for later in STAGES:
                if depends(later, stage):
                    shutil.rmtree(shop.home / "stages/shop" / later.name)
        again, said, found = run_again(shop)
        assert found == expected, file
        assert said or stage not in again, file
        assert shop.versions() == ["1"], file


@pytest.mark.parametrize("number", range(FLIPS))
@pytest.mark.parametrize("room", ["lake/shop/tables", "registry/shop"])
def test_a_bit_of_each_file_of_the_lake_and_the_registry(done: Shop, tmp_path: Path, room: str, number: int) -> None:
    expected = results(done.run())
    files = [path.relative_to(done.home) for path in (done.home / room).rglob("*") if path.is_file()]
    for place, file in enumerate(path for path in files if not path.name.endswith(".lock")):
        shop = Shop(path=done.path, home=tmp_path / str(place))
        shutil.copytree(done.home, shop.home)
        flip(shop.home / file, number)
        for later in STAGES[1:]:
            shutil.rmtree(shop.home / "stages/shop" / later.name, ignore_errors=True)
        _, said, found = run_again(shop)
        assert found == expected, file
        assert said or "lake" not in room or file.name.endswith((".copy", "batches.json")), file
        assert shop.versions() == ["1"], file
