"""Parse the names of featuretools' features into definitions.

feature    = PRIMITIVE(child.value[ WHERE value = text][, column])[ [part] ]  |  parent.feature  |  column
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from headrace.core.clock import SECOND
from headrace.core.errors import DeclarationError
from headrace.schema import Problem, Relationship
from headrace.synthesis.featuretools.recipes import RECIPES, Recipe
from headrace.synthesis.language.definitions import Aggregate, Condition, Definition, Direct, Kind, RowColumn, Transform
from headrace.synthesis.primitives import TRANSFORMS, aggregation, transform

#: (table, column) -> kind.
Kinds = dict[tuple[str, str], str]

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
    """A feature of featuretools: the definitions of ours that it is computed from, and the recipe."""

    name: str
    needs: tuple[Definition, ...]
    recipe: Recipe | None = None


def parse(problem: Problem, kinds: Kinds, entity: str, name: str, window_us: int | None = None) -> Feature:
    """Parse the name of a feature of featuretools.

    Args:
        problem: declares the tables.
        kinds: (table, column) -> kind, as `columns.column_kinds` computes them.
        entity: the target.
        name: as featuretools writes it.
        window_us: featuretools' training window; None: all history.

    Raises:
        DeclarationError: Headrace cannot compute it.
    """
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
