"""`headrace explain-feature` on a small shop: rows, instants, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from headrace.core.clock import to_us
from headrace.lake.conform import conform
from headrace.lake.store import Lake
from headrace.prediction_log.log import Prediction, PredictionLog
from headrace.problems.catalogue import load_problem
from headrace.schema.table import Source
from tests.cli.command import Outcome, headrace
from tests.tiny_problem import write_tiny_problem

MEAN = "customer_id.MEAN(orders.amount, 7d by customer_id)"


@dataclass(frozen=True, kw_only=True)
class Shop:
    problem: str
    home: Path

    def explain(self, *arguments: str) -> Outcome:
        return headrace("explain-feature", self.problem, *arguments, home=self.home)

    def told(self, *arguments: str) -> dict[str, Any]:
        said = self.explain(*arguments, "--json")
        assert said.code == 0, said.err
        found: dict[str, Any] = json.loads(said.out)
        return found


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Its lake filled, nothing run. Read only."""
    folder = tmp_path_factory.mktemp("explain")
    path = write_tiny_problem(folder / "problem", orders=600)
    problem, home = load_problem(path), folder / "home"
    for table in problem.entity_set.tables:
        assert isinstance(table.source, Source)
        rows = conform(table, table.source.read(), allow_empty=False)
        Lake(home, problem.name).append(table, rows, arrival_us=to_us("2024-03-05"), bootstrap=True)
    made = to_us("2024-02-20")
    logged = Prediction(
        id="1", cutoff_us=made, made_us=made, model_version="7", join_keys={}, probability=0.5, source="score",
        features={"customer_id_mean_orders_amount_7d_by_customer_id": 12.5}, row_key=[453],
    )  # fmt: skip
    with PredictionLog(home, problem.name) as log:
        log.append([logged])
    return Shop(problem=str(path), home=home)


def test_a_row_unfolds_to_its_raw_rows(shop: Shop) -> None:
    found = shop.told(MEAN, "--row", "453")
    counted = [row for row in found["tree"]["rows"] if not row["why"]]
    assert found["agrees"]
    assert found["tree"]["value"] == pytest.approx(sum(row["value"] for row in counted) / len(counted))
    assert found["logged"] == [{"version": "7", "made": "2024-02-20T00:00:00Z", "value": 12.5}]
    assert {row["why"] for row in found["tree"]["rows"]} == {"", "before the lookback", "not known before the tick"}


def test_a_row_and_its_instant_say_the_same(shop: Shop) -> None:
    by_row = shop.told(MEAN, "--row", "453")
    customer = by_row["tree"]["rows"][0]["row"]["customer_id"]
    by_instant = shop.told(MEAN, "--at", by_row["cutoff"], f"customer_id={customer}")
    assert by_instant["tree"] == by_row["tree"]


def test_people_read_a_tree_and_words(shop: Shop) -> None:
    said = shop.explain(MEAN, "--row", "453", "--most", "2")
    assert said.code == 0
    told = " ".join(said.out.split())
    assert "mean of amount over orders of this customer_id that became known in the 7 days" in told
    assert "the engine agrees" in said.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("customer_id.MEEN(orders.amount, 7d by customer_id)", "--row", "1"), MEAN),
        ((MEAN, "--row", "99999"), "no row '99999'"),
        ((MEAN, "--row", "x"), "'x' is no int64"),
        ((MEAN, "--row", "1,2"), "has 2 parts"),
        ((MEAN,), "give --row KEY, or --at"),
        ((MEAN, "--at", "soon"), "'soon' is no instant"),
        ((MEAN, "--at", "2024-02-01", "customer=c01"), "'customer' is not part of a row"),
    ],
)
def test_what_is_not_there_is_said(shop: Shop, arguments: tuple[str, ...], says: str) -> None:
    said = shop.explain(*arguments)
    assert said.code == 1
    assert says in said.err
