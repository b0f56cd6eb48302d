"""Files of finished stages that were damaged: found when they are read, made again to the same results, and said."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.core.errors import HeadraceError
from headrace.core.files import read_json, write_json
from headrace.core.fingerprint import fingerprint
from headrace.core.manifest import write_manifest
from headrace.lake.store import Lake
from headrace.pipeline import stage as stage_module
from headrace.pipeline.stage import FinishedStage, Stage, code_of, running_code
from headrace.pipeline.stages.earlier_synthesis import find_earlier, lake_state
from headrace.pipeline.stages.evaluate import EVALUATE
from headrace.pipeline.stages.promote import PROMOTE
from headrace.pipeline.stages.refit import REFIT
from headrace.pipeline.stages.search import SEARCH
from headrace.pipeline.stages.select import SELECT
from headrace.pipeline.stages.synthesise import SYNTHESISE
from headrace.pipeline.stages.training_set import TRAINING_SET
from headrace.pipeline.walker import PipelineRun
from tests.pipeline.recorded import Recorded
from tests.pipeline.shop import Shop, worked

pytestmark = pytest.mark.slow

Damage = Callable[[Path], None]


def flipped(path: Path, seed: int = 0) -> None:
    """One bit of a file is another."""
    data = bytearray(path.read_bytes())
    place = int(np.random.default_rng(seed).integers(8 * len(data)))
    data[place // 8] ^= 1 << (place % 8)
    path.write_bytes(data)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def braces(path: Path) -> None:
    path.write_text("{}")


DAMAGES: tuple[Damage, ...] = (flipped, emptied, truncated, braces, Path.unlink)


def folder_of(shop: Shop, stage: str) -> Path:
    """The one folder of a stage."""
    (found,) = (shop.home / "stages" / "shop" / stage).glob("[!.]*[!k]")
    return found


def results(run: PipelineRun) -> dict[str, Any]:
    """What damage must not change."""
    return {
        "training": run.output(TRAINING_SET).sha256,
        "service": run.output(SELECT).service,
        "search": {name: getattr(run.output(SEARCH), name) for name in ("key", "config", "value", "trials")},
        "metrics": run.output(EVALUATE).metrics,
        "bundle": run.output(REFIT).bundle,
        "version": run.output(PROMOTE).version,
    }


def run_again(shop: Shop, **options: Any) -> tuple[list[str], list[str], dict[str, Any]]:
    """The stages that were run, what was said of damage, and the results."""
    progress = Recorded()
    run = shop.run(progress=progress, **options)
    return worked(run.complete()), progress.damages, results(run)


def read_all(shop: Shop) -> None:
    """Take away the stages that read the files of others, so that they read them again."""
    for stage in ("evaluate", "refit"):
        shutil.rmtree(shop.home / "stages" / "shop" / stage)


@pytest.mark.parametrize("damage", [flipped, Path.unlink], ids=lambda damage: damage.__name__)
def test_a_damaged_training_set_is_made_again_and_nothing_else(ran: Shop, copy: Shop, damage: Damage) -> None:
    expected = results(ran.run())
    read_all(copy)
    damage(folder_of(copy, "training-set") / "training.parquet")
    again, said, found = run_again(copy)
    assert found == expected
    assert again == ["training-set", "evaluate", "refit"]
    assert [line for line in said if line.startswith("training-set: ") and "it is made again" in line] == said
    assert len(said) == 1
    assert copy.versions() == ["1"]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("name", ["stage.json", "manifest.json"])
def test_a_damaged_record_is_made_again(ran: Shop, copy: Shop, name: str, damage: Damage) -> None:
    damage(folder_of(copy, "evaluate") / name)
    again, said, found = run_again(copy)
    assert found == results(ran.run())
    assert again == ["evaluate"]
    assert [line.split(":")[0] for line in said] == ["evaluate"]


def test_what_nobody_reads_is_left_alone(copy: Shop) -> None:
    flipped(folder_of(copy, "synthesise") / "candidates.parquet")
    assert run_again(copy)[:2] == ([], [])


def test_damage_below_damage_is_made_again_from_the_bottom(ran: Shop, copy: Shop) -> None:
    """The training set is damaged, and so is what it is made from, at each level."""
    read_all(copy)
    for stage, name in (
        ("training-set", "training.parquet"), ("select", "definitions.json"), ("synthesise", "candidates.parquet"),
        ("synthesise", "spine.parquet"),
    ):  # fmt: skip
        flipped(folder_of(copy, stage) / name)
    again, said, found = run_again(copy)
    assert found == results(ran.run())
    assert again == ["synthesise", "select", "training-set", "evaluate", "refit"]
    assert len(said) == 3


def test_a_stage_that_comes_out_otherwise_takes_along_what_depends_on_it(copy: Shop) -> None:
    """A search whose journal is lost too, and whose trials now end otherwise: nothing made of the old one is kept."""
    run = copy.run()
    run.run_stage("evaluate")
    made = run._finished["search"]
    run._finished["search"] = replace(made, digest="of another search")
    progress = Recorded()
    run.context = replace(run.context, progress=progress)
    flipped(made.folder / "trials.json")
    shutil.rmtree(copy.home / "stages" / "shop" / "track")
    report = run.complete()
    assert worked(report)[:2] == ["search", "track"]
    assert [line.split(":")[0] for line in progress.damages] == ["search", "search"]
    assert progress.damages[1] == "search: its output differs from before; what depends on it is run again"


def test_what_is_damaged_at_once_again_is_an_error(copy: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    read_all(copy)
    run = copy.run(progress=Recorded())
    path = folder_of(copy, "training-set") / "training.parquet"
    flipped(path)
    make = stage_module._make

    def spoilt(stage: Stage[Any], *rest: Any) -> FinishedStage[Any]:
        done = make(stage, *rest)
        flipped(path)
        return done

    monkeypatch.setattr(stage_module, "_make", spoilt)
    with pytest.raises(HeadraceError, match=r"training.parquet: .* again after it was made again. look at the disk"):
        run.run_stage("evaluate")


def test_the_record_of_another_key_is_not_taken_for_it(copy: Shop) -> None:
    folder = folder_of(copy, "evaluate")
    record = read_json(folder / "stage.json")
    write_json(folder / "stage.json", {**record, "digest": fingerprint({"output": record["output"], "key": "another"})})
    write_manifest(folder)
    again, said, _ = run_again(copy)
    assert again == ["evaluate"]
    assert "is the record of another stage" in said[0]


def test_nothing_is_taken_over_from_a_damaged_synthesis(copy: Shop) -> None:
    folder = folder_of(copy, "synthesise")
    flipped(folder / "candidates.parquet")
    progress = Recorded()
    context = copy.run(progress=progress).context
    snapshot = Lake(copy.home, "shop").snapshot()
    state = lake_state(context.problem, snapshot, code_of(SYNTHESISE, running_code(context)))
    assert find_earlier(SYNTHESISE, context, snapshot, state) is None
    assert progress.damages == [
        f"{folder}/candidates.parquet: sha256 differs from the manifest: synthesis takes nothing from that run"
    ]
