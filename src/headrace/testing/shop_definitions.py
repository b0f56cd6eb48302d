"""A few aggregations of each sort over every fitting column of the shop, and its direct features.

All primitives are held against their plain twins without the engine around them (test_primitives_aggregations).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from headrace.schema import every
from headrace.schema.label_history import LABEL_HISTORY, PAST_LABEL
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

#: What the city of a customer's last order, and the channel of it, did.
THROUGH: list[Stored] = [
    replace(
        one("customer", "orders", ("customer",), "", "last", span),
        value=one(column, "orders", (column,), "amount", name, inner),
        kind="numeric",
    )
    for column, span in (("city", None), ("city", LOOKBACKS[2]), ("channel", None))
    for name, inner in (("mean", LOOKBACKS[2]), ("count", None), ("last", None))
]

#: Customers who visited are predicted every three hours, so they have past labels.
scheduled = replace(
    problem,
    spine=every("3h", "customers", active="visits", within="5h"),
    label='count("visits", horizon="4h") > 0',
    entities=(),
)
PAST_LABELS: list[Stored] = [
    *(one("customer", LABEL_HISTORY, ("customer",), PAST_LABEL, name, span, "boolean")
      for name in ("last", "last_2", "percent_true", "count") for span in (None, LOOKBACKS[2])),
    one("customer", LABEL_HISTORY, ("customer",), PAST_LABEL, "last_time", None),
]  # fmt: skip
