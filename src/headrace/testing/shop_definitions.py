"""A few aggregations of each sort over every fitting column of the shop, and its direct features.

All primitives are held against their plain twins without the engine around them (test_primitives_aggregations).
"""

from __future__ import annotations

from typing import Any

from headrace.synthesis.language.definitions import Aggregate, Direct, Stored
from headrace.synthesis.primitives import AGGREGATIONS
from headrace.testing.shop_world import problem

SOME = ("sum", "mean", "std", "skew", "min", "max", "count", "percent_true", "num_unique", "mode", "last", "last_time")
LOOKBACKS = (None, *problem.lookbacks_us)
COLUMNS = (
    ("amount", "numeric"),
    ("items", "numeric"),
    ("channel", "categorical"),
    ("gift", "boolean"),
    ("label", "boolean"),
)


def one(
    entity: str,
    table: str,
    keys: Any,
    column: str,
    name: str,
    span: int | None,
    kind: Any = "numeric",
    on: Any = "known",
) -> Aggregate:
    return Aggregate(
        entity=entity,
        table=table,
        keys=keys,
        column=column,
        primitive=name,
        lookback_us=span,
        kind=AGGREGATIONS[name].result or kind,
        on=on,
    )


def over_orders(entity: str, keys: tuple[str, ...]) -> list[Stored]:
    definitions: list[Stored] = []
    for column, kind in COLUMNS:
        for primitive in map(AGGREGATIONS.__getitem__, SOME):
            if kind in primitive.inputs:
                definitions += [one(entity, "orders", keys, column, primitive.name, span, kind) for span in LOOKBACKS]
                definitions.append(one(entity, "orders", keys, column, primitive.name, LOOKBACKS[2], kind, "event"))
    definitions += [
        one(entity, "orders", keys, "", name, span) for name in ("count", "last_time") for span in LOOKBACKS
    ]
    return definitions


EVERYTHING: list[Stored] = [
    *over_orders("customer", ("customer",)),
    *over_orders("place", ("city", "channel")),
    *(
        one("customer", "visits", ("visitor",), "seconds", name, span)
        for name in ("mean", "skew", "max", "last")
        for span in LOOKBACKS
    ),
    *(
        one("customer", "visits", ("visitor",), "page", name, span, "categorical")
        for name in ("mode", "num_unique")
        for span in LOOKBACKS
    ),
    Direct(entity="customer", table="customers", column="tier", kind="categorical"),
    Direct(entity="customer", table="customers", column="age", kind="numeric"),
]
