"""Candidates that a problem requests by name: further primitives, and seed features.

A requested aggregation is a candidate over every column of a fitting kind, of every table that an entity aggregates; a
transform over every row column and parent's column, or over pairs of them from one side; a running primitive over the
groups that `groupby` names. What changes with time alone is stored as its anchor and finished at read
(`Aggregation.finish`).

A *seed* is a transform of a table's own columns, written `orders.RATIO(paid, amount)`. It is used like a column: of the
row itself where all that it reads is known at the cutoff, of a parent's row, and of aggregated rows.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product

from headrace.core.errors import DeclarationError
from headrace.schema import Entity, Problem, Table
from headrace.synthesis.candidates.spans import middle_and_longest_span
from headrace.synthesis.candidates.transforms import places
from headrace.synthesis.language.columns import (
    FEATURE_KINDS,
    Kinds,
    aggregated_columns,
    aggregated_tables,
    clock_of,
    known_at_cutoff,
)
from headrace.synthesis.language.definitions import Aggregate, Definition, Direct, Kind, RowColumn, Transform, leaves
from headrace.synthesis.primitives import AGGREGATIONS, TRANSFORMS, Aggregation, TransformPrimitive, transform
from headrace.synthesis.primitives.catalogue import CATALOGUE
from headrace.synthesis.primitives.running import RUNNING
from headrace.synthesis.transforms.hashed_words import expanded

#: Kinds that a transform can read, of a row.
_READABLE: dict[str, Kind] = {**FEATURE_KINDS, "time": "time", "text": "text"}
#: Aggregations of a seed's values, beside the requested ones.
_OF_SEEDS: dict[Kind, tuple[str, ...]] = {
    "numeric": ("mean", "std", "max", "min", "sum", "last"),
    "boolean": ("percent_true", "last"),
    "categorical": ("num_unique", "mode", "last"),
}


@dataclass(frozen=True, kw_only=True)
class _Aggregated:
    """What is aggregated of a row: a column, a definition relative to it, or (column "", no value) the row itself."""

    column: str
    kind: Kind
    used: tuple[str, ...]
    value: Definition | None = None


def check_primitives(problem: Problem) -> None:
    """Raise DeclarationError where the problem requests an unknown primitive."""
    for name in expanded(problem.primitives):
        known = CATALOGUE.resolve(name) or name in AGGREGATIONS or name in TRANSFORMS or name in RUNNING
        if not known:
            raise DeclarationError(
                f"primitives: no primitive {name!r}",
                where=problem.name,
                found=(*AGGREGATIONS, *TRANSFORMS, *RUNNING),
                fix="docs/features.md lists them",
            )


def requested_aggregations(problem: Problem) -> tuple[Aggregation, ...]:
    """The aggregations that a problem requests."""
    return tuple(AGGREGATIONS[name] for name in problem.primitives if name in AGGREGATIONS)


def requested_running(problem: Problem) -> tuple[str, ...]:
    """The running primitives that a problem requests."""
    return tuple(name for name in problem.primitives if name in RUNNING)


def requested_definitions(problem: Problem, kinds: Kinds) -> Iterator[Definition]:
    """All of them: transforms, aggregates, then seeds."""
    yield from _transforms(problem, kinds)
    for entity in problem.all_entities:
        for table, keys in aggregated_tables(problem, entity):
            yield from _over_table(problem, kinds, entity, table, keys)
    for name, seed in seeds(problem, kinds):
        yield from _of_seed(problem, name, seed)


def seeds(problem: Problem, kinds: Kinds) -> tuple[tuple[str, Transform], ...]:
    """(table, transform of its columns) of every seed feature. DeclarationError where one cannot be read."""
    return tuple(_seed(problem, kinds, text) for text in problem.seed_features)


def _seed(problem: Problem, kinds: Kinds, text: str) -> tuple[str, Transform]:
    try:
        call = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        call = ast.Constant(value=None)
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
        raise _unreadable(problem, text)
    where = call.func.value
    if not isinstance(where, ast.Name):
        raise _unreadable(problem, text)
    problem.entity_set.table(where.id)
    readable = [column for (table, column), kind in kinds.items() if table == where.id and kind in _READABLE]

    def read(node: ast.expr) -> Definition:
        if isinstance(node, ast.Name):
            kind = kinds.get((where.id, node.id))
            if kind not in _READABLE:
                raise DeclarationError(
                    f"seed_features: no column {node.id!r} to read" + (f": it is {kind}" if kind else ""),
                    where=f"{problem.name}: {text}",
                    found=readable,
                )
            return RowColumn(column=node.id, kind=_READABLE[kind])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            return _transform(problem, text, node.func.id, tuple(map(read, node.args)))
        raise _unreadable(problem, text)

    return where.id, _transform(problem, text, call.func.attr, tuple(map(read, call.args)))


def _transform(problem: Problem, text: str, name: str, inputs: tuple[Definition, ...]) -> Transform:
    primitive = transform(name.lower())
    kinds = tuple(item.kind for item in inputs)
    if kinds not in primitive.inputs:
        raise DeclarationError(
            f"seed_features: {name} cannot be made from ({', '.join(kinds)})",
            where=f"{problem.name}: {text}",
            found=[f"({', '.join(fitting)})" for fitting in primitive.inputs],
        )
    return Transform(primitive=primitive.name, inputs=inputs, kind=primitive.result)


def _unreadable(problem: Problem, text: str) -> DeclarationError:
    return DeclarationError(
        f"seed_features: {text!r} is not table.PRIMITIVE(column, ...)",
        where=problem.name,
        fix="write a transform of columns of one table, as in 'orders.RATIO(paid, amount)'",
    )


def _over_table(
    problem: Problem, kinds: Kinds, entity: Entity, table: Table, keys: tuple[str, ...]
) -> Iterator[Definition]:
    """The requested aggregations over all columns of a table; those of rows once per clock."""
    columns = [("", ""), *aggregated_columns(problem, table, keys, kinds)]
    columns += [(name, "time") for (where, name), kind in kinds.items() if where == table.name and kind == "time"]
    clocks: set[tuple[str, ...]] = set()
    for column, kind in columns:
        used = (*keys, *((column,) if column else ()))
        clock = clock_of(problem, table, used)
        first = clock not in clocks
        clocks.add(clock)
        item = _Aggregated(column=column, kind=FEATURE_KINDS.get(kind, "time"), used=used)
        for primitive in requested_aggregations(problem):
            if (first and (kind in primitive.inputs or not column)) if primitive.rows else kind in primitive.inputs:
                yield from _aggregates(problem, entity.name, table, keys, item, primitive)


def _of_seed(problem: Problem, name: str, seed: Transform) -> Iterator[Definition]:
    columns = tuple(leaf.column for leaf in leaves(seed) if isinstance(leaf, RowColumn))
    constant = not _depends_on_tick(seed)
    if name == problem.spine.table and all(known_at_cutoff(problem, column) for column in columns):
        yield seed
    for entity in problem.all_entities:
        if entity.parent is not None and entity.parent[0] == name and constant:
            yield Direct(entity=entity.name, table=name, column="", kind=seed.kind, value=seed)
        for table, keys in aggregated_tables(problem, entity):
            if table.name == name and constant:
                aggregated = _Aggregated(column="", kind=seed.kind, used=(*keys, *columns), value=seed)
                requested = [
                    primitive for primitive in requested_aggregations(problem) if seed.kind in primitive.inputs
                ]
                for primitive in dict.fromkeys(
                    (*map(AGGREGATIONS.__getitem__, _OF_SEEDS.get(seed.kind, ())), *requested)
                ):
                    yield from _aggregates(problem, entity.name, table, keys, aggregated, primitive)


def _depends_on_tick(definition: Definition) -> bool:
    """Whether a transform changes with time alone: aggregated, it would change between two refreshes of a store."""
    return isinstance(definition, Transform) and (
        transform(definition.primitive).uses_tick or any(map(_depends_on_tick, definition.inputs))
    )


def _aggregates(
    problem: Problem, entity: str, table: Table, keys: tuple[str, ...], item: _Aggregated, primitive: Aggregation
) -> Iterator[Definition]:
    """One aggregation over the middle and the longest lookback: each output, or the transform that finishes it."""

    def aggregate(name: str, lookback_us: int | None, part: int | None) -> Aggregate:
        return Aggregate(
            entity=entity,
            table=table.name,
            keys=keys,
            column=item.column,
            primitive=name,
            lookback_us=lookback_us,
            kind=AGGREGATIONS[name].result or item.kind,
            part=part,
            value=item.value,
        )

    for lookback_us in middle_and_longest_span(problem, table):
        for part in range(primitive.outputs) if primitive.outputs > 1 else (None,):
            output = aggregate(primitive.name, lookback_us, part)
            if primitive.finish is not None:
                # Decayed values are as of the last row: they need its instant too.
                last = (aggregate("last_time", lookback_us, None),) if output.kind != "time" else ()
                yield Transform(primitive=primitive.finish, inputs=(output, *last), kind="numeric")
            elif output.kind == "time":
                yield Transform(primitive="time_since", inputs=(output,), kind="numeric")
            else:
                yield output


def _transforms(problem: Problem, kinds: Kinds) -> Iterator[Transform]:
    """The requested transforms, over the columns of the row and of each parent's row."""
    requested = tuple(TRANSFORMS[name] for name in expanded(problem.primitives) if name in TRANSFORMS)
    if not requested:
        return
    sides: list[Sequence[Definition]] = [
        [
            RowColumn(column=column, kind=_READABLE[kind])
            for (table, column), kind in kinds.items()
            if table == problem.spine.table and kind in _READABLE and known_at_cutoff(problem, column)
        ]
    ]
    parents: dict[str, list[list[Direct]]] = {}
    for entity in problem.all_entities:
        if entity.parent is not None:
            name, key = entity.parent
            columns = [
                Direct(entity=entity.name, table=name, column=column, kind=_READABLE[kind])
                for (table, column), kind in kinds.items()
                if table == name and kind in _READABLE and column != key
            ]
            sides.append(columns)
            parents.setdefault(name, []).append(columns)
    for primitive in requested:
        for side in sides:
            yield from _of_side(primitive, side)
        yield from _between(primitive, list(parents.values()))


