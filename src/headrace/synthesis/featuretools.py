"""featuretools' features by their names, with featuretools' values where these are deterministic.

    featuretools_matrix(problem, "customer_id", ["MEAN(orders.amount)"], keys, snapshot)

A name is parsed into our definitions, and a recipe says what makes them its value: another name, a value for groups
without rows, a unit. What featuretools' cutoff includes is a tick one microsecond later, and its order of rows of one
instant (by key) is given to the snapshot. Features that differ for good are in docs/features.md.

    feature    = PRIMITIVE(child.value[ WHERE value = text][, column])[ [part] ]  |  parent.feature  |  column
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.clock import DAY, HOUR, MINUTE, SECOND
from headrace.core.errors import DeclarationError
from headrace.schema import Problem, Relationship
from headrace.synthesis.language.columns import ORDER
from headrace.synthesis.language.definitions import (
    Aggregate,
    Condition,
    Definition,
    Direct,
    Kind,
    RowColumn,
    Transform,
    stored,
)
from headrace.synthesis.language.engine import Engine, Tables
from headrace.synthesis.language.values import Floats, instants, numbers
from headrace.synthesis.primitives import TRANSFORMS, aggregation, transform
from headrace.synthesis.primitives.finish import finish

#: (table, column) -> kind, as `columns.column_kinds` tells it.
Kinds = dict[tuple[str, str], str]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Our primitives behind one of featuretools', over the column that is its argument number `reads` (-1: the rows).

    ours: "rows" stands for the count of the rows, whatever the column.

    combine: their values [n] each -> featuretools' [n], NaN for missing; None: ours is its value. inside: below another
    feature, where nothing can be combined, the first of ours stands for it.
    """

    ours: tuple[str, ...]
    reads: int = 0
    combine: Callable[..., Floats] | None = None
    inside: bool = False


def _trend(per_day: Floats, first: Floats) -> Floats:
    """featuretools takes the unit from the alignment of the group's first instant."""
    unit = np.full(len(first), float(SECOND))
    for length in (MINUTE, HOUR, DAY):
        unit = np.where(first % length == 0, length, unit)
    return np.asarray(per_day * unit / DAY)


def _zero(value: Floats) -> Floats:
    """0 where there is nothing."""
    return np.nan_to_num(value)


def _of_some(number: Floats, count: Floats) -> Floats:
    """Missing, not 0, where there is no value."""
    return np.where(count > 0, number, np.nan)


def _share(number: Floats, rows: Floats) -> Floats:
    """A share of the rows, those without a value among them; 0 of none."""
    return np.nan_to_num(number) / np.maximum(rows, 1.0)


def _same(*names: str) -> dict[str, Recipe]:
    return {name: Recipe(ours=(name,)) for name in names}


