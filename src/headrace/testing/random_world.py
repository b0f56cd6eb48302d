"""Random worlds, dense in what is hard: ties, nulls, corrections, late arrivals, moved keys, large numbers.

Drawn from a seed, so that a property that fails is shrunk at once and can be run again by its seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.core.clock import BEFORE_ALL
from headrace.testing.shop_world import World, at, queries, us

NUMBERS = (0.0, -0.0, 1.0, 2.0, 3.0, 0.1, 1e8, 1e8 + 1, 1e8 - 1, -1e6, None)
ODD = (float("nan"), float("inf"))


class Draw:
    """Choices from one seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def one(self, options: Sequence[Any]) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def hours(self) -> float:
        """On a grid of half hours, so that ties and exact edges happen."""
        return float(self.rng.integers(0, 60)) / 2

    def number(self, options: Sequence[Any] = NUMBERS) -> Any:
        return (
            self.one(options) if self.rng.random() < 0.7 else float(self.rng.normal() * 10 ** self.rng.integers(0, 9))
        )

    def arrival(self) -> int:
        return BEFORE_ALL if self.rng.random() < 0.4 else us(self.hours())

    def maybe_hours(self) -> Any:
        return None if self.rng.random() < 0.15 else at(self.hours())


def order(draw: Draw, key: int) -> dict[str, Any]:
    return {
        "order_id": key,
        "customer": draw.one(["a", "a", "b", "c", None]),
        "city": draw.one(["x", "x", "y", None]),
        "planned": at(draw.hours()),
        "paid": draw.maybe_hours(),
        "amount": draw.number(),
        "channel": draw.one(["web", "web", "app", "Übersee", None]),
        "gift": draw.one([True, False, None]),
        "items": draw.one([None, -3, 0, 1, 2]),
        "_arrival": draw.arrival(),
    }


def corrected(draw: Draw, row: dict[str, Any]) -> dict[str, Any]:
    """A later version: a column or two differ (or none), and it arrives on its own."""
    fresh = order(draw, row["order_id"])
    changed = draw.rng.permutation(["customer", "city", "planned", "paid", "amount", "channel", "gift", "items"])
    keep = changed[: int(draw.rng.integers(0, 4))]
    return {**row, **{name: fresh[name] for name in keep}, "_arrival": us(draw.hours())}


def random_world(seed: int) -> World:
    draw = Draw(seed)
    orders = [order(draw, key) for key in range(int(draw.rng.integers(0, 25)))]
    for _ in range(int(draw.rng.integers(0, 20)) if orders else 0):
        orders.append(corrected(draw, draw.one(orders)))
    customers = [
        {
            "customer": draw.one("abc"),
            "since": at(draw.hours()),
            "tier": draw.one(["gold", "tin", None]),
            "age": draw.number((*NUMBERS, *ODD)),
            "_arrival": draw.arrival(),
        }
        for _ in range(int(draw.rng.integers(0, 6)))
    ]
    visits = [
        {
            "visit_id": int(draw.rng.integers(0, 30)),
            "visitor": draw.one(["a", "b", "c", None]),
            "at": at(draw.hours()),
            "page": draw.one(["p", "q", "r", None]),
            "seconds": draw.number((*NUMBERS, *ODD)),
            "_arrival": draw.arrival(),
        }
        for _ in range(int(draw.rng.integers(0, 16)))
    ]
    return World({"orders": orders, "customers": customers, "visits": visits})


def random_queries(seed: int, most: int = 10) -> pa.Table:
    draw = Draw(seed)
    return queries(
        [
            (
                draw.one(["a", "b", "c", "never seen", None]),
                draw.one(["x", "y", "z", None]),
                draw.one(["web", "app", "none"]),
                draw.hours() + draw.one([0.0, 0.0, 0.25]),
            )
            for _ in range(int(draw.rng.integers(1, most)))
        ]
    )