def _of_side(primitive: TransformPrimitive, side: Sequence[Definition]) -> Iterator[Transform]:
    """One transform over the values of one row: each of them, or each pair."""
    for kinds in primitive.inputs:
        if len(kinds) == 1:
            for item in side:
                if item.kind == kinds[0]:
                    yield Transform(primitive=primitive.name, inputs=(item,), kind=primitive.result)
        elif len(kinds) == 2:
            left, right = ([item for item in side if item.kind == kind] for kind in kinds)
            pairs = combinations(left, 2) if kinds[0] == kinds[1] else product(left, right)
            for one, other in pairs:
                yield Transform(primitive=primitive.name, inputs=(one, other), kind=primitive.result)


def _between(primitive: TransformPrimitive, parents: Sequence[Sequence[Sequence[Direct]]]) -> Iterator[Transform]:
    """One transform over rows of one table that two join keys point to: of the same column, or of their places."""
    for sides in parents:
        for here, there in combinations(sides, 2):
            if any(len(kinds) == 4 for kinds in primitive.inputs):
                both = places(here, there)
                if both:
                    yield Transform(primitive=primitive.name, inputs=both, kind=primitive.result)
            for one, other in zip(here, there, strict=True):
                if (one.kind, other.kind) in primitive.inputs:
                    yield Transform(primitive=primitive.name, inputs=(one, other), kind=primitive.result)
