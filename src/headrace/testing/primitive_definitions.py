"""Definitions over the shop of `shop_world` that use one primitive in every way that it can be used."""

from __future__ import annotations

from itertools import product
from typing import Literal

from headrace.core.clock import HOUR
from headrace.synthesis.language.definitions import Aggregate, Kind, RowColumn, Stored, Transform
from headrace.synthesis.primitives import Aggregation, TransformPrimitive

COLUMNS: dict[Kind, str] = {"numeric": "amount", "categorical": "channel", "boolean": "gift", "time": "paid"}


def aggregates(primitive: Aggregation) -> list[Stored]:
    """Over a column of each kind that it fits, in an hour or two, ever, and (numbers) by event time; every output."""
    columns = [(COLUMNS[kind], kind) for kind in primitive.inputs] + ([("", "numeric")] if primitive.rows else [])
    parts = range(primitive.outputs) if primitive.outputs > 1 else [None]
    lookbacks: tuple[tuple[int | None, Literal["known", "event"]], ...] = (
        (None, "known"),
        (5 * HOUR, "known"),
        (5 * HOUR, "event"),
    )
    return [
        Aggregate(
            entity="customer",
            table="orders",
            keys=("customer",),
            column=column,
            primitive=primitive.name,
            lookback_us=lookback_us,
            kind=primitive.result or kind,
            on=on,
            part=part,
        )
        for (column, kind), part in product(columns, parts)
        for lookback_us, on in lookbacks
        if on == "known" or column in ("amount", "channel")
    ]


OTHER: dict[Kind, str] = {**COLUMNS, "numeric": "items", "categorical": "city", "time": "planned"}


def transforms(primitive: TransformPrimitive) -> list[Stored]:
    """The last value of a transform of the aggregated row's own columns, for each way to make it."""
    both = (COLUMNS | {"text": "city"}, OTHER)
    definitions: list[Stored] = []
    for kinds in primitive.inputs:
        inputs = tuple(RowColumn(column=both[index % 2][kind], kind=kind) for index, kind in enumerate(kinds))
        value = Transform(primitive=primitive.name, inputs=inputs, kind=primitive.result)
        definitions.append(
            Aggregate(
                entity="customer",
                table="orders",
                keys=("customer",),
                column="",
                primitive="last",
                lookback_us=None,
                kind=primitive.result,
                value=value,
            )
        )
    return definitions
