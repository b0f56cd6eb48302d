"""A tiny serving problem for tests: a real online store, ledger and log, and a model in ten lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace.core.clock import DAY, MINUTE, to_us
from headrace.models.design import Encoder
from headrace.schema import EntitySet, Problem, Relationship, Table, each_row
from headrace.store.materialise import online_rows
from headrace.store.online_file.tables import Watermark
from headrace.store.published import Published, layout, view_name, write_published
from headrace.synthesis.language.definitions import Aggregate, Definition, Direct, RowColumn, Transform
from headrace.synthesis.primitives.finish import finish

NOW = to_us("2024-03-01T12:00:00Z")
TICK = 15 * MINUTE
SERVICE = "shop_1"
VIEW = view_name("shop", "customer_id")

PROBLEM = Problem(
    name="shop",
    entity_set=EntitySet(
        tables=(
            Table(name="customers", key="customer_id", source="customers.parquet"),
            Table(name="orders", key="order_id", time="placed", known_at={"refunded": "settled"}, source="orders.csv"),
        ),
        relationships=(Relationship("customers.customer_id", "orders.customer_id"),),
    ),
    spine=each_row("orders", cutoff="placed - 2h"),
    label="refunded >= 1",
    tick="15min",
)

PLACED = RowColumn(column="placed", kind="time")
DEFINITIONS: tuple[Definition, ...] = (
    Direct(entity="customer_id", table="customers", column="city", kind="categorical"),
    Aggregate(
        entity="customer_id",
        table="orders",
        keys=("customer_id",),
        column="amount",
        primitive="mean",
        lookback_us=7 * DAY,
        kind="numeric",
    ),
    RowColumn(column="amount", kind="numeric"),
    RowColumn(column="gift", kind="boolean"),
    RowColumn(column="channel", kind="categorical"),
    Transform(primitive="hour", inputs=(PLACED,), kind="numeric"),
)
MEAN = DEFINITIONS[1].slug
ROW: Mapping[str, Any] = {
    "customer_id": "c1",
    "placed": "2024-03-01T14:00:00Z",
    "amount": 20.0,
    "gift": True,
    "channel": "web",
}


@dataclass(frozen=True, kw_only=True)
class TinyModel:
    """Predicts offset + mean amount / 1,000 (a missing mean counts 0): which version answered can be read from it."""

    offset: float = 0.0
    service: str = SERVICE
    definitions: tuple[Definition, ...] = DEFINITIONS
    lead_time: Mapping[str, float] = field(default_factory=lambda: {"low_s": 7200.0, "high_s": 7200.0})
    seen: list[pa.Table] = field(default_factory=list, compare=False)
    encoder: Encoder = field(default_factory=lambda: Encoder(names=(), categories={"channel": ("web", "shop")}))

    def finish(
        self, stored: Mapping[str, Any], row: Mapping[str, Any], ticks: npt.NDArray[Any], cutoffs: npt.NDArray[Any]
    ) -> pa.Table:
        return finish(self.definitions, stored, row, ticks, cutoffs)

    def predict(self, matrix: pa.Table) -> npt.NDArray[np.float64]:
        self.seen.append(matrix)
        return self.offset + np.nan_to_num(matrix[MEAN].to_numpy()) / 1000


def write_store(root: Path, *, tick_us: int = NOW - NOW % TICK, means: Mapping[str, float] | None = None) -> None:
    """Publish the service and write the customers' rows as of a tick."""
    published = Published(
        problem="shop", reference="shop", tick_us=TICK, key_types={"customer_id": "string"}
    ).with_service(PROBLEM, SERVICE, DEFINITIONS)
    write_published(root, published)
    view = published.view(VIEW)
    means = {"c1": 30.0, "c2": 50.0} if means is None else means
    rows = pa.table(
        {
            "customer_id": list(means),
            **{slug: list(means.values()) if slug == MEAN else ["Bern"] * len(means) for slug in view.slugs},
        }
    )
    mark = Watermark(view=VIEW, tick_us=tick_us, rows=0, layout=layout(view), history="h")
    online_rows(root).replace(mark, view.join_keys, view.slugs, [rows])


def ids(prefix: str = "p") -> Iterator[str]:
    """p0, p1, ...: ids that a test can name."""
    number = 0
    while True:
        yield f"{prefix}{number}"
        number += 1
