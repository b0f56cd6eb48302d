"""A second, tiny problem for tests: customers and their orders, from files in a folder of their own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

DECLARATION = '''\
"""Will an order be refunded? Asked when the order is placed."""

from headrace.schema import EntitySet, Problem, Relationship, Table, each_row

customers = Table(name="customers", key="customer_id", source="customers.parquet")
orders = Table(
    name="orders",
    key="order_id",
    time="placed",
    known_at={"refunded_amount": "settled", "settled": "settled"},
    source="orders.csv",
)

problem = Problem(
    name="shop",
    entity_set=EntitySet(
        tables=(customers, orders),
        relationships=(Relationship("customers.customer_id", "orders.customer_id"),),
    ),
    spine=each_row("orders", cutoff="placed + 1s"),
    label="refunded_amount >= 1",
    lookbacks=("1d", "7d"),
    tick="15min",
    max_features=20,
    trials=4,
)
'''

START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 60


def write_tiny_problem(
    folder: Path,
    *,
    orders: int = 600,
    seed: int = 0,
    replayed_days: int = 0,
    turns: datetime | None = None,
    days: int = DAYS,
) -> Path:
    """Write customers.parquet, orders.csv and problem.py below a folder; returns the path of problem.py.

    turns: from then on everything is dearer, and just those orders are refunded that were not before.

    replayed_days: with some, a feed starts on 2024-02-10 and the main job lives through so many days of it.

    Orders spread over `days` days from 2024-01-01 and settle two days later. A refund is likelier for careless
    customers (their earlier refunds tell) and for dear orders. Same arguments, same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    n_customers = 20
    careless = rng.uniform(0, 1, n_customers)
    pq.write_table(
        pa.table(
            {
                "customer_id": [f"c{number:02d}" for number in range(n_customers)],
                "city": [str(city) for city in rng.choice(["Basel", "Bern", "Chur"], n_customers)],
                "discount": np.round(rng.uniform(0, 0.3, n_customers), 3),
            }
        ),
        folder / "customers.parquet",
    )
    seconds = np.sort(rng.choice(days * 86_400, orders, replace=False))
    who = rng.integers(0, n_customers, orders)
    amount = np.round(rng.lognormal(3, 0.6, orders), 2)
    chance = 1 / (1 + np.exp(-(6 * careless[who] - 4 + 0.8 * (np.log(amount) - 3))))
    refunded = np.where(rng.uniform(size=orders) < chance, np.maximum(amount, 1.0), 0.0)
    if turns is not None:
        after = seconds >= (turns - START).total_seconds()
        amount = np.where(after, 10 * amount, amount)
        refunded = np.where(after, np.where(refunded > 0, 0.0, amount), refunded)
    lines = ["order_id,customer_id,placed,amount,channel,settled,refunded_amount"]
    for number in range(orders):
        placed = START + timedelta(seconds=int(seconds[number]))
        settled = placed + timedelta(days=2)
        channel = ("web", "shop", "phone")[int(rng.integers(3))]
        lines.append(
            f"{number},c{who[number]:02d},{placed:%Y-%m-%dT%H:%M:%SZ},{amount[number]:.2f},{channel},"
            f"{settled:%Y-%m-%dT%H:%M:%SZ},{refunded[number]:.2f}"
        )
    (folder / "orders.csv").write_text("\n".join(lines) + "\n")
    path = folder / "problem.py"
    path.write_text(replayed(replayed_days) if replayed_days else DECLARATION)
    return path


def replayed(days: int) -> str:
    """The declaration with a feed."""
    feed = f'    feed=Replay(start="2024-02-10", step="1d", steps={days}),\n'
    text = DECLARATION.replace("Relationship, Table", "Relationship, Replay, Table")
    return text.replace("    lookbacks=", feed + "    lookbacks=")
