"""A problem on a schedule with a horizon, all the way: trained, scored, asked between its instants, monitored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headrace.api.examples import example_row
from headrace.core.clock import DAY, HOUR, SECOND
from headrace.lake.store import Lake
from headrace.pipeline.context import Context
from headrace.pipeline.monitoring.current_window import current_window
from headrace.pipeline.production.quality import live_metrics
from headrace.prediction_log.log import PredictionLog
from headrace.registry.ledger import Ledger
from headrace.serving.service import open_service
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.spine.build import build_spine
from tests.pipeline.shop import Shop
from tests.pipeline.turned import context_of, live, look
from tests.tiny_problem import write_tiny_problem

pytestmark = pytest.mark.slow

#: Customer -> hours after midnight at which a request for them comes.
_ASKED = {"c01": 7, "c02": 5, "c03": 9, "c04": 11}


def write_scheduled(folder: Path) -> Path:
    """Who orders something dear within three days? Asked daily of who ordered within ten. Returns its problem.py."""
    path = write_tiny_problem(folder, orders=500, replayed_days=3)
    text = path.read_text().replace("each_row", "every")
    text = text.replace(
        'every("orders", cutoff="placed + 1s")', 'every("1d", "customers", active="orders", within="10d")'
    )
    text = text.replace('"refunded_amount >= 1"', """'count("orders", horizon="3d", where="amount > 20") > 0'""")
    orders = folder / "orders.csv"
    header, *lines = orders.read_text().splitlines()
    orders.write_text("\n".join([header, *map(_by_taste, lines)]) + "\n")
    path.write_text(text.replace('known_at={"refunded_amount": "settled", "settled": "settled"}', "known_at={}"))
    return path


def _by_taste(line: str) -> str:
    """Every other customer orders dear things: what they did before tells what they will do."""
    number, who, placed, amount, *rest = line.split(",")
    factor = 4 if int(who[1:]) % 2 else 0.2
    return ",".join([number, who, placed, f"{factor * float(amount):.2f}", *rest])


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A run and its replayed days; then a request between two instants, and six more days."""
    folder = tmp_path_factory.mktemp("scheduled")
    shop = Shop(path=write_scheduled(folder / "problem"), home=folder / "home")
    shop.finish()
    context = context_of(shop)
    live(context, 1)
    for customer, hours in _ASKED.items():
        _ask(context, customer, hours=hours)
    live(context, 6)
    return shop


def _ask(context: Context, customer: str, *, hours: int) -> None:
    clock = Lake(context.root, context.problem.name).clock()
    assert clock is not None
    service = open_service(context.root, context.problem, context.tracking_uri, lambda: clock)
    service.follower.refresh()
    service.predictor.predict([{"customer_id": customer}], now_us=clock + hours * HOUR)
    service.log.close()


def test_a_champion_lives_through_its_replayed_days(lived: Shop) -> None:
    record = Ledger(lived.home, "shop").champion()
    assert record is not None
    assert record.metrics["2024-02-10--2024-02-12_predictions"] > 20


def test_what_fell_due_is_predicted_once_per_entity_and_instant(lived: Shop) -> None:
    context = context_of(lived)
    clock = Lake(lived.home, "shop").clock()
    assert clock is not None
    spine = build_spine(
        context.problem,
        Lake(lived.home, "shop").snapshot(),
        start_us=clock - 6 * DAY,
        end_us=clock,
        now_us=clock,
        engine=LocalEngine(),
    )
    due = sorted(zip(spine["customer_id"].to_pylist(), spine["due"].to_pylist(), strict=True))
    with PredictionLog(lived.home, "shop") as log:
        scored = [
            tuple(row.row_key)
            for row in log.read_by_cutoff(clock - 6 * DAY, clock, version="1")
            if row.source == "score"
        ]
    assert sorted(scored) == due
    measured = live_metrics(context, "1", clock - 6 * DAY, clock, clock)
    assert measured["labelled"] == sum(spine["mature"].to_pylist()) > 0


def test_a_request_between_instants_gets_its_label(lived: Shop) -> None:
    context = context_of(lived)
    clock = Lake(lived.home, "shop").clock()
    assert clock is not None
    window = current_window(context, "1", {}, clock - 7 * DAY, clock, clock)
    orders = Lake(lived.home, "shop").snapshot().table("orders").to_pylist()
    label = window.table["_label"].to_numpy(zero_copy_only=False)
    told = {}
    for customer, hours in _ASKED.items():
        (place,) = np.flatnonzero(window.cutoffs_us % DAY == hours * HOUR)
        at = int(window.cutoffs_us[place])
        dear = [
            row["placed"].timestamp() * SECOND
            for row in orders
            if row["customer_id"] == customer and row["amount"] > 20
        ]
        assert label[place] == any(at <= placed < at + 3 * DAY for placed in dear)
        told[customer] = label[place]
    assert set(told.values()) == {0.0, 1.0}


def test_monitoring_counts_labels_of_schedule_and_requests(lived: Shop) -> None:
    decision = look(context_of(lived)).decision
    assert decision.rows is not None
    assert decision.mature is not None
    assert 0 < decision.mature < decision.rows  # the last three days are not over yet
    assert decision.censored == 0


def test_the_api_shows_somebody_who_was_active_last(lived: Shop) -> None:
    context = context_of(lived)
    clock = Lake(lived.home, "shop").clock()
    assert clock is not None
    shown = example_row(lived.home, context.problem, clock)
    assert shown is not None
    orders = Lake(lived.home, "shop").snapshot().table("orders")
    assert shown == {"customer_id": orders["customer_id"][-1].as_py()}
