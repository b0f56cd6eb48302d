"""Whether definitions can be computed at all: one clear error before anything is, not a wrong number after it."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from headrace.core.errors import DeclarationError
from headrace.schema import Problem, Table
from headrace.synthesis.language.columns import derived_kinds, is_text, label_column
from headrace.synthesis.language.definitions import Aggregate, Definition, Direct, Grouped, RowColumn, Transform
from headrace.synthesis.language.engine import Tables
from headrace.synthesis.language.inputs import hops, join_columns
from headrace.synthesis.language.parquet_tables import schema_of
from headrace.synthesis.primitives import aggregation, transform
from headrace.synthesis.primitives.running import running


def check_definitions(problem: Problem, definitions: Iterable[Definition], tables: Tables) -> None:
    """DeclarationError for a primitive of a wrong type or number, an unknown name, or a lookback without time."""
    checker = _Checker(problem, tables)
    for definition in definitions:
        if isinstance(definition, Direct | Aggregate):
            problem.entity(definition.entity)
            checker.stored(definition, definition.name)


class _Checker:
    """Looks at each part once; `where` is the whole feature's name."""

    def __init__(self, problem: Problem, tables: Tables) -> None:
        self._problem, self._tables = problem, tables
        self._schemas: dict[str, pa.Schema] = {}
        self._seen: set[Definition] = set()

    def stored(self, item: Direct | Aggregate, where: str) -> None:
        """A parent's column, or an aggregate."""
        if item in self._seen:
            return
        self._seen.add(item)
        table = self._problem.entity_set.table(item.table)
        if isinstance(item, Aggregate):
            for key in item.keys:
                self._column(table, hops(key)[0], where)
            self._aggregate(table, item, where)
        elif item.value is not None:
            self._kind(table, item.value, where)
        else:
            self._column(table, item.column, where)

    def _aggregate(self, table: Table, item: Aggregate, where: str) -> None:
        primitive = aggregation(item.primitive)
        if table.row_known is None and (item.lookback_us is not None or item.on == "event"):
            raise DeclarationError(
                "a lookback on a table without time",
                where=where,
                found=[table.name],
                fix="declare its time, or drop it",
            )
        if not 0 <= (item.part or 0) < primitive.outputs:
            raise DeclarationError(f"{primitive.name} has {primitive.outputs} outputs", where=where, found=[item.part])
        if item.where is not None:
            self._kind(table, item.where.on, where)
        if item.value is None and not item.column:
            if not primitive.rows:
                raise DeclarationError(f"{primitive.name} needs a column", where=where, found=primitive.inputs)
            return
        kind = self._column(table, item.column, where) if item.value is None else self._kind(table, item.value, where)
        if kind not in (*primitive.inputs, "null") and not (kind == "numeric" and "categorical" in primitive.inputs):
            raise DeclarationError(  # numbers are categories too
                f"{primitive.name} cannot aggregate what is {kind}", where=where, found=primitive.inputs,
                fix="name another primitive or column, or give the column a role",
            )  # fmt: skip

    def _kind(self, table: Table, item: Definition, where: str) -> str:
        """The kind of a definition relative to a row of a table."""
        if isinstance(item, RowColumn):
            self._column(table, item.column, where)
            return item.kind
        if isinstance(item, Transform):
            kinds = tuple(self._kind(table, inner, where) for inner in item.inputs)
            if kinds not in transform(item.primitive).inputs:
                fitting = [f"({', '.join(each)})" for each in transform(item.primitive).inputs]
                raise DeclarationError(
                    f"{item.primitive} cannot be made from ({', '.join(kinds)})", where=where, found=fitting
                )
            return item.kind
        if isinstance(item, Grouped):
            kind = self._kind(table, item.value, where)
            if kind not in running(item.primitive).inputs:
                raise DeclarationError(
                    f"{item.primitive} cannot be made from what is {kind}", where=where,
                    found=running(item.primitive).inputs,
                )  # fmt: skip
            return item.kind
        for column in join_columns(item.entity):
            self._column(table, column, where)
        self.stored(item, where)
        return item.kind

    def _column(self, table: Table, column: str, where: str) -> str:
        """The kind of a column that is there."""
        if table.name == self._problem.spine.table and column == label_column(self._problem):
            return "boolean"
        derived = derived_kinds(self._problem)
        if (table.name, column) in derived:
            kind = derived[table.name, column]
            return "numeric" if kind == "id" else kind
        if table.name not in self._schemas:
            self._schemas[table.name] = schema_of(self._tables, table.name)
        schema = self._schemas[table.name]
        if column not in schema.names:
            raise DeclarationError(f"no column {table.name}.{column}", where=where, found=schema.names)
        role = table.roles.get(column)
        return role if role in ("categorical", "text") else _of_type(schema.field(column).type)


def _of_type(arrow_type: pa.DataType) -> str:
    """The kind of a column by its type; "null" of one that is still all empty, which can become any."""
    if pa.types.is_null(arrow_type):
        return "null"
    if pa.types.is_timestamp(arrow_type) or pa.types.is_date(arrow_type):
        return "time"
    if is_text(arrow_type):
        return "categorical"
    return "boolean" if pa.types.is_boolean(arrow_type) else "numeric"