RECIPES: dict[str, Recipe] = {
    **_same("sum", "mean", "std", "variance", "skew", "min", "max", "median", "mode", "num_true"),
    **_same("percent_true", "first", "last", "n_most_common"),
    "count_above_mean": Recipe(ours=("count_above_mean", "count"), combine=_of_some),
    "count_below_mean": Recipe(ours=("count_below_mean", "count"), combine=_of_some),
    "num_true_since_last_false": Recipe(
        ours=("num_true_since_last_false", "num_true", "count"),
        combine=lambda streak, true, count: np.where(count > true, streak, 0.0),
    ),
    "num_false_since_last_true": Recipe(
        ours=("num_false_since_last_true", "num_true"), combine=lambda streak, true: np.where(true > 0, streak, 0.0)
    ),
    "count": Recipe(ours=("count",), reads=-1),
    "num_unique": Recipe(
        ours=("num_unique", "rows"),  # of rows without a value it is 0, of no rows it is missing
        combine=lambda unique, rows: np.where(rows > 0, np.nan_to_num(unique), np.nan),
        inside=True,
    ),
    "kurtosis": Recipe(
        ours=("kurtosis", "count", "rows"),  # one null makes it 0
        combine=lambda value, count, rows: np.where(count == rows, np.nan_to_num(value), 0.0),
    ),
    "percent_unique": Recipe(ours=("num_unique", "rows"), combine=_share),
    "max_min_delta": Recipe(ours=("range",), combine=_zero),
    "max_consecutive_true": Recipe(ours=("longest_true",)),
    "max_consecutive_false": Recipe(ours=("longest_false",)),
    "avg_time_between": Recipe(ours=("mean_time_between",), reads=-1),
    "first_last_time_delta": Recipe(ours=("time_span",), reads=-1, combine=_zero),
    "n_unique_days": Recipe(ours=("num_days",), reads=-1),
    "n_unique_months": Recipe(ours=("num_months",), reads=-1),
    "time_since_first": Recipe(ours=("first_time",), reads=-1),
    "time_since_last": Recipe(ours=("last_time",), reads=-1),
    "time_since_last_true": Recipe(ours=("last_true_time",), reads=1, combine=_zero),
    "time_since_last_false": Recipe(ours=("last_false_time",), reads=1, combine=_zero),
    "time_since_last_max": Recipe(ours=("max_time",), reads=1, combine=_zero),
    "time_since_last_min": Recipe(ours=("min_time",), reads=1, combine=_zero),
    "date_first_event": Recipe(ours=("first_time",), reads=-1),
    "trend": Recipe(ours=("trend", "first_time"), combine=_trend),
}
_KINDS: dict[str, Kind] = {
    "numeric": "numeric",
    "categorical": "categorical",
    "boolean": "boolean",
    "time": "time",
    "text": "text",
}
_CALL = re.compile(r"^([A-Z0-9_]+)\((.*)\)(?:\[(\d+)\])?$", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Feature:
    """A feature of featuretools: what ours it is made from, and how."""

    name: str
    needs: tuple[Definition, ...]
    recipe: Recipe | None = None


def parse(problem: Problem, kinds: Kinds, entity: str, name: str, window_us: int | None = None) -> Feature:
    """What a feature of featuretools is made from. Raises DeclarationError for one that Headrace has not."""
    parent = problem.entity(entity).parent
    if parent is None:
        raise DeclarationError(f"{entity!r} has no table of its own, as a target of featuretools has", where=name)
    reader = _Reader(problem, kinds, window_us)
    call = _CALL.match(name)
    if call is None:
        return Feature(name=name, needs=(reader.direct(entity, parent[0], name),))
    recipe = RECIPES.get(call[1].lower())
    if recipe is None and call[1].lower() in TRANSFORMS:
        return Feature(name=name, needs=(reader.transform_of_target(entity, parent[0], call[1].lower(), call[2]),))
    if recipe is None:
        raise DeclarationError(f"no primitive of ours behind {call[1]}", where=name, found=sorted(RECIPES))
    needs: tuple[Definition, ...] = tuple(
        reader.aggregate(entity, parent[0], name, *(("count", -1) if ours == "rows" else (ours, recipe.reads)))
        for ours in recipe.ours
    )
    if call[1].startswith("TIME_SINCE"):
        needs = tuple(Transform(primitive="time_since", inputs=(item,), kind="numeric") for item in needs)
    return Feature(name=name, needs=needs, recipe=recipe)


class _Reader:
    """Reads names relative to a table."""

    def __init__(self, problem: Problem, kinds: Kinds, window_us: int | None) -> None:
        self._set = problem.entity_set
        self._kinds = kinds
        self._window_us = window_us

    def value(self, table: str, text: str) -> Definition:
        """A feature relative to a row of a table."""
        call = _CALL.match(text)
        if call is not None:
            recipe = RECIPES.get(call[1].lower())
            if recipe is None or (recipe.combine is not None and not recipe.inside):
                return self._transform(table, call[1].lower(), call[2])
            return self.aggregate(self._set.table(table).keys[0], table, text, recipe.ours[0], recipe.reads)
        for relationship in self._set.parents(table):
            if text.startswith(f"{relationship.parent_table}."):
                rest = text.removeprefix(f"{relationship.parent_table}.")
                return self.direct(relationship.child_column, relationship.parent_table, rest)
        return RowColumn(column=text, kind=self._kind(table, text))

    def direct(self, entity: str, table: str, text: str) -> Direct:
        """A feature of a parent's row, which `entity` leads to."""
        value = self.value(table, text)
        if isinstance(value, RowColumn):
            return Direct(entity=entity, table=table, column=text, kind=value.kind)
        return Direct(entity=entity, table=table, column="", kind=value.kind, value=value)

    def aggregate(self, entity: str, table: str, text: str, ours: str, reads: int) -> Aggregate:
        """`PRIMITIVE(child.value, column)[part]` over the rows below a row of `table`."""
        call = _CALL.match(text)
        assert call is not None
        inside, _, condition = call[2].partition(" WHERE ")
        first, *more = _split(inside)
        path, rest = self._down(table, first)
        child, keys = path[-1].child_table, _key_of(path)
        column = "" if reads < 0 or not rest else (rest, *more)[reads]
        value = self.value(child, column) if column else None
        if isinstance(value, RowColumn):
            column, value = value.column, None
        kind = self._kind(child, column) if column and value is None else value.kind if value else "numeric"
        primitive = aggregation(ours)
        of_numbers = primitive.result == "categorical" and kind == "numeric"
        return Aggregate(
            entity=entity,
            table=child,
            keys=keys,
            column="" if value is not None else column,
            primitive=ours,
            lookback_us=self._window_us if self._set.table(child).time else None,
            kind=kind if of_numbers else primitive.result or kind,
            part=int(call[3]) if call[3] is not None else None,
            value=value,
            where=self._condition(child, condition) if condition else self._between(path, name=text),
        )

    def _between(self, path: Sequence[Relationship], name: str) -> Condition | None:
        """featuretools' window applies to the rows that lie between, too."""
        timed = [(i, one.child_table) for i, one in enumerate(path[:-1]) if self._set.table(one.child_table).time]
        if self._window_us is None or not timed:
            return None
        if [i for i, _ in timed] != [len(path) - 2]:
            raise DeclarationError("a window over several tables with a time between", where=name)
        parent = self._set.table(timed[0][1])
        came = Direct(entity=path[-1].child_column, table=parent.name, column=str(parent.time), kind="time")
        ago = Transform(primitive="time_since", inputs=(came,), kind="numeric")
        return Condition(on=ago, operator="<=", value=self._window_us / SECOND)

    def _condition(self, table: str, text: str) -> Condition:
        on, _, value = text.partition(" = ")
        return Condition(on=self.value(table, on), operator="==", value=value)

    def transform_of_target(self, entity: str, table: str, name: str, inside: str) -> Transform:
        """A transform of the columns of the target's own row."""
        inputs = tuple(self.direct(entity, table, part) for part in _split(inside))
        return Transform(primitive=name, inputs=inputs, kind=transform(name).result)

    def _transform(self, table: str, name: str, inside: str) -> Transform:
        inputs = tuple(self.value(table, part) for part in _split(inside))
        return Transform(primitive=name, inputs=inputs, kind=transform(name).result)

    def _down(self, table: str, text: str) -> tuple[tuple[Relationship, ...], str]:
        """The path down to a table, and what is read there."""
        for path in self._paths(table):
            child = path[-1].child_table
            if text == child or text.startswith(f"{child}."):
                return path, text[len(child) + 1 :]
        raise DeclarationError(f"nothing below {table!r} is called so", where=text)

    def _paths(self, table: str) -> list[tuple[Relationship, ...]]:
        """Ways down, the shortest first."""
        found: list[tuple[Relationship, ...]] = [(one,) for one in self._set.children(table)]
        for path in found:
            found += [(*path, one) for one in self._set.children(path[-1].child_table)]
        return sorted(found, key=len)

    def _kind(self, table: str, column: str) -> Kind:
        kind = self._kinds.get((table, column), "not there")
        if kind not in _KINDS:
            raise DeclarationError(f"{column!r} cannot be a feature: it is {kind}", where=table)
        return _KINDS[kind]


def _key_of(path: Sequence[Relationship]) -> tuple[str, ...]:
    """The key of the first parent, as a row at the end of a path reaches it."""
    hops = [f".{one.parent_table}.{before.child_column}" for before, one in pairwise(path)]
    return (path[-1].child_column + "".join(reversed(hops)),)


def _split(text: str) -> list[str]:
    """Arguments: parts between commas that stand outside brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


@dataclass(frozen=True, kw_only=True)
class _InOrder:
    """A snapshot whose rows of one instant are in the order of their key, as an EntitySet sorts them."""

    problem: Problem
    snapshot: Tables

    def table(self, name: str) -> pa.Table:
        rows, table = self.snapshot.table(name), self.problem.entity_set.table(name)
        by = [*([table.time] if table.time else []), *table.keys]
        order = pc.sort_indices(rows, sort_keys=[(column, "ascending") for column in by])
        rank = np.empty(len(order), dtype=np.int64)
        rank[order.to_numpy()] = np.arange(len(order))
        return rows.set_column(rows.column_names.index(ORDER), ORDER, pa.array(rank))


def featuretools_matrix(
    problem: Problem,
    features: Sequence[Feature],
    keys: pa.Table,
    snapshot: Tables,
    engine: Engine,
    *,
    include_cutoff_time: bool = True,
) -> pa.Table:
    """featuretools' values, one column per feature by its name. keys: join key and `tick`, the cutoff in us.

    Numbers and truth values are float64, categories strings, times int64 us.
    """
    cutoffs = np.asarray(keys["tick"].to_numpy(), dtype=np.int64)
    ticks = pa.array(cutoffs + (1 if include_cutoff_time else 0))
    asked = keys.set_column(keys.column_names.index("tick"), "tick", ticks)
    needs = list(dict.fromkeys(need for feature in features for need in feature.needs))
    values = engine.compute(problem, stored(needs), asked, _InOrder(problem=problem, snapshot=snapshot))
    named = {name: values[name] for name in values.column_names}
    done: dict[Definition, Any] = {
        need: named[need.slug] if isinstance(need, Direct | Aggregate) and need.kind == "time"
        else finish([need], named, {}, cutoffs, cutoffs)[need.slug]
        for need in needs
    }  # fmt: skip
    return pa.table({feature.name: _combined(feature, [done[need] for need in feature.needs]) for feature in features})


def _combined(feature: Feature, values: list[Any]) -> Any:
    if feature.recipe is None or feature.recipe.combine is None:
        return values[0]
    inputs = [
        instants(value).astype(np.float64) if need.kind == "time" else numbers(value)
        for need, value in zip(feature.needs, values, strict=True)
    ]
    return pa.array(feature.recipe.combine(*inputs), from_pandas=True)
