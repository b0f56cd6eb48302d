"""Who is asked about, and when, from a file: with a label of its own, or with one of what the tables tell."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from headrace.core.clock import DAY, to_us
from headrace.core.errors import DataError
from headrace.lake.store import Lake
from headrace.pipeline.monitoring.current_window import current_window
from headrace.pipeline.production.quality import live_metrics
from headrace.pipeline.stages.synthesise import SYNTHESISE
from headrace.prediction_log.log import PredictionLog
from headrace.registry.ledger import Ledger
from headrace.serving.service import Service, open_service
from tests.cli.command import headrace
from tests.pipeline.shop import Shop
from tests.pipeline.turned import look
from tests.tiny_problem import DAYS, START, write_tiny_problem

pytestmark = pytest.mark.slow

#: Where history ends and production begins, and how many days of it are lived through.
FEED, REPLAYED = datetime(2024, 2, 10, tzinfo=UTC), 6
MEAN = "customer_id.MEAN(orders.amount, 7d by customer_id)"

_ASKS = """\
asks = Table(name="asks", key=("customer_id", "asked"), time="asked", {known_at}source="asks.csv")

problem = """


def write_asked(folder: Path, *, of_file: bool) -> Path:
    """Will a customer order something dear within three days? Asked of each at twelve instants that a file lists.

    of_file: the file tells the answers too, three days later; else they are what happens in the orders. The last days
    are lived through. A row's key holds a time, with microseconds.
    """
    path = write_tiny_problem(folder, replayed_days=REPLAYED)
    orders = _by_taste(folder / "orders.csv")
    rng = np.random.default_rng(3)
    asks = []
    for who in (f"c{number:02d}" for number in range(20)):
        dear = [to_us(row[2]) for row in orders if row[1] == who and float(row[3]) > 20]
        for hours in rng.choice(range(5 * 24, (DAYS - 3) * 24), 12, replace=False):
            at = START + timedelta(hours=int(hours))
            told = sum(0 <= when - to_us(at) < 3 * DAY for when in dear)
            asks.append((f"{who},{at:%Y-%m-%dT%H:%M:%S}.000007Z", str(told)))
    asks += [
        (f"c{who:02d},{FEED + timedelta(days=3):%Y-%m-%dT%H:%M:%SZ}", str(who % 2)) for who in (3, 4)
    ]  # at its end
    asks.append((f"c01,{FEED - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}", ""))  # not over yet
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


def _asks(shop: Shop) -> list[tuple[str, datetime]]:
    """Who is asked about, and when, as the file has it."""
    lines = (shop.path.parent / "asks.csv").read_text().splitlines()[1:]
    return [(who, datetime.fromisoformat(at)) for who, at, _ in (line.split(",") for line in lines)]


def _lived(shop: Shop) -> list[tuple[str, datetime]]:
    """Those of the replayed days."""
    return [(who, at) for who, at in _asks(shop) if FEED <= at < FEED + timedelta(days=REPLAYED)]


def _service(shop: Shop, now_us: int) -> Service:
    context = shop.run(trials=1).context
    service = open_service(shop.home, context.problem, context.tracking_uri, lambda: now_us)
    service.follower.refresh()
    return service


def _clock(shop: Shop) -> int:
    clock = Lake(shop.home, "shop").clock()
    assert clock is not None
    return clock


def test_it_is_learnt_from_and_what_is_not_over_yet_is_censored(asked: Shop) -> None:
    made = asked.run(trials=1).output(SYNTHESISE)
    before = [at for _, at in _asks(asked) if at < FEED]
    over = [at for at in before if at + timedelta(days=3) < FEED]
    assert (made.rows, made.censored) == (len(over), len(before) - len(over))
    champion = Ledger(asked.home, "shop").champion()
    assert champion is not None
    assert champion.metrics["gate_auc"] > 0.8


def test_a_key_that_holds_a_time_finds_its_labels_those_known_at_the_replays_end_too(asked: Shop) -> None:
    context, end = asked.run(trials=1).context, _clock(asked)
    lived = _lived(asked)
    over = [at for _, at in lived if at + timedelta(days=3) <= FEED + timedelta(days=REPLAYED)]
    record = Ledger(asked.home, "shop").champion()
    assert record is not None
    measured = {name.removeprefix("2024-02-10--2024-02-15_"): value for name, value in record.metrics.items()}
    assert live_metrics(context, "1", to_us(FEED), end + 1, end).items() <= measured.items()
    assert (measured["predictions"], measured["labelled"]) == (len(lived), len(over))
    assert measured["auc"] > 0.7
    with PredictionLog(asked.home, "shop") as log:
        keys = [tuple(row.row_key) for row in log.read() if row.source == "score"]
    assert sorted(keys) == sorted((who, at.isoformat().replace("+00:00", "Z")) for who, at in lived)


def test_a_key_that_holds_a_time_is_monitored_and_counts_once_however_it_is_written(
    asked: Shop, tmp_path: Path
) -> None:
    shutil.copytree(asked.home, tmp_path / "home")
    shop = Shop(path=asked.path, home=tmp_path / "home")
    end = _clock(shop)
    who, at = min(_lived(shop), key=lambda ask: ask[1])
    before = look(shop.run(trials=1).context).decision
    service = _service(shop, end)
    elsewhere = at.astimezone(timezone(timedelta(hours=1))).isoformat()
    (answer,) = service.predictor.predict([{"customer_id": who, "asked": elsewhere}], now_us=end)
    service.log.close()
    window = current_window(shop.run(trials=1).context, "1", {}, to_us(FEED), end + 1, end)
    assert window.table.num_rows == before.rows
    place = list(window.table["_prediction"].to_pylist()).index(answer.value)
    assert window.table["_label"][place].as_py() is not None
    assert before.mature


def test_a_row_is_explained_by_a_key_that_holds_a_time(asked: Shop) -> None:
    who, at = _lived(asked)[0]
    said = headrace(
        "explain-feature", str(asked.path), MEAN, "--row", f"{who},{at.isoformat()}", "--json", home=asked.home
    )
    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert to_us(found["cutoff"]) == to_us(at)
    assert found["agrees"]


def test_a_time_of_a_key_without_its_zone_is_refused(asked: Shop) -> None:
    service = _service(asked, _clock(asked))
    with pytest.raises(DataError, match=r"asked.*has no time zone"):
        service.predictor.predict([{"customer_id": "c01", "asked": "2024-03-04T00:00:00"}], now_us=_clock(asked))
    service.log.close()


def test_answers_in_the_file_and_answers_in_the_orders_are_the_same_rows(asked: Shop, tmp_path: Path) -> None:
    other = Shop(path=write_asked(tmp_path / "problem", of_file=False), home=tmp_path / "home")
    columns = ["customer_id", "asked", "cutoff", "tick", "label", "label_known"]
    here, there = (
        pq.read_table(shop.run(trials=1).folder(SYNTHESISE) / "spine.parquet", columns=columns)
        for shop in (asked, other)
    )
    assert here.equals(there)


def test_a_request_is_predicted_from_fresh_features(asked: Shop) -> None:
    clock = _clock(asked)
    service = _service(asked, clock)
    rows = [{"customer_id": who, "asked": "2024-03-04T00:00:00Z"} for who in ("c01", "c02")]
    dear, cheap = service.predictor.predict(rows, now_us=clock)
    service.log.close()
    assert {view.status for view in (*dear.features.values(), *cheap.features.values())} == {"FRESH"}
    assert dear.value is not None
    assert cheap.value is not None
    assert dear.value > cheap.value
