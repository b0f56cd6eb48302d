"""`headrace late` on a small shop some of whose orders came days after they were settled."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from headrace.core.clock import DAY, to_us
from headrace.lake.conform import conform
from headrace.lake.store import Lake
from headrace.problems.catalogue import load_problem
from headrace.schema.table import Source
from tests.cli.command import Outcome, headrace
from tests.tiny_problem import write_tiny_problem

SPLIT, LATE, NOW = to_us("2024-01-10"), to_us("2024-01-20"), to_us("2024-03-05")


@dataclass(frozen=True, kw_only=True)
class Shop:
    problem: str
    home: Path

    def late(self, *arguments: str) -> Outcome:
        return headrace("late", self.problem, *arguments, home=self.home)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A lake in which every fifth early order came on the 20th of January, nothing run. Read only."""
    folder = tmp_path_factory.mktemp("late")
    path = write_tiny_problem(folder / "problem", orders=600)
    problem, home = load_problem(path), folder / "home"
    lake = Lake(home, problem.name)
    for table in problem.entity_set.tables:
        assert isinstance(table.source, Source)
        rows = conform(table, table.source.read(), allow_empty=False)
        if table.name == "orders":
            number = pc.cast(rows["order_id"], pa.int64()).to_numpy()
            late = pa.array((rows["placed"].cast(pa.int64()).to_numpy() < SPLIT) & (number % 5 == 0))
            lake.append(table, rows.filter(pc.invert(late)), arrival_us=NOW, bootstrap=True)
            lake.append(table, rows.filter(late), arrival_us=LATE)
        else:
            lake.append(table, rows, arrival_us=NOW, bootstrap=True)
    lake.advance_clock(NOW)
    return Shop(problem=str(path), home=home)


def test_people_read_what_was_late_and_what_it_would_have_changed(shop: Shop) -> None:
    said = shop.late()
    assert said.code == 0, said.err
    assert "orders: 19 rows arrived late and 0 were corrected late" in " ".join(said.out.split())
    assert "training rows would have been different with timely data" in " ".join(said.out.split())
    assert "most: order_id=" in said.out


def test_machines_read_the_same_and_the_rows_are_kept(shop: Shop, tmp_path: Path) -> None:
    said = shop.late("--json", "--out", str(tmp_path / "kept"))
    found = json.loads(said.out)
    was, would = (pq.read_table(tmp_path / "kept" / f"{name}.parquet") for name in ("was", "in_time"))
    assert found["late"][0]["new"] == 19
    assert 0 < found["changed"] < found["rows"]
    assert was.num_rows == would.num_rows == found["changed"]
    assert was["cutoff"].to_numpy().max() < LATE + 8 * DAY  # nothing looks back further than the features do, but sums
    for item in found["features"]:
        left, right = was[item["slug"]], would[item["slug"]]
        assert pc.sum(pc.fill_null(pc.not_equal(left, right), False)).as_py() <= item["rows"]
    assert shop.late("--out", str(tmp_path / "kept")).code == 1


def test_what_was_late_before_an_instant_or_within_a_grace_is_left(shop: Shop) -> None:
    assert "nothing arrived late" in shop.late("--since", "2024-01-21").out
    assert "nothing arrived late" in shop.late("--grace", "30d").out
    assert "is no instant" in shop.late("--since", "soon").err


def test_a_problem_without_a_lake(shop: Shop, tmp_path: Path) -> None:
    said = headrace("late", shop.problem, home=tmp_path)
    assert said.code == 1
    assert "nothing was loaded yet" in said.err
