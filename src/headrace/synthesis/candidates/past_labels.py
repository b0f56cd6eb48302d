"""Candidates from past labels on a schedule: earlier labels one by one, streaks, and labels of an entity's group.

Shares (or means) over every lookback, the last label and its age are flat candidates of the derived table, as of any
other (`enumerate`). Here: the second and third last label and their ages, the time since the last true one, the streak
that the last ends, and the share among entities that have the same value in a column of their own row:

    customer.customers.tier.PERCENT_TRUE(label_history.label, 30d by customer.customers.tier)
"""

from __future__ import annotations

from collections.abc import Iterator

from headrace.schema import Entity, Problem
from headrace.schema.label_history import LABEL_HISTORY, PAST_LABEL
from headrace.synthesis.candidates.spans import every_span
from headrace.synthesis.language.columns import Kinds, aggregated_tables
from headrace.synthesis.language.definitions import Aggregate, Definition, Direct, Kind, Transform
from headrace.synthesis.primitives import aggregation

#: Beyond what every table's columns get, over all history.
_LAGS: dict[str, tuple[str, ...]] = {
    "numeric": ("last_2", "last_3", "mean_of_last_3", "mean_of_last_10", "last_2_time"),
    "boolean": (
        "last_2",
        "last_3",
        "mean_of_last_3",
        "mean_of_last_10",
        "last_2_time",
        "last_true_time",
        "num_true_since_last_false",
        "num_false_since_last_true",
    ),
}


def past_label_definitions(problem: Problem, kinds: Kinds) -> Iterator[Definition]:
    """Features of past labels; none where the problem has no label history."""
    for entity in problem.all_entities:
        for table, keys in aggregated_tables(problem, entity):
            if table.name == LABEL_HISTORY:
                yield from _lags(entity, keys, kinds)
                yield from _of_groups(problem, entity, keys, kinds)


def _lags(entity: Entity, keys: tuple[str, ...], kinds: Kinds) -> Iterator[Definition]:
    kind = kinds[LABEL_HISTORY, PAST_LABEL]
    for primitive in _LAGS[kind]:
        lag = _past_label(entity.name, keys, primitive, kind, None)
        yield lag if lag.kind != "time" else Transform(primitive="time_since", inputs=(lag,), kind="numeric")


def _of_groups(problem: Problem, entity: Entity, keys: tuple[str, ...], kinds: Kinds) -> Iterator[Direct]:
    """The share of true labels (or their mean) among the entities with the same value in a column, per lookback."""
    if entity.parent is None:
        return
    table, kind = entity.parent[0], kinds[LABEL_HISTORY, PAST_LABEL]
    primitive = "percent_true" if kind == "boolean" else "mean"
    for column in [name for (where, name), of in kinds.items() if where == table and of == "categorical"]:
        path = f"{keys[0]}.{table}.{column}"
        for lookback_us in every_span(problem, problem.entity_set.table(LABEL_HISTORY)):
            value = _past_label(column, (path,), primitive, kind, lookback_us)
            yield Direct(entity=entity.name, table=table, column="", kind="numeric", value=value)


def _past_label(entity: str, keys: tuple[str, ...], primitive: str, kind: str, lookback_us: int | None) -> Aggregate:
    own: Kind = "boolean" if kind == "boolean" else "numeric"
    return Aggregate(
        entity=entity,
        table=LABEL_HISTORY,
        keys=keys,
        column=PAST_LABEL,
        primitive=primitive,
        lookback_us=lookback_us,
        kind=aggregation(primitive).result or own,
    )
