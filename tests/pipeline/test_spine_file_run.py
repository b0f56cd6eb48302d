"""Who is asked about, and when, from a file: with a label of its own, or with one of what the tables tell."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from headrace.core.clock import DAY, to_us
from headrace.lake.store import Lake
from headrace.registry.ledger import Ledger
from headrace.serving.service import open_service
from tests.pipeline.shop import Shop
from tests.tiny_problem import DAYS, START, write_tiny_problem

_ASKS = """\
asks = Table(name="asks", key=("customer_id", "asked"), time="asked", {known_at}source="asks.csv")

problem = """


def write_asked(folder: Path, *, of_file: bool) -> Path:
    """Will a customer order something dear within three days? Asked of each at twelve instants that a file lists.

    of_file: the file tells the answers too, three days later; else they are what happens in the orders.
    """
    path = write_tiny_problem(folder)
    orders = _by_taste(folder / "orders.csv")
    rng = np.random.default_rng(3)
    asks = []
    for who in (f"c{number:02d}" for number in range(20)):
        dear = [to_us(row[2]) for row in orders if row[1] == who and float(row[3]) > 20]
        for hours in rng.choice(range(5 * 24, (DAYS - 3) * 24), 12, replace=False):
            at = START + timedelta(hours=int(hours))
            told = sum(0 <= when - to_us(at) < 3 * DAY for when in dear)
            asks.append((f"{who},{at:%Y-%m-%dT%H:%M:%SZ}", str(told)))
    asks.append((f"c01,{START + timedelta(days=DAYS, hours=1):%Y-%m-%dT%H:%M:%SZ}", ""))  # not over yet
    head = ("customer_id,asked", "dear")
    (folder / "asks.csv").write_text("\n".join(",".join(row if of_file else row[:1]) for row in (head, *asks)) + "\n")
    label = "dear > 0" if of_file else 'count("orders", horizon="3d", where="amount > 20") > 0'
    link = 'Relationship("customers.customer_id", "orders.customer_id")'
    for old, new in (
        ("problem = ", _ASKS.format(known_at='known_at={"dear": "asked + 3d"}, ' if of_file else "")),
        ("(customers, orders)", "(customers, orders, asks)"),
        (f"({link},)", f"({link}, {link.replace('orders', 'asks')})"),
        ('"orders", cutoff="placed + 1s"', '"asks", cutoff="asked"'),
        ('"refunded_amount >= 1"', repr(label)),
    ):
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
    return path


def _by_taste(path: Path) -> list[list[str]]:
    """Every other customer orders dear things: what they did before tells what they will do."""
    header, *rows = (line.split(",") for line in path.read_text().splitlines())
    for row in rows:
        row[3] = f"{(4 if int(row[1][1:]) % 2 else 0.2) * float(row[3]):.2f}"
    path.write_text("\n".join(map(",".join, (header, *rows))) + "\n")
    return rows


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """One whole run. Read only."""
    folder = tmp_path_factory.mktemp("asked")
    shop = Shop(path=write_asked(folder / "problem", of_file=True), home=folder / "home")
    shop.finish(trials=1)
    return shop


def test_it_is_learnt_from_and_what_is_not_over_yet_is_censored(asked: Shop) -> None:
    made = asked.run(trials=1).outputs("synthesise")
    assert (made["rows"], made["censored"]) == (240, 1)
    champion = Ledger(asked.home, "shop").champion()
    assert champion is not None
    assert champion.metrics["gate_auc"] > 0.8


def test_answers_in_the_file_and_answers_in_the_orders_are_the_same_rows(asked: Shop, tmp_path: Path) -> None:
    other = Shop(path=write_asked(tmp_path / "problem", of_file=False), home=tmp_path / "home")
    columns = ["customer_id", "asked", "cutoff", "tick", "label", "label_known"]
    here, there = (
        pq.read_table(shop.run(trials=1).folder("synthesise") / "spine.parquet", columns=columns)
        for shop in (asked, other)
    )
    assert here.equals(there)


def test_a_request_is_predicted_from_fresh_features(asked: Shop) -> None:
    context = asked.run(trials=1).context
    clock = Lake(asked.home, "shop").clock()
    assert clock is not None
    service = open_service(asked.home, context.problem, context.tracking_uri, lambda: clock)
    service.follower.refresh()
    rows = [{"customer_id": who, "asked": "2024-03-04T00:00:00Z"} for who in ("c01", "c02")]
    dear, cheap = service.predictor.predict(rows, now_us=clock)
    service.log.close()
    assert {view.status for view in (*dear.features.values(), *cheap.features.values())} == {"FRESH"}
    assert dear.probability is not None
    assert cheap.probability is not None
    assert dear.probability > cheap.probability
