"""Customers, their sessions, the transactions of a session: the world of the case that goes down two levels."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

YEAR = 365 * 86_400_000_000
HOUR = 3_600_000_000
TIME = pa.timestamp("us", tz="UTC")
START = 1_577_836_800_000_000  # 2020-01-01
#: Parent, child, the column of both.
RELATIONSHIPS = (("customers", "sessions", "customer_id"), ("sessions", "transactions", "session_id"))
TIMES = {"customers": "join_date", "sessions": "session_start", "transactions": "transaction_time"}
KEYS = {"customers": "customer_id", "sessions": "session_id", "transactions": "transaction_id"}
CATEGORIES = {"customers": ("zip_code", "segment", "region"), "sessions": ("device",), "transactions": ("product_id",)}


def _some(rng: np.random.Generator, kinds: int, n: int) -> pa.Array:
    return pa.array([f"c{i:03}" for i in range(kinds)]).take(pa.array(rng.integers(0, kinds, n)))


def depth_world(transactions: int, cutoffs: int, seed: int = 0) -> dict[str, pa.Table]:
    """A year in which a session has ten transactions and a customer ten sessions; cutoffs fall on customers.

    asked: row, customer_id, cutoff.
    """
    rng = np.random.default_rng(seed)
    sessions, customers = max(transactions // 10, 1), max(transactions // 100, 1)
    began = START + np.sort(rng.integers(0, YEAR - HOUR, sessions))
    of_session = rng.integers(0, sessions, transactions)
    at = began[of_session] + rng.integers(0, HOUR, transactions)
    # every cutoff is another instant: featuretools works through them one by one
    cutoff = START + np.arange(cutoffs) * (YEAR // cutoffs) + rng.integers(0, YEAR // cutoffs, cutoffs)
    return {
        "customers": pa.table(
            {
                "customer_id": np.arange(customers),
                "join_date": pa.array(START - rng.integers(0, YEAR, customers)).cast(TIME),
                "zip_code": _some(rng, 50, customers),
                "segment": _some(rng, 4, customers),
                "region": _some(rng, 10, customers),
            }
        ),
        "sessions": pa.table(
            {
                "session_id": np.arange(sessions),
                "customer_id": rng.integers(0, customers, sessions),
                "device": _some(rng, 3, sessions),
                "session_start": pa.array(began).cast(TIME),
            }
        ),
        "transactions": pa.table(
            {
                "transaction_id": np.arange(transactions),
                "session_id": of_session,
                "product_id": _some(rng, 20, transactions),
                "transaction_time": pa.array(at).cast(TIME),
                "amount": np.round(rng.gamma(2.0, 30.0, transactions), 2),
            }
        ).sort_by("transaction_time"),
        "asked": pa.table(
            {"row": np.arange(cutoffs), "customer_id": rng.integers(0, customers, cutoffs), "cutoff": cutoff}
        ),
    }


def _features() -> tuple[str, ...]:
    """What featuretools' default primitives make of customers two levels down, by its names."""
    numbers = tuple(f"{name}(transactions.amount)" for name in ("SUM", "STD", "MAX", "SKEW", "MIN", "MEAN"))
    found = ["zip_code", "segment", "region", "COUNT(sessions)", "COUNT(transactions)", *numbers]
    parts = [f"{part}(session_start)" for part in ("DAY", "MONTH", "WEEKDAY", "YEAR")]
    for inside in ("sessions.device", "transactions.product_id", "sessions.MODE(transactions.product_id)",
                   *(f"sessions.{part}" for part in parts)):  # fmt: skip
        found += [f"MODE({inside})", f"NUM_UNIQUE({inside})"]
    found += [part.replace("session_start", "join_date") for part in parts]
    below = ("COUNT(transactions)", "NUM_UNIQUE(transactions.product_id)", *numbers)
    for name in ("SUM", "STD", "MAX", "SKEW", "MIN", "MEAN"):
        same = {"MEAN": (), "SUM": ("SUM", "COUNT")}.get(name, (name,))
        found += [f"{name}(sessions.{item})" for item in below if item.split("(")[0] not in same]
    return tuple(found)


FEATURES = _features()
