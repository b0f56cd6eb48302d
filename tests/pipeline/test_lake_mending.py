"""A damaged lake at the beginning of a run: brought in again from its source, or one clear error."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from headrace.cli import main
from headrace.core.replicas import remove_replicas
from headrace.lake.batch import DamagedBatch
from headrace.lake.store import Lake
from headrace.pipeline.production.feed import feed_step
from headrace.pipeline.production.lake_mending import mend_lake
from tests.pipeline.recorded import Recorded
from tests.pipeline.shop import Shop
from tests.pipeline.test_pipeline_damage import truncated
from tests.tiny_problem import write_tiny_problem


def batch(shop: Shop, table: str, number: int = 0) -> Path:
    """The folder of a batch."""
    return sorted((shop.home / "lake" / "shop" / "tables" / table).glob("0*"))[number]


@pytest.fixture(scope="module")
def fed(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A feed of which two days have come. Read only."""
    folder = tmp_path_factory.mktemp("fed")
    path = write_tiny_problem(folder / "problem", orders=300, replayed_days=2)
    shop = Shop(path=path, home=folder / "home")
    run = shop.run()
    run.run_stage("ingest")
    for _ in range(2):
        feed_step(run.context)
    return shop


@pytest.fixture
def shop(fed: Shop, tmp_path: Path) -> Shop:
    """That shop copied, to change."""
    shutil.copytree(fed.path.parent, tmp_path / "problem")
    shutil.copytree(fed.home, tmp_path / "home")
    remove_replicas(tmp_path / "home" / "lake" / "shop" / "origin.json")
    return Shop(path=tmp_path / "problem" / "problem.py", home=tmp_path / "home")


def ingested(shop: Shop) -> tuple[bool, list[str]]:
    """Whether the first stage was found done, and what was said of damage."""
    progress = Recorded()
    return shop.run(progress=progress).run_stage("ingest").cached, progress.damages


@pytest.mark.parametrize("name", ["rows.parquet", "batch.json", ""])
@pytest.mark.parametrize(("table", "number"), [("customers", 0), ("orders", 0), ("orders", 2)])
def test_a_damaged_batch_is_brought_in_again(shop: Shop, table: str, number: int, name: str) -> None:
    before = Lake(shop.home, "shop").snapshot()
    folder = batch(shop, table, number)
    if name:
        truncated(folder / name)
    else:
        shutil.rmtree(folder)
    cached, (line,) = ingested(shop)
    assert cached
    assert line.startswith(f"{folder}: a damaged batch: ")
    said = {"batch.json": "its rows are whole, and it was written again"}
    assert line.endswith(said.get(name, "brought in again from its source"))
    after = Lake(shop.home, "shop").snapshot()
    assert after.fingerprint == before.fingerprint
    assert after.table(table).equals(before.table(table))
    assert ingested(shop) == (True, [])


def test_rows_that_are_nowhere_are_one_clear_error(
    shop: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = shop.path.parent / "orders.csv"
    orders.write_text(orders.read_text().replace(",web,", ",online,"))
    folder = batch(shop, "orders")
    truncated(folder / "rows.parquet")
    abandoned_batches = shop.home / "lake" / "shop" / "given-up" / "orders" / folder.name
    with pytest.raises(DamagedBatch, match=rf"{folder}: a damaged batch: rows.parquet: .*mkdir -p {abandoned_batches}"):
        ingested(shop)
    monkeypatch.setattr("sys.argv", ["headrace", "run", str(shop.path), "--home", str(shop.home)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "a damaged batch: rows.parquet" in capsys.readouterr().err.replace("\n", " ")
    abandoned_batches.mkdir(parents=True)
    cached, said = ingested(shop)
    assert not cached
    assert said == []


def test_a_source_that_is_gone_matters_only_to_lost_rows(shop: Shop) -> None:
    (shop.path.parent / "orders.csv").unlink()
    context = shop.run(progress=Recorded()).context
    truncated(batch(shop, "orders") / "batch.json")
    mend_lake(context)
    truncated(batch(shop, "orders", 1) / "rows.parquet")
    with pytest.raises(DamagedBatch, match="its source does not give the same rows any more"):
        mend_lake(context)
