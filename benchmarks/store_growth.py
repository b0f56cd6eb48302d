"""What a daily refresh of the online store costs after 1 to 12 months of daily batches; with a picture of it."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.results import Row
from headrace.core.clock import DAY, HOUR, to_us
from headrace.lake.store import Lake
from headrace.schema import Entity, EntitySet, Problem, Table, each_row
from headrace.store.history import entity_rows
from headrace.store.online_file.rows import RowStore
from headrace.store.online_file.tables import Watermark
from headrace.store.published import Published, layout
from headrace.synthesis.language.definitions import Aggregate

START, CUSTOMERS = to_us("2024-01-01"), 500
PICTURE = Path("docs/images/store-growth.svg")
PROBLEM = Problem(
    name="growing",
    entity_set=EntitySet(tables=(Table(name="orders", key="order", time="placed", source="-"),)),
    spine=each_row("orders", cutoff="placed"),
    label=None,
    tick="1h",
    entities=(Entity(name="customer", join_keys=("customer",)),),
)
DEFINITIONS = tuple(
    Aggregate(
        entity="customer", table="orders", keys=("customer",), column=value, primitive=name, lookback_us=days * DAY,
        kind="numeric",
    )
    for name in ("mean", "sum", "std", "max", "last")
    for value in ("amount", "items")
    for days in (7, 30)
)  # fmt: skip


def _batch(day: int, rows: int, rng: np.random.Generator) -> pa.Table:
    placed = np.sort(rng.integers(START + day * DAY, START + (day + 1) * DAY, rows))
    return pa.table(
        {
            "order": np.arange(day * rows, (day + 1) * rows),
            "customer": rng.integers(0, CUSTOMERS, rows),
            "placed": pa.array(placed, pa.timestamp("us", tz="UTC")),
            "amount": rng.normal(size=rows),
            "items": rng.integers(1, 9, rows).astype(np.float64),
        }
    )


def growth(folder: Path, *, quick: bool, command: str) -> list[Row]:
    """Rows of results, and the picture: processor seconds of a refresh by the number of months."""
    rows, rng = (150 if quick else 1_000), np.random.default_rng(0)
    lake, store = Lake(folder / "home", "growing"), RowStore(folder / "growing.db")
    base = Published(problem="growing", reference="-", tick_us=HOUR, key_types={"customer": "int64"})
    published = base.with_service(PROBLEM, "all", DEFINITIONS)
    (view,) = published.views
    opening: list[float] = []
    refreshing: list[float] = []
    day = 0
    for _ in range(12):
        for _ in range(30):
            arrival = START + (day + 1) * DAY
            lake.append(PROBLEM.spine_table, _batch(day, rows, rng), arrival_us=arrival, bootstrap=day == 0)
            day += 1
        opened, refreshed = [], []
        for repeat in range(3):
            tick_us = START + day * DAY + (repeat + 1) * HOUR
            started = time.process_time()
            snapshot = Lake(folder / "home", "growing").snapshot()
            snapshot.table("orders")
            between = time.process_time()
            mark = Watermark(view=view.name, tick_us=tick_us, rows=0, layout=layout(view), history=snapshot.fingerprint)
            batches = entity_rows(published, PROBLEM, view, view.slugs, snapshot, tick_us)
            store.replace(mark, list(view.join_keys), list(view.slugs), batches)
            opened.append(between - started)
            refreshed.append(time.process_time() - between)
        opening.append(float(np.median(opened)))
        refreshing.append(float(np.median(refreshed)))
    _draw(opening, refreshing)
    return [
        Row(metric="growth: refresh after 12 months / after 1", value=refreshing[-1] / refreshing[0], unit="times",
            command=command),
        Row(metric="growth: refresh after 12 months", value=refreshing[-1], unit="s", peer="after 1 month",
            peer_value=refreshing[0], command=command),
        Row(metric="growth: opening the lake after 12 months", value=opening[-1], unit="s", peer="after 1 month",
            peer_value=opening[0], command=command),
    ]  # fmt: skip


def _draw(opening: list[float], refreshing: list[float]) -> None:
    import matplotlib.pyplot as plt
    from matplotlib import rcParams

    rcParams["svg.hashsalt"] = "headrace"
    figure, axes = plt.subplots(figsize=(6, 3))
    months = range(1, len(refreshing) + 1)
    axes.plot(months, refreshing, marker="o", label="compute and write a view")
    axes.plot(months, opening, marker="s", label="open the lake")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("months of daily batches")
    axes.set_ylabel("processor seconds")
    axes.legend()
    figure.tight_layout()
    figure.savefig(PICTURE, metadata={"Date": None})
    plt.close(figure)
